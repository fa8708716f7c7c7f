package checkout

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

// Cursor is a place in the list of orders, the newest first.
type Cursor struct {
	// State is the filter: only orders in this state; every state when empty.
	State sale.State
	// Customer is a filter, too: only orders of this customer; everybody's when empty.
	Customer string
	// Created and ID are those of the last order that was seen; a zero ID is before the first.
	Created time.Time
	ID      string
}

// List returns a page of orders, the newest first, and the token of the next page; empty on the last one. state filters unless it is
// empty; size is 50 when 0. PAGE_TOKEN_INVALID when the token isn't one of ours or belongs to another filter. Orders made while one
// pages don't shift the pages.
func (s *Service) List(ctx context.Context, state sale.State, size int, token string) ([]sale.Order, string, error) {
	return s.list(ctx, page.Of("orders", string(state)), Cursor{State: state}, size, token)
}

// ListOf is List of the orders of one customer.
func (s *Service) ListOf(ctx context.Context, customer string, state sale.State, size int, token string) ([]sale.Order, string, error) {
	if customer == "" { // that would be everybody's
		return nil, "", problem.InvalidArgument("CUSTOMER_EMPTY", "no customer is named")
	}
	return s.list(ctx, page.Of("orders", string(state), customer), Cursor{State: state, Customer: customer}, size, token)
}

func (s *Service) list(ctx context.Context, list page.List, filter Cursor, size int, token string) ([]sale.Order, string, error) {
	after, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	after.State, after.Customer = filter.State, filter.Customer
	size = page.Size(size)
	orders, err := s.cfg.Store.Page(ctx, after, size+1) // one more, to see whether there is a next page
	if err != nil {
		return nil, "", err
	}
	if len(orders) <= size {
		return orders, "", nil
	}
	orders = orders[:size]
	last := orders[size-1]
	return orders, list.Token(strconv.FormatInt(last.Created.UnixMicro(), 10), last.ID), nil
}

// cursor makes a Cursor of the keys of a page token, and the zero one of none.
func cursor(keys []string, err error) (Cursor, error) {
	if err != nil || len(keys) == 0 {
		return Cursor{}, err
	}
	micros, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil || uuid.Validate(keys[1]) != nil {
		return Cursor{}, page.Invalid()
	}
	return Cursor{Created: time.UnixMicro(micros).UTC(), ID: keys[1]}, nil
}
