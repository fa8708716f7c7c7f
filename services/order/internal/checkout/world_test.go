package checkout_test

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/saga"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// fault is what becomes of one call to another module, or of one write.
type fault int

const (
	works  fault = iota
	fails        // an error, and nothing was done
	lost         // done, but the answer is lost
	late         // no answer in time, and done after the checkout has ended
	hangs        // no answer until the caller gives up, and nothing was done
	absent       // nobody is there to be called
)

func (f fault) String() string {
	return [...]string{"works", "fails", "lost", "late", "hangs", "absent"}[f]
}

// plan says what becomes of the calls of a step, by its name: the first call, the second, ...; the calls after those work.
type plan map[string][]fault

// world is the modules around the order module, as their contracts have them.
type world struct {
	mu       sync.Mutex
	plan     plan
	later    []func()
	calls    []string
	carts    map[string]checkout.Cart
	sold     map[string]bool // SKUs that can't be had
	stock    map[string]string
	coupons  map[string]string // their uses, by order
	payments map[string]*payment
	// hook, if set, is called before each step.
	hook func(step string)
	// echo makes the provider repeat the token in its refusal.
	echo bool
	// dearer is added to the price of each piece; spent says that the coupon has no use left.
	dearer int64
	spent  bool
}

type payment struct {
	id, state      string
	amount         sale.Money
	refunds        map[string]int64
	captured, back int64
}

const (
	reserved  = "reserved"
	committed = "committed"
	released  = "released"
	restocked = "restocked" // after it was committed
	held      = "held"
	captured  = "captured"
	voided    = "voided"
	declined  = "declined"
)

var (
	_ checkout.Carts  = (*world)(nil)
	_ checkout.Prices = (*world)(nil)
	_ saga.Stock      = (*world)(nil)
	_ saga.Coupons    = (*world)(nil)
	_ saga.Payments   = (*world)(nil)
)

func newWorld(p plan) *world {
	return &world{
		plan: p, carts: map[string]checkout.Cart{}, sold: map[string]bool{}, stock: map[string]string{}, coupons: map[string]string{},
		payments: map[string]*payment{},
	}
}

// step runs do as planned. do runs under the lock.
func (w *world) step(ctx context.Context, name string, do func() error) error {
	if w.hook != nil {
		w.hook(name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	f := works
	if next := w.plan[name]; len(next) > 0 {
		f, w.plan[name] = next[0], next[1:]
	}
	switch f {
	case fails:
		return problem.Unavailable("UNREACHABLE", "nobody could be reached")
	case lost:
		_ = do() // whatever it answers is lost
		return problem.Unavailable("OUTCOME_UNKNOWN", "the connection was lost")
	case late:
		w.later = append(w.later, func() { _ = do() }) // nobody waits for the answer
		return problem.DeadlineExceeded("DEADLINE_EXCEEDED", "too late")
	case hangs:
		w.mu.Unlock()
		<-ctx.Done()
		w.mu.Lock()
		return ctx.Err()
	case absent:
		return problem.Unavailable("SERVICE_NOT_IN_REGISTRY", "no instance is in the registry")
	default:
		if err := ctx.Err(); err != nil {
			return err
		}
		return do()
	}
}

// land does what was on its way when the checkout ended.
func (w *world) land() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, do := range w.later {
		do()
	}
	w.later = nil
}

func (w *world) called(step string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == step {
			n++
		}
	}
	return n
}

// newCart puts a cart with two lines into the world: 2 x 19.99 + 1 x 5.00 USD.
func (w *world) newCart() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := uuid.NewString()
	w.carts[id] = checkout.Cart{ID: id, CustomerID: customer, Lines: []sale.Line{
		{SKU: "MUG-1", Title: "Mug", Quantity: 2, Unit: sale.Money{Currency: "USD", Minor: 1999}},
		{SKU: "PEN-1", Title: "Pen - Blue", Quantity: 1, Unit: sale.Money{Currency: "USD", Minor: 500}},
	}}
	return id
}

const customer = "0192f5a0-0000-7000-8000-00000000c057"

func (w *world) Cart(ctx context.Context, id string) (c checkout.Cart, err error) {
	err = w.step(ctx, "cart", func() error {
		var ok bool
		if c, ok = w.carts[id]; !ok {
			return problem.NotFound("CART_NOT_FOUND", "no cart has the id %s", id)
		}
		return nil
	})
	return c, err
}

// Quote takes a tenth off each line for the coupon TENTH, and puts 19 % tax on what is left.
func (w *world) Quote(ctx context.Context, in checkout.Wanted) (q checkout.Quote, err error) {
	err = w.step(ctx, "quote", func() error {
		q = checkout.Quote{ID: uuid.NewString(), Coupon: in.Coupon}
		for _, l := range in.Lines {
			l.Unit.Minor += w.dearer
			sub, err := l.Subtotal()
			if err != nil {
				return err
			}
			cents := func(minor int64) sale.Money { return sale.Money{Currency: in.Currency, Minor: minor} }
			l.Discount, l.Tax = cents(0), cents(0)
			if in.Coupon != "" {
				l.Discount = cents(sub.Minor / 10)
				l.Tax = cents((sub.Minor - l.Discount.Minor) * 19 / 100)
			}
			l.Total = cents(sub.Minor - l.Discount.Minor + l.Tax.Minor)
			q.Lines = append(q.Lines, l)
			q.Subtotal = cents(q.Subtotal.Minor + sub.Minor)
			q.Discount, q.Tax = cents(q.Discount.Minor+l.Discount.Minor), cents(q.Tax.Minor+l.Tax.Minor)
			q.Total = cents(q.Total.Minor + l.Total.Minor)
		}
		return nil
	})
	return q, err
}

