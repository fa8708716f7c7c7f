package rpc

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
)

// Stock makes the message of a stock.
func Stock(st stock.Stock) *inventoryv1.Stock {
	out := &inventoryv1.Stock{}
	putStock(out, st)
	return out
}

func putStock(out *inventoryv1.Stock, st stock.Stock) {
	out.Sku, out.OnHand, out.Reserved, out.Available = st.SKU, st.OnHand, st.Reserved, st.Available()
	out.UpdateTime = timestamppb.New(st.UpdateTime)
}

func putReservation(out *inventoryv1.Reservation, r stock.Reservation, err error) error {
	if err != nil {
		return err
	}
	out.Id, out.State = r.ID, state(r.State)
	if !r.Expires.IsZero() {
		out.ExpireTime = timestamppb.New(r.Expires)
	}
	out.Lines = make([]*inventoryv1.Line, len(r.Lines))
	for i, l := range r.Lines {
		out.Lines[i] = &inventoryv1.Line{Sku: l.SKU, Quantity: l.Quantity}
	}
	return nil
}

func state(s stock.State) inventoryv1.ReservationState {
	switch s {
	case stock.Reserved:
		return inventoryv1.ReservationState_RESERVATION_STATE_RESERVED
	case stock.Committed:
		return inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	case stock.Released:
		return inventoryv1.ReservationState_RESERVATION_STATE_RELEASED
	case stock.Expired:
		return inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED
	default:
		return inventoryv1.ReservationState_RESERVATION_STATE_UNSPECIFIED
	}
}

func kind(k stock.Kind) inventoryv1.LedgerKind {
	switch k {
	case stock.Counted:
		return inventoryv1.LedgerKind_LEDGER_KIND_COUNT
	case stock.Adjusted:
		return inventoryv1.LedgerKind_LEDGER_KIND_ADJUST
	case stock.Sold:
		return inventoryv1.LedgerKind_LEDGER_KIND_SALE
	case stock.Returned:
		return inventoryv1.LedgerKind_LEDGER_KIND_RETURN
	case stock.Supplied:
		return inventoryv1.LedgerKind_LEDGER_KIND_SUPPLY
	default:
		return inventoryv1.LedgerKind_LEDGER_KIND_UNSPECIFIED
	}
}

func lines(in []*inventoryv1.Line) []stock.Line {
	out := make([]stock.Line, len(in))
	for i, l := range in {
		out[i] = stock.Line{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	return out
}
