package resilience_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/resilience"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// One runs, and two wait: what comes after them is refused before anything is read of it, and only of that service.
func TestTheGateRefusesWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g, err := resilience.NewGate(ctx, resilience.GateConfig{Server: resilience.ServerConfig{
			Least: 1, Start: 1, Most: 1, Queue: 2, Wait: func() time.Duration { return time.Second },
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Refuses("s", resilience.Sheddable); err != nil {
			t.Errorf("nothing runs: %v", err)
		}
		for range 3 {
			go func() {
				if leave, err := g.Enter(ctx, "s", resilience.Critical); err == nil {
					<-ctx.Done()
					leave(nil)
				}
			}()
		}
		synctest.Wait()
		if l := g.Limits(); len(l) != 1 || l[0] != (resilience.Limit{Service: "s", Limit: 1, Running: 1, Queued: 2}) {
			t.Errorf("the limits are %+v", l)
		}
		if err := g.Refuses("s", resilience.Critical); reason(err) != resilience.ReasonOverloaded {
			t.Errorf("with a full queue: %v", err)
		}
		if err := g.Refuses("another", resilience.Sheddable); err != nil {
			t.Errorf("of another service: %v", err)
		}
		cancel()
	})
}

func TestLevels(t *testing.T) {
	g, err := resilience.NewGate(t.Context(), resilience.GateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	get, _ := contract(t, nil, nil, nil)
	for said, want := range map[string]resilience.Level{
		"": resilience.Normal, "critical": resilience.Critical, "sheddable": resilience.Sheddable, "normal": resilience.Normal, "nonsense": resilience.Normal,
	} {
		if got := g.Level(get, said); got != want {
			t.Errorf("%q is %v", said, got)
		}
	}
}

// hedger is a client with instances: the first call of two is slow.
type hedger struct {
	client.Client
	calls  atomic.Int64
	budget bool
	slow   chan struct{}
}

func (h *hedger) MayHedge(string) bool { return h.budget }

func (h *hedger) Call(ctx context.Context, _ client.Request, rsp any, _ ...client.CallOption) error {
	n := h.calls.Add(1)
	if p, ok := rsp.(*catalogv1.Product); ok {
		p.Id = "first"
		if n > 1 {
			p.Id = "second"
		}
	}
	if n > 1 {
		return nil
	}
	select {
	case <-h.slow:
		return nil
	case <-ctx.Done():
		return problem.From(ctx.Err())
	}
}

func TestAHedge(t *testing.T) {
	hedged := map[string][]byte{"shop.catalog.v1.Catalog/*": []byte(`{"hedge_after": "1ms"}`)}
	for name, c := range map[string]struct {
		endpoint string
		request  proto.Message
		budget   bool
		calls    int64
		want     string
	}{
		"the second answers":  {"Catalog.GetProduct", &catalogv1.GetProductRequest{}, true, 2, "second"},
		"no budget":           {"Catalog.GetProduct", &catalogv1.GetProductRequest{}, false, 1, "first"},
		"it has side effects": {"Catalog.CreateProduct", &catalogv1.CreateProductRequest{}, true, 1, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := resilience.NewRules(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			rules.Take(t.Context(), hedged)
			r, err := resilience.NewClient(resilience.ClientConfig{Rules: rules})
			if err != nil {
				t.Fatal(err)
			}
			h := &hedger{Client: client.NewClient(), budget: c.budget, slow: make(chan struct{})}
			if c.calls == 1 {
				time.AfterFunc(20*time.Millisecond, func() { close(h.slow) })
			}
			out := &catalogv1.Product{}
			w := r.Wrap(h)
			if err := w.Call(t.Context(), w.NewRequest("catalog", c.endpoint, c.request), out); err != nil || out.GetId() != c.want || h.calls.Load() != c.calls {
				t.Errorf("%q, %v, after %d calls", out.GetId(), err, h.calls.Load())
			}
		})
	}
}

func TestAnOverrideIsInForceAtOnce(t *testing.T) {
	rules, err := resilience.NewRules(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := resilience.NewClient(resilience.ClientConfig{Rules: rules, MinCalls: 2})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Wrap(&answer{client.NewClient(), func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); ok {
			return nil
		}
		return problem.Unavailable("DOWN", "it is down")
	}})
	call := func() error {
		return w.Call(context.Background(), w.NewRequest("catalog", "Catalog.GetProduct", &catalogv1.GetProductRequest{}), nil)
	}
	for range 3 {
		_ = call() // it opens
	}
	if err := call(); reason(err) != resilience.ReasonCircuitOpen {
		t.Fatal(err)
	}
	rules.Take(t.Context(), map[string][]byte{"shop.catalog.v1.Catalog/GetProduct": []byte(`{"breaker": {"off": true}, "timeout": "1s"}`)})
	if err := call(); err != nil {
		t.Errorf("without a circuit, and with a timeout: %v", err)
	}
	s := resilience.StateOf(r, nil, rules)
	b, err := json.Marshal(s)
	if err != nil || len(s.Methods) != 1 || s.Methods[0].Circuit != "off" || s.Methods[0].Timeout.From != "operator: shop.catalog.v1.Catalog/GetProduct" ||
		len(s.Bulkheads) != 1 || s.Bulkheads[0].Most != 1000 {
		t.Errorf("%s, %v", b, err)
	}
}
