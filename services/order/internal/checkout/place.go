package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Request is a cart to be bought.
type Request struct {
	CartID, Email string
	Address       sale.Address
	Token         sale.Token
	// Coupon is the customer's code; the cart's own when empty.
	Coupon string
	// Expected is the total that the customer was shown; not checked when zero.
	Expected sale.Money
	// RequestID is the caller's key for this purchase, or empty: then sending it again is another purchase.
	RequestID string
}

// Place buys a cart. It returns the order as far as it came: Paid, or Confirmed when the goods or the money could not be taken at
// once. A request id that was used before returns its order as it stands, or the error it was cancelled with; an order that nobody works on
// is worked on again.
//
// Errors: INVALID_FIELDS, CART_EMPTY, CART_ORDERED, PRICE_CHANGED, CURRENCY_MISMATCH, TOTAL_TOO_LARGE, OUT_OF_STOCK, PAYMENT_DECLINED,
// IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_IN_USE, what the cart and the pricing module say, and UNAVAILABLE: CHECKOUT_INTERRUPTED when
// everything was taken back, CHECKOUT_UNFINISHED when the outcome isn't known yet. Until the order is written a cancelled context stops
// Place; after that it doesn't.
func (s *Service) Place(ctx context.Context, r Request) (sale.Order, error) {
	if err := r.Address.Check(); err != nil {
		return sale.Order{}, err
	}
	if known, err := s.known(ctx, r); known != nil || err != nil {
		return s.again(ctx, known, r, err)
	}
	cart, err := s.cfg.Carts.Cart(ctx, r.CartID)
	if err != nil {
		return sale.Order{}, fmt.Errorf("read the cart: %w", err)
	}
	if cart.Ordered {
		// By this very request perhaps, sent twice at once.
		if known, err := s.known(ctx, r); known != nil || err != nil {
			return s.again(ctx, known, r, err)
		}
		return sale.Order{}, problem.FailedPrecondition(sale.ReasonCartOrdered, "the cart was ordered already")
	}
	o, err := s.draft(ctx, r, cart)
	if err != nil {
		return sale.Order{}, err
	}
	if err := ctx.Err(); err != nil {
		return sale.Order{}, err
	}
	return s.create(context.WithoutCancel(ctx), o, r) // from here on the caller may go away
}

// create writes the order and drives it.
func (s *Service) create(ctx context.Context, o sale.Order, r Request) (sale.Order, error) {
	var (
		kept    sale.Order
		created bool
	)
	err := saga.Hit(ctx, s.cfg.Fault, saga.PointCreate, func() (err error) {
		kept, created, err = s.cfg.Store.Create(ctx, &o)
		return err
	})
	var coded *problem.Error
	switch {
	case errors.As(err, &coded) && coded.Code == codes.FailedPrecondition:
		return sale.Order{}, err
	case err != nil: // the row may be there
		kept, err := s.cfg.Store.Get(ctx, o.ID)
		switch {
		case err != nil && problem.From(err).Code == codes.NotFound:
			return sale.Order{}, saga.Interrupted(err)
		case err != nil:
			return sale.Order{}, unfinished(o.ID).Because(err)
		}
		return outcome(s.drive(ctx, &kept, r.Token))
	case !created:
		known, err := same(kept, r)
		return s.again(ctx, known, r, err)
	}
	return outcome(s.drive(ctx, &kept, r.Token))
}

// known returns the order that was made with the request's id, or nil.
func (s *Service) known(ctx context.Context, r Request) (*sale.Order, error) {
	if r.RequestID == "" {
		return nil, nil //nolint:nilnil // no id, no order, no error
	}
	o, err := s.cfg.Store.ByRequest(ctx, r.RequestID)
	if err != nil {
		if problem.From(err).Code == codes.NotFound {
			return nil, nil //nolint:nilnil // a new request
		}
		return nil, err
	}
	return same(o, r)
}

