package discovery_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/discovery"
	dt "github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

func openConsul(t *testing.T, address string, change ...func(*discovery.ConsulConfig)) *discovery.Consul {
	t.Helper()
	conf := discovery.ConsulConfig{Address: address, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	for _, c := range change {
		c(&conf)
	}
	r, err := discovery.NewConsul(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// patience is for what must come, on a machine under load.
const patience = 20 * time.Second

// testWriter sends a log to the test's own.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// serve starts a gRPC server with nothing but health, and returns its address and how to end it at once.
func serve(t *testing.T) (string, *health.Server, func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	stop := func() { s.Stop(); <-ended }
	t.Cleanup(stop)
	return l.Addr().String(), h, stop
}

// checked is a service with a real gRPC check.
func checked(name, address string) *registry.Service {
	s := dt.Service(name, "1.0.0")
	s.Nodes[0].Address = address
	delete(s.Nodes[0].Metadata, "check")
	return s
}

func mustRegister(t *testing.T, r registry.Registry, s *registry.Service) {
	t.Helper()
	if err := r.Register(s); err != nil {
		t.Fatal(err)
	}
}

func TestConsulConformance(t *testing.T) {
	agent := dt.StartConsul(t)
	dt.Run(t, func(*testing.T) dt.Open {
		return func(t *testing.T) registry.Registry { return openConsul(t, agent.Address) }
	})
}

func TestConsulChecks(t *testing.T) {
	agent := dt.StartConsul(t)
	client, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	writer, reader := openConsul(t, agent.Address), openConsul(t, agent.Address)
	if _, err := reader.ListServices(); err != nil {
		t.Fatal(err)
	}
	address, h, stop := serve(t)
	s := checked(dt.Name(), address)
	id := s.Nodes[0].Id
	status := func(want string) func() error {
		return func() error {
			// The agent's own list: Consul tells the catalogue of a check's output only every few minutes.
			checks, err := client.Agent().Checks()
			c := checks["check:"+id]
			if err != nil || c == nil {
				return fmt.Errorf("checks %v, %w", checks, err)
			}
			if c.Status != want || c.Output == "" {
				return fmt.Errorf("check %q is %s: %q", c.Name, c.Status, c.Output)
			}
			return nil
		}
	}
	mustRegister(t, writer, s)
	took := dt.Eventually(t, time.Second, dt.WantNodes(reader, s.Name, id))
	t.Logf("a new instance was seen after %s", took)
	dt.Eventually(t, 10*time.Second, status("passing")) // with an output: the check really ran

	h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	took = dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, s.Name))
	t.Logf("an instance that says NOT_SERVING left after %s", took)
	mustRegister(t, writer, s)
	if got, err := dt.Nodes(reader, s.Name); err != nil || len(got) != 0 {
		t.Errorf("registering again brought a failing instance back: %v, %v", got, err)
	}
	dt.Eventually(t, 5*time.Second, status("critical"))
	h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	took = dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, s.Name, id))
	t.Logf("an instance that serves again came back after %s", took)

	stop()
	took = dt.Eventually(t, 4*time.Second, dt.WantNodes(reader, s.Name))
	t.Logf("an instance whose port died left after %s", took)
}

