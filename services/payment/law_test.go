package payment_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// Whatever is called in whatever order, and whatever the network does: one hold per order, taken or let go but not both, never more
// taken than held, never more given back than taken, and in the end, with the network well, the record and the ledger say what the bank
// says, whether someone asked again or nobody did.
func TestTheLawHolds(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); lawHolds(t, setup{}) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); lawHolds(t, setup{url: "postgres"}) })
}

func lawHolds(t *testing.T, s setup) {
	c := open(t, s)
	rapid.Check(t, func(t *rapid.T) {
		l := &law{T: t, c: c, order: uuid.NewString()}
		l.token = rapid.SampledFrom([]string{
			"tok_visa", "tok_visa", "tok_declined", "tok_timeout_after_charge", "tok_capture_timeout", "tok_refund_declined",
		}).Draw(t, "token")
		for range rapid.IntRange(1, 12).Draw(t, "calls") {
			c.wire.fault.Store(rapid.Int64Range(0, faults-1).Draw(t, "fault"))
			l.call()
			l.bankIsRight()
		}
		c.wire.land()
		c.wire.fault.Store(none)
		if rapid.Bool().Draw(t, "someone asks again") {
			l.finish()
		} else {
			l.wait()
		}
		l.settled()
	})
	if c.wire.landed == 0 {
		t.Error("no request was ever late: the test has shown less than it says")
	}
	c.booksAreRight(t.Errorf)
}

// law is one order's life.
type law struct {
	*rapid.T
	c            *till
	order, token string
	refunds      []string
}

// payment returns the order's payment, or an empty one with an id that nobody knows.
func (l *law) payment() *paymentv1.PaymentRecord {
	list, err := l.c.ListPayments(l.c.t.Context(), &paymentv1.ListPaymentsRequest{OrderId: l.order})
	if err != nil || len(list.GetPayments()) > 1 {
		l.Fatalf("%v, %v", list, err)
	}
	if len(list.GetPayments()) == 0 {
		return &paymentv1.PaymentRecord{Id: uuid.NewString()}
	}
	return list.GetPayments()[0]
}

// calm fails for an error that nobody should see.
func (l *law) calm(err error) {
	if p := problem.From(err); p != nil && p.Reason == "INTERNAL" {
		l.Fatal(err)
	}
}

func (l *law) call() {
	ctx, id := l.c.t.Context(), l.payment().GetId()
	switch rapid.SampledFrom([]string{"authorize", "authorize", "capture", "capture", "void", "refund", "refund", "refund again", "resolve", "land"}).
		Draw(l.T, "call") {
	case "authorize":
		l.calm(second(l.c.authorize(ctx, l.order, l.token, 100)))
	case "capture":
		l.calm(second(l.c.capture(ctx, id)))
	case "void":
		l.calm(second(l.c.void(ctx, id)))
	case "refund":
		l.refunds = append(l.refunds, uuid.NewString())
		l.calm(second(l.c.refund(ctx, id, l.refunds[len(l.refunds)-1], 60)))
	case "refund again":
		if len(l.refunds) > 0 {
			l.calm(second(l.c.refund(ctx, id, rapid.SampledFrom(l.refunds).Draw(l.T, "refund"), 60)))
		}
	case "resolve":
		l.calm(second(l.c.resolve(ctx, l.order)))
	case "land":
		l.c.wire.land()
	}
}

// finish is someone who asks again until it is done.
func (l *law) finish() {
	ctx := l.c.t.Context()
	for range 3 { // an answer may still be lost
		l.calm(second(l.c.authorize(ctx, l.order, l.token, 100)))
	}
	id := l.payment().GetId()
	for range 3 {
		l.calm(second(l.c.capture(ctx, id)))
	}
	if s := l.payment().GetState(); s != paymentv1.PaymentState_PAYMENT_STATE_CAPTURED { // what was to be voided: Void ends it
		if _, err := l.c.void(ctx, id); err != nil {
			l.Fatalf("it is %v, and can't be brought to an end: %v", s, err)
		}
	}
	for _, r := range l.payment().GetRefunds() {
		l.calm(second(l.c.refund(ctx, id, r.GetId(), 60)))
	}
}

