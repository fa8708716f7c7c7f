package checkout_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func usd(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }

// buy places an order that must go well.
func (s *shop) buy(t *testing.T) (cart string, o sale.Order) {
	t.Helper()
	cart = s.newCart()
	o, err := s.svc.Place(context.Background(), request(cart))
	if err != nil || o.State != sale.Paid {
		t.Fatalf("%+v, %v", o, err)
	}
	return cart, o
}

func testCancel(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	t.Run("a paid order", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart, o := s.buy(t)
		off, err := s.svc.Cancel(ctx, o.ID)
		if err != nil || off.State != sale.Cancelled || off.Why.Reason != sale.ReasonCustomerRequest || off.Refunded != off.Captured || off.Refunded != o.Total {
			t.Fatalf("%+v, %v", off, err)
		}
		s.mustHold(t, cart)
		if s.stock[o.ID] != restocked || !slices.Equal(s.told(t, o.ID), []string{"OrderConfirmed", "OrderPaid", "OrderCancelled", "OrderRefunded"}) {
			t.Errorf("stock %s, told %v", s.stock[o.ID], s.told(t, o.ID))
		}
		again, err := s.svc.Cancel(ctx, o.ID)
		if err != nil || again.Sequence != off.Sequence || s.called("refund") != 1 {
			t.Errorf("again %+v, %v", again, err)
		}
		if _, err := s.svc.Place(ctx, request(cart)); err != nil {
			t.Errorf("the cart isn't free: %v", err)
		}
	})
	t.Run("one that has left, and one that isn't there", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart, o := s.buy(t)
		s.change(t, o.ID, func(o *sale.Order) error { return o.Ship([]sale.Pieces{{SKU: "PEN-1", Quantity: 1}}, s.clock.now()) })
		_, err := s.svc.Cancel(ctx, o.ID)
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonOrderShipped)
		s.mustHold(t, cart)
		_, err = s.svc.Cancel(ctx, uuid.NewString())
		mustFail(t, err, codes.NotFound, sale.ReasonOrderNotFound)
	})
	t.Run("a part of which was paid back, with a coupon", func(t *testing.T) {
		s := newShop(t, db, plan{"release coupon": {fails, lost}})
		req := request(s.newCart())
		req.Coupon = "TENTH"
		o, err := s.svc.Place(ctx, req)
		if err != nil || s.coupons[o.ID] != committed {
			t.Fatalf("%+v, %v, coupon %q", o, err, s.coupons[o.ID])
		}
		if _, err := s.svc.Refund(ctx, checkout.RefundRequest{OrderID: o.ID, Amount: usd(100)}); err != nil {
			t.Fatal(err)
		}
		if off, err := s.svc.Cancel(ctx, o.ID); err != nil || !off.GivenUp() {
			t.Fatalf("%+v, %v", off, err)
		}
		s.settle(t)
		s.mustHold(t, req.CartID)
		if off, err := s.svc.Get(ctx, o.ID); err != nil || off.State != sale.Cancelled || off.Refunded != o.Total || s.coupons[o.ID] != released {
			t.Errorf("%+v, %v, coupon %q", off, err, s.coupons[o.ID])
		}
	})
	t.Run("whose refund is refused at first", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart, o := s.buy(t)
		s.payments[o.ID].back = 1 // the provider sees it otherwise for a while
		off, err := s.svc.Cancel(ctx, o.ID)
		if err != nil || off.State != sale.Paid || !off.GivenUp() || off.Done() {
			t.Fatalf("%+v, %v", off, err)
		}
		s.payments[o.ID].back = 0
		s.settle(t)
		s.mustHold(t, cart)
		if o, _ := s.placed(t, cart); o.State != sale.Cancelled || len(o.Refunds) != 2 {
			t.Errorf("%+v", o)
		}
	})
	for _, step := range []string{"redeem", "reserve", "authorize", "commit", "capture"} {
		t.Run("during "+step, func(t *testing.T) {
			s := newShop(t, db, plan{})
			req := request(s.newCart())
			req.Coupon = "TENTH"
			s.hook = func(at string) {
				if at == step {
					s.hook = nil
					o, _ := s.placed(t, req.CartID)
					if off, err := s.svc.Cancel(ctx, o.ID); err != nil || !off.GivenUp() {
						t.Errorf("%+v, %v", off, err)
					}
				}
			}
			_, err := s.svc.Place(ctx, req)
			if o, _ := s.placed(t, req.CartID); o.State != sale.Cancelled {
				t.Errorf("the order is %s, told %v\n%s", o.State, err, s.log)
			}
			s.mustHold(t, req.CartID)
		})
	}
}

// testCancelRacesCapture has both at one moment, often: it ends as a paid order, or as a cancelled one of which nothing is left charged.
func testCancelRacesCapture(t *testing.T, db *sql.DB) {
	for range 20 {
		s := newShop(t, db, plan{})
		cart := s.newCart()
		off := make(chan struct{})
		var both sync.WaitGroup
		var once sync.Once
		s.hook = func(step string) {
			if step == "capture" {
				once.Do(func() { close(off) })
			}
		}
		both.Go(func() {
			<-off
			o, _ := s.placed(t, cart)
			if _, err := s.svc.Cancel(context.Background(), o.ID); err != nil {
				t.Error(err)
			}
		})
		answer, err := s.svc.Place(context.Background(), request(cart))
		both.Wait()
		s.settle(t)
		s.mustHold(t, cart)
		s.mustAnswer(t, cart, answer, err)
	}
}

