package checkout_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func testPlace(t *testing.T, db *sql.DB) {
	ctx := context.Background()

	t.Run("a cart becomes a paid order", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart := s.newCart()
		o, err := s.svc.Place(ctx, request(cart))
		if err != nil {
			t.Fatal(err)
		}
		s.mustHold(t, cart)
		if o.State != sale.Paid || o.Total != (sale.Money{Currency: "USD", Minor: 4498}) || len(o.Lines) != 2 || o.CustomerID != customer {
			t.Errorf("%+v", o)
		}
		if told := s.told(t, o.ID); !slices.Equal(told, []string{"OrderConfirmed", "OrderPaid"}) {
			t.Errorf("told %v", told)
		}
		if want := []string{"cart", "quote", "reserve", "authorize", "commit", "capture"}; !slices.Equal(s.calls, want) {
			t.Errorf("calls %v, want %v", s.calls, want)
		}
		kept, err := s.svc.Get(ctx, o.ID)
		if err != nil || kept.PaymentID != s.payments[o.ID].id || !kept.Updated.Equal(o.Updated) || kept.Address != request(cart).Address {
			t.Errorf("kept %+v (%v), answered %+v", kept, err, o)
		}
	})

	t.Run("with a coupon, and the total that was shown", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart := s.newCart()
		req := request(cart)
		req.Coupon, req.Expected = "TENTH", sale.Money{Currency: "USD", Minor: 1}
		_, err := s.svc.Place(ctx, req)
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonPriceChanged)
		if _, there := s.placed(t, cart); there {
			t.Error("an order was made")
		}
		req.Expected.Minor = 4817 // 3998-399+683 and 500-50+85
		o, err := s.svc.Place(ctx, req)
		if err != nil || o.Total != req.Expected || o.Discount.Minor != 449 || o.Tax.Minor != 768 || o.Subtotal.Minor != 4498 {
			t.Fatalf("%+v, %v", o, err)
		}
		s.mustHold(t, cart)
		if s.coupons[o.ID] != committed {
			t.Errorf("coupon %q", s.coupons[o.ID])
		}
		s.dearer = 1
		again := request(s.newCart())
		again.Coupon, again.Expected = req.Coupon, req.Expected
		_, err = s.svc.Place(ctx, again)
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonPriceChanged)
	})

	for _, step := range []string{"redeem", "reserve", "authorize", "commit", "capture"} {
		t.Run("a price that changes during "+step, func(t *testing.T) {
			s := newShop(t, db, plan{})
			req := request(s.newCart())
			req.Coupon, req.Expected = "TENTH", usd(4817)
			s.hook = func(at string) {
				if at == step {
					s.dearer = 100
				}
			}
			o, err := s.svc.Place(ctx, req)
			if err != nil || o.Total != req.Expected || o.Captured != req.Expected {
				t.Errorf("%+v, %v; want what was shown", o, err)
			}
			s.mustHold(t, req.CartID)
		})
	}

	t.Run("a coupon that is used up", func(t *testing.T) {
		s := newShop(t, db, plan{})
		s.spent = true
		cart := s.newCart()
		req := request(cart)
		req.Coupon = "TENTH"
		o, err := s.svc.Place(ctx, req)
		mustFail(t, err, codes.FailedPrecondition, "COUPON_EXHAUSTED")
		s.mustHold(t, cart)
		s.mustAnswer(t, cart, o, err)
		if s.called("reserve")+s.called("release")+s.called("release coupon") > 0 {
			t.Errorf("calls %v", s.calls)
		}
	})

	t.Run("out of stock", func(t *testing.T) {
		s := newShop(t, db, plan{})
		s.sold["MUG-1"] = true
		cart := s.newCart()
		o, err := s.svc.Place(ctx, request(cart))
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonOutOfStock)
		if !strings.Contains(problem.From(err).Message, "MUG-1") {
			t.Errorf("%v doesn't say what can't be had", err)
		}
		s.mustHold(t, cart)
		s.mustAnswer(t, cart, o, err)
		if s.called("authorize")+s.called("release") > 0 {
			t.Errorf("calls %v: money was asked for, or stock given back that nobody promised", s.calls)
		}
	})

	t.Run("a decline releases the stock, and the cart", func(t *testing.T) {
		s := newShop(t, db, plan{})
		cart := s.newCart()
		req := request(cart)
		req.Token = sale.NewToken("tok_declined")
		o, err := s.svc.Place(ctx, req)
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonPaymentDeclined)
		s.mustHold(t, cart)
		s.mustAnswer(t, cart, o, err)
		first, _ := s.placed(t, cart)
		if s.stock[first.ID] != released || !slices.Equal(s.told(t, first.ID), []string{"OrderCancelled"}) {
			t.Errorf("stock %v, told %v", s.stock, s.told(t, first.ID))
		}
		// The customer takes another card.
		o, err = s.svc.Place(ctx, request(cart))
		if err != nil || o.State != sale.Paid || o.ID == first.ID {
			t.Errorf("with another card: %+v, %v", o, err)
		}
	})

	t.Run("the token that a provider repeats is shown to nobody", func(t *testing.T) {
		s := newShop(t, db, plan{})
		s.echo = true
		cart := s.newCart()
		req := request(cart)
		req.Token = sale.NewToken("tok_declined")
		_, err := s.svc.Place(ctx, req)
		mustFail(t, err, codes.FailedPrecondition, sale.ReasonPaymentDeclined)
		o, _ := s.placed(t, cart)
		if all := err.Error() + problem.From(err).Message + o.Why.Message + s.log.String(); strings.Contains(all, "tok_declined") {
			t.Errorf("the token is in %q", all)
		}
	})

	t.Run("what can't be bought", func(t *testing.T) { testUnbuyable(t, db) })
	t.Run("a caller who goes away", func(t *testing.T) { testCallerGoes(t, db) })
}

