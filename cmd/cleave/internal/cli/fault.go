package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/rpc"
)

const allowFaults = "allow-faults"

func faultFlag(f *pflag.FlagSet) {
	f.Bool(allowFaults, false, "let `cleave fault add` break calls of this process on purpose; never where it matters")
}

// faultStore is where faults are: in Consul under cleave/faults/, else in a file beside the data.
func faultStore(s settings) (kv.Store, error) {
	return documentStore(s, "cleave/faults", "faults.json")
}

// injector follows the faults until the parts are closed; nil where the operator doesn't allow them.
func (p *parts) injector(
	ctx context.Context, s settings, log *slog.Logger, metrics *prometheus.Registry, own *admin.Server, over func(hit func(module, method string) bool),
) (*fault.Injector, error) {
	if !s.AllowFaults {
		own.Handle("GET /faults", (*fault.Injector)(nil))
		return nil, nil //nolint:nilnil // a nil one does nothing
	}
	store, err := faultStore(s)
	if err != nil {
		return nil, err
	}
	i, err := fault.NewInjector(fault.InjectorConfig{Log: log, Metrics: metrics, Abort: rpc.Abort, Over: over})
	if err != nil {
		return nil, err
	}
	log.WarnContext(ctx, "faults may be injected into this process: it was started with --"+allowFaults)
	own.Handle("GET /faults", i)
	p.follow(ctx, func(ctx context.Context) { i.Follow(ctx, store) })
	return i, nil
}

// follow runs fn until the parts are closed.
func (p *parts) follow(ctx context.Context, fn func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fn(ctx)
	}()
	p.add(func() error {
		cancel()
		<-ended
		return nil
	})
}

func (a *app) fault() *cobra.Command {
	c := &cobra.Command{
		Use: "fault", Short: "Break calls on purpose, for a while", GroupID: "operate", Args: exactly(cobra.NoArgs),
		Long: `fault injects latency, errors, aborts and partitions into calls of modules: in processes that were started with --allow-faults, and in no others.
Every fault has an end, at most an hour away, and is gone by itself then. Faults are under cleave/faults/ in Consul, when that is the registry,
else in faults.json beside the data.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().String("data-dir", defaults().Data.Dir, "folder of the hosts' data, where the faults are without Consul")
	c.AddCommand(a.faultAdd(), a.faultList(), a.faultRemove())
	return c
}

func (a *app) faultAdd() *cobra.Command {
	var share float64
	var life, delay time.Duration
	var code, caller, reason string
	c := &cobra.Command{
		Use: "add KIND MODULE [METHOD] --for TIME", Short: "Inject a fault", Args: exactly(cobra.RangeArgs(2, 3)),
		Long: `add injects a fault into a share of the calls of a module, or of one of its methods (Catalog.GetProduct). KIND is

  latency     a call waits for --delay before its handler
  error       a call is answered with --code instead
  abort       the connection by which a call came is cut; a direct call has none, and fails with an error
  partition   calls of --from, a module or gateway, are not sent`,
		Example: "  cleave fault add latency catalog Catalog.GetProduct --delay 300ms --share 10 --for 5m\n" +
			"  cleave fault add error payment --code DEADLINE_EXCEEDED --for 2m --reason 'does checkout recover?'\n" +
			"  cleave fault add partition inventory --from order --for 1m",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{string(fault.Latency), string(fault.Fail), string(fault.Abort), string(fault.Partition)}, cobra.ShellCompDirectiveNoFileComp
			}
			if len(args) == 1 {
				return a.moduleNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if life == 0 {
				return usagef("a fault needs an end: --for 5m, at most 1h")
			}
			now := time.Now().UTC().Truncate(time.Millisecond)
			r := fault.Rule{
				ID: args[0] + "-" + uuid.NewString()[:8], Module: args[1], Kind: fault.Kind(args[0]), Share: share, Delay: fault.Duration(delay),
				Caller: caller, Created: now, Expires: now.Add(life), Author: author(), Reason: reason,
			}
			if len(args) == 3 {
				r.Method = args[2]
			}
			if code != "" {
				if err := r.Code.UnmarshalJSON([]byte(`"` + strings.ToUpper(code) + `"`)); err != nil || r.Code == codes.OK {
					return usagef("--code %q is none of gRPC's, such as UNAVAILABLE", code)
				}
			}
			if err := r.Check(); err != nil {
				return &usageError{err}
			}
			return a.with(c, documents{open: faultStore}, func(ctx context.Context, s settings, store kv.Store) error {
				if err := fault.Add(ctx, store, r); err != nil {
					return err
				}
				return a.faults(s, []fault.Rule{r})
			})
		},
	}
	f := c.Flags()
	f.DurationVar(&life, "for", 0, "how long, at most 1h; needed")
	f.Float64Var(&share, "share", 100, "part of the calls, in percent")
	f.DurationVar(&delay, "delay", 0, "of latency, at most 1m")
	f.StringVar(&code, "code", "", "of an error; default UNAVAILABLE")
	f.StringVar(&caller, "from", "", "whose calls a partition stops; default everyone's")
	f.StringVar(&reason, "reason", "", "why, for the others")
	return c
}

func (a *app) faults(s settings, list []fault.Rule) error {
	if s.Output == "json" {
		return a.json(list)
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tMODULE\tMETHOD\tWHAT\tENDS IN\tAUTHOR\tREASON")
	for _, r := range list {
		method := r.Method
		if method == "" {
			method = "all"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Module, method, r, time.Until(r.Expires).Round(time.Second), r.Author, r.Reason)
	}
	return w.Flush()
}

func (a *app) faultList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the faults, and who obeys them", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			store, err := faultStore(se.s)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), storeWait)
			defer cancel()
			list, err := fault.List(ctx, store, time.Now())
			if list == nil {
				return &codedError{exitUnreachable, err}
			}
			if err != nil {
				_, _ = fmt.Fprintln(a.env.Stderr, "cleave: "+err.Error()) // the list is what was asked for
			}
			if err := a.faults(se.s, list); err != nil {
				return err
			}
			se.obeying(ctx, func(hosts []string) {
				_, _ = fmt.Fprintf(a.env.Stderr, "cleave: obeyed by %d processes: %s\n", len(hosts), strings.Join(hosts, ", ")) // as above
			})
			return nil
		},
	}
}

// obeying tells of the processes that were started with --allow-faults.
func (se *session) obeying(ctx context.Context, fn func([]string)) {
	list, err := se.processes()
	if err != nil {
		return
	}
	allowed := make([]bool, len(list))
	each(list, func(i int, p process) {
		var page struct {
			Allowed bool `json:"allowed"`
		}
		allowed[i] = p.read(ctx, "/faults", &page) == nil && page.Allowed
	})
	var hosts []string
	for i, p := range list {
		if allowed[i] {
			hosts = append(hosts, p.Host)
		}
	}
	fn(hosts)
}

func (a *app) faultRemove() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "remove [ID]...", Short: "End faults before their time", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("say which faults, by their id, or --all")
			}
			return a.with(c, documents{open: faultStore}, func(ctx context.Context, _ settings, store kv.Store) error {
				there, err := store.Read(ctx)
				if err != nil {
					return err
				}
				if all {
					for id := range there {
						args = append(args, id)
					}
				}
				for _, id := range args {
					if there[id] == nil {
						return usagef("there is no fault %q; cleave fault list has those that are", id)
					}
					if err := store.Delete(ctx, id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}
