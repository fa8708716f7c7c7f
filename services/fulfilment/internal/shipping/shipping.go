// Package shipping is the business of the fulfilment module: its words, its rules and its service. It knows no transport, no proto
// and no SQL.
package shipping

import "time"

// MaxPieces is how many different SKUs a shipment or a return has at most.
const MaxPieces = 200

// State is how far the shipping of an order is.
type State string

// The states of a fulfilment.
const (
	// Open: nothing has left yet.
	Open State = "OPEN"
	// PartiallyShipped: some pieces have left.
	PartiallyShipped State = "PARTIALLY_SHIPPED"
	// Shipped: every piece has left.
	Shipped State = "SHIPPED"
	// Delivered: every piece has arrived.
	Delivered State = "DELIVERED"
	// Cancelled: nothing leaves any more. Final.
	Cancelled State = "CANCELLED"
)

// ShipmentState is where a parcel is.
type ShipmentState string

// The states of a shipment. The last two are final.
const (
	ShipmentPacked    ShipmentState = "PACKED"
	ShipmentShipped   ShipmentState = "SHIPPED"
	ShipmentDelivered ShipmentState = "DELIVERED"
	ShipmentCancelled ShipmentState = "CANCELLED"
)

// ReturnState is where a return stands.
type ReturnState string

// The states of a return. The last two are final.
const (
	ReturnAnnounced ReturnState = "ANNOUNCED"
	ReturnReceived  ReturnState = "RECEIVED"
	ReturnCancelled ReturnState = "CANCELLED"
)

// Address is where a parcel goes.
type Address struct{ Name, Line1, Line2, City, PostalCode, Country string }

// Fulfilment is what is to be shipped of one order. Times are in microseconds, here and below.
type Fulfilment struct {
	OrderID string
	State   State
	Address Address
	// Lines have each SKU once.
	Lines []Line
	// Shipments and Returns are the oldest first.
	Shipments []Shipment
	Returns   []Return
	// LeftBeforeCancel: the order was cancelled when a parcel had left already.
	LeftBeforeCancel bool
	Created, Updated time.Time
}

// Line counts the pieces of one SKU: delivered <= shipped <= packed <= ordered, and returned <= returning <= shipped.
type Line struct {
	SKU, Title                                               string
	Ordered, Packed, Shipped, Delivered, Returning, Returned int64
}

// Piece is so many pieces of one SKU.
type Piece struct {
	SKU      string
	Quantity int64
}

// Shipment is one parcel.
type Shipment struct {
	// ID is a UUIDv7.
	ID, OrderID string
	// RequestID is the caller's, or empty.
	RequestID string
	State     ShipmentState
	// Pieces are sorted by SKU.
	Pieces []Piece
	// Rest: the caller named no pieces, and got whatever wasn't packed yet.
	Rest                    bool
	Carrier, TrackingNumber string
	// ShippedAt and DeliveredAt are zero until it is.
	Created, ShippedAt, DeliveredAt time.Time
}

// Return is what a buyer sends back at once.
type Return struct {
	// ID is a UUIDv7.
	ID, OrderID string
	// RequestID is the caller's, or empty.
	RequestID string
	State     ReturnState
	// Pieces are sorted by SKU.
	Pieces []Piece
	// Reason is for a person.
	Reason string
	// Restock: the pieces go into the stock again.
	Restock bool
	// ReceivedAt is zero until it is.
	Created, ReceivedAt time.Time
}

// progress is the state that the counts make, unless the order is cancelled.
func (f *Fulfilment) progress() State {
	switch {
	case f.State == Cancelled:
		return Cancelled
	case f.every(func(l Line) int64 { return l.Delivered }):
		return Delivered
	case f.every(func(l Line) int64 { return l.Shipped }):
		return Shipped
	case f.left():
		return PartiallyShipped
	default:
		return Open
	}
}

// every tells whether a count has reached what was ordered, for every line.
func (f *Fulfilment) every(count func(Line) int64) bool {
	for _, l := range f.Lines {
		if count(l) < l.Ordered {
			return false
		}
	}
	return true
}

// left tells whether any piece was handed to a carrier.
func (f *Fulfilment) left() bool {
	for _, l := range f.Lines {
		if l.Shipped > 0 {
			return true
		}
	}
	return false
}

// rest is what isn't packed yet.
func (f *Fulfilment) rest() []Piece {
	var out []Piece
	for _, l := range f.Lines {
		if n := l.Ordered - l.Packed; n > 0 {
			out = append(out, Piece{l.SKU, n})
		}
	}
	return out
}
