// Package discoverytest is the conformance suite of go-micro registries, and starts a real Consul for tests.
package discoverytest

import (
	"errors"
	"fmt"
	"maps"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/registry"
)

// Open returns a registry that sees what the others of the same test register, as another process would.
type Open func(t *testing.T) registry.Registry

// patience is how long the suite waits for what must come.
const patience = 20 * time.Second

// Run runs every test; begin is called once for each. The addresses that the suite registers have no server behind them,
// so its nodes ask for no health check (metadata check=none).
func Run(t *testing.T, begin func(t *testing.T) Open) {
	tests := []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"what is registered is found", registered},
		{"metadata comes back", metadata},
		{"two versions are two services", twoVersions},
		{"registering again changes nothing", again},
		{"what is deregistered goes", deregistered},
		{"unknown names are not found", unknown},
		{"a watcher of all is told", watchAll},
		{"a watcher of one is told of that one", watchOne},
		{"a stopped watcher says so", watchStop},
		{"many watchers each hear all", watchMany},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, begin(t)) })
	}
}

// Service builds a service with one node whose id and name are new.
func Service(name, version string) *registry.Service {
	id := uuid.Must(uuid.NewV7()).String()
	return &registry.Service{
		Name: name, Version: version,
		Endpoints: []*registry.Endpoint{
			{Name: "Thing.Get", Request: value("GetRequest"), Response: value("Thing"), Metadata: map[string]string{}},
			{Name: "Thing.Watch", Request: value("WatchRequest"), Response: value("Thing"), Metadata: map[string]string{"stream": "true"}},
		},
		Nodes: []*registry.Node{{
			Id: name + "-" + id, Address: "127.0.0.1:40001",
			Metadata: map[string]string{"version": version, "module": name, "protocol": "grpc", "check": "none"},
		}},
	}
}

func value(name string) *registry.Value {
	return &registry.Value{Name: name, Type: name, Values: []*registry.Value{{Name: "id", Type: "string"}}}
}

// Name is a service name that no other test uses.
func Name() string { return "t" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")[12:] }

// Eventually calls check until it returns nil.
func Eventually(t *testing.T, within time.Duration, check func() error) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("after %s still: %v", within, err)
		}
		<-tick.C
	}
}

// Nodes returns the ids of name's nodes, sorted; none when it is not found.
func Nodes(r registry.Registry, name string) ([]string, error) {
	services, err := r.GetService(name)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	ids := []string{}
	for _, s := range services {
		for _, n := range s.Nodes {
			ids = append(ids, n.Id)
		}
	}
	sort.Strings(ids)
	return ids, nil
}

// WantNodes is a check for Eventually: name has exactly these nodes.
func WantNodes(r registry.Registry, name string, want ...string) func() error {
	sort.Strings(want)
	return func() error {
		got, err := Nodes(r, name)
		if err != nil {
			return err
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			return fmt.Errorf("%s has nodes %v, want %v", name, got, want)
		}
		return nil
	}
}

// register registers s for the time of the test.
func register(t *testing.T, r registry.Registry, s *registry.Service) {
	t.Helper()
	if err := r.Register(s); err != nil {
		t.Fatalf("register: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Deregister(s); err != nil {
			t.Errorf("deregister: %v", err)
		}
	})
}

func registered(t *testing.T, open Open) {
	a, b := open(t), open(t)
	s := Service(Name(), "1.0.0")
	register(t, a, s)
	for _, r := range []registry.Registry{a, b} {
		Eventually(t, patience, WantNodes(r, s.Name, s.Nodes[0].Id))
		Eventually(t, patience, func() error {
			list, err := r.ListServices()
			if err != nil {
				return err
			}
			for _, got := range list {
				if got.Name == s.Name {
					return nil
				}
			}
			return fmt.Errorf("the list lacks %s: %v", s.Name, list)
		})
	}
}

