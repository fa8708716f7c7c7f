package checkout_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func testPlaceAgain(t *testing.T, db *sql.DB) {
	ctx := context.Background()
	t.Run("a paid order", func(t *testing.T) {
		s := newShop(t, db, plan{})
		req := request(s.newCart())
		req.RequestID = uuid.NewString()
		first, err := s.svc.Place(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		cart := s.carts[req.CartID]
		cart.Ordered = true // the confirmation has arrived
		s.carts[req.CartID] = cart
		req.Token = sale.NewToken("tok_other") // it isn't kept, so it can't be compared
		again, err := s.svc.Place(ctx, req)
		if err != nil || again.ID != first.ID || again.State != sale.Paid {
			t.Fatalf("again: %+v, %v", again, err)
		}
		s.mustHold(t, req.CartID)
		if s.called("authorize") != 1 || s.called("reserve") != 1 {
			t.Errorf("calls %v, want each step once", s.calls)
		}
		_, err = s.svc.Place(ctx, request(req.CartID)) // another purchase of that cart
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonCartOrdered)
		for name, change := range map[string]func(*checkout.Request){
			"cart":    func(r *checkout.Request) { r.CartID = s.newCart() },
			"email":   func(r *checkout.Request) { r.Email = "eve@example.com" },
			"address": func(r *checkout.Request) { r.Address.Line1 = "Elsewhere 1" },
		} {
			other := req
			change(&other)
			if _, err := s.svc.Place(ctx, other); reason(err) != sale.ReasonKeyReused {
				t.Errorf("another %s with this request id: %v", name, err)
			}
		}
	})
	t.Run("a declined order is declined again, whatever the card", func(t *testing.T) {
		s := newShop(t, db, plan{})
		req := request(s.newCart())
		req.RequestID, req.Token = uuid.NewString(), sale.NewToken("tok_declined")
		_, first := s.svc.Place(ctx, req)
		req.Token = sale.NewToken("tok_visa")
		_, again := s.svc.Place(ctx, req)
		mustFail(t, again, codes.FailedPrecondition, sale.ReasonPaymentDeclined)
		if problem.From(first).Message != problem.From(again).Message {
			t.Errorf("first %v, then %v", first, again)
		}
		if s.called("authorize") != 1 {
			t.Errorf("calls %v", s.calls)
		}
	})
	t.Run("an order whose payment isn't known yet is worked on again", func(t *testing.T) {
		s := newShop(t, db, plan{"authorize": {lost}, "resolve": {fails}})
		req := request(s.newCart())
		req.RequestID = uuid.NewString()
		_, err := s.svc.Place(ctx, req)
		mustFail(t, err, codes.Unavailable, sale.ReasonCheckoutUnfinished)
		if o, _ := s.placed(t, req.CartID); o.State != sale.Reserved || o.Attempts != 1 || o.LastError == "" {
			t.Errorf("%s after %d attempts, %q", o.State, o.Attempts, o.LastError)
		}
		o, err := s.svc.Place(ctx, req)
		if err != nil || o.State != sale.Paid || o.Attempts != 0 || o.LastError != "" {
			t.Errorf("%+v, %v", o, err)
		}
		s.mustHold(t, req.CartID)
	})
	t.Run("while the first is at it", func(t *testing.T) {
		s := newShop(t, db, plan{})
		req := request(s.newCart())
		req.RequestID = uuid.NewString()
		var err, rivalErr error
		s.hook = func(step string) {
			if step == "authorize" {
				s.hook = nil
				_, err = s.svc.Place(ctx, req)
				_, rivalErr = s.svc.Place(ctx, request(req.CartID))
			}
		}
		o, placeErr := s.svc.Place(ctx, req)
		if placeErr != nil || o.State != sale.Paid {
			t.Fatalf("%+v, %v", o, placeErr)
		}
		mustFail(t, err, codes.Aborted, sale.ReasonKeyInUse)
		mustFail(t, rivalErr, codes.FailedPrecondition, sale.ReasonCartOrdered)
		s.mustHold(t, req.CartID)
	})
}

// testPlaceAtOnce has many buy one cart at the same moment.
func testPlaceAtOnce(t *testing.T, db *sql.DB) {
	const buyers = 8
	for _, one := range []bool{true, false} {
		name := map[bool]string{true: "one request, sent often", false: "many requests"}[one]
		t.Run(name, func(t *testing.T) {
			s := newShop(t, db, plan{})
			cart, id := s.newCart(), uuid.NewString()
			orders, errs := make([]sale.Order, buyers), make([]error, buyers)
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range buyers {
				req := request(cart)
				if req.RequestID = id; !one {
					req.RequestID = uuid.NewString()
				}
				all.Go(func() {
					<-start
					orders[i], errs[i] = s.svc.Place(context.Background(), req)
				})
			}
			close(start)
			all.Wait()
			kept, there := s.placed(t, cart) // fails when there are two
			if !there || kept.State != sale.Paid || len(s.payments) != 1 || len(s.stock) != 1 {
				t.Errorf("kept %+v, payments %v, stock %v", kept, s.payments, s.stock)
			}
			s.mustHold(t, cart)
			won := 0
			for i, err := range errs {
				switch {
				case err == nil && orders[i].ID == kept.ID:
					won++
				case one && reason(err) == sale.ReasonKeyInUse, !one && reason(err) == sale.ReasonCartOrdered:
				default:
					t.Errorf("buyer %d: %+v, %v", i, orders[i], err)
				}
			}
			if won < 1 || !one && won > 1 {
				t.Errorf("%d got the order", won)
			}
		})
	}
}
