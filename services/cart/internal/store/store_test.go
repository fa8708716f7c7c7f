package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/store"
)

func newCart(items ...basket.Item) basket.Cart {
	at := time.Date(2026, 11, 3, 12, 0, 0, 123_000, time.UTC) // microseconds are kept
	return basket.Cart{ID: uuid.NewString(), State: basket.Open, Items: items, Created: at, Updated: at.Add(time.Microsecond)}
}

func item(sku string, quantity int64) basket.Item {
	return basket.Item{SKU: sku, Title: "Jug 💧 " + sku, Quantity: quantity, Unit: basket.Money{Currency: "USD", Minor: basket.MaxMinor}}
}

func TestStore(t *testing.T) {
	datatest.Each(t, "cart", store.Migrations(), func(t *testing.T, db *sql.DB) {
		s, ctx := store.New(db), t.Context()
		var items []basket.Item
		for i := range basket.MaxLines {
			items = append(items, item(fmt.Sprint(basket.MaxLines-i), int64(i+1)))
		}
		for _, c := range []basket.Cart{newCart(), newCart(item("B", 1), item("A", basket.MaxPieces)), newCart(items...)} {
			if err := s.Create(ctx, c); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(ctx, c.ID); err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%+v, %v\nwant %+v", got, err, c)
			}
			if err := s.Create(ctx, c); err == nil {
				t.Error("one id, two carts")
			}
		}

		_, err := s.Get(ctx, uuid.NewString())
		notFound(t, err)
		_, err = s.Change(ctx, uuid.NewString(), func(*basket.Cart) error { t.Error("called"); return nil })
		notFound(t, err)
	})
}

func notFound(t *testing.T, err error) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != codes.NotFound || p.Reason != basket.ReasonCartNotFound {
		t.Errorf("%v", err)
	}
}

func TestChange(t *testing.T) {
	datatest.Each(t, "cart", store.Migrations(), func(t *testing.T, db *sql.DB) {
		s, ctx := store.New(db), t.Context()
		c, other := newCart(item("A", 1), item("B", 2), item("C", 3)), newCart(item("A", 1))
		for _, c := range []basket.Cart{c, other} {
			if err := s.Create(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		for i, change := range []func(*basket.Cart){
			func(c *basket.Cart) { c.Items = c.Items[:2] },                       // the last goes
			func(c *basket.Cart) { c.Items = append(c.Items[1:], item("D", 4)) }, // the first goes, one comes
			func(c *basket.Cart) { c.Items = append(c.Items, item("A", 9)) },     // one comes back, at the end
			func(c *basket.Cart) {
				c.Items[0].Quantity, c.Items[0].Unit.Currency, c.Items[0].Title = 7, "EUR", "New"
			}, // one stays where it is
			func(c *basket.Cart) { c.State, c.Updated = basket.Ordered, c.Updated.Add(time.Hour) },
			func(c *basket.Cart) { c.Items = nil },
		} {
			before, err := s.Get(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			boom := errors.New("boom")
			if _, err := s.Change(ctx, c.ID, func(c *basket.Cart) error { change(c); return boom }); !errors.Is(err, boom) {
				t.Fatalf("%d: %v", i, err)
			}
			if got, err := s.Get(ctx, c.ID); err != nil || !reflect.DeepEqual(got, before) {
				t.Errorf("%d was refused, and yet %+v became %+v (%v)", i, before, got, err)
			}
			var want basket.Cart
			after, err := s.Change(ctx, c.ID, func(c *basket.Cart) error { change(c); want = *c; return nil })
			if err != nil || !reflect.DeepEqual(after, want) {
				t.Fatalf("%d: %+v, %v", i, after, err)
			}
			if got, err := s.Get(ctx, c.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%d: kept %+v, %v\nwant %+v", i, got, err, want)
			}
		}
		if got, err := s.Get(ctx, other.ID); err != nil || !reflect.DeepEqual(got, other) {
			t.Errorf("another cart became %+v (%v)", got, err)
		}

		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := s.Change(gone, other.ID, func(c *basket.Cart) error { c.Items = nil; return nil }); err == nil {
			t.Error("changed for a caller who is gone")
		}
	})
}