func metadata(t *testing.T, open Open) {
	a, b := open(t), open(t)
	s := Service(Name(), "1.2.3-rc.1+build")
	extra := map[string]string{
		"schema": "sha256:" + strings.Repeat("0123456789abcdef", 4), "host": "Größe 7", "started": "2026-11-24T10:00:00Z",
		"dotted.key": "v", "key with space": "v", "empty": "", "long": strings.Repeat("long ", 300), "endpoints": "mine", "more": "mine too",
	}
	maps.Copy(s.Nodes[0].Metadata, extra)
	register(t, a, s)
	Eventually(t, patience, WantNodes(b, s.Name, s.Nodes[0].Id))
	list, err := b.GetService(s.Name)
	if err != nil || len(list) != 1 || len(list[0].Nodes) != 1 {
		t.Fatalf("got %v, %v", list, err)
	}
	got := list[0]
	if got.Version != s.Version || got.Name != s.Name || got.Nodes[0].Address != s.Nodes[0].Address {
		t.Errorf("got %s %s at %s", got.Name, got.Version, got.Nodes[0].Address)
	}
	if !maps.Equal(got.Nodes[0].Metadata, s.Nodes[0].Metadata) {
		t.Errorf("metadata\n got %v\nwant %v", got.Nodes[0].Metadata, s.Nodes[0].Metadata)
	}
	if len(got.Endpoints) != 2 || got.Endpoints[0].Name != "Thing.Get" || got.Endpoints[1].Name != "Thing.Watch" {
		t.Fatalf("endpoints %v", got.Endpoints)
	}
	if got.Endpoints[0].Metadata["stream"] == "true" || got.Endpoints[1].Metadata["stream"] != "true" {
		t.Errorf("streams: %v, %v", got.Endpoints[0].Metadata, got.Endpoints[1].Metadata)
	}
}

func twoVersions(t *testing.T, open Open) {
	a, b := open(t), open(t)
	name := Name()
	one, two := Service(name, "1.0.0"), Service(name, "2.0.0")
	register(t, a, one)
	register(t, a, two)
	Eventually(t, patience, WantNodes(b, name, one.Nodes[0].Id, two.Nodes[0].Id))
	list, err := b.GetService(name)
	if err != nil || len(list) != 2 {
		t.Fatalf("got %d services, %v; want one for each version", len(list), err)
	}
	for _, s := range list {
		if len(s.Nodes) != 1 || s.Nodes[0].Metadata["version"] != s.Version {
			t.Errorf("version %s has nodes %v", s.Version, s.Nodes)
		}
	}
}

func again(t *testing.T, open Open) {
	a, b := open(t), open(t)
	s := Service(Name(), "1.0.0")
	register(t, a, s)
	Eventually(t, patience, WantNodes(b, s.Name, s.Nodes[0].Id))
	w := watch(t, b, registry.WatchService(s.Name))
	for range 5 {
		if err := a.Register(s); err != nil {
			t.Fatalf("register again: %v", err)
		}
	}
	// A change of another instance shows that everything before it has been heard.
	other := Service(s.Name, "2.0.0")
	register(t, a, other)
	told := 0
	for r := range w {
		for _, n := range r.Service.Nodes {
			if n.Id == s.Nodes[0].Id {
				told++
			}
		}
		if r.Service.Version == other.Version {
			break
		}
	}
	if told > 1 { // the state at the beginning
		t.Errorf("a watcher was told %d times of a node that did not change", told)
	}
}

func deregistered(t *testing.T, open Open) {
	a, b := open(t), open(t)
	name := Name()
	one, two := Service(name, "1.0.0"), Service(name, "1.0.0")
	register(t, a, one)
	register(t, a, two)
	Eventually(t, patience, WantNodes(b, name, one.Nodes[0].Id, two.Nodes[0].Id))
	if err := a.Deregister(one); err != nil {
		t.Fatalf("deregister: %v", err)
	}
	Eventually(t, patience, WantNodes(b, name, two.Nodes[0].Id))
	if err := a.Deregister(two); err != nil {
		t.Fatalf("deregister: %v", err)
	}
	Eventually(t, patience, WantNodes(b, name))
	if _, err := b.GetService(name); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("get what went: %v, want %v", err, registry.ErrNotFound)
	}
	list, err := b.ListServices()
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, s := range list {
		if s.Name == name {
			t.Errorf("%s is still listed", name)
		}
	}
	if err := a.Deregister(two); err != nil {
		t.Errorf("deregister what went: %v", err)
	}
}

func unknown(t *testing.T, open Open) {
	if _, err := open(t).GetService(Name()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("get an unknown name: %v, want %v", err, registry.ErrNotFound)
	}
}

