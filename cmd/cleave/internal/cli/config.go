package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/config"
)

func (a *app) config() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Show settings, change them while processes run, and take changes back", GroupID: "operate", Args: exactly(cobra.NoArgs),
		Long: `config looks after the settings that all processes share: under cleave/config/ in Consul, when that is the registry, else in config.json
beside the data. Flags, environment and file of a process are above them. Those marked live are in force everywhere at once; the others are read
when a process starts. A value is checked before it is written; one that gets there otherwise and is wrong is refused by every process, which keeps
the last good one: cleave config status shows that.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the hosts' data, where the settings are without Consul")
	c.AddCommand(a.configGet(), a.configSet(), a.configUnset(), a.configHistory(), a.configRollback(), a.configStatus())
	return c
}

// withConfig opens the store of the settings, also when there is something wrong in it.
func (a *app) withConfig(c *cobra.Command, fn func(context.Context, settings, config.Backend) error) error {
	a.lenient = true
	s, _, err := a.settings(c)
	if err != nil {
		return err
	}
	store, err := configStore(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), storeWait)
	defer cancel()
	return fn(ctx, s, store)
}

func (a *app) configGet() *cobra.Command {
	return &cobra.Command{
		Use: "get [KEY]", Short: "Show the settings of a process that would start here, and who says so", Args: exactly(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.completeSettings,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withConfig(c, func(_ context.Context, s settings, _ config.Backend) error {
				for _, r := range a.loaded.Refused() {
					_, _ = fmt.Fprintf(a.env.Stderr, "cleave: %s: %s is wrong, and left out: %s\n", r.Source, r.Key, r.Reason) // the list is what was asked for
				}
				list := a.loaded.Settings()
				if len(args) == 1 {
					list = pick(list, args[0])
					if len(list) == 0 {
						return usagef("there is no setting %q; cleave config get lists them", args[0])
					}
				}
				if s.Output == "json" {
					return a.json(list)
				}
				w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KEY\tVALUE\tSOURCE\tLIVE")
				for _, one := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", one.Key, one.Value, one.Source, yes(one.Live))
				}
				return w.Flush()
			})
		},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "at start"
}

// pick is the setting called key, or those below it.
func pick(list []config.Setting, key string) []config.Setting {
	var out []config.Setting
	for _, s := range list {
		if s.Key == key || strings.HasPrefix(s.Key, key+".") {
			out = append(out, s)
		}
	}
	return out
}

func (a *app) configSet() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "set KEY VALUE", Short: "Set a value for all processes", Args: exactly(cobra.ExactArgs(2)), ValidArgsFunction: a.completeSettings,
		Example: "  cleave config set log.level debug --reason 'looking for lost mails'\n  cleave config set cors.origins https://shop.example,https://www.shop.example",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withConfig(c, func(ctx context.Context, s settings, store config.Backend) error {
				return a.change(ctx, s, store, config.Change{Key: args[0], New: &args[1], Reason: reason})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "set by hand", "why, for the history")
	return c
}

func (a *app) configUnset() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "unset KEY", Short: "Take a value away, so that the default is in force", Args: exactly(cobra.ExactArgs(1)), ValidArgsFunction: a.completeSettings,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withConfig(c, func(ctx context.Context, s settings, store config.Backend) error {
				return a.change(ctx, s, store, config.Change{Key: args[0], Reason: reason})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "taken away by hand", "why, for the history")
	return c
}

// change checks a change, writes it, and prints it.
func (a *app) change(ctx context.Context, s settings, store config.Backend, next config.Change) error {
	next.Author = author()
	if _, err := a.loaded.Preview(next); err != nil {
		return &usageError{err}
	}
	done, err := store.Change(ctx, next)
	if err != nil {
		return &codedError{exitUnreachable, err}
	}
	if one := pick(a.loaded.Settings(), next.Key); len(one) == 1 && !one[0].Live {
		_, _ = fmt.Fprintf(a.env.Stderr, "cleave: %s is read when a process starts: those that run keep what they have\n", next.Key)
	}
	return a.changes(s, []config.Change{done})
}

// changes prints changes.
func (a *app) changes(s settings, list []config.Change) error {
	if s.Output == "json" {
		return a.json(list)
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tKEY\tOLD\tNEW\tTIME\tAUTHOR\tREASON")
	for _, c := range list {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Version, c.Key, value(c.Old), value(c.New), c.Time.Format(time.RFC3339), c.Author, c.Reason)
	}
	return w.Flush()
}

func value(v *string) string {
	if v == nil {
		return "-"
	}
	return *v
}

func (a *app) configHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history [KEY]", Short: "Show who changed what, when and why, the newest first", Args: exactly(cobra.MaximumNArgs(1)),
		Long:              fmt.Sprintf("history lists the last %d changes that were made with this command.", config.HistoryLimit),
		ValidArgsFunction: a.completeSettings,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withConfig(c, func(ctx context.Context, s settings, store config.Backend) error {
				past, err := store.History(ctx)
				if err != nil {
					return &codedError{exitUnreachable, err}
				}
				shown := []config.Change{}
				for _, one := range past {
					if len(args) == 0 || one.Key == args[0] {
						shown = append(shown, one)
					}
				}
				return a.changes(s, shown)
			})
		},
	}
}

func (a *app) configRollback() *cobra.Command {
	return &cobra.Command{
		Use: "rollback VERSION", Short: "Make every setting what it was after a change", Args: exactly(cobra.ExactArgs(1)),
		Long:    "rollback takes back every change after VERSION; 0 takes back all that are known. Each is a change of its own in the history.",
		Example: "  cleave config history\n  cleave config rollback 41",
		RunE: func(c *cobra.Command, args []string) error {
			to, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || to < 0 {
				return usagef("%q is no version; cleave config history lists them", args[0])
			}
			return a.withConfig(c, func(ctx context.Context, s settings, store config.Backend) error {
				past, err := store.History(ctx)
				if err != nil {
					return &codedError{exitUnreachable, err}
				}
				if known := len(past) > 0 && past[len(past)-1].Version <= to+1 && to < past[0].Version; !known {
					return usagef("there is nothing to take back to version %d; cleave config history lists what is known", to)
				}
				return a.rollback(ctx, c, s, store, to, past)
			})
		},
	}
}

// rollback undoes what came after a version, key by key.
func (a *app) rollback(ctx context.Context, c *cobra.Command, s settings, store config.Backend, to int64, past []config.Change) error {
	was := map[string]*string{} // by key, as it was
	var keys []string
	for _, p := range past { // the newest first: the last one of a key that is seen is the first one after the version
		if p.Version <= to {
			break
		}
		if _, seen := was[p.Key]; !seen {
			keys = append(keys, p.Key)
		}
		was[p.Key] = p.Old
	}
	for _, key := range keys {
		err := a.change(ctx, s, store, config.Change{Key: key, New: was[key], Reason: fmt.Sprintf("back to version %d", to)})
		if err != nil {
			return err
		}
		if _, _, err := a.settings(c); err != nil { // the next one is checked beside it
			return err
		}
	}
	return nil
}

// completeSettings names settings.
func (a *app) completeSettings(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	l, err := config.Load(defaults(), config.Options{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var keys []string
	for _, s := range l.Settings() {
		keys = append(keys, s.Key)
	}
	return keys, cobra.ShellCompDirectiveNoFileComp
}
