package shop

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/test/harness"
)

// parcel is what is looked at of an order after it is paid.
type parcel struct {
	State      string        `json:"state"`
	Captured   harness.Money `json:"captured"`
	Refunded   harness.Money `json:"refunded"`
	Unfinished bool          `json:"unfinished"`
}

// backAndForth ships a part of each order, pays a part of the money back, takes the goods back and puts them on the shelf again, while the
// processes that do it die in turn. What came back is paid back, once, and never more than was paid.
func backAndForth(t *testing.T, w *world, b *table, _ uint64) {
	const customers, each, pieces, back = 8, 3, 3, 2
	var before, after harness.Stock
	w.Must(t, http.MethodGet, "/v1/stock/TRAY", nil, &before)
	var mu sync.Mutex
	var visits []visit
	var all sync.WaitGroup
	for range customers {
		all.Go(func() {
			for bought := 0; bought < each && t.Context().Err() == nil; {
				v := w.shop(t.Context(), visit{sku: "TRAY", quantity: pieces, token: "tok_refund_timeout"})
				mu.Lock()
				visits = append(visits, v)
				mu.Unlock()
				if v.acknowledged() {
					bought++
					w.sendAndTakeBack(t, v, back)
				} else if v.reason != "CHECKOUT_INTERRUPTED" { // the process died that had the payment token: they buy again
					b.brokenf(t, w, "an order was refused: %d %s", v.status, v.reason)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	died := w.dieInTurn(done)
	recovery := time.Since(died)
	for _, v := range visits {
		if v.acknowledged() {
			o := w.ends(t, v.order, func(p parcel) bool {
				return p.State == "ORDER_STATE_PARTIALLY_REFUNDED" && p.Refunded.Minor >= back*unit+refundBefore
			})
			if o.Refunded.Minor != back*unit+refundBefore || o.Captured.Minor != pieces*unit {
				b.brokenf(t, w, "order %s paid %d and got %d back, of which %d for the goods", v.order, o.Captured.Minor, o.Refunded.Minor, back*unit)
			}
		}
	}
	b.judge(t, w, "partial refund, then return", visits, recovery)
	w.Must(t, http.MethodGet, "/v1/stock/TRAY", nil, &after)
	if sold := before.OnHand - after.OnHand; sold != customers*each*(pieces-back) || after.Reserved != before.Reserved {
		b.brokenf(t, w, "of the %d pieces that were sold %d came back, and %d are gone from the shelf", customers*each*pieces, customers*each*back, sold)
	}
}

// refundBefore is what each gets back before the goods come back.
const refundBefore = unit / 2

// sendAndTakeBack packs and ships pieces of an order, pays some money back, and takes the pieces back.
func (w *world) sendAndTakeBack(t *testing.T, v visit, pieces int) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	must := func(path string, body object, out any) bool {
		status, _, reason := w.insist(ctx, http.MethodPost, path, body, out)
		if status != http.StatusOK {
			t.Errorf("order %s: %s: %d %s", v.order, path, status, reason)
		}
		return status == http.StatusOK
	}
	for heard := false; !heard && ctx.Err() == nil; {
		status, err := w.Do(ctx, http.MethodGet, "/v1/fulfilments/"+v.order, nil, nil)
		heard = err == nil && status == http.StatusOK
		lull(t, 50*time.Millisecond)
	}
	var shipment, back struct {
		ID string `json:"id"`
	}
	id := func() string { return uuid.Must(uuid.NewV7()).String() }
	lines := []object{{"sku": v.sku, "quantity": pieces}}
	_ = must("/v1/fulfilments/"+v.order+"/shipments", object{"lines": lines, "requestId": id()}, &shipment) &&
		must("/v1/shipments/"+shipment.ID+":ship", object{"carrier": "DHL"}, nil) &&
		must("/v1/orders/"+v.order+":refund", object{
			"amount": object{"currency": currency, "minor": refundBefore}, "reason": "a scratch", "requestId": id(),
		}, nil) &&
		must("/v1/shipments/"+shipment.ID+":deliver", object{}, nil) &&
		must("/v1/fulfilments/"+v.order+"/returns", object{"lines": lines, "requestId": id()}, &back) &&
		must("/v1/returns/"+back.ID+":receive", object{"restock": true}, nil)
}

// dieInTurn kills each host once, one after the other, waits until done is closed, and says when the last one died.
func (w *world) dieInTurn(done <-chan struct{}) (last time.Time) {
	w.t.Helper()
	pause := time.NewTicker(700 * time.Millisecond)
	defer pause.Stop()
	for _, host := range w.names() {
		last = time.Now()
		w.kill9(host)
		<-pause.C
	}
	<-done
	return last
}

// ends waits until nothing is left to be done for an order, and it is as it should be.
func (w *world) ends(t *testing.T, id string, ok func(parcel) bool) (o parcel) {
	t.Helper()
	harness.Eventually(t, patience, "order "+id+" comes to its end", func() bool {
		status, err := w.Do(t.Context(), http.MethodGet, "/v1/orders/"+id, nil, &o)
		return err == nil && status == http.StatusOK && !o.Unfinished && ok(o)
	})
	return o
}
