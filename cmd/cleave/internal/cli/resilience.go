package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/resilience"
)

func (a *app) resilience() *cobra.Command {
	c := &cobra.Command{
		Use: "resilience", Short: "Show what keeps the calls of each method from harm, and who said so", GroupID: "speak", Args: exactly(cobra.NoArgs),
		Long: `resilience shows, of every method of every service in the registry, how long a call may take, when a second instance is asked, how many
may be under way, how important they are, and when they are not sent; and of each value whether it is a default, the contract's, or an
operator's override. What a process does with them now, its circuits, limits and ejected instances, is at GET /resilience of its admin listener.

Overrides are JSON documents under cleave/resilience/ in Consul, when that is the registry, else in resilience.json beside the data.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.showResilience(c, nil) },
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the data, where the overrides are without Consul")
	c.AddCommand(&cobra.Command{
		Use: "show [METHOD]", Short: "Show those whose name holds METHOD, or all", Args: exactly(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return a.showResilience(c, args) },
	}, a.setResilience(), a.unset(resilienceOverrides(), "unset METHOD", "Take an override back"))
	return c
}

func resilienceOverrides() documents { return documents{resilienceStore, resilience.CheckOverride} }

func (a *app) setResilience() *cobra.Command {
	return a.set(resilienceOverrides(), &cobra.Command{
		Use: "set METHOD JSON", Short: "Override the values of a method, or of a service's methods",
		Long: `set writes an override. METHOD is package.Service/Method, or package.Service/* for all of a service. JSON may have timeout ("2s"),
hedge_after ("50ms"), bulkhead (64), priority ("critical", "normal", "sheddable") and breaker ({"off": true}, or any of failure_percent,
min_calls, window, open_for); what it doesn't have stays as the contract says.`,
		Example: `  cleave resilience set shop.payment.v1.Payments/Capture '{"timeout": "2s", "bulkhead": 50}'` + "\n" +
			`  cleave resilience set 'shop.catalog.v1.Catalog/*' '{"hedge_after": "50ms"}'`,
	})
}

func (a *app) showResilience(c *cobra.Command, args []string) (err error) {
	se, err := a.session(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, se.Close()) }()
	all, err := se.resilience(c.Context())
	if err != nil {
		return err
	}
	if len(args) > 0 {
		all = slices.DeleteFunc(all, func(s resilience.Settings) bool { return !strings.Contains(s.Method, args[0]) })
	}
	if se.s.Output == "json" {
		return a.json(all)
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tTIMEOUT\tHEDGE AFTER\tBULKHEAD\tPRIORITY\tBREAKER")
	for _, s := range all {
		bulkhead, breaker := "service's", "off"
		if s.Bulkhead.Value > 0 {
			bulkhead = fmt.Sprint(s.Bulkhead.Value)
		}
		if b := s.Breaker.Value; !b.Off {
			breaker = fmt.Sprintf("%d%% of %d in %v, for %v", b.FailurePercent, b.MinCalls, time.Duration(b.Window), time.Duration(b.OpenFor))
		}
		fmt.Fprintf(w, "%s\t%s (%s)\t%s (%s)\t%s (%s)\t%s (%s)\t%s (%s)\n", s.Method, span(s.Timeout.Value, "caller's"), s.Timeout.From,
			span(s.HedgeAfter.Value, "never"), s.HedgeAfter.From, bulkhead, s.Bulkhead.From, s.Priority.Value, s.Priority.From, breaker, s.Breaker.From)
	}
	return w.Flush()
}

func span(d resilience.Duration, none string) string {
	if d == 0 {
		return none
	}
	return time.Duration(d).String()
}

// resilience is that of all services whose contract can be read.
func (se *session) resilience(ctx context.Context) ([]resilience.Settings, error) {
	rules, err := resilience.NewRules(se.log, nil)
	if err != nil {
		return nil, err
	}
	store, err := resilienceStore(se.s)
	if err != nil {
		return nil, err
	}
	documents, err := store.Read(ctx)
	if err != nil {
		return nil, &codedError{exitUnreachable, err}
	}
	rules.Take(ctx, documents)
	names, err := se.names()
	if err != nil {
		return nil, err
	}
	out := []resilience.Settings{}
	for _, n := range names {
		if n == api.Name {
			continue
		}
		ct, err := se.contract(ctx, n)
		if err != nil {
			se.log.WarnContext(ctx, "a service doesn't tell its contract", "service", n, "error", err)
			continue
		}
		for _, sd := range ct.Services {
			for i := range sd.Methods().Len() {
				s, err := rules.Of(sd.Methods().Get(i))
				if err != nil {
					se.log.WarnContext(ctx, "something in a contract is wrong and isn't taken", "error", err)
				}
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b resilience.Settings) int { return strings.Compare(a.Method, b.Method) })
	return out, nil
}
