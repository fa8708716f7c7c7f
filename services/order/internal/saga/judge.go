package saga

import (
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// reasonNotInRegistry is the client's own: it found nobody to send the request to, and so surely didn't send it.
const reasonNotInRegistry = "SERVICE_NOT_IN_REGISTRY"

// reasonReservationCommitted is the inventory's: the goods are out of the stock.
const reasonReservationCommitted = "RESERVATION_COMMITTED"

// refused says that the other module looked at what the order wants, and that its answer is no.
func refused(p *problem.Error) bool {
	return p.Code == codes.FailedPrecondition || p.Code == codes.InvalidArgument || p.Code == codes.OutOfRange
}

// unsent says that the call surely did nothing: nobody was there, or nobody who knows the method or would do it for us.
func unsent(p *problem.Error) bool {
	switch p.Code {
	case codes.NotFound, codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied:
		return true
	default:
		return p.Reason == reasonNotInRegistry
	}
}

// why turns another module's error into what the customer is told.
func why(p *problem.Error) *problem.Error {
	if refused(p) {
		// InvalidArgument too becomes FailedPrecondition: it isn't this request that is malformed.
		return problem.FailedPrecondition(p.Reason, "%s", p.Message).Because(p)
	}
	return Interrupted(p)
}

// Interrupted says that a checkout was taken back because of err.
func Interrupted(err error) *problem.Error {
	return problem.Unavailable(sale.ReasonCheckoutInterrupted,
		"the checkout could not be finished; nothing was charged and nothing stays reserved: order again, with another request_id").Because(err)
}

func notFound(err error) bool { return err != nil && problem.From(err).Code == codes.NotFound }

func hasReason(err error, reason string) bool {
	return err != nil && problem.From(err).Reason == reason
}
