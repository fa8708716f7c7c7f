package rpc

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// The names of the enums' values are these and the module's own.
const (
	statePrefix    = "FULFILMENT_STATE_"
	shipmentPrefix = "SHIPMENT_STATE_"
	returnPrefix   = "RETURN_STATE_"
)

// fill fills out with f, field by field: a message is not to be copied.
func fill(out *fulfilmentv1.FulfilmentOrder, f shipping.Fulfilment) {
	a := f.Address
	out.OrderId, out.LeftBeforeCancel = f.OrderID, f.LeftBeforeCancel
	out.State = fulfilmentv1.FulfilmentState(fulfilmentv1.FulfilmentState_value[statePrefix+string(f.State)])
	out.ShippingAddress = &typev1.Address{
		Name: a.Name, Line1: a.Line1, Line2: a.Line2, City: a.City, PostalCode: a.PostalCode, Country: a.Country,
	}
	out.CreateTime, out.UpdateTime = timestamp(f.Created), timestamp(f.Updated)
	out.Lines = make([]*fulfilmentv1.FulfilmentLine, len(f.Lines))
	for i, l := range f.Lines {
		out.Lines[i] = &fulfilmentv1.FulfilmentLine{
			Sku: l.SKU, Title: l.Title, Ordered: l.Ordered, Packed: l.Packed, Shipped: l.Shipped, Delivered: l.Delivered,
			Returning: l.Returning, Returned: l.Returned,
		}
	}
	out.Shipments = make([]*fulfilmentv1.Shipment, len(f.Shipments))
	for i, s := range f.Shipments {
		out.Shipments[i] = &fulfilmentv1.Shipment{}
		fillShipment(out.Shipments[i], s)
	}
	out.Returns = make([]*fulfilmentv1.GoodsReturn, len(f.Returns))
	for i, r := range f.Returns {
		out.Returns[i] = &fulfilmentv1.GoodsReturn{}
		fillReturn(out.Returns[i], r)
	}
}

func shipment(out *fulfilmentv1.Shipment, s shipping.Shipment, err error) error {
	if err != nil {
		return err
	}
	fillShipment(out, s)
	return nil
}

func fillShipment(out *fulfilmentv1.Shipment, s shipping.Shipment) {
	out.Id, out.OrderId, out.Lines = s.ID, s.OrderID, lines(s.Pieces)
	out.State = fulfilmentv1.ShipmentState(fulfilmentv1.ShipmentState_value[shipmentPrefix+string(s.State)])
	out.Carrier, out.TrackingNumber = s.Carrier, s.TrackingNumber
	out.CreateTime, out.ShipTime, out.DeliverTime = timestamp(s.Created), timestamp(s.ShippedAt), timestamp(s.DeliveredAt)
}

func goodsReturn(out *fulfilmentv1.GoodsReturn, r shipping.Return, err error) error {
	if err != nil {
		return err
	}
	fillReturn(out, r)
	return nil
}

func fillReturn(out *fulfilmentv1.GoodsReturn, r shipping.Return) {
	out.Id, out.OrderId, out.Lines, out.Reason, out.Restock = r.ID, r.OrderID, lines(r.Pieces), r.Reason, r.Restock
	out.State = fulfilmentv1.ReturnState(fulfilmentv1.ReturnState_value[returnPrefix+string(r.State)])
	out.CreateTime, out.ReceiveTime = timestamp(r.Created), timestamp(r.ReceivedAt)
}

// timestamp is nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func lines(pieces []shipping.Piece) []*fulfilmentv1.Line {
	out := make([]*fulfilmentv1.Line, len(pieces))
	for i, p := range pieces {
		out[i] = &fulfilmentv1.Line{Sku: p.SKU, Quantity: p.Quantity}
	}
	return out
}

func pieces(lines []*fulfilmentv1.Line) []shipping.Piece {
	out := make([]shipping.Piece, len(lines))
	for i, l := range lines {
		out[i] = shipping.Piece{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	return out
}

// filter is the state that a list is restricted to; empty for every state.
func filter(s fulfilmentv1.FulfilmentState) shipping.State {
	if s == fulfilmentv1.FulfilmentState_FULFILMENT_STATE_UNSPECIFIED {
		return ""
	}
	return shipping.State(strings.TrimPrefix(s.String(), statePrefix))
}
