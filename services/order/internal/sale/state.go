package sale

import "slices"

// State is where an order stands.
type State string

// The states. Before Confirmed everything can be taken back; from it on the shop owes the goods.
const (
	Pending    State = "PENDING"
	Reserved   State = "RESERVED"
	Authorized State = "AUTHORIZED"
	Confirmed  State = "CONFIRMED"
	// Paid: the goods are out of the stock and the money is captured.
	Paid      State = "PAID"
	Cancelled State = "CANCELLED"

	PartiallyShipped State = "PARTIALLY_SHIPPED"
	Shipped          State = "SHIPPED"
	Delivered        State = "DELIVERED"
	// PartiallyRefunded hides how far the goods are: the lines tell.
	PartiallyRefunded State = "PARTIALLY_REFUNDED"
	Refunded          State = "REFUNDED"
	// Returned: all of it is back, and not yet, or not, all of the money.
	Returned State = "RETURNED"
)

// States returns every state.
func States() []State {
	return []State{
		Pending, Reserved, Authorized, Confirmed, Paid, Cancelled, PartiallyShipped, Shipped, Delivered, PartiallyRefunded, Refunded, Returned,
	}
}

// May says whether an order may go from one state to another. Nothing leaves Cancelled and Refunded.
func May(from, to State) bool {
	switch from {
	case "":
		return to == Pending
	case Pending:
		return to == Reserved || to == Cancelled
	case Reserved:
		return to == Authorized || to == Cancelled
	case Authorized:
		return to == Confirmed || to == Cancelled
	case Confirmed:
		return to == Paid || to == Cancelled
	case Cancelled, Refunded:
		return false
	case Paid:
		return to == Cancelled || slices.Contains(after(Paid), to)
	case PartiallyRefunded:
		// A refund may come before the parcel leaves, and then the order be called off.
		return to == Cancelled || to == Refunded || to == Returned
	default:
		return slices.Contains(after(from), to)
	}
}

// after returns the states that a paid order in the given one may come to, but Cancelled.
func after(s State) []State {
	way := []State{Paid, PartiallyShipped, Shipped, Delivered, PartiallyRefunded, Returned, Refunded}
	return way[slices.Index(way, s)+1:]
}

// stands computes the state of a paid order from what is known of its goods and its money.
func (o *Order) stands() State {
	var pieces, shipped, delivered, returned int64
	for _, l := range o.Lines {
		pieces += l.Quantity
		shipped += max(l.Shipped, l.Delivered) // a parcel that arrived has left, whichever was heard of first
		delivered += l.Delivered
		returned += l.Returned
	}
	switch {
	case o.Captured.Minor > 0 && o.Refunded.Minor == o.Captured.Minor:
		return Refunded
	case returned == pieces:
		return Returned
	case o.Refunded.Minor > 0:
		return PartiallyRefunded
	case delivered == pieces:
		return Delivered
	case shipped == pieces:
		return Shipped
	case shipped > 0:
		return PartiallyShipped
	default:
		return Paid
	}
}
