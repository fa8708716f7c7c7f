package telemetry

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	telemetry "github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/test/harness"
)

// The process of the orders is killed between two steps, and another one goes on: what it does, and what others do for it, is in the trace of the
// request that began it.
func TestAnOrderThatIsResumedIsOneTrace(t *testing.T) {
	s := start(t, []string{"order"}, "CLEAVE_FAILPOINTS=order.confirmed.after=kill")
	if status, err := s.Send(s.purchase(t), nil); err == nil && status == http.StatusOK {
		t.Fatal("the order was placed by a process that should have died")
	}
	s.second.Wait(10 * time.Second)
	before := s.trace(t)
	s.second = s.run(t, nil, s.again...)
	harness.Eventually(t, time.Minute, "the order is paid", func() bool {
		var all struct{ Orders []struct{ State string } }
		status, err := s.Do(t.Context(), http.MethodGet, "/v1/orders", nil, &all)
		return err == nil && status == http.StatusOK && len(all.Orders) == 1 && all.Orders[0].State == "ORDER_STATE_PAID"
	})
	wants := map[string]string{
		"gateway POST /v1/orders": "server", "payment Payment.Authorize": "server", // of before
		"order resume an order": "internal", "order saga settle": "internal", "payment Payment.Capture": "server",
		"notification handle shop.order.v1.OrderConfirmed": "consumer", "fulfilment handle shop.order.v1.OrderPaid": "consumer",
	}
	var spans []telemetry.SpanJSON
	harness.Eventually(t, 30*time.Second, "what was resumed is in the trace of the order", func() bool {
		spans = s.trace(t)
		return len(missing(spans, wants)) == 0
	})
	if lacks := missing(before, map[string]string{"payment Payment.Authorize": "server"}); len(lacks) > 0 {
		t.Errorf("of before the process died the trace lacks %q", lacks)
	}
	if len(missing(before, map[string]string{"payment Payment.Capture": "server"})) == 0 {
		t.Error("the money was taken before the process died: nothing was resumed")
	}
	i := slices.IndexFunc(spans, func(sp telemetry.SpanJSON) bool { return sp.Name == "resume an order" })
	if spans[i].Parent == "" {
		t.Errorf("what resumes the order isn't within the request that made it: %+v", spans[i])
	}
	harness.Figure(t, "trace_spans_of_a_resumed_order", float64(len(spans)), 1000, "spans")
}

// trace is what the processes that run know of it.
func (s *shop) trace(t *testing.T) []telemetry.SpanJSON {
	t.Helper()
	p := s.run(t, nil, "trace", trace, "-o", "json")
	p.Wait(time.Minute)
	var spans []telemetry.SpanJSON
	if err := json.Unmarshal([]byte(p.Output()), &spans); err != nil {
		t.Logf("cleave trace says %s", p.Output())
	}
	return spans
}
