package payment_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// A provider that declines, hangs, loses answers, and sends its events twice, late, out of order or never; buyers who give up; nobody who
// repairs. In the end each order has at most one charge, and the bank, the payments and the ledger say the same.
func TestAHostileProvider(t *testing.T) {
	const seed, orders, buyers = 7, 40, 16
	for _, url := range []string{"", "postgres"} {
		t.Run("on "+url, func(t *testing.T) {
			var c *till
			ready := make(chan struct{})
			bank := testprovider.Config{Hostile: true, Seed: seed, Deliver: func(ctx context.Context, header map[string]string, body []byte) error {
				<-ready
				return c.post(ctx, header, body)
			}}
			c = open(t, setup{url: url, bank: bank, timeout: 400 * time.Millisecond})
			close(ready)
			work := make(chan string)
			var wg sync.WaitGroup
			for i := range buyers {
				wg.Go(func() {
					dice := rand.New(rand.NewPCG(seed, uint64(i)))
					for order := range work {
						c.buy(dice, order)
					}
				})
			}
			for range orders {
				work <- uuid.NewString()
			}
			close(work)
			wg.Wait()
			c.eventually("everything is settled", func() bool {
				var next sql.NullInt64
				err := c.db.QueryRowContext(t.Context(), `SELECT MIN(due_at) FROM payment WHERE state = 'pending' OR asked <> '' OR refunding > 0`).Scan(&next)
				if err != nil {
					t.Fatal(err)
				}
				if next.Valid && time.UnixMicro(next.Int64).After(c.now()) {
					c.later(time.Minute)
				}
				return !next.Valid
			})
			c.bankAgrees(orders)
			c.booksAreRight(t.Errorf)
			c.later(25 * time.Hour)
			c.eventually("everything is compared", func() bool {
				var n int
				if err := c.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM payment WHERE due_at > 0 AND due_at <= $1`,
					c.now().UnixMicro()).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n == 0
			})
			list, err := c.ListDiscrepancies(t.Context(), &paymentv1.ListDiscrepanciesRequest{})
			if err != nil || len(list.GetDiscrepancies()) != 0 {
				t.Errorf("the bank and the ledger disagree: %v, %v", list, err)
			}
		})
	}
}

// buy is a buyer, or a shop, that asks a few times and then loses interest.
func (c *till) buy(dice *rand.Rand, order string) {
	ctx := context.Background()
	few := func(call func() (*paymentv1.PaymentRecord, error)) *paymentv1.PaymentRecord {
		for range 1 + dice.IntN(3) {
			p, err := call()
			if err == nil {
				return p
			}
			if e := problem.From(err); e.Reason == "INTERNAL" {
				c.t.Error(err)
			}
		}
		return nil
	}
	p := few(func() (*paymentv1.PaymentRecord, error) { return c.authorize(ctx, order, "tok_visa", 1000) })
	if p == nil {
		return
	}
	id := p.GetId()
	if dice.IntN(4) == 0 {
		few(func() (*paymentv1.PaymentRecord, error) { return c.void(ctx, id) })
		return
	}
	few(func() (*paymentv1.PaymentRecord, error) { return c.capture(ctx, id) })
	for range dice.IntN(3) {
		refund, minor := uuid.NewString(), int64(1+dice.IntN(700))
		few(func() (*paymentv1.PaymentRecord, error) { return c.refund(ctx, id, refund, minor) })
	}
}

// bankAgrees fails unless each order has at most one charge, which is as its payment says.
func (c *till) bankAgrees(orders int) {
	c.t.Helper()
	charges, err := c.bank.Charges(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	seen, count := map[string]bool{}, map[provider.State]int{}
	for _, charge := range charges {
		p := c.of(charge.Order)
		want := map[paymentv1.PaymentState]provider.State{authorized: provider.Held, captured: provider.Captured, voided: provider.Voided, declined: provider.Declined}
		if seen[charge.Order] || charge.Key != p.GetId() {
			c.t.Errorf("a second charge of one order: %+v", charge)
		}
		seen[charge.Order] = true
		count[charge.State]++
		if want[p.GetState()] != charge.State || p.GetCaptured().GetMinor() != charge.Captured || p.GetRefunded().GetMinor() != charge.Refunded {
			c.t.Errorf("the payment is %v, the bank has %+v", p, charge)
		}
	}
	if count[provider.Captured] < orders/4 || count[provider.Voided] == 0 || count[provider.Declined] == 0 {
		c.t.Errorf("the test has shown less than it says: %v", count)
	}
}
