package shop

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/test/harness"
)

// lastCoupon lets many use a coupon at once that so many may: as many orders as uses.
func lastCoupon(t *testing.T, w *world, b *table, _ uint64) {
	const buyers, uses, code = 60, 10, "FIRST-TEN"
	w.Must(t, http.MethodPost, "/v1/coupons", object{"code": code, "basisPoints": 5000, "usageLimit": uses}, nil)
	visits := make([]visit, buyers)
	var all sync.WaitGroup
	for i := range visits {
		all.Go(func() {
			visits[i] = w.shop(t.Context(), visit{sku: "TEA", quantity: 1, token: "tok_visa", coupon: code})
		})
	}
	all.Wait()
	used := 0
	for _, v := range visits {
		switch {
		case v.acknowledged():
			used++
			if v.total != unit/2 {
				t.Errorf("order %s costs %d with the coupon", v.order, v.total)
			}
		case v.reason != "COUPON_EXHAUSTED":
			t.Errorf("a buyer got %d %s", v.status, v.reason)
		}
	}
	harness.Figure(t, "shop_last_coupons_used", float64(used), uses, "orders")
	if used != uses {
		t.Errorf("the coupon was used %d times, want %d", used, uses)
	}
	b.judge(t, w, "60 buyers, 10 coupons", visits, 0)
}

// changeOfMind cancels and refunds the same orders at once, several times each: the money goes back once.
func changeOfMind(t *testing.T, w *world, b *table, _ uint64) {
	visits := make([]visit, 12)
	var all sync.WaitGroup
	for i := range visits {
		all.Go(func() {
			v := w.shop(t.Context(), visit{sku: "POT", quantity: 2, token: "tok_visa"})
			if !v.acknowledged() {
				t.Errorf("an order was refused: %d %s", v.status, v.reason)
				return
			}
			v.after = "cancel"
			visits[i] = v
			var at sync.WaitGroup
			for range 2 {
				at.Go(func() {
					_, _, _ = w.insist(t.Context(), http.MethodPost, "/v1/orders/"+v.order+":cancel", object{}, nil)
				})
				at.Go(func() {
					body := object{"amount": object{"currency": currency, "minor": v.total / 2}, "requestId": uuid.Must(uuid.NewV7()).String()}
					_, _, _ = w.insist(t.Context(), http.MethodPost, "/v1/orders/"+v.order+":refund", body, nil)
				})
			}
			at.Wait()
		})
	}
	all.Wait()
	b.judge(t, w, "cancel and refund at once", visits, 0)
	for _, v := range visits {
		harness.Eventually(t, 10*time.Second, "every order has its end", func() bool {
			var o harness.Order
			status, err := w.Do(t.Context(), http.MethodGet, "/v1/orders/"+v.order, nil, &o)
			return err == nil && status == http.StatusOK && (o.State == "ORDER_STATE_CANCELLED" || o.State == "ORDER_STATE_REFUNDED")
		})
	}
}
