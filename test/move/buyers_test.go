package move

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// crowd are customers who buy one thing after the other, and send again what has no clear answer, until they are stopped.
type crowd struct {
	*harness.System
	sku     string
	cancel  context.CancelFunc
	running sync.WaitGroup
	reads   *harness.Load

	mu           sync.Mutex
	acknowledged []receipt
	refused      map[string]int // by reason
	unanswered   atomic.Int64   // checkouts that had no clear answer within patience
}

// receipt is an order that a customer was told is placed.
type receipt struct {
	id           string
	begun, ended time.Time
}

const (
	patience = 60 * time.Second // how long a customer tries to get an answer
	again    = 100 * time.Millisecond
)

// shopping starts customers, and visitors who only read.
func (w *world) shopping(t *testing.T, customers, reads int) *crowd {
	t.Helper()
	product, sku, _, _ := w.InStock(t)
	w.Must(t, http.MethodPut, "/v1/stock/"+sku, map[string]any{"onHand": 9_000}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{System: w.System, sku: sku, cancel: cancel, refused: map[string]int{}}
	for range customers {
		c.running.Go(func() {
			for ctx.Err() == nil {
				c.buy(context.WithoutCancel(ctx), harness.UUID(t))
				wait(ctx, again)
			}
		})
	}
	t.Cleanup(func() { cancel(); c.running.Wait() })
	c.reads = harness.StartLoad(t, reads, func(ctx context.Context) error {
		return ok(c.Do(ctx, http.MethodGet, "/v1/products/"+product.ID, nil, nil))
	})
	return c
}

// stop lets everybody finish.
func (c *crowd) stop() {
	c.cancel()
	c.running.Wait()
	c.reads.Stop()
}

// buy makes a cart and buys it.
func (c *crowd) buy(ctx context.Context, request string) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var cart struct {
		ID string `json:"id"`
	}
	body := map[string]any{"items": []any{map[string]any{"sku": c.sku, "quantity": 1}}}
	if status, _ := c.insist(ctx, "/v1/carts", "cart-"+request, body, &cart); status != http.StatusOK {
		return
	}
	body = map[string]any{
		"cartId": cart.ID, "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": harness.Address(), "requestId": request,
	}
	var order harness.Order
	status, reason := c.insist(ctx, "/v1/orders", request, body, &order)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case status == http.StatusOK && order.ID != "" && order.State != "ORDER_STATE_CANCELLED":
		c.acknowledged = append(c.acknowledged, receipt{order.ID, begun, time.Now()})
	case status == 0:
		c.unanswered.Add(1)
	default:
		c.refused[fmt.Sprint(status, " ", reason, " ", order.State)]++
	}
}

// insist sends a command, under one key, until an answer says what came of it, or ctx ends: then the status is 0.
func (c *crowd) insist(ctx context.Context, path, key string, body, out any) (status int, reason string) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, err.Error()
	}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(b))
		if err != nil {
			return 0, err.Error()
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		var raw []byte
		status, err := c.Send(req, &raw)
		var p harness.Problem
		if err == nil && json.Unmarshal(raw, &p) == nil && definite(status, p.Reason) {
			if status == http.StatusOK {
				err = json.Unmarshal(raw, out)
			}
			if err == nil {
				return status, p.Reason
			}
		}
		wait(ctx, again)
	}
	return 0, ""
}

// definite says whether an answer says what came of the request.
func definite(status int, reason string) bool {
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return true
	case http.StatusServiceUnavailable: // the order is cancelled, and will not come to be
		return reason == "CHECKOUT_INTERRUPTED"
	default:
		return false
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// served waits until a customer who came after a moment is told that the order is placed, and returns how long that took.
func (c *crowd) served(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	var took time.Duration
	harness.Eventually(t, 2*patience, "a customer is served again", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := len(c.acknowledged) - 1; i >= 0 && c.acknowledged[i].ended.After(since); i-- {
			if r := c.acknowledged[i]; r.begun.After(since) {
				took = r.ended.Sub(since) // of the first one, at last
			}
		}
		return took > 0
	})
	return took
}

// lost asks for every order that was acknowledged, and returns how many are not there and paid.
func (c *crowd) lost(t *testing.T) int {
	t.Helper()
	n := 0
	for _, r := range c.acknowledged {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var o harness.Order
		var status int
		var err error
		for o.State != "ORDER_STATE_PAID" && ctx.Err() == nil { // what is confirmed is paid soon
			if status, err = c.Do(ctx, http.MethodGet, "/v1/orders/"+r.id, nil, &o); o.State != "ORDER_STATE_PAID" {
				wait(ctx, again)
			}
		}
		cancel()
		if o.State != "ORDER_STATE_PAID" {
			t.Errorf("order %s was acknowledged, and is %d %+v, %v", r.id, status, o, err)
			n++
		}
	}
	return n
}