func testRefund(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	s := newShop(t, db, plan{"refund": {works, fails, lost}})
	cart, o := s.buy(t)
	ask := func(minor int64, key string) (sale.Order, error) {
		r := checkout.RefundRequest{OrderID: o.ID, Reason: "a scratch", RequestID: key}
		if minor > 0 {
			r.Amount = usd(minor)
		}
		return s.svc.Refund(ctx, r)
	}
	part, err := ask(100, "first")
	if err != nil || part.State != sale.PartiallyRefunded || part.Refunded != usd(100) {
		t.Fatalf("%+v, %v", part, err)
	}
	if again, err := ask(100, "first"); err != nil || again.Refunded != usd(100) || len(again.Refunds) != 1 {
		t.Errorf("again %+v, %v", again, err)
	}
	_, err = ask(101, "first")
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonKeyReused)
	_, err = ask(4399, "much")
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonRefundTooLarge)
	asked, err := ask(398, "second") // the provider can't be reached
	if err != nil || asked.Refunded != usd(100) || asked.Refundable() != usd(4000) || asked.Done() {
		t.Errorf("%+v, %v", asked, err)
	}
	_, err = ask(4001, "still too much")
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonRefundTooLarge)
	s.settle(t)
	all, err := ask(0, "")
	if err != nil || all.State != sale.Refunded || all.Refunded != o.Total {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = ask(0, "")
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonRefundTooLarge)
	s.mustHold(t, cart)

	s = newShop(t, db, plan{})
	s.sold["MUG-1"] = true
	cart = s.newCart()
	_, _ = s.svc.Place(ctx, request(cart))
	o, _ = s.placed(t, cart)
	_, err = ask(1, "")
	mustFail(t, err, codes.FailedPrecondition, sale.ReasonOrderNotPaid)
}

// change does to an order what another module's event does.
func (s *shop) change(t *testing.T, id string, do func(*sale.Order) error) {
	t.Helper()
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := s.store.Change(context.Background(), tx, id, do); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// testThereAndBack ships an order in two parcels, has one piece come back after a refund of a part, and then the rest.
func testThereAndBack(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	s := newShop(t, db, plan{})
	cart, o := s.buy(t)
	must := func(state sale.State, refunded int64) {
		t.Helper()
		s.settle(t)
		s.mustHold(t, cart)
		if o, _ := s.placed(t, cart); o.State != state || o.Refunded != usd(refunded) {
			t.Fatalf("%s, %+v is back; want %s, %d", o.State, o.Refunded, state, refunded)
		}
	}
	mug, pen := sale.Pieces{SKU: "MUG-1", Quantity: 1}, sale.Pieces{SKU: "PEN-1", Quantity: 1}
	s.change(t, o.ID, func(o *sale.Order) error { return o.Ship([]sale.Pieces{mug}, s.clock.now()) })
	must(sale.PartiallyShipped, 0)
	s.change(t, o.ID, func(o *sale.Order) error { return o.Deliver([]sale.Pieces{mug, pen}, s.clock.now()) }) // before it is heard that the second left
	must(sale.PartiallyShipped, 0)
	s.change(t, o.ID, func(o *sale.Order) error { return o.Ship([]sale.Pieces{mug, pen}, s.clock.now()) })
	must(sale.Shipped, 0)
	s.change(t, o.ID, func(o *sale.Order) error { return o.Deliver([]sale.Pieces{mug}, s.clock.now()) })
	must(sale.Delivered, 0)
	if told := s.told(t, o.ID); !slices.Equal(told, []string{"OrderConfirmed", "OrderPaid", "OrderShipped", "OrderShipped", "OrderDelivered"}) {
		t.Errorf("told %v", told)
	}
	if _, err := s.svc.Refund(ctx, checkout.RefundRequest{OrderID: o.ID, Amount: usd(1000)}); err != nil {
		t.Fatal(err)
	}
	must(sale.PartiallyRefunded, 1000)
	s.change(t, o.ID, func(o *sale.Order) error { return o.Return("first", []sale.Pieces{mug}, s.clock.now()) })
	must(sale.PartiallyRefunded, 2999)
	// What is left of the money is less than what the rest has cost.
	s.change(t, o.ID, func(o *sale.Order) error { return o.Return("rest", []sale.Pieces{pen, mug}, s.clock.now()) })
	must(sale.Refunded, 4498)
}

func testAnErasedCustomer(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	s := newShop(t, db, plan{})
	req := request(s.newCart())
	req.RequestID = uuid.NewString()
	o, err := s.svc.Place(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Erase(ctx, tx, customer, s.clock.now()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	s.mustHold(t, req.CartID)
	gone, err := s.svc.Get(ctx, o.ID)
	if err != nil || gone.Email != "" || gone.Address != (sale.Address{Country: "GB"}) || gone.Total != o.Total {
		t.Errorf("%+v, %v", gone, err)
	}
	if again, err := s.svc.Place(ctx, req); err != nil || again.ID != o.ID { // its key is still taken
		t.Errorf("%+v, %v", again, err)
	}
}

// testAnAlarm: a step that fails again and again is tried for ever, and somebody is called.
func testAnAlarm(t *testing.T, db *sql.DB) {
	s := newShop(t, db, plan{"capture": slices.Repeat([]fault{fails}, 15)})
	cart := s.newCart()
	if o, err := s.svc.Place(context.Background(), request(cart)); err != nil || o.State != sale.Confirmed {
		t.Fatalf("%+v, %v", o, err)
	}
	if log := s.log.String(); strings.Contains(log, "alarm=true") {
		t.Errorf("an alarm for nothing:\n%s", log)
	}
	s.settle(t)
	if log := s.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "attempts=10 alarm=true") {
		t.Errorf("no alarm:\n%s", log)
	}
	s.mustHold(t, cart)
}
