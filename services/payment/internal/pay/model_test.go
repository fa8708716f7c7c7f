package pay_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/services/payment/internal/pay"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// books are a ledger in memory: balances by account, debit less credit.
type books map[pay.Account]int64

func (b books) post(t *rapid.T, before, after pay.Payment) {
	used := map[pay.Account]int{}
	for _, p := range pay.Postings(before, after) {
		if p.Minor <= 0 || p.Debit == p.Credit {
			t.Fatalf("a posting of nothing: %+v", p)
		}
		used[p.Debit]++
		used[p.Credit]++
		b[p.Debit] += p.Minor
		b[p.Credit] -= p.Minor
	}
	for account, n := range used {
		if n > 1 {
			t.Fatalf("%s twice in one transaction: from %+v to %+v", account, before, after)
		}
	}
}

// Whatever is done to a payment, in whatever order: what is refused changes nothing, captured <= authorized <= amount,
// refunded + refunding <= captured, a final state stays, and the ledger says what the payment says.
func TestPaymentsAndTheLedgerAgree(t *testing.T) {
	states := []pay.State{pay.Pending, pay.Authorized, pay.Captured, pay.Voided, pay.Declined}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0).UTC()
		p := pay.Payment{
			ID: "p", State: pay.Pending, CreateTime: now, UpdateTime: now,
			Amount: provider.Money{Currency: "EUR", Minor: rapid.Int64Range(0, pay.MaxMinor).Draw(t, "amount")},
		}
		ledger, refunds := books{}, map[string]pay.Refund{}
		step := func(after pay.Payment, ok bool) bool {
			before := p
			if !ok {
				return false
			}
			ledger.post(t, before, after)
			p = after
			return true
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				c := pay.Change{
					ID: "p", From: rapid.SampledFrom(states).Draw(t, "from"), FromVoiding: rapid.Bool().Draw(t, "from voiding"),
					To: rapid.SampledFrom(states).Draw(t, "to"), Ref: rapid.SampledFrom([]string{"", "ref"}).Draw(t, "ref"), At: now,
				}
				if !possible(c) {
					return
				}
				was := p
				if done := step(c.On(p)); done != (was.State == c.From && was.Voiding == c.FromVoiding) {
					t.Fatalf("%+v on %+v: %v", c, was, done)
				}
			},
			"refund": func(t *rapid.T) {
				r := pay.Refund{
					ID: uuid.NewString(), State: pay.RefundPending, CreateTime: now,
					Minor: rapid.Int64Range(-1, p.Amount.Minor+1).Draw(t, "minor"),
				}
				left := p.Captured - p.Refunded - p.Refunding
				if done := step(p.Begin(r)); done != (p.State == pay.Captured && r.Minor > 0 && r.Minor <= left) {
					t.Fatalf("a refund of %d, %d are left: %v", r.Minor, left, done)
				} else if done {
					refunds[r.ID] = r
				}
			},
			"end": func(t *rapid.T) {
				for id, r := range refunds {
					to := rapid.SampledFrom([]pay.RefundState{pay.RefundPending, pay.RefundSucceeded, pay.RefundFailed}).Draw(t, "to")
					if done := step(p.End(r, to, now)); done != (r.State == pay.RefundPending && to != pay.RefundPending) {
						t.Fatalf("%+v to %s: %v", r, to, done)
					} else if done {
						r.State = to
						refunds[id] = r
					}
					return
				}
			},
			"": func(t *rapid.T) {
				if p.Captured < 0 || p.Captured > p.Authorized || p.Authorized > p.Amount.Minor ||
					p.Refunding < 0 || p.Refunded < 0 || p.Refunded+p.Refunding > p.Captured {
					t.Fatalf("%+v", p)
				}
				var back, underWay int64
				for _, r := range refunds {
					switch r.State {
					case pay.RefundSucceeded:
						back += r.Minor
					case pay.RefundPending:
						underWay += r.Minor
					case pay.RefundFailed:
					}
				}
				if back != p.Refunded || underWay != p.Refunding {
					t.Fatalf("the refunds are %+v, the payment %+v", refunds, p)
				}
				held := int64(0)
				if p.State == pay.Authorized {
					held = p.Amount.Minor
				}
				want := books{
					pay.ProviderHeld: held, pay.CustomerPromised: -held, pay.ProviderBalance: p.Captured - p.Refunded,
					pay.Revenue: -p.Captured, pay.Refunds: p.Refunded,
				}
				for account, minor := range want {
					if ledger[account] != minor {
						t.Fatalf("%s is %d in the ledger; the payment is %+v", account, ledger[account], p)
					}
				}
				if due := pay.Due(p); due.IsZero() && (p.State == pay.Pending || p.Refunding > 0 || p.State == pay.Authorized) {
					t.Fatalf("nobody looks after %+v", p)
				}
			},
		})
	})
}

