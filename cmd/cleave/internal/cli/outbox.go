package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/outbox"
)

func (a *app) outbox() *cobra.Command {
	c := &cobra.Command{
		Use: "outbox", Short: "Look at the events in the modules' databases", GroupID: "run", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.outboxStatus())
	return c
}

func (a *app) outboxStatus() *cobra.Command {
	var names []string
	c := &cobra.Command{
		Use: "status", Short: "Say how each module's events stand", Args: exactly(cobra.NoArgs),
		Long: `status reads each module's database, and writes nothing. PENDING events are not at the broker yet, the first of them since OLDEST, and
RETRIED is how many of them it didn't take at least once. UNCONFIRMED are at the broker, which isn't sure yet that every consumer has them.
WAITING came to a consumer of the module before an earlier one. DEAD were given up by a consumer, see ` + "`cleave events dead list`" + `, and
MISSING never came. A module that has no database is left out.`,
		Example: "  cleave outbox status\n  cleave outbox status --modules order,inventory -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			modules := a.env.Modules
			s, _, err := a.settings(c)
			if err == nil && len(names) > 0 {
				modules, err = a.choose(names)
			}
			if err != nil {
				return err
			}
			return a.showOutboxes(c.Context(), s, modules)
		},
	}
	c.Flags().StringSliceVar(&names, "modules", nil, "modules to look at; default all")
	dataFlags(c.Flags())
	return c
}

// eventsOf is how a module's events stand, as it is shown.
type eventsOf struct {
	Module        string  `json:"module"`
	Pending       int64   `json:"pending"`
	OldestSeconds float64 `json:"oldest_seconds"`
	Retried       int64   `json:"retried"`
	Unconfirmed   int64   `json:"unconfirmed"`
	Waiting       int64   `json:"waiting"`
	Dead          int64   `json:"dead"`
	Missing       int64   `json:"missing"`
}

func (a *app) showOutboxes(ctx context.Context, s settings, modules []host.Module) error {
	list := make([]eventsOf, 0, len(modules))
	for _, m := range modules {
		st, err := readOutbox(ctx, data.Config{URL: s.Data.URL, Dir: s.Data.Dir, Module: m.Name})
		switch {
		case errors.Is(err, data.ErrNoDatabase):
			if _, err := fmt.Fprintf(a.env.Stderr, "cleave: %s has no database: left out\n", m.Name); err != nil {
				return err
			}
			continue
		case err != nil:
			return &codedError{exitUnreachable, err}
		}
		e := eventsOf{
			Module: m.Name, Pending: st.Pending, Retried: st.Retried, Unconfirmed: st.Unconfirmed, Waiting: st.Waiting, Dead: st.Dead, Missing: st.Missing,
		}
		if !st.Oldest.IsZero() {
			e.OldestSeconds = time.Since(st.Oldest).Seconds()
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return errNoDatabases
	}
	if s.Output == "json" {
		return a.json(list)
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MODULE\tPENDING\tOLDEST\tRETRIED\tUNCONFIRMED\tWAITING\tDEAD\tMISSING") // Flush has the error
	for _, e := range list {
		oldest := time.Duration(e.OldestSeconds * float64(time.Second)).Round(time.Millisecond)
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\n", e.Module, e.Pending, oldest, e.Retried, e.Unconfirmed, e.Waiting, e.Dead, e.Missing)
	}
	return w.Flush()
}

func readOutbox(ctx context.Context, c data.Config) (s outbox.Status, err error) {
	db, err := data.OpenReader(ctx, c)
	if err != nil {
		return outbox.Status{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return outbox.ReadStatus(ctx, db)
}
