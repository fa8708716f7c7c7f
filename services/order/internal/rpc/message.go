package rpc

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/problem"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// fill fills out with o, field by field: a message is not to be copied.
func fill(out *orderv1.PlacedOrder, o sale.Order) error {
	out.Id, out.CartId, out.CustomerId, out.Email, out.PaymentId = o.ID, o.CartID, o.CustomerID, o.Email, o.PaymentID
	out.QuoteId, out.CouponCode = o.QuoteID, o.Coupon
	out.State = state(o.State)
	if o.State == sale.Cancelled { // an order that is given up but not yet cancelled has no reason to show
		out.CancelReason = o.Why.Reason
	}
	a := o.Address
	out.ShippingAddress = &typev1.Address{
		Name: a.Name, Line1: a.Line1, Line2: a.Line2, City: a.City, PostalCode: a.PostalCode, Country: a.Country,
	}
	out.Subtotal, out.Discount, out.Tax, out.Total = money(o.Subtotal), money(o.Discount), money(o.Tax), money(o.Total)
	out.Captured, out.Refunded = money(o.Captured), money(o.Refunded)
	out.CreateTime, out.UpdateTime = timestamppb.New(o.Created), timestamppb.New(o.Updated)
	out.Unfinished, out.Attempts, out.LastError = !o.Done(), int32(min(o.Attempts, 1<<30)), o.LastError //nolint:gosec // bounded
	out.Lines = make([]*orderv1.OrderLine, 0, len(o.Lines))
	for _, l := range o.Lines {
		subtotal, err := l.Subtotal()
		if err != nil {
			return problem.Internal(err) // what the store keeps adds up, or something is broken
		}
		out.Lines = append(out.Lines, &orderv1.OrderLine{
			Sku: l.SKU, Title: l.Title, Quantity: l.Quantity, UnitPrice: money(l.Unit), LineTotal: money(subtotal),
			Discount: money(l.Discount), Tax: money(l.Tax), Total: money(l.Total), Shipped: l.Shipped, Delivered: l.Delivered, Returned: l.Returned,
		})
	}
	for _, r := range o.Refunds {
		out.Refunds = append(out.Refunds, refund(r))
	}
	return nil
}

func refund(r sale.Refund) *orderv1.OrderRefund {
	return &orderv1.OrderRefund{
		Id: r.ID, State: orderv1.RefundState(orderv1.RefundState_value["REFUND_STATE_"+string(r.State)]), Amount: money(r.Amount),
		Reason: r.Reason, CreateTime: timestamppb.New(r.Created),
	}
}

func entry(e sale.Entry) *orderv1.OrderEvent {
	return &orderv1.OrderEvent{Sequence: e.Sequence, From: state(e.From), To: state(e.To), At: timestamppb.New(e.At), Reason: e.Reason}
}

const statePrefix = "ORDER_STATE_"

// state is unspecified for none.
func state(s sale.State) orderv1.OrderState {
	return orderv1.OrderState(orderv1.OrderState_value[statePrefix+string(s)])
}

// filter is the state that a list is restricted to; empty for every state.
func filter(s orderv1.OrderState) sale.State {
	if s == orderv1.OrderState_ORDER_STATE_UNSPECIFIED {
		return ""
	}
	return sale.State(strings.TrimPrefix(s.String(), statePrefix))
}

func money(m sale.Money) *typev1.Money {
	return &typev1.Money{Currency: m.Currency, Minor: m.Minor}
}

func amount(m *typev1.Money) sale.Money {
	return sale.Money{Currency: m.GetCurrency(), Minor: m.GetMinor()}
}
