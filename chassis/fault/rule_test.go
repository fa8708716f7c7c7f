package fault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/kv"
)

func good() fault.Rule {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	return fault.Rule{ID: "a", Module: "catalog", Kind: fault.Fail, Share: 50, Created: at, Expires: at.Add(time.Minute), Author: "me"}
}

func TestRulesAreChecked(t *testing.T) {
	for what, change := range map[string]func(*fault.Rule){
		"the module is":      func(r *fault.Rule) { r.Module = "*" },
		"the method is":      func(r *fault.Rule) { r.Method = "everything" },
		"is none of":         func(r *fault.Rule) { r.Kind = "flood" },
		"the share is 0":     func(r *fault.Rule) { r.Share = 0 },
		"the share is 101":   func(r *fault.Rule) { r.Share = 101 },
		"the delay is":       func(r *fault.Rule) { r.Kind = fault.Latency },
		"the delay is 2m":    func(r *fault.Rule) { r.Kind, r.Delay = fault.Latency, fault.Duration(2*time.Minute) },
		"only latency has":   func(r *fault.Rule) { r.Delay = 1 },
		"only an error has":  func(r *fault.Rule) { r.Kind, r.Code = fault.Abort, codes.Internal },
		"only a partition":   func(r *fault.Rule) { r.Caller = "order" },
		"when it ends":       func(r *fault.Rule) { r.Expires = time.Time{} },
		"it ends 1h0m1s":     func(r *fault.Rule) { r.Expires = r.Created.Add(time.Hour + time.Second) },
		"it ends -1s":        func(r *fault.Rule) { r.Expires = r.Created.Add(-time.Second) },
		"want an author":     func(r *fault.Rule) { r.Author = "" },
		"the id is":          func(r *fault.Rule) { r.ID = "a/b" },
		"at most 200 bytes ": func(r *fault.Rule) { r.Reason = strings.Repeat("x", 201) },
	} {
		r := good()
		change(&r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	if err := good().Check(); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	b, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"id":"a","delay":"5m","code":"NOT_FOUND"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := fault.Decode("a", b); err == nil && (r.Expires.Sub(r.Created) > fault.MaxLife || r.ID != "a") {
			t.Errorf("%s was taken", b)
		}
	})
}

func TestExpiredRulesAreNotListed(t *testing.T) {
	store := kv.NewFile(filepath.Join(t.TempDir(), "faults.json"))
	r := good()
	if err := fault.Add(t.Context(), store, r); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "nonsense", []byte(`{"id":"other"}`)); err != nil {
		t.Fatal(err)
	}
	list, err := fault.List(t.Context(), store, r.Created)
	if len(list) != 1 || err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v, %v", list, err)
	}
	if list, _ := fault.List(t.Context(), store, r.Expires); len(list) != 0 {
		t.Errorf("%v", list)
	}
	if all, err := store.Read(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the store has %v, %v", all, err)
	}
}

// An operator breaks a module's calls for a minute.
func ExampleInjector() {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store := kv.NewFile(filepath.Join(dir, "faults.json"))
	now := time.Now()
	if err := fault.Add(context.Background(), store, fault.Rule{
		ID: "example", Module: "catalog", Kind: fault.Fail, Share: 100, Created: now, Expires: now.Add(time.Minute), Author: "me",
	}); err != nil {
		panic(err)
	}
	inject, err := fault.NewInjector(fault.InjectorConfig{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		inject.Follow(ctx, store)
		close(ended)
	}()
	handler := inject.Server("catalog")(func(context.Context, server.Request, any) error { return nil }) // server.WrapHandler takes it
	for len(inject.Active()) == 0 {
		<-time.After(time.Millisecond)
	}
	fmt.Println(inject.Active()[0])
	fmt.Println(handler(ctx, request{}, nil))
	cancel()
	<-ended
	// Output:
	// 100% of catalog: error Unavailable
	// Unavailable: the fault example is injected here
}

// request is a server.Request of which only the endpoint is asked.
type request struct{ server.Request }

func (request) Endpoint() string { return "Catalog.GetProduct" }

// What a call costs where faults are allowed and none is there.
func BenchmarkNoFault(b *testing.B) {
	inject, err := fault.NewInjector(fault.InjectorConfig{})
	if err != nil {
		b.Fatal(err)
	}
	handler := inject.Server("catalog")(func(context.Context, server.Request, any) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		_ = handler(b.Context(), request{}, nil)
	}
}
