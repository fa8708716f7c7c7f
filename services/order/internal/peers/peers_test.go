package peers_test

import (
	"context"
	"reflect"
	"testing"

	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/peers"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// wire answers every call with one message or error, and keeps what was asked. The modules' generated clients run over it.
type wire struct {
	client.Client
	answer proto.Message
	err    error
	method string
	asked  proto.Message
}

func newWire() *wire { return &wire{Client: client.NewClient()} }

func (w *wire) Call(_ context.Context, req client.Request, rsp any, _ ...client.CallOption) error {
	w.method, w.asked = req.Service()+" "+req.Endpoint(), req.Body().(proto.Message) // generated code sends messages
	if w.err != nil {
		return w.err
	}
	proto.Merge(rsp.(proto.Message), w.answer) // so it does receive
	return nil
}

func (w *wire) mustHaveAsked(t *testing.T, method string, want proto.Message) {
	t.Helper()
	if w.method != method || !proto.Equal(w.asked, want) {
		t.Errorf("asked %s %v, want %s %v", w.method, w.asked, method, want)
	}
}

func TestCart(t *testing.T) {
	w := newWire()
	carts := peers.NewCarts(cartv1.NewCartService("cart", w))
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	for state, ordered := range map[cartv1.CartState]bool{cartv1.CartState_CART_STATE_OPEN: false, cartv1.CartState_CART_STATE_ORDERED: true} {
		w.answer = &cartv1.ShoppingCart{Id: "c", State: state, CustomerId: "who", CouponCode: "TENTH", Total: usd(6), Items: []*cartv1.Item{
			{Sku: "A", Title: "a", Quantity: 2, UnitPrice: usd(3), LineTotal: usd(6)},
		}}
		got, err := carts.Cart(context.Background(), "c")
		want := checkout.Cart{ID: "c", CustomerID: "who", Coupon: "TENTH", Ordered: ordered, Lines: []sale.Line{
			{SKU: "A", Title: "a", Quantity: 2, Unit: sale.Money{Currency: "USD", Minor: 3}},
		}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		w.mustHaveAsked(t, "cart Cart.GetCart", &cartv1.GetCartRequest{CartId: "c"})
	}
	w.answer = &cartv1.ShoppingCart{Id: "c", State: cartv1.CartState_CART_STATE_MERGED}
	if _, err := carts.Cart(context.Background(), "c"); problem.From(err).Reason != sale.ReasonCartMerged {
		t.Errorf("a cart that was merged: %v", err)
	}
	w.answer = &cartv1.ShoppingCart{Id: "c", State: 99}
	if _, err := carts.Cart(context.Background(), "c"); problem.From(err).Code != codes.Internal {
		t.Errorf("a state of the future: %v", err)
	}
	w.err = problem.NotFound("CART_NOT_FOUND", "no cart")
	if _, err := carts.Cart(context.Background(), "c"); problem.From(err).Reason != "CART_NOT_FOUND" {
		t.Errorf("%v", err)
	}
}

func TestStock(t *testing.T) {
	w, ctx := newWire(), context.Background()
	stock := peers.NewStock(inventoryv1.NewInventoryService("inventory", w))
	lines := []sale.Line{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 1}}
	for _, step := range []struct {
		method string
		asked  proto.Message
		do     func() error
		want   inventoryv1.ReservationState
	}{
		{"Reserve", &inventoryv1.ReserveRequest{ReservationId: "o", Lines: []*inventoryv1.Line{{Sku: "A", Quantity: 2}, {Sku: "B", Quantity: 1}}},
			func() error { return stock.Reserve(ctx, "o", lines) }, inventoryv1.ReservationState_RESERVATION_STATE_RESERVED},
		{"Commit", &inventoryv1.CommitRequest{ReservationId: "o"},
			func() error { return stock.Commit(ctx, "o") }, inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED},
		{"Release", &inventoryv1.ReleaseRequest{ReservationId: "o"},
			func() error { return stock.Release(ctx, "o") }, inventoryv1.ReservationState_RESERVATION_STATE_RELEASED},
	} {
		for state := range inventoryv1.ReservationState_name {
			got := inventoryv1.ReservationState(state)
			w.answer = &inventoryv1.Reservation{Id: "o", State: got}
			expired := step.method == "Release" && got == inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED // nothing is held, and that is what is wanted
			if err := step.do(); (err == nil) != (got == step.want || expired) {
				t.Errorf("%s answered %s: %v", step.method, got, err)
			}
			w.mustHaveAsked(t, "inventory Inventory."+step.method, step.asked)
		}
		w.err = problem.FailedPrecondition(sale.ReasonOutOfStock, "A: 2 wanted, 1 available")
		if err := step.do(); problem.From(err).Reason != sale.ReasonOutOfStock {
			t.Errorf("%s: %v", step.method, err)
		}
		w.err = nil
	}
}

func TestPayments(t *testing.T) {
	w, ctx := newWire(), context.Background()
	pay := peers.NewPayments(paymentv1.NewPaymentService("payment", w))
	const (
		pending    = paymentv1.PaymentState_PAYMENT_STATE_PENDING
		authorized = paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED
		captured   = paymentv1.PaymentState_PAYMENT_STATE_CAPTURED
		voided     = paymentv1.PaymentState_PAYMENT_STATE_VOIDED
		declined   = paymentv1.PaymentState_PAYMENT_STATE_DECLINED
	)
	for _, c := range []struct {
		state         paymentv1.PaymentState
		want          saga.PaymentState
		authorize     codes.Code // what Authorize answers
		resolve       codes.Code
		capture, void bool // whether they take it for done
	}{
		{pending, saga.PaymentPending, codes.Unavailable, codes.OK, false, false},
		{authorized, saga.PaymentHeld, codes.OK, codes.OK, false, false},
		{captured, saga.PaymentCaptured, codes.OK, codes.OK, true, false},
		{voided, saga.PaymentVoided, codes.OK, codes.OK, false, true},
		{declined, saga.PaymentDeclined, codes.OK, codes.OK, false, true},
		{99, 0, codes.Unavailable, codes.Unavailable, false, false},
	} {
		t.Run(c.state.String(), func(t *testing.T) {
			record := &paymentv1.PaymentRecord{Id: "p", State: c.state, Captured: &typev1.Money{Currency: "USD", Minor: 5}}
			want := saga.Payment{ID: "p", State: c.want}
			if c.state == captured {
				want.Captured = sale.Money{Currency: "USD", Minor: 5}
			}
			w.answer = record
			got, err := pay.Authorize(ctx, "o", sale.Money{Currency: "USD", Minor: 5}, sale.NewToken("tok_visa"))
			w.mustHaveAsked(t, "payment Payment.Authorize", &paymentv1.AuthorizeRequest{
				OrderId: "o", Amount: &typev1.Money{Currency: "USD", Minor: 5}, PaymentToken: "tok_visa",
			})
			switch {
			case c.authorize == codes.OK:
				if err != nil || got != want {
					t.Errorf("authorize: %+v, %v", got, err)
				}
			case err == nil || problem.From(err).Code != c.authorize:
				t.Errorf("authorize: %+v, %v; want %s", got, err, c.authorize)
			}
			if err := pay.Capture(ctx, "p"); (err == nil) != c.capture {
				t.Errorf("capture: %v", err)
			}
			w.mustHaveAsked(t, "payment Payment.Capture", &paymentv1.CaptureRequest{PaymentId: "p"})
			if err := pay.Void(ctx, "p"); (err == nil) != c.void {
				t.Errorf("void: %v", err)
			}
			w.mustHaveAsked(t, "payment Payment.Void", &paymentv1.VoidRequest{PaymentId: "p"})
			got, err = pay.Resolve(ctx, "o")
			if code := problem.From(err); err == nil && (c.resolve != codes.OK || got != want) || err != nil && problem.From(err).Code != c.resolve {
				t.Errorf("resolve: %+v, %v", got, code)
			}
			w.mustHaveAsked(t, "payment Payment.Resolve", &paymentv1.ResolveRequest{OrderId: "o"})
		})
	}
	w.err = problem.FailedPrecondition(sale.ReasonPaymentDeclined, "no")
	_, authorizeErr := pay.Authorize(ctx, "o", sale.Money{}, sale.Token{})
	_, resolveErr := pay.Resolve(ctx, "o")
	for name, err := range map[string]error{"authorize": authorizeErr, "resolve": resolveErr, "capture": pay.Capture(ctx, "p"), "void": pay.Void(ctx, "p")} {
		if problem.From(err).Reason != sale.ReasonPaymentDeclined {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestock(t *testing.T) {
	w := newWire()
	stock := peers.NewStock(inventoryv1.NewInventoryService("inventory", w))
	w.answer = &inventoryv1.Stock{}
	if err := stock.Restock(context.Background(), "o", []sale.Line{{SKU: "A", Quantity: 2}}); err != nil {
		t.Error(err)
	}
	w.mustHaveAsked(t, "inventory Inventory.Restock", &inventoryv1.RestockRequest{
		Sku: "A", Quantity: 2, ReferenceId: "cancel:o", Reason: inventoryv1.RestockReason_RESTOCK_REASON_RETURN,
	})
	w.err = problem.Unavailable("UNREACHABLE", "nobody")
	if err := stock.Restock(context.Background(), "o", []sale.Line{{SKU: "A", Quantity: 2}}); problem.From(err).Reason != "UNREACHABLE" {
		t.Errorf("%v", err)
	}
}

func TestRefund(t *testing.T) {
	w, ctx := newWire(), context.Background()
	pay := peers.NewPayments(paymentv1.NewPaymentService("payment", w))
	back := sale.Refund{ID: "r", Amount: sale.Money{Currency: "USD", Minor: 5}, Reason: "a scratch"}
	for state, want := range map[paymentv1.RefundState]codes.Code{
		paymentv1.RefundState_REFUND_STATE_SUCCEEDED: codes.OK, paymentv1.RefundState_REFUND_STATE_PENDING: codes.Unavailable,
		paymentv1.RefundState_REFUND_STATE_FAILED: codes.FailedPrecondition, 99: codes.Unavailable,
	} {
		w.answer = &paymentv1.PaymentRecord{Id: "p", Refunds: []*paymentv1.Refund{{Id: "another", State: 2}, {Id: "r", State: state}}}
		if err := pay.Refund(ctx, "p", back); (err == nil) != (want == codes.OK) || err != nil && problem.From(err).Code != want {
			t.Errorf("%s: %v", state, err)
		}
		w.mustHaveAsked(t, "payment Payment.Refund", &paymentv1.RefundRequest{
			PaymentId: "p", RefundId: "r", Amount: &typev1.Money{Currency: "USD", Minor: 5}, Reason: "a scratch",
		})
	}
	w.answer = &paymentv1.PaymentRecord{Id: "p"}
	if err := pay.Refund(ctx, "p", back); err == nil {
		t.Error("a refund that isn't there is taken for done")
	}
}

func TestPrices(t *testing.T) {
	w, ctx := newWire(), context.Background()
	prices := peers.NewPrices(pricingv1.NewPricingService("pricing", w))
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	cents := func(minor int64) sale.Money { return sale.Money{Currency: "USD", Minor: minor} }
	w.answer = &pricingv1.Quote{Id: "q", CouponCode: "TENTH", Subtotal: usd(6), Discount: usd(1), Tax: usd(2), Total: usd(7), Lines: []*pricingv1.QuoteLine{
		{Sku: "A", Title: "a", Quantity: 2, UnitPrice: usd(3), Subtotal: usd(6), Discount: usd(1), Tax: usd(2), Total: usd(7)},
	}}
	got, err := prices.Quote(ctx, checkout.Wanted{ID: "o", Currency: "USD", Country: "GB", Coupon: "tenth", Lines: []sale.Line{{SKU: "A", Quantity: 2}}})
	want := checkout.Quote{ID: "q", Coupon: "TENTH", Subtotal: cents(6), Discount: cents(1), Tax: cents(2), Total: cents(7), Lines: []sale.Line{
		{SKU: "A", Title: "a", Quantity: 2, Unit: cents(3), Discount: cents(1), Tax: cents(2), Total: cents(7)},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	w.mustHaveAsked(t, "pricing Pricing.CreateQuote", &pricingv1.CreateQuoteRequest{
		Lines: []*pricingv1.WantedLine{{Sku: "A", Quantity: 2}}, Currency: "USD", Country: "GB", CouponCode: "tenth", RequestId: "o",
	})
	for _, step := range []struct {
		method string
		asked  proto.Message
		do     func() error
		want   pricingv1.RedemptionState
	}{
		{"RedeemCoupon", &pricingv1.RedeemCouponRequest{RedemptionId: "o", QuoteId: "q"},
			func() error { return prices.Redeem(ctx, "o", "q") }, pricingv1.RedemptionState_REDEMPTION_STATE_RESERVED},
		{"CommitRedemption", &pricingv1.CommitRedemptionRequest{RedemptionId: "o"},
			func() error { return prices.CommitUse(ctx, "o") }, pricingv1.RedemptionState_REDEMPTION_STATE_COMMITTED},
		{"ReleaseRedemption", &pricingv1.ReleaseRedemptionRequest{RedemptionId: "o"},
			func() error { return prices.ReleaseUse(ctx, "o") }, pricingv1.RedemptionState_REDEMPTION_STATE_RELEASED},
	} {
		for state := range pricingv1.RedemptionState_name {
			w.answer = &pricingv1.Redemption{Id: "o", State: pricingv1.RedemptionState(state)}
			if err := step.do(); (err == nil) != (pricingv1.RedemptionState(state) == step.want) {
				t.Errorf("%s answered %d: %v", step.method, state, err)
			}
			w.mustHaveAsked(t, "pricing Pricing."+step.method, step.asked)
		}
		w.err = problem.FailedPrecondition("COUPON_EXHAUSTED", "used up")
		if err := step.do(); problem.From(err).Reason != "COUPON_EXHAUSTED" {
			t.Errorf("%s: %v", step.method, err)
		}
		w.err = nil
	}
}
