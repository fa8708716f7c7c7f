package discovery_test

import (
	"errors"
	"testing"

	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/chassis/discovery"
	dt "github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

type closer interface {
	registry.Registry
	Close() error
}

// Close ends every goroutine and connection, and leaves what was known readable.
func TestCloseLeavesNothing(t *testing.T) {
	agent := dt.StartConsul(t)
	for name, open := range map[string]func() (closer, error){
		"consul": func() (closer, error) {
			return discovery.NewConsul(discovery.ConsulConfig{Address: agent.Address})
		},
		"mdns": func() (closer, error) { return discovery.NewMDNS(discovery.MDNSConfig{Domain: dt.Name()}) },
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			r, err := open()
			if err != nil {
				t.Fatal(err)
			}
			s := dt.Service(dt.Name(), "1.0.0")
			mustRegister(t, r, s)
			dt.Eventually(t, patience, dt.WantNodes(r, s.Name, s.Nodes[0].Id))
			if _, err := r.ListServices(); err != nil {
				t.Error(err)
			}
			for _, opts := range [][]registry.WatchOption{nil, {registry.WatchService(s.Name)}, {registry.WatchContext(t.Context())}} {
				if _, err := r.Watch(opts...); err != nil {
					t.Error(err)
				}
			}
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			goleak.VerifyNone(t, before)

			if got, err := dt.Nodes(r, s.Name); err != nil || len(got) != 1 {
				t.Errorf("after close: nodes %v, %v", got, err)
			}
			if err := r.Register(s); err == nil {
				t.Error("a closed registry took a registration")
			}
			if w, err := r.Watch(); err == nil {
				if _, err := w.Next(); !errors.Is(err, registry.ErrWatcherStopped) {
					t.Errorf("a watcher of a closed registry: %v", err)
				}
			}
		})
	}
}
