package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/schema"
)

func (a *app) policy() *cobra.Command {
	c := &cobra.Command{
		Use: "policy [METHOD]", Short: "Show what the gateway does with each method, and who said so", GroupID: "edge", Args: exactly(cobra.MaximumNArgs(1)),
		Long: `policy shows, of every method of every service in the registry, whether the gateway offers it, to whom, for how long, how often, and whether
answers are kept; and of each value whether it is a default, the contract's, or an operator's override. METHOD shows those whose name holds it.

Overrides are JSON documents under cleave/gateway/policy/ in Consul, when that is the registry, else in gateway-policy.json beside the data.`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			all, err := se.policies(c.Context())
			if err != nil {
				return err
			}
			shown := []api.Policy{}
			for _, p := range all {
				if len(args) == 0 || strings.Contains(p.Method, args[0]) {
					shown = append(shown, p)
				}
			}
			if se.s.Output == "json" {
				return a.json(shown)
			}
			return a.policies(shown)
		},
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the gateway's data, where the overrides are without Consul")
	c.AddCommand(a.setPolicy(), a.unset(policyOverrides(), "unset METHOD", "Take an override back"))
	return c
}

// policies are those of all services whose contract can be read.
func (se *session) policies(ctx context.Context) ([]api.Policy, error) {
	store, err := edgeStore(policyDocuments)(se.s)
	if err != nil {
		return nil, err
	}
	documents, err := store.Read(ctx)
	if err != nil {
		return nil, &codedError{exitUnreachable, err}
	}
	names, err := se.names()
	if err != nil {
		return nil, err
	}
	var contracts []*schema.Contract
	for _, n := range names {
		if n == api.Name {
			continue
		}
		ct, err := se.contract(ctx, n)
		if err != nil {
			se.log.WarnContext(ctx, "a service doesn't tell its contract", "service", n, "error", err)
			continue
		}
		contracts = append(contracts, ct)
	}
	out, bad := api.Policies(contracts, documents)
	for name, err := range bad {
		se.log.WarnContext(ctx, "something is wrong and isn't taken", "name", name, "error", err)
	}
	return out, nil
}

func (a *app) policies(list []api.Policy) error {
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tEXPOSED\tACCESS\tTIMEOUT\tRATE\tCACHE\tMIRROR")
	for _, p := range list {
		access := "known callers"
		switch {
		case p.Access.Value.Public:
			access = "everybody"
		case len(p.Access.Value.Scopes) > 0:
			access = strings.Join(p.Access.Value.Scopes, " ")
		}
		rate, cache, timeout := "-", "-", "-"
		for i, r := range p.Rate.Value {
			rate = map[bool]string{true: "", false: rate + ", "}[i == 0] + fmt.Sprintf("%d in %v for each %s", r.Requests, time.Duration(r.Per), r.Scope)
		}
		if m := p.Cache.Value; m.MaxAge > 0 {
			cache = fmt.Sprintf("%v + %v", time.Duration(m.MaxAge), time.Duration(m.StaleWhileRevalidate))
		}
		mirror := "-"
		if m := p.Mirror.Value; m.Percent > 0 {
			mirror = strings.TrimSpace(fmt.Sprintf("%d%% to %s %s", m.Percent, m.Service, m.Version))
		}
		if p.Timeout.Value > 0 {
			timeout = time.Duration(p.Timeout.Value).String()
		}
		fmt.Fprintf(w, "%s\t%t (%s)\t%s (%s)\t%s (%s)\t%s (%s)\t%s (%s)\t%s (%s)\n", p.Method, p.Expose.Value, p.Expose.From, access, p.Access.From,
			timeout, p.Timeout.From, rate, p.Rate.From, cache, p.Cache.From,
			mirror, p.Mirror.From)
	}
	return w.Flush()
}

func policyOverrides() documents { return documents{edgeStore(policyDocuments), api.CheckOverride} }

func (a *app) setPolicy() *cobra.Command {
	return a.set(policyOverrides(), &cobra.Command{
		Use: "set METHOD JSON", Short: "Override the policy of a method, or of a service's methods",
		Long: `set writes an override. METHOD is package.Service/Method, package.Service/* for all of a service, or package.Message for the
topic of an event (expose, public, scopes and rate only). JSON may have expose, public, scopes,
timeout ("2s"), rate ({"requests": 10, "per": "1s", "scope": "caller"}, or a list of those, scope being caller, route or tenant),
cache ({"max_age": "5s", "stale_while_revalidate": "30s"}) and mirror ({"version": "v2", "percent": 5}); what it doesn't
have stays as the contract says.`,
		Example: `  cleave policy set shop.order.v1.Order/CancelOrder '{"expose": false}'` + "\n" +
			`  cleave policy set 'shop.catalog.v1.Catalog/*' '{"rate": {"requests": 100, "per": "1s"}}'`,
	})
}
