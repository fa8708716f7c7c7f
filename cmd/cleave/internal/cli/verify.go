package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/verify"
)

func (a *app) verify() *cobra.Command {
	var names []string
	wait := 10 * time.Second
	c := &cobra.Command{
		Use: "verify", Short: "Check the laws of the modules' data", Args: exactly(cobra.NoArgs), GroupID: "run",
		Long: `verify reads the modules' databases and checks what always has to hold: within each module, such as 0 <= reserved <= on_hand, and
between them, such as that a cancelled order holds neither stock nor money. It writes nothing and may run while the modules do: what is
broken is looked at again until it holds, or until --wait is over. It prints each law and what breaks it; with one broken the exit code
is 1. A module that has no database is left out.`,
		Example: "  cleave verify\n  cleave verify --data-url postgres://postgres@127.0.0.1/cleave --wait 30s -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			modules := a.env.Modules
			if len(names) > 0 {
				var err error
				if modules, err = a.choose(names); err != nil {
					return err
				}
			}
			s, _, err := a.settings(c)
			if err != nil {
				return err
			}
			if wait < 0 {
				return usagef("--wait can't be negative")
			}
			return a.verifyModules(c.Context(), s, modules, wait)
		},
	}
	c.Flags().StringSliceVar(&names, "modules", nil, "modules to look at; default all")
	c.Flags().DurationVar(&wait, "wait", wait, "how long what is under way may take")
	dataFlags(c.Flags())
	return c
}

// dataFlags are those of commands that read the modules' databases.
func dataFlags(f *pflag.FlagSet) {
	f.String("data-dir", defaults().Data.Dir, "folder of the SQLite files")
	f.String("data-url", "", "PostgreSQL instead of SQLite: postgres://user@host/name")
	f.String("data-url-file", "", "file that holds the URL")
}

var errNoDatabases = errors.New("no module has a database: say with --data-dir or --data-url where they are")

func (a *app) verifyModules(ctx context.Context, s settings, modules []host.Module, wait time.Duration) (err error) {
	conf := verify.Config{Wait: wait}
	var p parts
	defer func() { err = errors.Join(err, p.Close()) }()
	open := func(c data.Config, checks []verify.Check) error {
		db, err := data.OpenReader(ctx, c)
		if errors.Is(err, data.ErrNoDatabase) {
			_, err = fmt.Fprintf(a.env.Stderr, "cleave: %s has no database: left out\n", c.Module)
			return err
		}
		if err != nil {
			return &codedError{exitUnreachable, err}
		}
		p.add(db.Close)
		conf.Modules = append(conf.Modules, verify.Module{Name: c.Module, DB: db, Checks: checks})
		return nil
	}
	for _, m := range modules {
		if err := open(data.Config{URL: s.Data.URL, Dir: s.Data.Dir, Module: m.Name}, append(chassisLaws(), m.Invariants...)); err != nil {
			return err
		}
	}
	conf.Across = a.acrossLaws(conf.Modules)
	for _, b := range a.env.Books {
		at := data.Config{URL: s.Data.URL, Dir: s.Data.Dir, Module: b.Name}
		if b.Dir != "" {
			at = data.Config{Dir: b.Dir, Module: b.Name}
		}
		if err := open(at, b.Checks); err != nil {
			return err
		}
	}
	if len(conf.Modules) == 0 {
		return errNoDatabases
	}
	results, err := verify.Run(ctx, conf)
	if err != nil {
		return err
	}
	if s.Output == "json" {
		err = a.json(results)
	} else {
		err = a.laws(results)
	}
	if n := verify.Broken(results); err == nil && n > 0 {
		return fmt.Errorf("%d of %d laws don't hold", n, len(results))
	}
	return err
}

// laws prints each law in a line, and below it what breaks it.
func (a *app) laws(results []verify.Result) error {
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CHECK\tBROKEN\tLAW")
	for _, r := range results {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", r.Check, r.Broken, r.Law)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, c := range r.Cases {
			if _, err := fmt.Fprintf(a.env.Stdout, "%s: %s\n", r.Check, c); err != nil {
				return err
			}
		}
		if more := r.Broken - len(r.Cases); more > 0 {
			if _, err := fmt.Fprintf(a.env.Stdout, "%s: and %d more\n", r.Check, more); err != nil {
				return err
			}
		}
	}
	return nil
}
