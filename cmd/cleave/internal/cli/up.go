package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/host"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/catalog/shopify"
)

const (
	readyWait = time.Minute // a machine with other work to do is slow to start ten modules
	stopWait  = 30 * time.Second
)

func (a *app) up() *cobra.Command {
	var noSample bool
	c := &cobra.Command{
		Use: "up", Short: "Run every module and the gateway in one process", GroupID: "run", Args: exactly(cobra.NoArgs),
		Long: `up runs every module and the gateway in this process, each module as a service of its own in the registry, with SQLite and an
embedded NATS unless told otherwise. The first time it loads a sample shop. Ctrl-C stops it in good order.`,
		Example: "  cleave up\n  cleave up --registry consul\n  cleave up --data-url postgres://postgres@127.0.0.1/cleave --broker nats://127.0.0.1:4222",
		RunE: func(c *cobra.Command, _ []string) error {
			a.token = tokenUp
			s, log, err := a.settings(c)
			if err != nil {
				return err
			}
			return a.serve(c.Context(), s, log, serving{modules: a.env.Modules, gateway: true, sample: !noSample})
		},
	}
	c.Flags().String("listen", "127.0.0.1:8080", "address of the gateway")
	c.Flags().BoolVar(&noSample, "no-sample", false, "don't load the sample shop into an empty catalogue")
	adminFlag(c.Flags())
	hostFlags(c.Flags(), embedded)
	gatewayFlags(c.Flags())
	return c
}

func (a *app) runModules() *cobra.Command {
	var names []string
	c := &cobra.Command{
		Use: "run --modules NAME,...", Short: "Run some modules in one process", GroupID: "run", Args: exactly(cobra.NoArgs),
		Example: "  cleave run --modules order,payment --registry consul\n  cleave run --modules catalog --data-url-file /run/secrets/database",
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := a.choose(names)
			if err != nil {
				return err
			}
			a.token = tokenUp
			s, log, err := a.settings(c)
			if err != nil {
				return err
			}
			return a.serve(c.Context(), s, log, serving{modules: chosen})
		},
	}
	c.Flags().StringSliceVar(&names, "modules", nil, "modules to run: "+strings.Join(a.moduleNames(), ", "))
	c.Flags().String("listen", "127.0.0.1", "address of the modules, without a port or, for one module, with one")
	c.Flags().Bool("leave", false, "end when the topology has placed every module elsewhere")
	adminFlag(c.Flags())
	hostFlags(c.Flags(), "nats://127.0.0.1:4222")
	_ = c.RegisterFlagCompletionFunc("modules", cobra.FixedCompletions(a.moduleNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

func (a *app) gateway() *cobra.Command {
	c := &cobra.Command{
		Use: "gateway", Short: "Run the gateway alone", GroupID: "run", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			a.token = tokenUp
			s, log, err := a.settings(c)
			if err != nil {
				return err
			}
			return a.serve(c.Context(), s, log, serving{gateway: true})
		},
	}
	c.Flags().String("listen", "127.0.0.1:8080", "address to listen on")
	adminFlag(c.Flags())
	c.Flags().String("advertise", "", "host that others reach this one at; default the one it listens on")
	c.Flags().String("data-dir", defaults().Data.Dir, "folder where API keys, policy overrides and hooks are, without Consul")
	c.Flags().String("broker", noBroker, "broker of the topics and hooks at the edge: nats://host:4222, amqp://host:5672, embedded (in a host on the same data) or none")
	gatewayFlags(c.Flags())
	return c
}

func (a *app) moduleNames() []string {
	names := make([]string, len(a.env.Modules))
	for i, m := range a.env.Modules {
		names[i] = m.Name
	}
	return names
}

func (a *app) choose(names []string) ([]host.Module, error) {
	var chosen []host.Module
	for _, m := range a.env.Modules {
		for _, n := range names {
			if n == m.Name {
				chosen = append(chosen, m)
				break
			}
		}
	}
	if len(names) == 0 || len(chosen) != len(names) {
		return nil, usagef("--modules is %q, and may name, once each, %s", strings.Join(names, ","), strings.Join(a.moduleNames(), ", "))
	}
	return chosen, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	if !strings.Contains(address, ":") {
		address = net.JoinHostPort(address, "8080")
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the gateway can't listen: %w\nIs another one running? Choose an address with --listen, 127.0.0.1:0 for any free port", err)
	}
	return ln, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// started loads the sample, and tells what runs, once it does.
func (a *app) started(ctx context.Context, s settings, log *slog.Logger, what serving, ln net.Listener, calls client.Client, brokerIs string) error {
	if what.sample {
		if err := loadSample(ctx, calls, log); err != nil {
			return unlessEnded(ctx, err)
		}
	}
	if !what.gateway {
		log.InfoContext(ctx, "ready", "modules", len(what.modules), "registry", s.Registry, "broker", brokerIs)
		return nil
	}
	base := "http://" + ln.Addr().String()
	path := "/readyz"
	if len(what.modules) > 0 {
		path = "/v1/products?page_size=1"
	}
	if err := answers(ctx, base+path); err != nil {
		return unlessEnded(ctx, fmt.Errorf("the gateway doesn't answer %s: %w", path, err))
	}
	a.banner(s, what, base, brokerIs)
	return nil
}

// unlessEnded is err, or nil when ctx has ended: then it is no wonder.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // as the name says
	}
	return err
}

// answers waits until a URL answers 200.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		rsp, err := hc.Do(req)
		if err == nil {
			_ = rsp.Body.Close()
			if rsp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(rsp.Status)
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func loadSample(ctx context.Context, calls client.Client, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	catalog := catalogv1.NewCatalogService("catalog", calls)
	have, err := catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 1})
	if err != nil {
		return fmt.Errorf("look whether the catalogue is empty: %w", err)
	}
	if len(have.GetProducts()) > 0 {
		return nil
	}
	sum, err := shopify.Import(ctx, shopify.Config{
		Catalog: catalog, Inventory: inventoryv1.NewInventoryService("inventory", calls), Source: shopify.Sample(), Currency: "EUR",
	})
	if err != nil {
		return fmt.Errorf("load the sample shop: %w", err)
	}
	log.InfoContext(ctx, "sample shop loaded", "products", sum.Products)
	return nil
}

// banner tells a person what runs and what to try.
func (a *app) banner(s settings, what serving, base, brokerIs string) {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "  %-9s %s\n", name, value) }
	fmt.Fprintf(&b, "\nCleave %s is up.\n\n", version().Version)
	line("shop", base+"/v1/products")
	line("routes", base+"/")
	line("reference", base+"/docs")
	if s.Registry == registryConsul {
		line("registry", "Consul, "+consulURL(s)+"/ui/")
	} else {
		line("registry", "mdns, domain "+s.MDNS.Domain)
	}
	if len(what.modules) > 0 {
		line("broker", brokerIs)
		data := "SQLite, in " + s.Data.Dir
		if abs, err := filepath.Abs(s.Data.Dir); err == nil {
			data = "SQLite, in " + abs
		}
		if s.Data.URL != "" {
			data = "PostgreSQL, " + redacted(s.Data.URL)
		}
		line("data", data)
		line("key", "may do everything, in "+adminKeyFile(s))
	}
	fmt.Fprintf(&b, "\nTry:\n  curl '%s/v1/products?page_size=3'\n\nCtrl-C stops it.\n", base)
	_, _ = fmt.Fprint(a.env.Stdout, b.String())
}
