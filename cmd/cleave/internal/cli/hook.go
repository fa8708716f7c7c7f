package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
)

func (a *app) hook() *cobra.Command {
	c := &cobra.Command{
		Use: "hook", Short: "Let webhooks come in and become events", GroupID: "edge", Args: exactly(cobra.NoArgs),
		Long: `hook looks after the webhooks that the gateways take at /hooks/NAME: each is verified, checked against the contract of an event, and published.
They are JSON documents under cleave/gateway/hooks/ in Consul, when that is the registry, else in gateway-hooks.json beside the data. Gateways see a
change at once. A secret is never in them: they name the environment variable or the file that has it.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the gateway's data, where the hooks are without Consul")
	c.AddCommand(a.setHook(), a.listHooks(), a.unset(hooks(), "unset NAME", "Take a webhook away"))
	return c
}

func hooks() documents { return documents{edgeStore(hookDocuments), api.CheckHook} }

func (a *app) setHook() *cobra.Command {
	return a.set(hooks(), &cobra.Command{
		Use: "set NAME JSON", Short: "Declare a webhook, or change it",
		Long: `set declares a webhook. JSON has topic, the full name of an event that a service declares, and secrets, such as ["env:ERP_SECRET"] or
["file:/run/secrets/erp"], one of which signs; and perhaps scheme ("standard", which is the default, or "hmac-sha256"), header (of the signature, with
hmac-sha256), key_field (where the idempotency key is in the body), ignore_unknown, max_body (bytes) and rate ({"requests": 100, "per": "1s"}).`,
		Example: `  cleave hook set erp '{"topic": "shop.catalog.v1.ProductChanged", "secrets": ["env:ERP_SECRET"]}'`,
	})
}

func (a *app) listHooks() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the webhooks", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, hooks(), func(ctx context.Context, s settings, store kv.Store) error {
				all, err := store.Read(ctx)
				if err != nil {
					return err
				}
				if s.Output == "json" {
					out := map[string]json.RawMessage{}
					for name, document := range all {
						out[name] = document
					}
					return a.json(out)
				}
				w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tPATH\tTOPIC\tSECRETS\tSTATE")
				for _, name := range slices.Sorted(maps.Keys(all)) {
					var h struct {
						Topic   string   `json:"topic"`
						Secrets []string `json:"secrets"`
					}
					state := "good"
					if err := api.CheckHook(name, all[name]); err != nil {
						state = "not taken: " + err.Error()
					} else if err := json.Unmarshal(all[name], &h); err != nil {
						state = "not taken"
					}
					fmt.Fprintf(w, "%s\t/hooks/%s\t%s\t%s\t%s\n", name, name, h.Topic, strings.Join(h.Secrets, " "), state)
				}
				return w.Flush()
			})
		},
	}
}
