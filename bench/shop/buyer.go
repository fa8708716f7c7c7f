package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// bought is a checkout that was answered with an order. The times are of the wall clock, which the shop's process has too.
type bought struct {
	order                         string
	paid                          bool // in the answer; if not the shop goes on by itself
	begun, carted, filled, placed time.Time
}

func (b bought) took() time.Duration { return b.placed.Sub(b.begun) }

// checkout makes a cart, puts a piece in it and buys it.
func (s *system) checkout(ctx context.Context, sku string) (bought, error) {
	b := bought{begun: time.Now()}
	var cart struct {
		ID string `json:"id"`
	}
	if err := s.client.do(ctx, http.MethodPost, "/v1/carts", object{}, &cart); err != nil {
		return b, err
	}
	b.carted = time.Now()
	if err := s.client.do(ctx, http.MethodPost, "/v1/carts/"+cart.ID+"/items", object{"sku": sku, "quantity": 1}, nil); err != nil {
		return b, err
	}
	b.filled = time.Now()
	body := object{
		"cartId": cart.ID, "email": "ada@example.com", "paymentToken": "tok_visa", "requestId": uuid.NewString(),
		"shippingAddress": object{"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"},
	}
	var order struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}
	if err := s.client.do(ctx, http.MethodPost, "/v1/orders", body, &order); err != nil {
		return b, err
	}
	b.placed, b.order, b.paid = time.Now(), order.ID, order.State == statePaid
	return b, nil
}

const statePaid = "ORDER_STATE_PAID"

// turn is what one shop did in one turn.
type turn struct {
	sold   []bought
	failed []error // of the checkouts that came to nothing
	took   time.Duration
	cpu    time.Duration // of the shop's processes, until all that follows from the checkouts was done
	at     []path        // how some of the orders came about
}

// turn has n buyers buy for d, and waits until the shop is at rest. A buyer whose checkout failed goes on with the next one. It is an error
// when none came to be an order, and when an order isn't PAID in the end.
func (s *system) turn(ctx context.Context, n int, d time.Duration) (turn, error) {
	before, err := s.cpu()
	if err != nil {
		return turn{}, err
	}
	sold, failed := make([][]bought, n), make([][]error, n)
	var all sync.WaitGroup
	start := time.Now()
	for i := range n {
		all.Go(func() {
			for k := 0; time.Since(start) < d && ctx.Err() == nil; k++ {
				b, err := s.checkout(ctx, s.skus[(i*7+k*5)%len(s.skus)])
				if err != nil {
					failed[i] = append(failed[i], err)
				} else {
					sold[i] = append(sold[i], b)
				}
			}
		})
	}
	all.Wait()
	t := turn{took: time.Since(start), sold: slices.Concat(sold...), failed: slices.Concat(failed...)}
	if err := ctx.Err(); err != nil {
		return t, err
	}
	if len(t.sold) == 0 {
		return t, fmt.Errorf("none of %d checkouts came to be an order: %w", len(t.failed), t.failed[0])
	}
	if err := s.rest(ctx); err != nil {
		return t, err
	}
	after, err := s.cpu()
	if err != nil {
		return t, err
	}
	t.cpu = after - before
	if err := s.settled(ctx, t.sold); err != nil {
		return t, err
	}
	t.at, err = s.paths(ctx, t.sold)
	return t, err
}

// settled waits until the orders are PAID that weren't when they were answered.
func (s *system) settled(ctx context.Context, sold []bought) error {
	for _, b := range sold {
		if b.paid {
			continue
		}
		var order struct {
			State string `json:"state"`
		}
		err := until(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
			err := s.client.do(ctx, http.MethodGet, "/v1/orders/"+b.order, nil, &order)
			return order.State == statePaid, err
		})
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("order %s was accepted and is %s after 30 s", b.order, order.State)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