func TestConsulReads(t *testing.T) {
	agent := dt.StartConsul(t)
	client, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	s := dt.Service(dt.Name(), "0.1.0")
	s.Nodes[0].Metadata["check"] = "tcp"
	mustRegister(t, openConsul(t, agent.Address, func(c *discovery.ConsulConfig) { c.Tags = []string{"eu-west"} }), s)
	got, _, err := client.Agent().Service(s.Nodes[0].Id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tags := strings.Join(got.Tags, " "); tags != "go-micro module grpc v0.1.0 eu-west" {
		t.Errorf("tags %q", tags)
	}
	if got.Meta["endpoints"] != "Thing.Get, Thing.Watch (stream)" || got.Meta["version"] != "0.1.0" || got.Meta["module"] != s.Name {
		t.Errorf("meta %v", got.Meta)
	}
	checks, _, err := client.Health().Checks(s.Name, nil)
	if err != nil || len(checks) != 1 || checks[0].Name != "TCP connection to "+s.Name+" at 127.0.0.1:40001" {
		t.Errorf("checks %v, %v", checks, err)
	}
	// A service of another tool can be called by name, and is not listed.
	name := dt.Name()
	if err := client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name, Port: 5432, Address: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	r := openConsul(t, agent.Address)
	dt.Eventually(t, 5*time.Second, dt.WantNodes(r, name, name))
	list, err := r.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name || s.Name == "consul" {
			t.Errorf("%s is listed", s.Name)
		}
	}
	bad := dt.Service(name, "1.0.0")
	bad.Nodes[0].Metadata["check"] = "smoke"
	if err := r.Register(bad); err == nil {
		t.Error("an unknown kind of check was taken")
	}
}

func TestConsulOutage(t *testing.T) {
	agent := dt.StartConsul(t)
	grace := func(c *discovery.ConsulConfig) { c.Grace = 3 * time.Second }
	writer, reader := openConsul(t, agent.Address, grace), openConsul(t, agent.Address, grace)
	name := dt.Name()
	stays, goes := dt.Service(name, "1.0.0"), dt.Service(name, "1.0.0")
	mustRegister(t, writer, stays)
	// Registered once, by somebody who never does it again.
	gone := openConsul(t, agent.Address, grace)
	mustRegister(t, gone, goes)
	both := dt.WantNodes(reader, name, stays.Nodes[0].Id, goes.Nodes[0].Id)
	dt.Eventually(t, 5*time.Second, both)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}

	agent.Freeze(t)
	began := time.Now()
	if err := both(); err != nil {
		t.Errorf("while Consul is frozen: %v", err)
	}
	if spent := time.Since(began); spent > 100*time.Millisecond {
		t.Errorf("a read took %s while Consul was frozen", spent)
	}
	agent.Thaw(t)

	agent.Kill()
	w, err := reader.Watch(registry.WatchService(name))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	hold(t, time.Second, both)
	if _, err := reader.GetService(dt.Name()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an unknown name during the outage: %v", err)
	}
	unreachable := dt.Service(name, "1.0.0")
	if err := writer.Register(unreachable); err == nil {
		t.Error("registering in a dead Consul was no error")
	}

	agent.Start(t)
	client, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	took := dt.Eventually(t, 8*time.Second, func() error {
		entries, _, err := client.Health().Service(name, "", true, nil)
		if err != nil || len(entries) != 2 {
			return fmt.Errorf("Consul has %d entries, %w", len(entries), err)
		}
		return nil
	})
	t.Logf("what was registered was there again %s after Consul", took)
	// The one that nobody registers again is kept for the grace, then dropped; the other two are never missing.
	dt.Eventually(t, 15*time.Second, func() error {
		got, err := dt.Nodes(reader, name)
		if err != nil || !strings.Contains(strings.Join(got, " "), stays.Nodes[0].Id) {
			t.Fatalf("an instance that lives was missing after the outage: %v, %v", got, err)
		}
		return dt.WantNodes(reader, name, stays.Nodes[0].Id, unreachable.Nodes[0].Id)()
	})
}

// hold fails when check fails within d.
func hold(t *testing.T, d time.Duration, check func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(d)
	for {
		if err := check(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

func TestConsulDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := openConsul(t, l.Addr().String())
	if _, err := r.GetService("catalog"); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("get without Consul: %v, want an error that says so", err)
	}
	if _, err := r.ListServices(); err == nil {
		t.Error("list without Consul was no error")
	}
	w, err := r.Watch()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(); !errors.Is(err, registry.ErrWatcherStopped) {
		t.Errorf("next after close: %v", err)
	}
}
