package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// finding is one thing that was looked at.
type finding struct {
	What string `json:"what"`
	// OK says that nothing is wrong with it. Else Problem says what is, and Mend what to do.
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
	Mend    string `json:"mend,omitempty"`
}

// checkup gathers findings.
type checkup struct {
	a   *app
	s   settings
	log *slog.Logger
	all []finding
}

func (c *checkup) goodf(what, format string, args ...any) {
	c.all = append(c.all, finding{What: what, OK: true, Problem: fmt.Sprintf(format, args...)})
}

func (c *checkup) badf(what, mend, format string, args ...any) {
	c.all = append(c.all, finding{What: what, Problem: fmt.Sprintf(format, args...), Mend: mend})
}

// checkTime bounds each thing that is looked at.
const checkTime = 5 * time.Second

func (a *app) doctor() *cobra.Command {
	c := &cobra.Command{
		Use: "doctor", Short: "Say what is wrong with what Cleave stands on, and how to mend it", GroupID: "operate", Args: exactly(cobra.NoArgs),
		Long: `doctor looks, with the settings that a process here would have, at Consul, its leader, version, rights and clock; at the broker and its dead
letters; at the databases and their outboxes; at the data's folder and the gateway's port; and at every process in the registry: its checks, its
clock, settings that it refuses, open circuits, faults. It changes nothing. It exits with 1 when something is wrong.`,
		Example: "  cleave doctor --registry consul --data-url-file /run/secrets/database --broker nats://nats:4222\n  cleave doctor -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			a.lenient, a.local = true, true // what is wrong is what is looked for
			s, _, err := a.settings(c)
			if err != nil {
				return err
			}
			d := &checkup{a: a, s: s, log: slog.New(slog.DiscardHandler)}
			if d.registry(c.Context()) {
				a.local = false
				if full, _, err := a.settings(c); err == nil { // Consul may know of a broker and a database
					d.s = full
					d.stored()
				}
			}
			for _, check := range []func(context.Context){d.folder, d.port, d.hosts, d.broker, d.databases, d.processes} {
				ctx, cancel := context.WithTimeout(c.Context(), 4*checkTime)
				check(ctx)
				cancel()
			}
			return d.report(a.env.Stdout)
		},
	}
	hostFlags(c.Flags(), embedded)
	c.Flags().String("listen", "127.0.0.1:8080", "address of the gateway, whose port is looked at")
	return c
}

func (c *checkup) report(out io.Writer) error {
	wrong := 0
	for _, f := range c.all {
		if !f.OK {
			wrong++
		}
	}
	if c.s.Output == "json" {
		if err := c.a.json(c.all); err != nil {
			return err
		}
	} else if err := c.print(out); err != nil {
		return err
	}
	if wrong > 0 {
		return &codedError{exitFailed, fmt.Errorf("%d of %d things are wrong", wrong, len(c.all))}
	}
	return nil
}

func (c *checkup) print(out io.Writer) error {
	var errs []error
	for _, f := range c.all {
		mark := "ok   "
		if !f.OK {
			mark = "WRONG"
		}
		_, err := fmt.Fprintf(out, "%s  %s: %s\n", mark, f.What, strings.ReplaceAll(f.Problem, "\n", "\n       "))
		errs = append(errs, err)
		if f.Mend != "" {
			_, err := fmt.Fprintf(out, "       mend: %s\n", f.Mend)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stored looks at the settings in the store.
func (c *checkup) stored() {
	refused := c.a.loaded.Refused()
	for _, r := range refused {
		c.badf("settings", "cleave config set "+r.Key+" VALUE, or cleave config unset "+r.Key, "%s: %s: %s", r.Source, r.Key, r.Reason)
	}
	if unknown := c.a.loaded.Unknown(); len(unknown) > 0 {
		c.goodf("settings", "no setting is called %s; another version may know better", strings.Join(unknown, ", "))
	} else if len(refused) == 0 {
		c.goodf("settings", "all can be read")
	}
}
