package shipping

import (
	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonNotFound          = "FULFILMENT_NOT_FOUND"  // NotFound: no such order, or it isn't paid
	ReasonShipmentNotFound  = "SHIPMENT_NOT_FOUND"    // NotFound
	ReasonReturnNotFound    = "RETURN_NOT_FOUND"      // NotFound
	ReasonCancelled         = "FULFILMENT_CANCELLED"  // FailedPrecondition: the order was cancelled, nothing leaves any more
	ReasonNothingToShip     = "NOTHING_TO_SHIP"       // FailedPrecondition: fewer pieces are left to pack
	ReasonNothingToReturn   = "NOTHING_TO_RETURN"     // FailedPrecondition: fewer pieces have left and don't come back already
	ReasonShipmentShipped   = "SHIPMENT_SHIPPED"      // FailedPrecondition: it has left, or left another way
	ReasonShipmentNotShip   = "SHIPMENT_NOT_SHIPPED"  // FailedPrecondition: what hasn't left can't arrive
	ReasonShipmentCancelled = "SHIPMENT_CANCELLED"    // FailedPrecondition
	ReasonReturnReceived    = "RETURN_RECEIVED"       // FailedPrecondition: it is back, or was received another way
	ReasonReturnCancelled   = "RETURN_CANCELLED"      // FailedPrecondition
	ReasonRequestReused     = "REQUEST_ID_REUSED"     // AlreadyExists: request_id has made something else
	ReasonInvalidLines      = "INVALID_LINES"         // InvalidArgument: a SKU twice
	ReasonPageToken         = page.ReasonTokenInvalid // InvalidArgument
)

func notFound(orderID string) error {
	return problem.NotFound(ReasonNotFound, "nothing is to be shipped of order %s: there is none, or it isn't paid", orderID)
}

func cancelled(orderID string) error {
	return problem.FailedPrecondition(ReasonCancelled, "order %s was cancelled: nothing of it is shipped any more", orderID)
}

func reused(requestID, what, id string) error {
	return problem.AlreadyExists(ReasonRequestReused, "request_id %s has made %s %s, which is another one", requestID, what, id)
}
