// Package fulfilment brings what was bought to the buyer, and takes back what the buyer sends back.
//
// It hears that an order was paid (event shop.order.v1.OrderPaid), and from then on the order's lines are to be shipped: in one parcel or in
// several, today or next week. A parcel is packed, handed to a carrier under a tracking number, and arrives. Pieces that have left may come
// back: the return is announced, then received, and whoever opens it says whether the pieces go into the stock again.
//
// Its law: no piece leaves that wasn't ordered, and none comes back that hasn't left. For every line, at every moment,
//
//	delivered <= shipped <= packed <= ordered      returned <= returning <= shipped
//
// Each count changes by one statement that has the law in its condition, and the table has it once more as a CHECK: two people who pack the
// last piece at the same moment have one parcel between them. Whatever is done to an order is done under the lock of its row, so that
// what an event says of the whole order (complete: this was the last of it) is true.
//
//	Shipment:  PACKED --ship--> SHIPPED --deliver--> DELIVERED        Return:  ANNOUNCED --receive--> RECEIVED
//	              \--cancel--> CANCELLED                                           \--cancel--> CANCELLED
//
// An order that is cancelled (event shop.order.v1.OrderCancelled) has its packed parcels unpacked, and nothing of it leaves any more. The
// order module cancels only what it believes hasn't left; when a parcel was quicker than the news, the fulfilment says
// left_before_cancel, ListFulfilments can ask for just those, and the log has it as an error: a person has to get the parcel back. It may
// still arrive, and come back as a return. Events of an order come in order, but one that was a dead letter may come after the cancellation when it
// is replayed: so a cancellation is remembered, and a payment that is heard of later ships nothing.
//
// Each event that it sends (ShipmentShipped, ShipmentDelivered, ReturnReceived) commits with the change that it tells of. It knows nothing of
// money: what a return is worth is the order module's business, and what becomes of the pieces the inventory's.
package fulfilment

import "github.com/cleavehq/cleave/services/fulfilment/internal/shipping"

// Name of the module in the registry, and the group in which it consumes events.
const Name = "fulfilment"

// MaxLines is how many different SKUs a shipment or a return has at most.
const MaxLines = shipping.MaxPieces

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonNotFound           = shipping.ReasonNotFound
	ReasonShipmentNotFound   = shipping.ReasonShipmentNotFound
	ReasonReturnNotFound     = shipping.ReasonReturnNotFound
	ReasonCancelled          = shipping.ReasonCancelled
	ReasonNothingToShip      = shipping.ReasonNothingToShip
	ReasonNothingToReturn    = shipping.ReasonNothingToReturn
	ReasonShipmentShipped    = shipping.ReasonShipmentShipped
	ReasonShipmentNotShipped = shipping.ReasonShipmentNotShip
	ReasonShipmentCancelled  = shipping.ReasonShipmentCancelled
	ReasonReturnReceived     = shipping.ReasonReturnReceived
	ReasonReturnCancelled    = shipping.ReasonReturnCancelled
	ReasonRequestReused      = shipping.ReasonRequestReused
	ReasonInvalidLines       = shipping.ReasonInvalidLines
	ReasonPageTokenInvalid   = shipping.ReasonPageToken
)
