package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"

	dt "github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func consulClient(t *testing.T) (*dt.Agent, *api.Client) {
	t.Helper()
	agent := dt.StartConsul(t)
	c, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	return agent, c
}

func source(t *testing.T, agent *dt.Agent, c *api.Client, log *slog.Logger) *mesh.Consul {
	t.Helper()
	s, err := mesh.NewConsul(mesh.ConsulConfig{Client: c, GRPC: agent.GRPC, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// turn gives Consul's CA a new root, by another kind of key.
func turn(t *testing.T, c *api.Client, bits int) {
	t.Helper()
	conf, _, err := c.Connect().CAGetConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	conf.Config = map[string]any{"PrivateKeyType": "ec", "PrivateKeyBits": bits, "LeafCertTTL": "1h"}
	if _, err := c.Connect().CASetConfig(conf, nil); err != nil {
		t.Fatal(err)
	}
}

// Consul's root is replaced under load: those who have heard of it and those who haven't call each other, and no call fails. Every
// identity gets a certificate of each root.
func TestConsulsRootIsReplacedUnderLoad(t *testing.T) {
	agent, c := consulClient(t)
	w := &world{t: t, reg: registry.NewMemoryRegistry(), log: &lines{}}
	w.m = newMesh(t, mesh.Config{Source: source(t, agent, c, nil), Log: slog.New(slog.NewTextHandler(w.log, nil))})
	conf := rpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: w.reg, Log: slog.New(slog.DiscardHandler), DrainWait: 1,
	}
	server := w.identity("catalog")
	server.Server(&conf)
	w.serve(conf)
	clients := []*rpc.Client{w.as("order", false), w.as("order", true)}
	var calls, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, cl := range clients {
		load.Go(func() {
			for ctx.Err() == nil {
				calls.Add(1)
				if err := call(t.Context(), cl); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	turns, every := []int{384, 256}, time.Millisecond
	if os.Getenv("CLEAVE_PROVE_RESILIENCE") == "full" {
		turns, every = slices.Repeat([]int{384, 521, 256}, 4), 10*time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i, bits := range turns {
		<-tick.C
		before, caller := server.Certificate(), w.identity("order").Certificate()
		turn(t, c, bits)
		cl := w.as(fmt.Sprintf("late-%d", i), false) // its certificate is of the new root
		for range 10 {
			if err := call(t.Context(), cl); err != nil {
				t.Error(err)
			}
		}
		dt.Eventually(t, time.Minute, func() error {
			if server.Certificate() == before || w.identity("order").Certificate() == caller {
				return errors.New("there is no new certificate yet")
			}
			return nil
		})
	}
	stop()
	load.Wait()
	fmt.Printf("figure mesh_consul_roots %d roots\nfigure mesh_consul_root_calls_sent %d calls\nfigure mesh_consul_root_calls_failed %d calls\n",
		1+len(turns), calls.Load(), failed.Load())
	if calls.Load() < 10 {
		t.Error("too few calls to tell")
	}
}

// What Consul says of who may call whom is what is said here, for whatever intentions there are.
func TestIntentionsAreConsulsOwn(t *testing.T) {
	agent, c := consulClient(t)
	names := []string{"a", "b", "c", mesh.Any}
	random := rand.New(rand.NewPCG(4, 19))
	asked, denied := 0, 0
	for range 12 {
		for _, destination := range names {
			entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: destination}
			for _, source := range names {
				if random.IntN(3) == 0 {
					action := []api.IntentionAction{api.IntentionActionAllow, api.IntentionActionDeny}[random.IntN(2)]
					entry.Sources = append(entry.Sources, &api.SourceIntention{Name: source, Action: action})
				}
			}
			var err error
			if len(entry.Sources) == 0 {
				_, err = c.ConfigEntries().Delete(api.ServiceIntentions, destination, nil)
			} else {
				_, _, err = c.ConfigEntries().Set(entry, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		in := now(t, agent, c)
		for _, source := range []string{"a", "b", "c", "stranger"} {
			for _, destination := range []string{"a", "b", "c", "stranger"} {
				want, _, err := c.Connect().IntentionCheck(&api.IntentionCheck{Source: source, Destination: destination}, nil)
				if err != nil {
					t.Fatal(err)
				}
				asked++
				if !want {
					denied++
				}
				if got := in.Allows(source, destination); got != want {
					t.Errorf("%s to %s: %v, and Consul says %v", source, destination, got, want)
				}
			}
		}
	}
	if denied == 0 || denied == asked {
		t.Errorf("%d of %d were denied: nothing was compared", denied, asked)
	}
}

// now are the intentions that Consul has.
func now(t *testing.T, agent *dt.Agent, c *api.Client) (in mesh.Intentions) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := source(t, agent, c, nil).Intentions(ctx, func(got mesh.Intentions) { in = got; cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return in
}

// An intention is in force as soon as Consul has it; without Consul the last ones hold.
func TestConsulChangesItsMind(t *testing.T) {
	agent, c := consulClient(t)
	changes := make(chan mesh.Intentions, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	log := &lines{}
	go func() {
		ended <- source(t, agent, c, slog.New(slog.NewTextHandler(log, nil))).Intentions(ctx, func(in mesh.Intentions) { changes <- in })
	}()
	if !(<-changes).Allows("a", "b") {
		t.Error("without ACLs Consul allows what nothing is said of")
	}
	entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "b", Sources: []*api.SourceIntention{
		{Name: "a", Action: api.IntentionActionDeny},
		{Name: "http", Permissions: []*api.IntentionPermission{{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/"}}}},
	}}
	if _, _, err := c.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "b", Protocol: "http"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ConfigEntries().Set(entry, nil); err != nil {
		t.Fatal(err)
	}
	for in := range changes {
		if !in.Allows("a", "b") {
			if in.Allows("http", "b") || !in.Allows("c", "b") {
				t.Error("layer 7 is not looked at here, and what is said of one is not said of others")
			}
			break
		}
	}
	agent.Kill()
	dt.Eventually(t, 10*time.Second, func() error {
		if len(log.String()) == 0 {
			return errors.New("the outage isn't told")
		}
		return nil
	})
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(changes) != 0 {
		t.Error("an outage changed something")
	}
}

func TestConsulsCertificateIsTheServices(t *testing.T) {
	agent, c := consulClient(t)
	m := newMesh(t, mesh.Config{Source: source(t, agent, c, nil), Log: slog.New(slog.DiscardHandler)})
	if _, err := m.Identity(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = source(t, agent, c, nil).Leaf(ctx, "catalog", func(pair tls.Certificate) {
		if id, err := mesh.IDOf(pair.Leaf); err != nil || id.Service != "catalog" || id.Datacenter != "dc1" {
			t.Errorf("it is %v, %v", id, err)
		}
		cancel()
	})
}
