package order_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

// peers are stand-ins for the modules that an order needs, behind real servers. What they don't implement is never called.
type peers struct {
	mu           sync.Mutex
	reservations map[string]inventoryv1.ReservationState
	payments     map[string]*paymentv1.PaymentRecord
	// away is how often the provider can't be reached for a capture.
	away int
}

type (
	carts   struct{ cartv1.CartHandler }
	pricing struct{ pricingv1.PricingHandler }
	stock   struct {
		inventoryv1.InventoryHandler
		*peers
	}
	payments struct {
		paymentv1.PaymentHandler
		*peers
	}
)

// customer is whose carts they are.
const customer = "0192f5a0-0000-7000-8000-00000000c057"

// soldOut is the cart whose line can't be had; every other cart has 3 mugs of 7.00 USD.
const soldOut = "0192f5a0-0000-7000-8000-00000000dead"

func startPeers(t *testing.T, reg registry.Registry) *peers {
	t.Helper()
	p := &peers{reservations: map[string]inventoryv1.ReservationState{}, payments: map[string]*paymentv1.PaymentRecord{}}
	serve(t, reg, "cart", cartv1.File_shop_cart_v1_cart_proto, func(s server.Server) error { return cartv1.RegisterCartHandler(s, carts{}) })
	serve(t, reg, "pricing", pricingv1.File_shop_pricing_v1_pricing_proto, func(s server.Server) error {
		return pricingv1.RegisterPricingHandler(s, pricing{})
	})
	serve(t, reg, "inventory", inventoryv1.File_shop_inventory_v1_inventory_proto, func(s server.Server) error {
		return inventoryv1.RegisterInventoryHandler(s, stock{peers: p})
	})
	serve(t, reg, "payment", paymentv1.File_shop_payment_v1_payment_proto, func(s server.Server) error {
		return paymentv1.RegisterPaymentHandler(s, payments{peers: p})
	})
	return p
}

func serve(t *testing.T, reg registry.Registry, name string, contract protoreflect.FileDescriptor, register func(server.Server) error) {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{Name: name, Contract: contract, Registry: reg, Log: logger(t), DrainWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := register(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func (carts) GetCart(_ context.Context, in *cartv1.GetCartRequest, out *cartv1.ShoppingCart) error {
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	sku := "MUG"
	if in.GetCartId() == soldOut {
		sku = "SOLD-OUT"
	}
	proto.Merge(out, &cartv1.ShoppingCart{Id: in.GetCartId(), CustomerId: customer, State: cartv1.CartState_CART_STATE_OPEN, Total: usd(2100), Items: []*cartv1.Item{
		{Sku: sku, Title: "Mug", Quantity: 3, UnitPrice: usd(700), LineTotal: usd(2100)},
	}})
	return nil
}

// CreateQuote prices the mugs.
func (pricing) CreateQuote(_ context.Context, in *pricingv1.CreateQuoteRequest, out *pricingv1.Quote) error {
	usd := func(minor int64) *typev1.Money { return &typev1.Money{Currency: "USD", Minor: minor} }
	l := in.GetLines()[0]
	proto.Merge(out, &pricingv1.Quote{
		Id: in.GetRequestId(), Subtotal: usd(2100), Discount: usd(0), Tax: usd(0), Total: usd(2100),
		Lines: []*pricingv1.QuoteLine{{
			Sku: l.GetSku(), Title: "Mug", Quantity: l.GetQuantity(), UnitPrice: usd(700), Subtotal: usd(2100), Discount: usd(0), Tax: usd(0), Total: usd(2100),
		}},
	})
	return nil
}

func (s stock) set(id string, state inventoryv1.ReservationState, out *inventoryv1.Reservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reservations[id] = state
	out.Id, out.State = id, state
}

func (s stock) Reserve(_ context.Context, in *inventoryv1.ReserveRequest, out *inventoryv1.Reservation) error {
	if in.GetLines()[0].GetSku() == "SOLD-OUT" {
		return problem.FailedPrecondition("OUT_OF_STOCK", "SOLD-OUT: 3 wanted, 0 available")
	}
	s.set(in.GetReservationId(), inventoryv1.ReservationState_RESERVATION_STATE_RESERVED, out)
	return nil
}

func (s stock) Commit(_ context.Context, in *inventoryv1.CommitRequest, out *inventoryv1.Reservation) error {
	s.set(in.GetReservationId(), inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED, out)
	return nil
}

func (s stock) Release(_ context.Context, in *inventoryv1.ReleaseRequest, out *inventoryv1.Reservation) error {
	s.mu.Lock()
	state := s.reservations[in.GetReservationId()]
	s.mu.Unlock()
	if state == inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED {
		return problem.FailedPrecondition("RESERVATION_COMMITTED", "it is sold")
	}
	s.set(in.GetReservationId(), inventoryv1.ReservationState_RESERVATION_STATE_RELEASED, out)
	return nil
}

// Restock makes a reservation released: the goods are back.
func (s stock) Restock(_ context.Context, in *inventoryv1.RestockRequest, _ *inventoryv1.Stock) error {
	s.set(strings.TrimPrefix(in.GetReferenceId(), "cancel:"), inventoryv1.ReservationState_RESERVATION_STATE_RELEASED, &inventoryv1.Reservation{})
	return nil
}

func (p payments) Authorize(_ context.Context, in *paymentv1.AuthorizeRequest, out *paymentv1.PaymentRecord) error {
	if in.GetPaymentToken() == "tok_declined" {
		return problem.FailedPrecondition("PAYMENT_DECLINED", "the payment was declined: card_declined")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &paymentv1.PaymentRecord{
		Id: uuid.NewString(), OrderId: in.GetOrderId(), Amount: in.GetAmount(), State: paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
	}
	p.payments[r.GetId()] = r
	proto.Merge(out, r)
	return nil
}

func (p payments) Resolve(_ context.Context, in *paymentv1.ResolveRequest, out *paymentv1.PaymentRecord) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.payments {
		if r.GetOrderId() == in.GetOrderId() {
			proto.Merge(out, r)
			return nil
		}
	}
	return problem.NotFound("PAYMENT_NOT_FOUND", "no payment")
}

func (p payments) Capture(_ context.Context, in *paymentv1.CaptureRequest, out *paymentv1.PaymentRecord) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away > 0 {
		p.away--
		return problem.Unavailable("PAYMENT_OUTCOME_UNKNOWN", "the provider doesn't answer")
	}
	r := p.payments[in.GetPaymentId()]
	r.State, r.Captured = paymentv1.PaymentState_PAYMENT_STATE_CAPTURED, r.GetAmount()
	proto.Merge(out, r)
	return nil
}

func (p payments) Refund(_ context.Context, in *paymentv1.RefundRequest, out *paymentv1.PaymentRecord) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.payments[in.GetPaymentId()]
	r.Refunds = append(r.Refunds, &paymentv1.Refund{
		Id: in.GetRefundId(), Amount: in.GetAmount(), State: paymentv1.RefundState_REFUND_STATE_SUCCEEDED, Reason: in.GetReason(),
	})
	proto.Merge(out, r)
	return nil
}