// possible says whether the service makes such a change.
func possible(c pay.Change) bool {
	switch c.From {
	case pay.Pending:
		return c.To != pay.Authorized || !c.FromVoiding
	case pay.Authorized:
		return c.To == pay.Authorized || c.To == pay.Captured || c.To == pay.Voided
	case pay.Voided:
		return c.To == pay.Voided || c.To == pay.Captured
	case pay.Captured, pay.Declined:
		return false
	default:
		return false
	}
}

func TestWhenAPaymentIsLookedAt(t *testing.T) {
	at := time.Unix(1_800_000_000, 0).UTC()
	base := pay.Payment{State: pay.Pending, CreateTime: at, UpdateTime: at}
	with := func(change func(*pay.Payment)) pay.Payment {
		p := base
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		p       pay.Payment
		differs bool
		after   time.Duration
		due     time.Duration // after the change; 0 for never
		again   time.Duration // after a look that comes so much later; 0 for never
	}{
		"pending":               {p: base, after: time.Minute, due: 30 * time.Second, again: time.Minute},
		"pending for long":      {p: base, after: 100 * time.Hour, due: 30 * time.Second, again: time.Hour},
		"capture under way":     {p: with(func(p *pay.Payment) { p.State, p.Asked = pay.Authorized, pay.AskCapture }), after: time.Second, due: 30 * time.Second, again: 30 * time.Second},
		"refund under way":      {p: with(func(p *pay.Payment) { p.State, p.Refunding = pay.Captured, 1 }), after: time.Minute, due: 30 * time.Second, again: time.Minute},
		"on hold":               {p: with(func(p *pay.Payment) { p.State = pay.Authorized }), after: time.Hour, due: 24 * time.Hour, again: 24 * time.Hour},
		"captured":              {p: with(func(p *pay.Payment) { p.State = pay.Captured }), after: time.Hour, due: 10 * time.Minute},
		"captured and differs":  {p: with(func(p *pay.Payment) { p.State = pay.Captured }), differs: true, after: 10 * time.Minute, due: 10 * time.Minute, again: 10 * time.Minute},
		"voided, never held":    {p: with(func(p *pay.Payment) { p.State = pay.Voided }), after: time.Hour, due: 10 * time.Minute, again: time.Hour},
		"voided a day ago":      {p: with(func(p *pay.Payment) { p.State = pay.Voided }), after: 25 * time.Hour, due: 10 * time.Minute},
		"voided, the hold, too": {p: with(func(p *pay.Payment) { p.State, p.ProviderRef = pay.Voided, "ref" }), after: time.Hour},
		"declined":              {p: with(func(p *pay.Payment) { p.State = pay.Declined }), after: time.Hour},
	} {
		now := at.Add(c.after)
		if got := pay.Due(c.p); !got.Equal(plus(at, c.due)) {
			t.Errorf("%s: due at %v, want %v after the change", name, got, c.due)
		}
		if got := pay.Again(c.p, c.differs, now); !got.Equal(plus(now, c.again)) {
			t.Errorf("%s: due again at %v, want %v later", name, got, c.again)
		}
	}
}

func plus(at time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return at.Add(d)
}
