package discovery_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/discovery"
	dt "github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

func openMDNS(t *testing.T, domain string, refresh time.Duration) *discovery.MDNS {
	t.Helper()
	r, err := discovery.NewMDNS(discovery.MDNSConfig{Domain: domain, Refresh: refresh})
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

func TestMDNSConformance(t *testing.T) {
	dt.Run(t, func(*testing.T) dt.Open {
		domain := dt.Name()
		return func(t *testing.T) registry.Registry { return openMDNS(t, domain, time.Second) }
	})
}

func TestMemoryConformance(t *testing.T) {
	dt.Run(t, func(*testing.T) dt.Open {
		r := registry.NewMemoryRegistry()
		return func(*testing.T) registry.Registry { return r }
	})
}

// big is a service with as many endpoints as a module has, and long values.
func big(name string, fields int) *registry.Service {
	s := dt.Service(name, "1.0.0")
	for i := range 11 {
		v := &registry.Value{Name: fmt.Sprintf("Request%d", i), Type: fmt.Sprintf("Request%d", i)}
		for j := range fields {
			v.Values = append(v.Values, &registry.Value{Name: fmt.Sprintf("field_%x", i*7919+j*104729), Type: "string"})
		}
		s.Endpoints = append(s.Endpoints, &registry.Endpoint{Name: fmt.Sprintf("Thing.Do%d", i), Request: v, Response: v})
	}
	return s
}

// The stock registry of go-micro, which the stock command uses, in the domain it uses.
func TestMDNSWithStock(t *testing.T) {
	ours := openMDNS(t, "", time.Second)
	stock := registry.NewRegistry()

	for _, fields := range []int{10, 1000} {
		s := big(dt.Name(), fields)
		mustRegister(t, ours, s)
		dt.Eventually(t, 10*time.Second, dt.WantNodes(stock, s.Name, s.Nodes[0].Id))
		got, err := stock.GetService(s.Name)
		if err != nil || len(got) != 1 {
			t.Fatalf("the stock registry got %v, %v", got, err)
		}
		if len(got[0].Endpoints) != len(s.Endpoints) || got[0].Nodes[0].Address != s.Nodes[0].Address || got[0].Nodes[0].Metadata["protocol"] != "grpc" {
			t.Errorf("the stock registry got %d endpoints at %s with %v", len(got[0].Endpoints), got[0].Nodes[0].Address, got[0].Nodes[0].Metadata)
		}
		dt.Eventually(t, 10*time.Second, func() error {
			list, err := stock.ListServices()
			for _, got := range list {
				if got.Name == s.Name {
					return err
				}
			}
			return fmt.Errorf("the stock registry lists %d services without %s, %w", len(list), s.Name, err)
		})
		if err := ours.Deregister(s); err != nil {
			t.Fatal(err)
		}
		dt.Eventually(t, 5*time.Second, dt.WantNodes(stock, s.Name))
	}

	w, err := ours.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	s := dt.Service(dt.Name(), "1.0.0")
	mustRegister(t, stock, s)
	dt.Eventually(t, 5*time.Second, dt.WantNodes(ours, s.Name, s.Nodes[0].Id))
	for {
		r, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		if r.Service.Name == s.Name {
			break
		}
	}
	if err := stock.Deregister(s); err != nil {
		t.Fatal(err)
	}
	dt.Eventually(t, 5*time.Second, dt.WantNodes(ours, s.Name))
}

// An unknown name costs one wait; after that, and for what is our own, reads are immediate.
func TestMDNSReadsAreCheap(t *testing.T) {
	r := openMDNS(t, dt.Name(), time.Second)
	name := dt.Name()
	began := time.Now()
	if _, err := r.GetService(name); !errors.Is(err, registry.ErrNotFound) {
		t.Fatalf("get an unknown name: %v", err)
	}
	if spent := time.Since(began); spent > 2*time.Second {
		t.Errorf("the first read took %s", spent)
	}
	mustRegister(t, r, dt.Service(name, "1.0.0"))
	began = time.Now()
	for range 1000 {
		if _, err := r.GetService(name); err != nil {
			t.Fatal(err)
		}
	}
	if spent := time.Since(began); spent > time.Second {
		t.Errorf("1000 reads took %s", spent)
	}
}

const childDomain = "CLEAVE_TEST_MDNS_CHILD"

// TestMDNSKilled starts this test again as another process, which registers a service and is killed.
func TestMDNSKilled(t *testing.T) {
	if domain := os.Getenv(childDomain); domain != "" {
		mustRegister(t, openMDNS(t, domain, time.Second), dt.Service("victim", "1.0.0"))
		fmt.Println("registered")
		select {} // until killed
	}
	domain := dt.Name()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMDNSKilled$")
	cmd.Env = append(os.Environ(), childDomain+"="+domain)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := openMDNS(t, domain, 200*time.Millisecond)
	dt.Eventually(t, 20*time.Second, func() error {
		if n, err := dt.Nodes(r, "victim"); err != nil || len(n) != 1 {
			return fmt.Errorf("nodes %v, %w", n, err)
		}
		return nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	took := dt.Eventually(t, 5*time.Second, dt.WantNodes(r, "victim"))
	t.Logf("with questions every 200 ms a killed process was gone after %s", took)
}
