package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func broken(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
	return problem.Internal(errors.New("its disk is full"))
}

// lingers answers, and late.
func lingers(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
	wait(ctx, 80*time.Millisecond)
	return nil
}

func TestAnOutlierIsLeftAloneForItsMethod(t *testing.T) {
	for name, c := range map[string]struct {
		get    func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error
		reason string
	}{"it fails": {broken, "failures"}, "it is slow": {lingers, "latency"}} {
		t.Run(name, func(t *testing.T) {
			reg, bad := registry.NewMemoryRegistry(), &shop{get: c.get}
			serve(t, reg, "good", &shop{})
			ill := serve(t, reg, "bad", bad)
			cl := dial(t, reg)
			ejected := func() bool {
				for _, i := range cl.Instances() {
					if i.Address == ill.Address() && !i.Outlier["/shop.catalog.v1.Catalog/GetProduct"].IsZero() {
						return true
					}
				}
				return false
			}
			for end := time.Now().Add(time.Minute); !ejected(); {
				if time.Now().After(end) {
					t.Fatal("it was never ejected")
				}
				_ = get(t.Context(), cl)
			}
			if n := testutil.ToFloat64(cl.metrics.outliers.WithLabelValues("catalog", c.reason)); n != 1 {
				t.Errorf("%v ejections for %s", n, c.reason)
			}
			bad.get = nil
			before := bad.calls.Load()
			for range 20 {
				if err := get(t.Context(), cl); err != nil {
					t.Error(err)
				}
			}
			if ejected() && bad.calls.Load() != before {
				t.Error("it was called for the method")
			}
			for bad.calls.Load() == before { // until it is back, or for a method that it does well
				if err := create(t.Context(), cl); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestWhatIsWrongEverywhereEjectsNobody(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	for _, id := range []string{"a", "b", "c"} {
		serve(t, reg, id, &shop{get: broken})
	}
	cl := dial(t, reg)
	for range 100 {
		_ = get(t.Context(), cl)
	}
	out := 0
	for _, i := range cl.Instances() {
		out += len(i.Outlier)
	}
	if out > 1 { // the first one may be, before the others were heard of
		t.Errorf("%d of 3 are ejected", out)
	}
}

func TestRetriesAreCounted(t *testing.T) {
	reg, metrics := registry.NewMemoryRegistry(), prometheus.NewRegistry()
	for _, id := range []string{"a", "b"} {
		serve(t, reg, id, &shop{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
			return problem.Unavailable("DOWN", "it is down")
		}})
	}
	cl := newClient(t, ClientConfig{Registry: reg, Log: quiet(), Metrics: metrics})
	const calls = 500
	begin := time.Now()
	for range calls {
		_ = get(t.Context(), cl)
	}
	m := cl.metrics
	first, retries, refused := testutil.ToFloat64(m.attempts.WithLabelValues("catalog")), testutil.ToFloat64(m.retries.WithLabelValues("catalog")),
		testutil.ToFloat64(m.unretried.WithLabelValues("catalog"))
	if most := budgetMax + calls*budgetPerCall + time.Since(begin).Seconds()*budgetPerSecond; first != calls || retries > most || refused == 0 {
		t.Errorf("%v calls, %v retries of at most %v, %v refused", first, retries, most, refused)
	}
	hedges := 0
	for cl.MayHedge("catalog") && hedges < 3 {
		hedges++
	}
	if hedges == 3 {
		t.Error("hedges go beyond the budget")
	}
}

func TestMayHedge(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	serve(t, reg, "a", &shop{})
	cl := dial(t, reg)
	if err := get(t.Context(), cl); err != nil || cl.MayHedge("catalog") {
		t.Errorf("there is one instance; %v", err)
	}
	serve(t, reg, "b", &shop{})
	eventually(t, "the second is seen", func() bool { return cl.MayHedge("catalog") })
}
