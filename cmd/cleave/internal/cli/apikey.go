package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/kv"
)

func (a *app) apikey() *cobra.Command {
	c := &cobra.Command{
		Use: "apikey", Short: "Give callers of the gateway keys, and take them away", GroupID: "edge", Args: exactly(cobra.NoArgs),
		Long: `apikey looks after the API keys that the gateways take, in "X-Api-Key: KEY" or "Authorization: Bearer KEY". Of a key only the hash is kept:
under cleave/gateway/keys/ in Consul, when that is the registry, else in gateway-keys.json beside the data. Gateways see a change at once.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the gateway's data, where the keys are without Consul")
	c.AddCommand(a.createKey(), a.listKeys(), a.revokeKey())
	return c
}

func apiKeys() documents { return documents{open: edgeStore(keyDocuments)} }

func (a *app) createKey() *cobra.Command {
	var scopes []string
	var life time.Duration
	var tenant, priority string
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a key, and print it this once", Args: exactly(cobra.ExactArgs(1)),
		Long: `create makes a key and prints it; it can't be shown again. A name may have two keys at once: make the second, let its owner change over, and
revoke the first.`,
		Example: "  cleave apikey create warehouse --scope fulfilment.read --scope fulfilment.write --expires 8760h",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, apiKeys(), func(ctx context.Context, s settings, store kv.Store) error {
				now := time.Now()
				var expires time.Time
				if life != 0 {
					expires = now.Add(life).UTC().Truncate(time.Second)
				}
				k, text, err := apikey.New(args[0], scopes, now, expires)
				if err == nil {
					k.Tenant, k.Priority = tenant, priority
					err = k.Validate()
				}
				if err != nil {
					return usagef("%w", err)
				}
				all, err := store.Read(ctx)
				if err != nil {
					return err
				}
				living := slices.DeleteFunc(apikey.Keys(all), func(o apikey.Key) bool { return o.Name != k.Name || !o.Alive(now) })
				if len(living) >= apikey.MaxPerName {
					return usagef("%s has %d keys already; revoke one, such as %s", k.Name, len(living), living[0].ID)
				}
				if err := putKey(ctx, store, k); err != nil {
					return err
				}
				if s.Output == "json" {
					return a.json(struct {
						apikey.Key
						Text string `json:"key"`
					}{k, text})
				}
				_, err = fmt.Fprintln(a.env.Stdout, text)
				return err
			})
		},
	}
	c.Flags().StringArrayVar(&scopes, "scope", nil, "what it may do, such as catalog.write, catalog.* or *; may be given again")
	c.Flags().DurationVar(&life, "expires", 0, "how long it is good for; 0: until it is revoked")
	c.Flags().StringVar(&tenant, "tenant", "", "whom its owner belongs to, for rates that are for all of a tenant together")
	c.Flags().StringVar(&priority, "priority", "", "of its calls under overload: sheddable, normal or critical; default: the method's")
	return c
}

func (a *app) listKeys() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, apiKeys(), func(ctx context.Context, s settings, store kv.Store) error {
				all, err := store.Read(ctx)
				if err != nil {
					return err
				}
				keys := apikey.Keys(all)
				if s.Output == "json" {
					return a.json(append([]apikey.Key{}, keys...))
				}
				w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tNAME\tSCOPES\tCREATED\tSTATE")
				for _, k := range keys {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(k.Scopes, " "), k.Created.Format(time.RFC3339), keyState(k, time.Now()))
				}
				return w.Flush()
			})
		},
	}
}

func keyState(k apikey.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked " + k.Revoked.Format(time.RFC3339)
	case !k.Alive(now):
		return "expired " + k.Expires.Format(time.RFC3339)
	case !k.Expires.IsZero():
		return "good until " + k.Expires.Format(time.RFC3339)
	}
	return "good"
}

func (a *app) revokeKey() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a key for good", Args: exactly(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, apiKeys(), func(ctx context.Context, _ settings, store kv.Store) error {
				all, err := store.Read(ctx)
				if err != nil {
					return err
				}
				k, err := apikey.Parse(all[args[0]])
				if err != nil {
					return usagef("there is no key %q; `cleave apikey list` has all", args[0])
				}
				if k.Revoked.IsZero() {
					k.Revoked = time.Now().UTC().Truncate(time.Second)
				}
				return putKey(ctx, store, k)
			})
		},
	}
}
