package saga

import "context"

// The failpoints' names: each is "order.NAME.before" and "order.NAME.after". The first are calls of other modules, the others commits.
const (
	// PointCreate is the checkout's: the row is written.
	PointCreate = "create"
	// PointDecide is the checkout's: a cancellation or a refund is decided.
	PointDecide = "decide"

	pointRedeem       = "redeem"
	pointReserve      = "reserve"
	pointAuthorize    = "authorize"
	pointResolve      = "resolve"
	pointCommit       = "commit"
	pointCommitCoupon = "commit_coupon"
	pointCapture      = "capture"
	pointRelease      = "release"
	pointRestock      = "restock"
	pointFreeCoupon   = "release_coupon"
	pointVoid         = "void"
	pointRefund       = "refund"

	pointReserved    = "reserved"
	pointConfirmed   = "confirmed"
	pointPaid        = "paid"
	pointGivenUp     = "given_up"
	pointRefundAsked = "refund_asked"
	pointRefunded    = "refunded"
	pointCancelled   = "cancelled"
	pointClaimed     = "claimed"
	pointParked      = "parked"
	pointLooked      = "looked"
)

// Failpoints returns every failpoint of the module: before and after each call of another module, and before and after each commit.
func Failpoints() []string {
	var out []string
	for _, name := range []string{
		PointCreate, PointDecide,
		pointRedeem, pointReserve, pointReserved, pointAuthorize, pointResolve, pointConfirmed,
		pointCommit, pointCommitCoupon, pointCapture, pointPaid,
		pointGivenUp, pointVoid, pointRelease, pointRestock, pointFreeCoupon, pointRefundAsked, pointRefund, pointRefunded, pointCancelled,
		pointClaimed, pointParked, pointLooked,
	} {
		out = append(out, "order."+name+".before", "order."+name+".after")
	}
	return out
}

// Hit runs do between two failpoints.
func Hit(ctx context.Context, f Faults, name string, do func() error) error {
	if err := f.Hit(ctx, "order."+name+".before"); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return f.Hit(ctx, "order."+name+".after")
}
