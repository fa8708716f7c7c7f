// Package inventory is what lies in the warehouse, and what of it is promised.
//
// Its law: 0 <= reserved <= on_hand, for every SKU, at every moment. All it does is a way to keep it:
//
//   - A count (SetStock, BatchSetStock, AdjustStock) changes on_hand, and never below what is reserved.
//   - Reserve promises every line of an order or none: reserved grows by what is wanted, in the very statement that checks that
//     it is available. So the last piece is sold once, however many want it at the same time.
//   - Commit takes what was reserved out of both counts: it has been sold. Release takes it out of reserved alone.
//   - A reservation that is neither in its time expires, which is a Release that nobody asked for. One instance looks for those that are due,
//     under a lease; a Reserve that finds too little looks for those that hold what it wants.
//   - Restock adds what a supplier brought or a customer sent back, once for each delivery note and return.
//
// A reservation is reserved, then committed, released or expired, and that is final:
//
//	            Reserve               Commit
//	(nothing) ----------> RESERVED ----------> COMMITTED
//	    |                    | | Release
//	    +-----Release--------+-+-------------> RELEASED
//	                         | its time is up
//	                         +---------------> EXPIRED
//
// The caller names it with the id of its order, so every step may be sent again, and answers as before. A Release that
// overtakes its Reserve leaves a released reservation behind, and the late Reserve promises nothing.
//
// The second law: the entries of a SKU in the ledger sum to its on_hand, at every commit. Every change of on_hand, and nothing else, makes an
// entry, and none is ever changed.
//
// The database has the first law as a CHECK, and every change is one serializable transaction with its entries and its events in it:
// shop.inventory.v1.StockChanged, in order for each SKU, and ReservationExpired. From the fulfilment it hears of goods that are back.
package inventory

import "github.com/cleavehq/cleave/services/inventory/internal/stock"

// The words of the module. They are defined in internal/stock, which the store and the handler can import, and this package,
// which wires them, can import as well.
type (
	// Stock is the count of one SKU.
	Stock = stock.Stock
	// Count says that so many of a SKU lie in the warehouse.
	Count = stock.Count
	// Line is so many pieces of one SKU.
	Line = stock.Line
	// Reservation is a promise of stock to an order.
	Reservation = stock.Reservation
	// Service is the business of the module.
	Service = stock.Service
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonStockNotFound        = stock.ReasonStockNotFound
	ReasonReservationNotFound  = stock.ReasonReservationNotFound
	ReasonOutOfStock           = stock.ReasonOutOfStock
	ReasonBelowReserved        = stock.ReasonBelowReserved
	ReasonTooMany              = stock.ReasonTooMany
	ReasonReservationReleased  = stock.ReasonReservationReleased
	ReasonReservationCommitted = stock.ReasonReservationCommitted
	ReasonReservationExpired   = stock.ReasonReservationExpired
	ReasonReservationDiffers   = stock.ReasonReservationDiffers
	ReasonAdjustmentDiffers    = stock.ReasonAdjustmentDiffers
	ReasonRestockDiffers       = stock.ReasonRestockDiffers
	ReasonReferenceInvalid     = stock.ReasonReferenceInvalid
	ReasonDuplicateSKU         = stock.ReasonDuplicateSKU
	ReasonPageTokenInvalid     = stock.ReasonPageTokenInvalid
	ReasonSKUInvalid           = stock.ReasonSKUInvalid
	ReasonOutOfRange           = stock.ReasonOutOfRange
)