func (w *world) Redeem(ctx context.Context, id, _ string) error {
	return w.step(ctx, "redeem", func() error {
		switch {
		case w.coupons[id] == released:
			return problem.FailedPrecondition("REDEMPTION_RELEASED", "it is released")
		case w.coupons[id] == "" && w.spent:
			return problem.FailedPrecondition("COUPON_EXHAUSTED", "it is used up")
		case w.coupons[id] == "":
			w.coupons[id] = reserved
		}
		return nil
	})
}

func (w *world) CommitUse(ctx context.Context, id string) error {
	return w.step(ctx, "commit coupon", func() error {
		if w.coupons[id] != reserved && w.coupons[id] != committed {
			return problem.FailedPrecondition("REDEMPTION_RELEASED", "it is %q", w.coupons[id])
		}
		w.coupons[id] = committed
		return nil
	})
}

func (w *world) ReleaseUse(ctx context.Context, id string) error {
	return w.step(ctx, "release coupon", func() error {
		w.coupons[id] = released
		return nil
	})
}

func (w *world) Reserve(ctx context.Context, id string, lines []sale.Line) error {
	return w.step(ctx, "reserve", func() error {
		if w.stock[id] == released {
			return problem.FailedPrecondition("RESERVATION_RELEASED", "it is released")
		}
		if slices.ContainsFunc(lines, func(l sale.Line) bool { return w.sold[l.SKU] }) {
			return problem.FailedPrecondition(sale.ReasonOutOfStock, "MUG-1: 2 wanted, 0 available")
		}
		if w.stock[id] == "" {
			w.stock[id] = reserved
		}
		return nil
	})
}

func (w *world) Commit(ctx context.Context, id string) error {
	return w.step(ctx, "commit", func() error {
		if w.stock[id] != reserved && w.stock[id] != committed {
			return problem.FailedPrecondition("RESERVATION_RELEASED", "it is %q", w.stock[id])
		}
		w.stock[id] = committed
		return nil
	})
}

func (w *world) Release(ctx context.Context, id string) error {
	return w.step(ctx, "release", func() error {
		if w.stock[id] == committed || w.stock[id] == restocked {
			return problem.FailedPrecondition("RESERVATION_COMMITTED", "it is sold")
		}
		w.stock[id] = released
		return nil
	})
}

func (w *world) Restock(ctx context.Context, id string, _ []sale.Line) error {
	return w.step(ctx, "restock", func() error { w.stock[id] = restocked; return nil })
}

func (w *world) Authorize(ctx context.Context, order string, m sale.Money, t sale.Token) (out saga.Payment, err error) {
	err = w.step(ctx, "authorize", func() error {
		p, ok := w.payments[order]
		if !ok {
			p = &payment{id: uuid.NewString(), state: held, amount: m, refunds: map[string]int64{}}
			if t.Secret() == "tok_declined" {
				p.state = declined
			}
			w.payments[order] = p
		}
		switch {
		case p.state == declined && w.echo:
			return problem.FailedPrecondition(sale.ReasonPaymentDeclined, "the card behind %s was declined", t.Secret())
		case p.state == declined:
			return problem.FailedPrecondition(sale.ReasonPaymentDeclined, "the payment was declined")
		case p.state == voided:
			return problem.FailedPrecondition("PAYMENT_VOIDED", "the payment is voided")
		}
		out = p.view()
		return nil
	})
	return out, err
}

func (p *payment) view() saga.Payment {
	states := map[string]saga.PaymentState{
		held: saga.PaymentHeld, captured: saga.PaymentCaptured, voided: saga.PaymentVoided, declined: saga.PaymentDeclined,
	}
	return saga.Payment{ID: p.id, State: states[p.state], Captured: sale.Money{Currency: p.amount.Currency, Minor: p.captured}}
}

func (w *world) Resolve(ctx context.Context, order string) (out saga.Payment, err error) {
	err = w.step(ctx, "resolve", func() error {
		p, there := w.payments[order]
		if !there {
			return problem.NotFound("PAYMENT_NOT_FOUND", "no payment of %s", order)
		}
		out = p.view()
		return nil
	})
	return out, err
}

func (w *world) Capture(ctx context.Context, id string) error {
	return w.step(ctx, "capture", func() error { return w.settle(id, captured) })
}

func (w *world) Void(ctx context.Context, id string) error {
	return w.step(ctx, "void", func() error { return w.settle(id, voided) })
}

func (w *world) settle(id, to string) error {
	for _, p := range w.payments {
		switch {
		case p.id != id:
			continue
		case p.state == declined && to == voided:
			return nil
		case p.state != held && p.state != to:
			return problem.FailedPrecondition("PAYMENT_NOT_AUTHORIZED", "it is %s", p.state)
		}
		if p.state = to; to == captured {
			p.captured = p.amount.Minor
		}
		return nil
	}
	return problem.NotFound("PAYMENT_NOT_FOUND", "no payment %s", id)
}

func (w *world) Refund(ctx context.Context, id string, r sale.Refund) error {
	return w.step(ctx, "refund", func() error {
		for _, p := range w.payments {
			if p.id != id {
				continue
			}
			known, there := p.refunds[r.ID]
			switch {
			case there && known == r.Amount.Minor:
				return nil
			case there:
				return problem.AlreadyExists("REFUND_DIFFERS", "it was %d", known)
			case p.back+r.Amount.Minor > p.captured:
				return problem.FailedPrecondition("REFUND_EXCEEDS_CAPTURED", "%d of %d went back already", p.back, p.captured)
			}
			p.refunds[r.ID] = r.Amount.Minor
			p.back += r.Amount.Minor
			return nil
		}
		return problem.NotFound("PAYMENT_NOT_FOUND", "no payment %s", id)
	})
}
