package discovery_test

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/discovery"
	dt "github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

func consulClient(t *testing.T, address string) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// More metadata and more endpoints than Consul has pairs for come back whole, and what cannot is refused.
func TestConsulHoldsMuch(t *testing.T) {
	agent := dt.StartConsul(t)
	writer, reader := openConsul(t, agent.Address), openConsul(t, agent.Address)
	s := dt.Service(dt.Name(), "1.0.0")
	meta := s.Nodes[0].Metadata
	for i := range 100 {
		meta[fmt.Sprintf("key-%d", i)] = "value"
	}
	meta["long"], meta[strings.Repeat("k", 200)] = strings.Repeat("\u00fc", 2500), "v"
	s.Endpoints = nil
	for i := range 300 {
		s.Endpoints = append(s.Endpoints, &registry.Endpoint{Name: fmt.Sprintf("Catalog.DoSomethingLong%d", i)})
	}
	mustRegister(t, writer, s)
	held, _, err := consulClient(t, agent.Address).Agent().Service(s.Nodes[0].Id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(held.Meta); n > 64 {
		t.Errorf("Consul holds %d pairs", n)
	}
	for k, v := range held.Meta {
		if len(k) > 128 || len(v) > 512 {
			t.Errorf("Consul holds %d bytes under a key of %d", len(v), len(k))
		}
	}
	dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, s.Name, s.Nodes[0].Id))
	got, err := reader.GetService(s.Name)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got[0].Nodes[0].Metadata, meta) {
		t.Errorf("metadata\n got %v\nwant %v", got[0].Nodes[0].Metadata, meta)
	}
	if len(got[0].Endpoints) != len(s.Endpoints) || got[0].Endpoints[299].Name != s.Endpoints[299].Name {
		t.Errorf("%d endpoints came back of %d", len(got[0].Endpoints), len(s.Endpoints))
	}
	meta["long"] = strings.Repeat("v", 64*512)
	if err := writer.Register(s); err == nil || !strings.Contains(err.Error(), "pairs") {
		t.Errorf("metadata beyond every limit: %v", err)
	}
}

// counter is a Consul that counts what it is asked.
func counter(t *testing.T, address string) (string, func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	asked := make(map[string]int)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // queries that end with their caller
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+r.URL.Path]++
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(asked)
	}
}

// Reads come from memory, Consul is asked by queries that it holds open, and registering again writes nothing.
func TestConsulAsksLittle(t *testing.T) {
	agent := dt.StartConsul(t)
	address, asked := counter(t, agent.Address)
	r := openConsul(t, address)
	s := dt.Service(dt.Name(), "1.0.0")
	for range 10 {
		mustRegister(t, r, s)
	}
	if got := asked(); got["PUT /v1/agent/service/register"] != 1 || got["GET /v1/agent/service/"+s.Nodes[0].Id] != 9 {
		t.Errorf("ten registrations asked %v", got)
	}
	dt.Eventually(t, 5*time.Second, dt.WantNodes(r, s.Name, s.Nodes[0].Id))
	health := "GET /v1/health/service/" + s.Name
	hold(t, time.Second, dt.WantNodes(r, s.Name, s.Nodes[0].Id)) // a hundred reads
	got := asked()
	if got[health] == 0 || got[health] > 4 || got["GET /v1/catalog/services"] > 5 {
		t.Errorf("a second of reads asked %v", got)
	}
}

// An instance that Consul removed because it failed for too long comes back when it serves, and not before.
func TestConsulReaped(t *testing.T) {
	agent := dt.StartConsul(t)
	client := consulClient(t, agent.Address)
	writer, reader := openConsul(t, agent.Address), openConsul(t, agent.Address)
	address, h, _ := serve(t)
	s := checked(dt.Name(), address)
	mustRegister(t, writer, s)
	dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, s.Name, s.Nodes[0].Id))
	h.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if err := client.Agent().ServiceDeregister(s.Nodes[0].Id); err != nil { // what Consul does after a minute
		t.Fatal(err)
	}
	gone := dt.WantNodes(reader, s.Name)
	dt.Eventually(t, 5*time.Second, gone)
	mustRegister(t, writer, s)
	if _, _, err := client.Agent().Service(s.Nodes[0].Id, nil); err != nil {
		t.Fatalf("the instance wasn't registered again: %v", err)
	}
	hold(t, 1500*time.Millisecond, gone)
	h.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, s.Name, s.Nodes[0].Id))
}

// A Consul that kept its state misses nobody who lives, and drops who died meanwhile when the grace is over.
func TestConsulRestartsWithState(t *testing.T) {
	agent := dt.StartDurableConsul(t)
	grace := func(c *discovery.ConsulConfig) { c.Grace = 4 * time.Second }
	writer, reader := openConsul(t, agent.Address, grace), openConsul(t, agent.Address, grace)
	name := dt.Name()
	address, _, _ := serve(t)
	stays := checked(name, address)
	address, _, kill := serve(t)
	dies := checked(name, address)
	mustRegister(t, writer, stays)
	mustRegister(t, writer, dies)
	dt.Eventually(t, 5*time.Second, dt.WantNodes(reader, name, stays.Nodes[0].Id, dies.Nodes[0].Id))

	agent.Kill()
	kill()
	hold(t, 500*time.Millisecond, dt.WantNodes(reader, name, stays.Nodes[0].Id, dies.Nodes[0].Id))
	agent.Start(t)
	took := dt.Eventually(t, patience, func() error {
		got, err := dt.Nodes(reader, name)
		if err != nil || !strings.Contains(strings.Join(got, " "), stays.Nodes[0].Id) {
			t.Fatalf("an instance that lives was missing: %v, %v", got, err)
		}
		return dt.WantNodes(reader, name, stays.Nodes[0].Id)()
	})
	t.Logf("who died while Consul was away was dropped %s after its return", took)
	mustRegister(t, writer, stays)
	entries, _, err := consulClient(t, agent.Address).Health().Service(name, "", true, nil)
	if err != nil || len(entries) != 1 {
		t.Errorf("Consul has %d passing instances, %v", len(entries), err)
	}
}

// Another tool's service is found by its name and told to no watcher of all.
func TestConsulHidesOthers(t *testing.T) {
	agent := dt.StartConsul(t)
	r := openConsul(t, agent.Address)
	other, ours := dt.Name(), dt.Service(dt.Name(), "1.0.0")
	err := consulClient(t, agent.Address).Agent().ServiceRegister(&api.AgentServiceRegistration{Name: other, Port: 5432, Address: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	dt.Eventually(t, 5*time.Second, dt.WantNodes(r, other, other))
	w, err := r.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	mustRegister(t, r, ours)
	got, err := w.Next()
	if err != nil || got.Service.Name != ours.Name {
		t.Errorf("the first that a watcher of all is told is %v, %v", got, err)
	}
}