// watch turns a watcher into a channel that ends with the test, or after a while.
func watch(t *testing.T, r registry.Registry, opts ...registry.WatchOption) <-chan *registry.Result {
	t.Helper()
	w, err := r.Watch(opts...)
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	out := make(chan *registry.Result)
	quit := make(chan struct{})
	timer := time.AfterFunc(patience, w.Stop)
	t.Cleanup(func() { close(quit); timer.Stop(); w.Stop() })
	go func() {
		defer close(out)
		for {
			res, err := w.Next()
			if err != nil {
				return
			}
			select {
			case out <- res:
			case <-quit:
				return
			}
		}
	}()
	return out
}

// await reads results until one fits.
func await(t *testing.T, ch <-chan *registry.Result, what string, fits func(*registry.Result) bool) *registry.Result {
	t.Helper()
	var heard []string
	for r := range ch {
		if fits(r) {
			return r
		}
		heard = append(heard, fmt.Sprintf("%s %s %s", r.Action, r.Service.Name, r.Service.Version))
	}
	t.Fatalf("waited %s for %s; heard %v", patience, what, heard)
	return nil
}

func came(id string) func(*registry.Result) bool {
	return func(r *registry.Result) bool { return r.Action != "delete" && has(r, id) }
}

func went(id string) func(*registry.Result) bool {
	return func(r *registry.Result) bool { return r.Action == "delete" && has(r, id) }
}

func has(r *registry.Result, id string) bool {
	for _, n := range r.Service.Nodes {
		if n.Id == id {
			return true
		}
	}
	return false
}

func watchAll(t *testing.T, open Open) {
	a, b := open(t), open(t)
	w := watch(t, b)
	one, two := Service(Name(), "1.0.0"), Service(Name(), "1.0.0")
	for _, s := range []*registry.Service{one, two} {
		register(t, a, s)
		await(t, w, "what came", came(s.Nodes[0].Id))
	}
	second := Service(one.Name, "1.0.0")
	register(t, a, second)
	await(t, w, "a second instance", came(second.Nodes[0].Id))
	if err := a.Deregister(one); err != nil {
		t.Fatalf("deregister: %v", err)
	}
	if r := await(t, w, "what went", went(one.Nodes[0].Id)); len(r.Service.Nodes) != 1 {
		t.Errorf("the delete names %d nodes, want the one that went", len(r.Service.Nodes))
	}
}

func watchOne(t *testing.T, open Open) {
	a, b := open(t), open(t)
	wanted, other := Service(Name(), "1.0.0"), Service(Name(), "1.0.0")
	w := watch(t, b, registry.WatchService(wanted.Name))
	register(t, a, other)
	register(t, a, wanted)
	r := await(t, w, "what came", func(r *registry.Result) bool {
		if r.Service.Name != wanted.Name {
			t.Errorf("heard of %s", r.Service.Name)
		}
		return came(wanted.Nodes[0].Id)(r)
	})
	if r.Service.Version != "1.0.0" {
		t.Errorf("version %q", r.Service.Version)
	}
	if err := a.Deregister(wanted); err != nil {
		t.Fatalf("deregister: %v", err)
	}
	await(t, w, "what went", went(wanted.Nodes[0].Id))
}

func watchStop(t *testing.T, open Open) {
	w, err := open(t).Watch(registry.WatchService(Name()))
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	got := make(chan error, 1)
	go func() { _, err := w.Next(); got <- err }()
	w.Stop()
	w.Stop()
	select {
	case err := <-got:
		// go-micro's memory registry has an error of its own with the same text.
		if err == nil || err.Error() != registry.ErrWatcherStopped.Error() {
			t.Errorf("next after stop: %v, want %v", err, registry.ErrWatcherStopped)
		}
	case <-time.After(patience):
		t.Error("stop did not unblock next")
	}
}

func watchMany(t *testing.T, open Open) {
	a, b := open(t), open(t)
	s := Service(Name(), "1.0.0")
	var all []<-chan *registry.Result
	for range 10 {
		all = append(all, watch(t, b))
	}
	register(t, a, s)
	for _, w := range all {
		await(t, w, "what came", came(s.Nodes[0].Id))
	}
}