// same returns o if r asks for it, else IDEMPOTENCY_KEY_REUSED. Of an order whose customer was erased it can't be told any more.
func same(o sale.Order, r Request) (*sale.Order, error) {
	if o.Fingerprint != "" && o.Fingerprint != r.fingerprint() {
		return nil, problem.FailedPrecondition(sale.ReasonKeyReused, "another order was made with this key")
	}
	return &o, nil
}

// again answers a request whose order is there already, and works on it when it isn't at rest and nobody else does: the request has the
// token that the worker hasn't.
func (s *Service) again(ctx context.Context, o *sale.Order, r Request, err error) (sale.Order, error) {
	if err != nil {
		return sale.Order{}, err
	}
	if o.Done() || o.Promised {
		return outcome(*o)
	}
	if o.Claim(s.now(), s.cfg.Driver.ClaimFor()) != nil {
		return sale.Order{}, inUse()
	}
	if err := s.cfg.Store.Save(ctx, o); err != nil {
		if problem.From(err).Code == codes.Aborted {
			return sale.Order{}, inUse()
		}
		return sale.Order{}, err
	}
	return outcome(s.drive(ctx, o, r.Token))
}

// outcome is what is said about an order.
func outcome(o sale.Order) (sale.Order, error) {
	switch {
	case o.Promised && (!o.GivenUp() || o.Why.Reason == sale.ReasonCustomerRequest):
		return o, nil // it was an order, whatever became of it
	case o.State == sale.Cancelled:
		return sale.Order{}, o.Why.Err()
	default:
		return sale.Order{}, unfinished(o.ID)
	}
}

func inUse() error {
	return problem.Aborted(sale.ReasonKeyInUse, "the request with this key is still being worked on: ask again in a second")
}

func unfinished(id string) *problem.Error {
	return problem.Unavailable(sale.ReasonCheckoutUnfinished,
		"the outcome of the checkout isn't known yet, and the shop goes on finding it out: ask again with the same key, or look at order %s", id)
}

// draft makes the order of a cart, at the prices of a new quote.
func (s *Service) draft(ctx context.Context, r Request, cart Cart) (sale.Order, error) {
	if len(cart.Lines) == 0 {
		return sale.Order{}, problem.FailedPrecondition(sale.ReasonCartEmpty, "the cart is empty")
	}
	for _, l := range cart.Lines {
		if l.Quantity < 1 {
			return sale.Order{}, problem.Internal(fmt.Errorf("cart %s has %d pieces of %q", cart.ID, l.Quantity, l.SKU))
		}
	}
	if _, err := sale.SumOf(cart.Lines); err != nil {
		return sale.Order{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return sale.Order{}, fmt.Errorf("make an order id: %w", err)
	}
	w := Wanted{ID: id.String(), Currency: cart.Lines[0].Unit.Currency, Country: r.Address.Country, Coupon: r.Coupon, Lines: cart.Lines}
	if w.Coupon == "" {
		w.Coupon = cart.Coupon
	}
	q, err := s.cfg.Prices.Quote(ctx, w)
	if err != nil {
		return sale.Order{}, fmt.Errorf("quote the cart: %w", err)
	}
	if err := q.check(w); err != nil {
		return sale.Order{}, problem.Internal(fmt.Errorf("quote %s: %w", q.ID, err))
	}
	if r.Expected != (sale.Money{}) && r.Expected != q.Total {
		return sale.Order{}, problem.FailedPrecondition(sale.ReasonPriceChanged, "the total is %d %s by now: look at it, and order again",
			q.Total.Minor, q.Total.Currency)
	}
	o := sale.Order{
		ID: w.ID, RequestID: r.RequestID, Fingerprint: r.fingerprint(), CartID: r.CartID, CustomerID: cart.CustomerID, Email: r.Email,
		Address: r.Address, Lines: q.Lines, QuoteID: q.ID, Coupon: q.Coupon,
		Subtotal: q.Subtotal, Discount: q.Discount, Tax: q.Tax, Total: q.Total, Trace: telemetry.Traceparent(ctx),
	}
	o.Open(s.now(), s.cfg.Driver.ClaimFor())
	return o, nil
}
