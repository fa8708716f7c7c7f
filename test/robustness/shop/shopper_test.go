package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/test/harness"
)

// visit is what a customer did, and was told.
type visit struct {
	sku, token, coupon string
	quantity           int
	request            string // id of the checkout, the same however often it is sent
	begun, ended       time.Time
	sent               int // how often the checkout was sent
	status             int // of the answer; 0 when there was none that says what came of it
	reason             string
	order, state       string
	total              int64
	after              string // what the customer did then: cancel, refund or nothing
	afterStatus        int
	expects            int64 // the total that the customer was shown; 0: whatever it is
	once               bool  // sends the checkout once, and never comes back
}

// acknowledged says that the customer was told that the order is placed.
func (v visit) acknowledged() bool { return v.status == http.StatusOK && v.order != "" }

// refused says that the customer was told why it isn't.
func (v visit) refused() bool { return v.status != 0 && v.status != http.StatusOK }

// choose draws what a customer does. Nothing else is random.
func choose(r *rand.Rand) visit {
	v := visit{sku: skus()[r.IntN(len(skus()))], quantity: 1 + r.IntN(3), token: "tok_visa"}
	switch n := r.IntN(100); {
	case n < 8:
		v.token = "tok_declined"
	case n < 16:
		v.token = "tok_timeout_after_charge"
	case n < 20:
		v.token = "tok_slow_300"
	case n < 24:
		v.token = "tok_capture_timeout"
	case n < 28:
		v.token = "tok_capture_unavailable_2"
	case n < 32:
		v.token = "tok_unavailable_1"
	case n < 36:
		v.token, v.after = "tok_void_timeout", "cancel"
	case n < 40:
		v.token, v.after = "tok_refund_timeout", "refund"
	case n < 44:
		v.sku = soldOut
	}
	if r.IntN(4) == 0 {
		v.coupon = coupon
	}
	if v.after == "" {
		v.after = []string{"", "", "", "", "cancel", "refund"}[r.IntN(6)]
	}
	return v
}

// patience is how long a customer tries to get an answer.
const patience = 60 * time.Second

// shop does what v says: a cart, a checkout, and what comes after. It sends again what has no clear answer, as the same request.
func (w *world) shop(ctx context.Context, v visit) visit {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v.request, v.begun = uuid.Must(uuid.NewV7()).String(), time.Now()
	cart, ok := w.fill(ctx, v)
	if !ok {
		v.ended = time.Now()
		return v
	}
	w.checkout(ctx, cart, &v)
	v.ended = time.Now()
	if !v.acknowledged() {
		return v
	}
	switch v.after {
	case "cancel":
		v.afterStatus, _, _ = w.insist(ctx, http.MethodPost, "/v1/orders/"+v.order+":cancel", object{"requestId": v.request}, nil)
	case "refund":
		body := object{"amount": object{"currency": currency, "minor": v.total / 3}, "reason": "a scratch", "requestId": uuid.Must(uuid.NewV7()).String()}
		v.afterStatus, _, _ = w.insist(ctx, http.MethodPost, "/v1/orders/"+v.order+":refund", body, nil)
	}
	return v
}

// fill makes a cart with the line of v.
func (w *world) fill(ctx context.Context, v visit) (id string, ok bool) {
	var cart struct {
		ID string `json:"id"`
	}
	if status, _, _ := w.insist(ctx, http.MethodPost, "/v1/carts", object{}, &cart); status != http.StatusOK {
		return "", false
	}
	status, _, _ := w.insist(ctx, http.MethodPost, "/v1/carts/"+cart.ID+"/items", object{"sku": v.sku, "quantity": v.quantity}, nil)
	return cart.ID, status == http.StatusOK
}

// checkout buys a cart, and writes into v what came of it.
func (w *world) checkout(ctx context.Context, cart string, v *visit) {
	var answer struct {
		harness.Order
		Reason string `json:"reason"`
	}
	body := object{
		"cartId": cart, "email": "ada@example.com", "paymentToken": v.token, "shippingAddress": harness.Address(), "requestId": v.request,
		"couponCode": v.coupon,
	}
	if v.expects > 0 {
		body["expectedTotal"] = object{"currency": currency, "minor": v.expects}
	}
	if v.once {
		v.sent = 1
		v.status, v.reason = w.try(ctx, http.MethodPost, "/v1/orders", uuid.NewString(), body, &answer)
	} else {
		v.status, v.sent, v.reason = w.insist(ctx, http.MethodPost, "/v1/orders", body, &answer)
	}
	if v.status == http.StatusOK {
		v.order, v.state, v.total = answer.ID, answer.State, answer.Total.Minor
	}
}

// insist sends a request until an answer says what came of it, or ctx ends: then the status is 0. Every try has the same Idempotency-Key.
func (w *world) insist(ctx context.Context, method, path string, body, out any) (status, sent int, reason string) {
	key := uuid.NewString()
	for {
		sent++
		if status, reason = w.try(ctx, method, path, key, body, out); status != 0 {
			return status, sent, reason
		}
		select {
		case <-ctx.Done():
			return 0, sent, "no clear answer, at last " + reason
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// try sends a request once. The status is 0 when no answer says what came of it; the reason then says what was heard instead.
func (w *world) try(ctx context.Context, method, path, key string, body, out any) (status int, reason string) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, err.Error()
	}
	req, err := http.NewRequestWithContext(ctx, method, w.Base+path, bytes.NewReader(b))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	var raw []byte
	var p struct {
		Reason string `json:"reason"`
	}
	status, err = w.Send(req, &raw)
	if err != nil || json.Unmarshal(raw, &p) != nil || !definite(status, p.Reason) {
		return 0, fmt.Sprint(status, " ", p.Reason, " ", err)
	}
	if status == http.StatusOK && out != nil && json.Unmarshal(raw, out) != nil {
		return 0, "no JSON"
	}
	return status, p.Reason
}

// definite says whether an answer says what came of the request.
func definite(status int, reason string) bool {
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return true
	case http.StatusNotFound: // a module that is away has no routes
		return reason != "ROUTE_NOT_FOUND"
	case http.StatusServiceUnavailable: // the order is cancelled, and will not come to be
		return reason == "CHECKOUT_INTERRUPTED"
	default:
		return false
	}
}

// crowd are customers who shop until they are stopped.
type crowd struct {
	mu      sync.Mutex
	visits  []visit
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// shopping starts n customers. seed draws what they choose to do.
func (w *world) shopping(t testing.TB, n int, seed uint64, choose func(*rand.Rand) visit) *crowd {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{cancel: cancel}
	for i := range n {
		c.running.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				v := w.shop(context.WithoutCancel(ctx), choose(r))
				if !v.acknowledged() && !v.refused() {
					w.timeline.notef("a customer got no answer in %v: %s", patience, v.reason)
				}
				c.mu.Lock()
				c.visits = append(c.visits, v)
				c.mu.Unlock()
			}
		})
	}
	t.Cleanup(cancel)
	return c
}

// count says how many checkouts were tried so far.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.visits)
}

// stop lets everybody finish, and returns what they did.
func (c *crowd) stop() []visit {
	c.cancel()
	c.running.Wait()
	return c.visits
}

// served waits until somebody who came after a moment was told that the order is placed.
func (c *crowd) served(t testing.TB, since time.Time) time.Duration {
	t.Helper()
	harness.Eventually(t, patience, "a customer is served again", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := len(c.visits) - 1; i >= 0; i-- {
			if v := c.visits[i]; v.acknowledged() && v.begun.After(since) {
				return true
			}
		}
		return false
	})
	return time.Since(since)
}
