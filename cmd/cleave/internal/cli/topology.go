package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/topology"
)

func (a *app) topology() *cobra.Command {
	c := &cobra.Command{
		Use: "topology", Short: "Show where the calls of each module go, and change it", GroupID: "move", Args: exactly(cobra.NoArgs),
		Long: `topology lists the modules that are under a rule: how their calls are split among hosts or versions, and who changed that, when and why.
A module without a rule runs where it is started, and all of its instances are alike. Rules are in Consul's key/value store, under
cleave/topology/, when Consul is the registry; else in topology.json beside the data.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c, func(ctx context.Context, s settings, store topology.Store) error {
				rules, err := store.Rules(ctx)
				if err != nil {
					return err
				}
				return a.rules(s, slices.SortedFunc(maps.Values(rules), func(a, b topology.Rule) int { return strings.Compare(a.Module, b.Module) }))
			})
		},
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the hosts' data, where the rules are without Consul")
	c.AddCommand(a.topologyHistory(), a.topologySet(), a.topologyRollback())
	return c
}

// withStore opens the store of the rules.
func (a *app) withStore(c *cobra.Command, fn func(context.Context, settings, topology.Store) error) error {
	s, log, err := a.settings(c)
	if err != nil {
		return err
	}
	store, err := topologyStore(s, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	err = fn(ctx, s, store)
	if err != nil && !errors.Is(err, topology.ErrConflict) && !errors.Is(err, topology.ErrInvalid) {
		return &codedError{exitUnreachable, err}
	}
	return err
}

// rules prints rules.
func (a *app) rules(s settings, rules []topology.Rule) error {
	if s.Output == "json" {
		if rules == nil {
			rules = []topology.Rule{}
		}
		return a.json(rules)
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tVERSION\tCALLS\tSTICKY\tTIME\tAUTHOR\tREASON")
	for _, r := range rules {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n",
			r.Module, r.Version, split(r), r.Sticky, r.Time.Format(time.RFC3339), r.Author, r.Reason)
	}
	return w.Flush()
}

// split is how a person reads the shares of a rule.
func split(r topology.Rule) string {
	if len(r.Shares) == 0 {
		return "all alike"
	}
	sum := 0
	for _, s := range r.Shares {
		sum += s.Weight
	}
	parts := make([]string, len(r.Shares))
	for i, s := range r.Shares {
		parts[i] = fmt.Sprintf("%s %s%%", s, strconv.FormatFloat(float64(s.Weight)*100/float64(sum), 'f', -1, 32))
	}
	return strings.Join(parts, ", ")
}

func (a *app) topologyHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history MODULE", Short: "Show how a module's rule came to be, the newest first", Args: exactly(cobra.ExactArgs(1)), ValidArgsFunction: a.completeModules,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c, func(ctx context.Context, s settings, store topology.Store) error {
				past, err := store.History(ctx, args[0])
				if err != nil {
					return err
				}
				return a.rules(s, past)
			})
		},
	}
}

func (a *app) topologySet() *cobra.Command {
	var shares []string
	var sticky, reason string
	c := &cobra.Command{
		Use: "set MODULE [--share WHERE=WEIGHT]...", Short: "Split a module's calls by host or by version", Args: exactly(cobra.ExactArgs(1)),
		Long: `set replaces a module's rule. WHERE is a host ("main"), a version ("@1.4.0"), or both ("main@1.4.0"). A host that the rule doesn't name lets
the module go as soon as one that it names runs it. Without any --share the module is under no rule any more.`,
		Example:           "  cleave topology set catalog --share @1.4.0=5 --share @1.3.9=95 --sticky X-Session --reason 'canary of 1.4.0'\n  cleave topology set order --reason 'no rule any more'",
		ValidArgsFunction: a.completeModules,
		RunE: func(c *cobra.Command, args []string) error {
			next := topology.Rule{Module: args[0], Sticky: sticky, Author: author(), Reason: reason}
			for _, text := range shares {
				s, err := parseShare(text)
				if err != nil {
					return err
				}
				next.Shares = append(next.Shares, s)
			}
			return a.withStore(c, func(ctx context.Context, s settings, store topology.Store) error {
				rules, err := store.Rules(ctx)
				if err != nil {
					return err
				}
				next.Version = rules[next.Module].Version
				return a.put(ctx, s, store, next)
			})
		},
	}
	c.Flags().StringArrayVar(&shares, "share", nil, "WHERE=WEIGHT, once for each part")
	c.Flags().StringVar(&sticky, "sticky", "", "metadata key: calls with one value of it stay on one part")
	c.Flags().StringVar(&reason, "reason", "set by hand", "why, for the history")
	return c
}

func (a *app) put(ctx context.Context, s settings, store topology.Store, next topology.Rule) error {
	r, err := store.Put(ctx, next)
	if errors.Is(err, topology.ErrInvalid) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	return a.rules(s, []topology.Rule{r})
}

func parseShare(text string) (topology.Share, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return topology.Share{}, usagef("--share %q is not WHERE=WEIGHT", text)
	}
	weight, err := strconv.Atoi(text[i+1:])
	if err != nil {
		return topology.Share{}, usagef("--share %q: the weight is no whole number", text)
	}
	host, version, _ := strings.Cut(text[:i], "@")
	return topology.Share{Host: host, ModuleVersion: version, Weight: weight}, nil
}

func (a *app) topologyRollback() *cobra.Command {
	var to int64
	c := &cobra.Command{
		Use: "rollback MODULE", Short: "Make an earlier version of a module's rule the current one", Args: exactly(cobra.ExactArgs(1)), ValidArgsFunction: a.completeModules,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c, func(ctx context.Context, s settings, store topology.Store) error {
				past, err := store.History(ctx, args[0])
				if err != nil {
					return err
				}
				if len(past) == 0 {
					return usagef("%s has no rule", args[0])
				}
				want := to
				if want == 0 {
					want = past[0].Version - 1
				}
				next := topology.Rule{Module: args[0]} // version 0: no rule
				for _, r := range past {
					if r.Version == want {
						next = r
					}
				}
				if next.Version != want {
					return usagef("%s has no version %d; cleave topology history %s lists them", args[0], want, args[0])
				}
				next.Version, next.Author, next.Reason = past[0].Version, author(), fmt.Sprintf("back to version %d", want)
				return a.put(ctx, s, store, next)
			})
		},
	}
	c.Flags().Int64Var(&to, "to", 0, "the version; default the one before")
	return c
}
