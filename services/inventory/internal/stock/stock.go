// Package stock is the business of the inventory module: its words, its rules and its service. It knows no transport, no proto
// and no SQL.
package stock

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// The limits of the module. They are those of the contract, checked again here so that the law does not hang on a transport.
const (
	// MaxOnHand is how many pieces of one SKU may lie in the warehouse. It keeps every sum far from the end of an int64.
	MaxOnHand = 1_000_000_000
	// MaxQuantity is how many pieces one line may ask for.
	MaxQuantity = 1_000_000
	// MaxLines is how many lines one reservation may have.
	MaxLines = 200
	// MaxBatch is how many counts one batch may set.
	MaxBatch = 1000
	// MaxSKU is the longest SKU, in characters.
	MaxSKU = 255
	// MaxReference is the longest reference of a ledger entry, in characters.
	MaxReference = 128
	// MinTTL, MaxTTL and DefaultTTL are how long a reservation lasts.
	MinTTL     = time.Second
	MaxTTL     = 7 * 24 * time.Hour
	DefaultTTL = 15 * time.Minute
)

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonStockNotFound        = "STOCK_NOT_FOUND"        // NotFound: the SKU was never counted
	ReasonReservationNotFound  = "RESERVATION_NOT_FOUND"  // NotFound
	ReasonOutOfStock           = "OUT_OF_STOCK"           // FailedPrecondition: a line can't be had; the message names it
	ReasonBelowReserved        = "ON_HAND_BELOW_RESERVED" // FailedPrecondition: fewer would be left than are promised
	ReasonTooMany              = "ON_HAND_TOO_LARGE"      // FailedPrecondition: more than MaxOnHand would lie there
	ReasonReservationReleased  = "RESERVATION_RELEASED"   // FailedPrecondition
	ReasonReservationCommitted = "RESERVATION_COMMITTED"  // FailedPrecondition
	ReasonReservationExpired   = "RESERVATION_EXPIRED"    // FailedPrecondition
	ReasonReservationDiffers   = "RESERVATION_DIFFERS"    // AlreadyExists: the id is taken by other lines
	ReasonAdjustmentDiffers    = "ADJUSTMENT_DIFFERS"     // AlreadyExists: the request id is taken by another adjustment
	ReasonRestockDiffers       = "RESTOCK_DIFFERS"        // AlreadyExists: the reference has brought another quantity
	ReasonReferenceInvalid     = "REFERENCE_INVALID"      // InvalidArgument
	ReasonDuplicateSKU         = "DUPLICATE_SKU"          // InvalidArgument: two lines for one SKU
	ReasonPageTokenInvalid     = page.ReasonTokenInvalid  // InvalidArgument
	ReasonSKUInvalid           = "SKU_INVALID"            // InvalidArgument
	ReasonOutOfRange           = "OUT_OF_RANGE"           // InvalidArgument: a number or a length is beyond its limit
)

// Stock is the count of one SKU: 0 <= Reserved <= OnHand <= MaxOnHand, always.
type Stock struct {
	SKU string
	// OnHand is the pieces in the warehouse, the reserved ones among them.
	OnHand int64
	// Reserved is the pieces promised to orders.
	Reserved int64
	// UpdateTime is when a count last changed, in microseconds. It grows with every change of the SKU, whatever the clocks of the
	// processes say: of two stocks of one SKU the later is the newer.
	UpdateTime time.Time
}

// After returns the update time of the change after s: at, or just after s when that is not earlier. A change that lost against
// another and was made again has an at from before it.
func (s Stock) After(at time.Time) time.Time {
	if !s.UpdateTime.Before(at) {
		return s.UpdateTime.Add(time.Microsecond)
	}
	return at
}

// Available is how many can still be promised.
func (s Stock) Available() int64 { return s.OnHand - s.Reserved }

// Count says that so many of a SKU lie in the warehouse.
type Count struct {
	SKU    string
	OnHand int64
}

// Line is so many pieces of one SKU.
type Line struct {
	SKU      string
	Quantity int64
}

// State is where a reservation stands.
type State string

// The states. All but Reserved are final.
const (
	Reserved  State = "reserved"
	Committed State = "committed"
	Released  State = "released"
	Expired   State = "expired"
)

// Reservation is a promise of stock to an order.
type Reservation struct {
	// ID is chosen by the caller: the order's id.
	ID    string
	State State
	// Lines are sorted by SKU, each SKU once. Empty for one that was released before it was ever reserved.
	Lines []Line
	// Expires is when the promise may be taken back; zero for one that was released before it was ever reserved.
	Expires time.Time
}

// Adjustment is a change of a count that its caller gave a name, and what it led to.
type Adjustment struct {
	RequestID string
	SKU       string
	Delta     int64
	// Result is the stock right after it.
	Result Stock
}

func checkSKU(sku string) error { return checkName("SKU", sku, MaxSKU, ReasonSKUInvalid) }

func checkReference(ref string) error {
	return checkName("reference", ref, MaxReference, ReasonReferenceInvalid)
}

// checkName refuses what no SKU and no reference can be. A control character is refused because PostgreSQL stores no NUL, and because no
// label printer prints the others.
func checkName(what, name string, longest int, reason string) error {
	if name == "" || utf8.RuneCountInString(name) > longest {
		return problem.InvalidArgument(reason, "a %s has 1 to %d characters", what, longest)
	}
	if !utf8.ValidString(name) {
		return problem.InvalidArgument(reason, "the %s is not valid UTF-8", what)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return problem.InvalidArgument(reason, "the %s %s has a control character in it", what, strconv.Quote(name))
		}
	}
	return nil
}

func checkCount(c Count) error {
	if err := checkSKU(c.SKU); err != nil {
		return err
	}
	if c.OnHand < 0 || c.OnHand > MaxOnHand {
		return problem.InvalidArgument(ReasonOutOfRange, "on_hand is 0 to %d, not %d", MaxOnHand, c.OnHand)
	}
	return nil
}
