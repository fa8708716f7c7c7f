package payment_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// charge makes a charge past the module, as one whose payment is lost.
func (c *till) charge(key, order, token string, minor int64) (ref string) {
	c.t.Helper()
	a, err := c.bank.Authorize(c.t.Context(), provider.Request{
		IdempotencyKey: key, Order: order, Amount: provider.Money{Currency: "EUR", Minor: minor}, Token: provider.Token(token),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return a.Ref
}

func (c *till) taken(ref string) {
	c.t.Helper()
	if err := c.bank.Capture(c.t.Context(), ref, ref+":capture"); err != nil {
		c.t.Fatal(err)
	}
}

// strays are those that wait for somebody, and all that were found.
func (c *till) strays() (open, all []string) {
	c.t.Helper()
	return c.rows("SELECT remedy || ' ' || order_id FROM stray_charge WHERE settled_at = 0 ORDER BY order_id"),
		c.rows("SELECT remedy || ' ' || order_id FROM stray_charge ORDER BY order_id")
}

// kept is what the bank holds or has taken of a charge.
func (c *till) kept(key string) int64 {
	c.t.Helper()
	s, err := c.bank.Lookup(context.Background(), provider.Query{IdempotencyKey: key})
	if err != nil {
		c.t.Fatal(err)
	}
	if s.State == provider.Held {
		return s.Amount.Minor
	}
	return s.Captured - s.Refunded
}

// A charge that no payment knows is found when it is old enough, and given back where that is surely right.
func TestStrayChargesAreFound(t *testing.T) { each(t, strayChargesAreFound) }

func strayChargesAreFound(t *testing.T, c *till) {
	known, other := c.captured("tok_visa"), c.captured("tok_visa")
	held, twice, shipped := uuid.NewString(), uuid.NewString(), uuid.NewString()
	c.charge(held, "order-held", "tok_visa", 100)
	c.taken(c.charge(twice, other.GetOrderId(), "tok_visa", 200))
	ref := c.charge(shipped, "order-without", "tok_visa", 300)
	c.taken(ref)
	c.charge("by hand", "order-by-hand", "tok_visa", 400)
	sought := func() []string { return c.rows("SELECT sought_to FROM stray_search") }
	c.eventually("it was sought once", func() bool { return len(sought()) == 1 })
	first := sought()
	c.later(40 * time.Minute) // the grace is over for none of them, and the search is due
	c.eventually("it was sought again", func() bool { return !slices.Equal(sought(), first) })
	if open, all := c.strays(); len(open)+len(all) > 0 || c.kept(held) != 100 {
		t.Errorf("too early: %v, %v", open, all)
	}
	c.later(40 * time.Minute)
	c.eventually("the strays are seen to", func() bool { return c.kept(held) == 0 && c.kept(twice) == 0 })
	want := []string{"report order-by-hand", "report order-without"}
	c.eventually("they are settled", func() bool { open, _ := c.strays(); return slices.Equal(open, want) })
	if c.kept("by hand") != 400 || c.kept(shipped) != 300 || c.kept(known.GetId()) != 1000 || c.kept(other.GetId()) != 1000 {
		t.Errorf("money moved that is not known to be stray: %v", c.moved())
	}
	// A person gives the rest back; then nothing is left to report.
	if err := c.bank.Refund(t.Context(), ref, "a person", provider.Money{Currency: "EUR", Minor: 300}); err != nil {
		t.Fatal(err)
	}
	if err := c.bank.Void(t.Context(), testprovider.Ref("by hand"), "a person"); err != nil {
		t.Fatal(err)
	}
	c.later(11 * time.Minute)
	c.eventually("all is settled", func() bool { open, all := c.strays(); return len(open) == 0 && len(all) == 4 })
	count := map[testprovider.Kind]int{}
	for _, kind := range c.moved() {
		count[kind]++
	}
	if count[testprovider.Void] != 2 || count[testprovider.Refund] != 2 {
		t.Errorf("the money moved so: %v", c.moved())
	}
	c.booksAreRight(t.Errorf)
}

// The database goes back to a state before some payments: how far was sought goes back with them.
func TestWhatADatabaseForgotIsFound(t *testing.T) { each(t, whatADatabaseForgotIsFound) }

func whatADatabaseForgotIsFound(t *testing.T, c *till) {
	c.later(2 * time.Hour)
	c.eventually("it was sought", func() bool { return len(c.rows("SELECT sought_to FROM stray_search")) == 1 })
	before := c.rows("SELECT sought_to FROM stray_search")[0]
	p, err := c.authorize(t.Context(), uuid.NewString(), "tok_visa", 700)
	if err != nil {
		t.Fatal(err)
	}
	c.later(3 * time.Hour)
	c.eventually("it was sought again", func() bool { return c.rows("SELECT sought_to FROM stray_search")[0] != before })
	if _, all := c.strays(); len(all) > 0 || c.kept(p.GetId()) != 700 {
		t.Fatalf("a payment that is known was taken for a stray: %v", all)
	}
	for _, statement := range []string{
		"DELETE FROM ledger_entries WHERE payment_id = '" + p.GetId() + "'", "DELETE FROM payment WHERE id = '" + p.GetId() + "'",
	} {
		if _, err := c.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	c.later(time.Hour)
	c.eventually("the hold is let go", func() bool {
		// A search that has begun before still writes how far it came.
		if _, err := c.db.ExecContext(t.Context(), "UPDATE stray_search SET sought_to = "+before); err != nil {
			t.Fatal(err)
		}
		c.later(10 * time.Minute)
		return c.kept(p.GetId()) == 0
	})
	c.eventually("it is settled", func() bool { open, all := c.strays(); return len(open) == 0 && len(all) == 1 })
}

// The search is broken at each of its points, and the provider is hostile: still each hold is voided once.
func TestTheSearchForStraysIsCrashProof(t *testing.T) {
	for _, faults := range []string{
		"payment.list.before=error*2;payment.stray.before=error*3", "payment.list.after=error*2;payment.stray.after=error*3",
	} {
		s := setup{faults: faults, bank: testprovider.Config{Hostile: true, Seed: 7}}
		t.Run(faults, func(t *testing.T) {
			c := open(t, s)
			const n = 60 // more than a page
			for i := range n {
				c.charge(uuid.NewString(), fmt.Sprintf("order-%02d", i), "tok_webhook_never", 100)
			}
			c.later(2 * time.Hour)
			c.eventually("all are settled", func() bool {
				c.later(time.Minute)
				open, all := c.strays()
				return len(open) == 0 && len(all) == n
			})
			voided := map[string]int{}
			for _, e := range c.ledger() {
				if e.Kind == testprovider.Void {
					voided[e.Order]++
				}
			}
			for order, times := range voided {
				if times != 1 {
					t.Errorf("%s was voided %d times", order, times)
				}
			}
			if len(voided) != n {
				t.Errorf("%d of %d were voided", len(voided), n)
			}
		})
	}
}