// wait is nobody: the reconciler finishes it.
func (l *law) wait() {
	l.c.eventually("everything is settled", func() bool {
		var due int64
		var open bool
		err := l.c.db.QueryRowContext(l.c.t.Context(), `SELECT due_at, state = 'pending' OR asked <> '' OR refunding > 0 FROM payment
			WHERE order_id = $1`, l.order).Scan(&due, &open)
		if errors.Is(err, sql.ErrNoRows) {
			return true
		}
		if err != nil {
			l.Fatal(err)
		}
		// A hold that came too late: it is let go.
		m := l.moved()
		open = open || l.payment().GetState() == voided && m[testprovider.Hold] != m[testprovider.Void]
		if open && time.UnixMicro(due).After(l.c.now()) { // an answer to the reconciler may be lost, too
			l.c.later(2 * time.Hour)
		}
		return !open
	})
}

// moved is how often which happened at the bank.
func (l *law) moved() map[testprovider.Kind]int {
	count := map[testprovider.Kind]int{}
	for _, e := range l.c.ledger() {
		if e.Order == l.order {
			count[e.Kind]++
		}
	}
	return count
}

// bankIsRight fails unless there is at most one hold, that was taken or let go at most once, and no more given back than taken.
func (l *law) bankIsRight() {
	m := l.moved()
	if m[testprovider.Hold] > 1 || m[testprovider.Capture]+m[testprovider.Void] > m[testprovider.Hold] || m[testprovider.Refund]*60 > m[testprovider.Capture]*100 {
		l.Fatalf("the money moved so: %v", m)
	}
}

// settled fails unless the record says what the bank says, and has an end.
func (l *law) settled() {
	l.bankIsRight()
	p, m := l.payment(), l.moved()
	held, taken, letGo, back := m[testprovider.Hold], m[testprovider.Capture], m[testprovider.Void], m[testprovider.Refund]
	if int(p.GetCaptured().GetMinor()) != taken*100 || int(p.GetRefunded().GetMinor()) != back*60 {
		l.Fatalf("the record is %v, and the bank has %v", p, m)
	}
	for _, r := range p.GetRefunds() {
		if r.GetState() == paymentv1.RefundState_REFUND_STATE_PENDING {
			l.Fatalf("a refund is not settled: %v", p)
		}
	}
	switch p.GetState() {
	case paymentv1.PaymentState_PAYMENT_STATE_CAPTURED:
		if held != 1 || taken != 1 || p.GetProviderRef() == "" {
			l.Fatalf("captured, and the bank has %v", m)
		}
	case paymentv1.PaymentState_PAYMENT_STATE_DECLINED:
		if held != 0 || p.GetDeclineCode() == "" {
			l.Fatalf("declined, and the bank has %v", m)
		}
	case paymentv1.PaymentState_PAYMENT_STATE_VOIDED:
		if held != letGo || taken != 0 {
			l.Fatalf("voided, and the bank has %v", m)
		}
	case paymentv1.PaymentState_PAYMENT_STATE_AUTHORIZED: // nobody captured or voided it
		if held != 1 || letGo != 0 || taken != 0 {
			l.Fatalf("authorized, and the bank has %v", m)
		}
	default:
		if p.GetOrderId() != "" || held != 0 {
			l.Fatalf("the payment ends as %v, and the bank has %v", p, m)
		}
	}
	if said := l.c.announced(p.GetId()); len(said) > 0 && said[len(said)-1].GetState() != p.GetState() {
		l.Fatalf("the payment is %v, and the last event says %v", p.GetState(), said[len(said)-1].GetState())
	}
}
