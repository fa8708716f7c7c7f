package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/config"
)

// hostConfig is what a process says of its settings.
type hostConfig struct {
	Host  string        `json:"host"`
	Admin string        `json:"admin"`
	Error string        `json:"error,omitempty"`
	State *config.State `json:"state,omitempty"`
}

func (a *app) configStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status [KEY]", Short: "Ask every process what is in force there, what it refuses, and what waits for a restart", Args: exactly(cobra.MaximumNArgs(1)),
		Long: `status asks the admin listener of every process in the registry. It exits with 1 when one of them refuses a value or doesn't answer. KEY
shows the value of that setting everywhere.`,
		ValidArgsFunction: a.completeSettings,
		RunE: func(c *cobra.Command, args []string) (err error) {
			a.lenient = true
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			list, err := se.processes()
			if err != nil {
				return err
			}
			out := make([]hostConfig, len(list))
			each(list, func(i int, p process) {
				out[i] = hostConfig{Host: p.Host, Admin: p.Admin, State: &config.State{}}
				if err := p.read(c.Context(), "/config", out[i].State); err != nil {
					out[i].Error, out[i].State = err.Error(), nil
				}
			})
			if se.s.Output == "json" {
				err = a.json(out)
			} else {
				err = a.configTable(out, args)
			}
			if err == nil && slices.ContainsFunc(out, func(h hostConfig) bool { return h.State == nil || len(h.State.Refused) > 0 }) {
				err = &codedError{exitFailed, errors.New("not every process has taken every value")}
			}
			return err
		},
	}
}

func (a *app) configTable(list []hostConfig, keys []string) error {
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADMIN\tWHAT\tKEY\tVALUE\tSOURCE")
	line := func(h hostConfig, what, key, value, source string) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", h.Host, h.Admin, what, key, value, source)
	}
	for _, h := range list {
		if h.State == nil {
			line(h, "no answer", "-", h.Error, "-")
			continue
		}
		for _, s := range h.State.Settings {
			if s.Source != "default" && len(keys) == 0 && strings.Contains(s.Source, "config") || len(keys) > 0 && s.Key == keys[0] {
				line(h, "in force", s.Key, s.Value, s.Source)
			}
		}
		for key, value := range h.State.Pending {
			line(h, "after a restart", key, value, "-")
		}
		for _, r := range h.State.Refused {
			line(h, "refused", r.Key, r.Reason, r.Source)
		}
	}
	return w.Flush()
}
