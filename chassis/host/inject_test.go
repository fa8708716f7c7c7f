package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// breakable is a host whose calls an operator may break.
type breakable struct {
	*Host
	t       *testing.T
	store   *kv.File
	inject  *fault.Injector
	metrics *prometheus.Registry
}

func breakableHost(t *testing.T, remote bool) *breakable {
	t.Helper()
	b := &breakable{t: t, metrics: prometheus.NewRegistry(), store: kv.NewFile(filepath.Join(t.TempDir(), "faults.json"))}
	var err error
	if b.inject, err = fault.NewInjector(fault.InjectorConfig{Log: slog.New(slog.DiscardHandler), Metrics: b.metrics, Abort: rpc.Abort}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.inject.Follow(ctx, b.store)
	}()
	c := config(t, module("shelf", nil))
	c.Inject, c.Remote = b.inject, remote
	if b.Host, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-ended
		_ = b.Shutdown(context.Background())
	})
	if _, err := catalogv1.NewCatalogService("shelf", b.Client()).CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{
		Category: &catalogv1.Category{Slug: "tea", Title: "Tea"},
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// add injects a fault and waits until it is in force.
func (b *breakable) add(r fault.Rule, life time.Duration) {
	b.t.Helper()
	now := time.Now()
	r.ID, r.Module, r.Created, r.Expires, r.Author = fmt.Sprint("f", now.UnixNano()), "shelf", now, now.Add(life), "a test"
	if r.Share == 0 {
		r.Share = 100
	}
	if err := fault.Add(b.t.Context(), b.store, r); err != nil {
		b.t.Fatal(err)
	}
	b.until("it is in force", func() bool {
		for _, one := range b.inject.Active() {
			if one.ID == r.ID {
				return true
			}
		}
		return false
	})
}

func (b *breakable) until(what string, ok func() bool) {
	b.t.Helper()
	discoverytest.Eventually(b.t, 20*time.Second, func() error {
		if !ok() {
			return errors.New("not yet: " + what)
		}
		return nil
	})
}

// mend takes every fault back.
func (b *breakable) mend() {
	b.t.Helper()
	all, err := b.store.Read(b.t.Context())
	for id := range all {
		err = errors.Join(err, b.store.Delete(b.t.Context(), id))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.until("nothing is injected", func() bool { return len(b.inject.Active()) == 0 })
}

func (b *breakable) call(caller string) error {
	_, err := catalogv1.NewCatalogService("shelf", b.ClientOf(caller)).GetCategory(b.t.Context(), &catalogv1.GetCategoryRequest{Slug: "tea"})
	return err
}

func TestFaultsAreInjected(t *testing.T) {
	for name, remote := range map[string]bool{"direct": false, "remote": true} {
		t.Run(name, func(t *testing.T) {
			b := breakableHost(t, remote)
			if err := b.call("order"); err != nil {
				t.Fatalf("before: %v", err)
			}
			b.add(fault.Rule{Kind: fault.Latency, Delay: fault.Duration(50 * time.Millisecond), Method: "Catalog.GetCategory"}, time.Hour)
			begin := time.Now()
			if err := b.call("order"); err != nil || time.Since(begin) < 50*time.Millisecond {
				t.Errorf("latency: %v after %v", err, time.Since(begin))
			}
			b.mend()
			b.add(fault.Rule{Kind: fault.Fail, Code: codes.NotFound}, time.Hour)
			if err := b.call("order"); !injected(err) || problem.From(err).Code != codes.NotFound {
				t.Errorf("error: %v", err)
			}
			b.mend()
			b.add(fault.Rule{Kind: fault.Fail, Method: "Catalog.ListCategories"}, time.Hour)
			b.add(fault.Rule{Kind: fault.Partition, Caller: "order"}, time.Hour)
			if err := b.call("order"); !injected(err) || problem.From(err).Code != codes.Unavailable {
				t.Errorf("a partition, from there: %v", err)
			}
			if err := b.call("cart"); err != nil {
				t.Errorf("a partition, from elsewhere, and an error of another method: %v", err)
			}
			b.mend()
			if err := b.call("order"); err != nil {
				t.Errorf("after: %v", err)
			}
		})
	}
}

// An abort cuts the connection, whichever wire the call came by; a direct call, which has none, fails.
func TestConnectionsAreCut(t *testing.T) {
	b := breakableHost(t, true)
	conn, err := grpc.NewClient(b.Addresses()["shelf"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	plain := func() error {
		return conn.Invoke(t.Context(), "/shop.catalog.v1.Catalog/GetCategory", &catalogv1.GetCategoryRequest{Slug: "tea"}, &catalogv1.Category{})
	}
	if err := plain(); err != nil {
		t.Fatal(err)
	}
	b.add(fault.Rule{Kind: fault.Abort}, time.Hour)
	if err := b.call("order"); err == nil || injected(err) || problem.From(err).Code != codes.Unavailable {
		t.Errorf("over the lane an answer came: %v", err)
	}
	if err := plain(); status.Code(err) != codes.Unavailable || injected(problem.From(err)) {
		t.Errorf("over gRPC an answer came: %v", err)
	}
	b.mend()
	b.until("calls go through again", func() bool { return b.call("order") == nil && plain() == nil })

	direct := breakableHost(t, false)
	direct.add(fault.Rule{Kind: fault.Abort}, time.Hour)
	if err := direct.call("order"); !injected(err) {
		t.Errorf("a direct call: %v", err)
	}
}

// A fault ends by itself, and is gone from the store.
func TestFaultsExpire(t *testing.T) {
	b := breakableHost(t, false)
	b.add(fault.Rule{Kind: fault.Fail}, time.Second)
	if err := b.call("order"); !injected(err) {
		t.Errorf("at first: %v", err)
	}
	b.until("it is gone from the store", func() bool {
		all, err := b.store.Read(t.Context())
		return err == nil && len(all) == 0
	})
	if err := b.call("order"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A share of the calls is hit, and counted.
func TestAShareIsHit(t *testing.T) {
	b := breakableHost(t, false)
	b.add(fault.Rule{Kind: fault.Fail, Share: 25}, time.Hour)
	hit := 0
	for range 1000 {
		if injected(b.call("order")) {
			hit++
		}
	}
	if hit < 180 || hit > 320 { // five standard deviations: 68
		t.Errorf("of 1000 calls 25 %% should be hit, %d were", hit)
	}
	if got, err := testutil.GatherAndCount(b.metrics, "faults_injected_total"); err != nil || got != 1 {
		t.Errorf("the metric has %d series: %v", got, err)
	}
}

// A host that may not be broken isn't: the client is the same, and no handler is wrapped.
func TestWithoutLeaveNothingIsInjected(t *testing.T) {
	var none *fault.Injector
	c := config(t, module("shelf", nil))
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if h.ClientOf("order") != h.Client() {
		t.Error("the client is another one")
	}
	if none.Active() != nil {
		t.Error("something is injected")
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