func testUnbuyable(t *testing.T, db *sql.DB) {
	s := newShop(t, db, plan{"cart": {works, works, works, works, works, works, works, fails}})
	usd := func(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }
	line := func(n int64, m sale.Money) sale.Line {
		return sale.Line{SKU: m.Currency, Quantity: n, Unit: m}
	}
	for _, c := range []struct {
		name string
		cart checkout.Cart
		code codes.Code
		why  string
	}{
		{"empty", checkout.Cart{}, codes.FailedPrecondition, sale.ReasonCartEmpty},
		{"ordered", checkout.Cart{Ordered: true, Lines: []sale.Line{line(1, usd(1))}}, codes.FailedPrecondition, sale.ReasonCartOrdered},
		{"a line beyond the limit", checkout.Cart{Lines: []sale.Line{line(2, usd(sale.MaxMinor))}}, codes.FailedPrecondition, sale.ReasonTotalTooLarge},
		{"a sum beyond the limit", checkout.Cart{Lines: []sale.Line{line(1, usd(sale.MaxMinor)), line(1, usd(1))}}, codes.FailedPrecondition, sale.ReasonTotalTooLarge},
		{"beyond 64 bits", checkout.Cart{Lines: []sale.Line{line(1<<62, usd(1<<62))}}, codes.FailedPrecondition, sale.ReasonTotalTooLarge},
		{"two currencies", checkout.Cart{Lines: []sale.Line{line(1, usd(1)), line(1, sale.Money{Currency: "EUR", Minor: 1})}}, codes.FailedPrecondition, sale.ReasonCurrencyMismatch},
		{"no pieces", checkout.Cart{Lines: []sale.Line{line(0, usd(1))}}, codes.Internal, "INTERNAL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cart.ID = uuid.NewString()
			s.carts[c.cart.ID] = c.cart
			_, err := s.svc.Place(context.Background(), request(c.cart.ID))
			mustFail(t, err, c.code, c.why)
		})
	}
	_, err := s.svc.Place(context.Background(), request(s.newCart()))
	mustFail(t, err, codes.Unavailable, "UNREACHABLE") // the cart module is down
	_, err = s.svc.Place(context.Background(), request(uuid.NewString()))
	mustFail(t, err, codes.NotFound, "CART_NOT_FOUND")
	bad := request(s.newCart())
	bad.Address.City = "Lon\x00don"
	_, err = s.svc.Place(context.Background(), bad)
	mustFail(t, err, codes.InvalidArgument, "INVALID_FIELDS")
	if f := problem.From(err).Fields; len(f) != 1 || f[0].Path != "shipping_address.city" {
		t.Errorf("wrong fields %+v", f)
	}
	if len(s.stock)+len(s.payments) > 0 {
		t.Errorf("stock %v, payments %v for nothing", s.stock, s.payments)
	}
}

func testCallerGoes(t *testing.T, db *sql.DB) {
	for step, placed := range map[string]bool{"cart": false, "reserve": true, "authorize": true, "capture": true} {
		t.Run("during "+step, func(t *testing.T) {
			s := newShop(t, db, plan{})
			cart := s.newCart()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.hook = func(at string) {
				if at == step {
					cancel()
				}
			}
			answer, err := s.svc.Place(ctx, request(cart))
			if !placed {
				mustFail(t, err, codes.Canceled, "CANCELED")
			}
			s.mustHold(t, cart)
			s.mustAnswer(t, cart, answer, err)
			if o, _ := s.placed(t, cart); placed != (o.State == sale.Paid) {
				t.Errorf("the order is %q", o.State)
			}
		})
	}
}
