package shop

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// moodyPrices changes a price again and again while customers buy at the price that they were shown: each pays that, or is told that it has
// changed.
func moodyPrices(t *testing.T, w *world, b *table, _ uint64) {
	const buyers, most = 8, 40 // visits of each at most
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var over atomic.Bool
	var shop, office sync.WaitGroup
	office.Go(func() {
		for n := 0; !over.Load(); n++ {
			body := object{"variants": []object{{"sku": moody, "price": object{"currency": currency, "minor": unit + 100*(n%2)}}}}
			if status, _, reason := w.insist(ctx, http.MethodPatch, "/v1/products/"+w.products[moody], body, nil); status != http.StatusOK {
				t.Errorf("the price can't be changed: %d %s", status, reason)
				return
			}
			lull(t, 20*time.Millisecond)
		}
	})
	var mu sync.Mutex
	var visits []visit
	bought, changed := 0, 0
	for range buyers {
		shop.Go(func() {
			for range most {
				v := visit{sku: moody, quantity: 2, token: "tok_visa"}
				w.buyAsShown(ctx, t, &v)
				mu.Lock()
				visits = append(visits, v)
				switch {
				case v.acknowledged() && v.total == v.expects:
					bought++
				case v.reason == "PRICE_CHANGED":
					changed++
				default:
					t.Errorf("a buyer who was shown %d got %d %s, and paid %d", v.expects, v.status, v.reason, v.total)
				}
				enough := bought >= buyers && changed >= buyers
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	shop.Wait()
	over.Store(true)
	office.Wait()
	if bought == 0 || changed == 0 {
		t.Errorf("%d have bought, and %d were told that the price has changed: want some of each", bought, changed)
	}
	b.judge(t, w, "price changes during checkout", visits, 0)
}

// buyAsShown looks at the price, and orders at it.
func (w *world) buyAsShown(ctx context.Context, t *testing.T, v *visit) {
	v.request, v.begun = harness.UUID(t), time.Now()
	defer func() { v.ended = time.Now() }()
	cart, ok := w.fill(ctx, *v)
	if !ok {
		t.Error("a cart could not be filled")
		return
	}
	var p harness.Product
	if status, err := w.Do(ctx, http.MethodGet, "/v1/products/"+w.products[v.sku], nil, &p); err != nil || status != http.StatusOK || len(p.Variants) != 1 {
		t.Errorf("the product can't be looked at: %d, %v", status, err)
		return
	}
	v.expects = p.Variants[0].Price.Minor * int64(v.quantity)
	w.checkout(ctx, cart, v)
}
