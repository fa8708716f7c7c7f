package basket_test

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalogue is basket.Prices in memory.
type catalogue struct {
	mu       sync.Mutex
	variants map[string]basket.Variant
	asked    map[string]int
	down     bool
}

var _ basket.Prices = (*catalogue)(nil)

func (c *catalogue) LookUp(ctx context.Context, skus []string, currency string) ([]basket.Variant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []basket.Variant
	for _, sku := range skus {
		c.asked[sku]++
		v, ok := c.variants[sku]
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case c.down:
			return nil, problem.Unavailable("UNREACHABLE", "no instance of pricing can be reached")
		case !ok:
			v = basket.Variant{SKU: sku, Status: basket.UnknownSKU}
		case currency != "" && v.Price.Currency != currency:
			v = basket.Variant{SKU: sku, Title: v.Title, Status: basket.NoPrice}
		}
		out = append(out, v)
	}
	return out, nil
}

// Check knows one coupon, TEN, and only for carts of ten dollars and more.
func (c *catalogue) Check(_ context.Context, cart basket.Cart) error {
	total, err := cart.Total()
	if err == nil && (cart.Coupon != "TEN" || total.Minor < 1000) {
		err = problem.FailedPrecondition("COUPON_NOT_APPLICABLE", "coupon %s doesn't apply", cart.Coupon)
	}
	return err
}

func (c *catalogue) price(sku, currency string, minor int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.variants[sku] = basket.Variant{SKU: sku, Title: "The " + sku, Price: basket.Money{Currency: currency, Minor: minor}, Status: basket.ForSale}
}

// clock goes a second on at each look.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

type shop struct {
	*basket.Service
	*catalogue
}

func each(t *testing.T, fn func(ctx context.Context, t *testing.T, s *shop)) {
	t.Helper()
	t.Parallel() // most of the time is PostgreSQL's, which makes a database for each
	datatest.Each(t, "cart", store.Migrations(), func(t *testing.T, db *sql.DB) {
		c := &catalogue{variants: map[string]basket.Variant{}, asked: map[string]int{}}
		c.price("MUG", "USD", 700)
		c.price("PEN", "USD", 150)
		c.price("EURO", "EUR", 100)
		c.variants["DRAFT"] = basket.Variant{SKU: "DRAFT", Status: basket.NotForSale, Price: basket.Money{Currency: "USD", Minor: 1}}
		watch := &clock{now: time.Date(2026, 11, 3, 12, 0, 0, 123_456_789, time.UTC)}
		svc, err := basket.New(basket.Config{Store: store.New(db), Prices: c, Now: watch.Now})
		if err != nil {
			t.Fatal(err)
		}
		fn(t.Context(), t, &shop{Service: svc, catalogue: c})
	})
}

func (s *shop) newCart(ctx context.Context, t *testing.T, wanted ...basket.Wanted) basket.Cart {
	t.Helper()
	c, err := s.Create(ctx, "", wanted)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mustBeKept compares a cart with what the store has of it.
func (s *shop) mustBeKept(ctx context.Context, t *testing.T, want basket.Cart, minor int64, lines string) {
	t.Helper()
	got, err := s.Get(ctx, want.ID)
	if err != nil || got.ID != want.ID || got.State != want.State || !got.Updated.Equal(want.Updated) || !got.Created.Equal(want.Created) {
		t.Errorf("kept %+v (%v)\nwant %+v", got, err, want)
	}
	total, err := got.Total()
	if err != nil || total.Minor != minor {
		t.Errorf("total %+v (%v), want %d", total, err, minor)
	}
	text := ""
	for _, i := range got.Items {
		text += fmt.Sprintf("%d %s;", i.Quantity, i.SKU)
	}
	if text != lines {
		t.Errorf("lines %q, want %q", text, lines)
	}
	if len(got.Items)+len(want.Items) > 0 && !reflect.DeepEqual(got.Items, want.Items) {
		t.Errorf("kept %+v, want %+v", got.Items, want.Items)
	}
}

func mustFail(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if p := problem.From(err); p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}

func TestCreate(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		empty := s.newCart(ctx, t)
		s.mustBeKept(ctx, t, empty, 0, "")
		if empty.State != basket.Open || !empty.Created.Equal(empty.Updated) {
			t.Errorf("%+v", empty)
		}
		c := s.newCart(ctx, t, basket.Wanted{SKU: "PEN", Quantity: 2}, basket.Wanted{SKU: "MUG", Quantity: 1}, basket.Wanted{SKU: "PEN", Quantity: 3})
		s.mustBeKept(ctx, t, c, 5*150+700, "5 PEN;1 MUG;")
		if s.asked["PEN"] != 1 {
			t.Errorf("the catalogue was asked %d times for one SKU", s.asked["PEN"])
		}
		for _, bad := range []struct {
			wanted []basket.Wanted
			code   codes.Code
			reason string
		}{
			{[]basket.Wanted{{SKU: "MUG", Quantity: 1}, {SKU: "NONE", Quantity: 1}}, codes.NotFound, basket.ReasonVariantNotFound},
			{[]basket.Wanted{{SKU: "MUG", Quantity: 1}, {SKU: "EURO", Quantity: 1}}, codes.FailedPrecondition, basket.ReasonCurrencyMismatch},
			{[]basket.Wanted{{SKU: "DRAFT", Quantity: 1}}, codes.FailedPrecondition, basket.ReasonProductNotForSale},
			{[]basket.Wanted{{SKU: "MUG", Quantity: 9999}, {SKU: "MUG", Quantity: 2}}, codes.FailedPrecondition, basket.ReasonQuantityTooLarge},
			{make([]basket.Wanted, basket.MaxLines+1), codes.InvalidArgument, basket.ReasonCartFull},
		} {
			_, err := s.Create(ctx, "", bad.wanted)
			mustFail(t, err, bad.code, bad.reason)
		}
		s.down = true
		_, err := s.Create(ctx, "", []basket.Wanted{{SKU: "MUG", Quantity: 1}})
		mustFail(t, err, codes.Unavailable, "UNREACHABLE")
	})
}

func TestChange(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		must := func(c basket.Cart, err error) basket.Cart {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := s.newCart(ctx, t, basket.Wanted{SKU: "MUG", Quantity: 1})
		made := c.Updated
		c = must(s.Add(ctx, c.ID, "PEN", 2))
		s.mustBeKept(ctx, t, c, 700+300, "1 MUG;2 PEN;")
		if !c.Updated.After(made) || !c.Created.Equal(made) {
			t.Errorf("made %s, now %s and %s", made, c.Created, c.Updated)
		}
		s.price("MUG", "USD", 800)
		s.mustBeKept(ctx, t, c, 700+300, "1 MUG;2 PEN;") // a price is that of the last change
		c = must(s.Add(ctx, c.ID, "MUG", 1))
		s.mustBeKept(ctx, t, c, 1600+300, "2 MUG;2 PEN;") // for all the pieces, and the line keeps its place
		c = must(s.Update(ctx, c.ID, "MUG", 5))
		c = must(s.Update(ctx, c.ID, "MUG", 5))
		s.mustBeKept(ctx, t, c, 4000+300, "5 MUG;2 PEN;")
		c = must(s.Remove(ctx, c.ID, "MUG"))
		s.mustBeKept(ctx, t, c, 300, "2 PEN;")
		for _, again := range []func() (basket.Cart, error){
			func() (basket.Cart, error) { return s.Remove(ctx, c.ID, "MUG") },
			func() (basket.Cart, error) { return s.Remove(ctx, c.ID, "\x00'; DROP TABLE carts") },
			func() (basket.Cart, error) { return s.Update(ctx, c.ID, "MUG", 0) },
		} {
			if same := must(again()); !same.Updated.Equal(c.Updated) {
				t.Errorf("nothing was removed, and yet it says that it changed: %+v", same)
			}
		}
		c = must(s.Add(ctx, c.ID, "MUG", 1))
		s.mustBeKept(ctx, t, c, 300+800, "2 PEN;1 MUG;")
		c = must(s.Update(ctx, c.ID, "PEN", 0))
		s.mustBeKept(ctx, t, c, 800, "1 MUG;")

		asked := s.asked["NONE"]
		for _, bad := range []struct {
			err    func() (basket.Cart, error)
			code   codes.Code
			reason string
		}{
			{func() (basket.Cart, error) { return s.Add(ctx, c.ID, "NONE", 1) }, codes.NotFound, basket.ReasonVariantNotFound},
			{func() (basket.Cart, error) { return s.Add(ctx, uuid.NewString(), "MUG", 1) }, codes.NotFound, basket.ReasonCartNotFound},
			{func() (basket.Cart, error) { return s.Add(ctx, c.ID, "EURO", 1) }, codes.FailedPrecondition, basket.ReasonCurrencyMismatch},
			{func() (basket.Cart, error) { return s.Add(ctx, c.ID, "DRAFT", 1) }, codes.FailedPrecondition, basket.ReasonProductNotForSale},
			{func() (basket.Cart, error) { return s.Add(ctx, c.ID, "MUG", basket.MaxPieces) }, codes.FailedPrecondition, basket.ReasonQuantityTooLarge},
			{func() (basket.Cart, error) { return s.Add(ctx, c.ID, "MUG", -1) }, codes.InvalidArgument, "INVALID_FIELDS"},
			{func() (basket.Cart, error) { return s.Update(ctx, c.ID, "PEN", 1) }, codes.NotFound, basket.ReasonItemNotFound},
			{func() (basket.Cart, error) { return s.Update(ctx, uuid.NewString(), "PEN", 1) }, codes.NotFound, basket.ReasonCartNotFound},
			{func() (basket.Cart, error) { return s.Remove(ctx, uuid.NewString(), "PEN") }, codes.NotFound, basket.ReasonCartNotFound},
			{func() (basket.Cart, error) { return s.Get(ctx, uuid.NewString()) }, codes.NotFound, basket.ReasonCartNotFound},
		} {
			_, err := bad.err()
			mustFail(t, err, bad.code, bad.reason)
		}
		if s.asked["NONE"] != asked+1 {
			t.Errorf("the catalogue was asked %d times", s.asked["NONE"]-asked)
		}
		s.down = true
		_, err := s.Add(ctx, c.ID, "MUG", 1)
		mustFail(t, err, codes.Unavailable, "UNREACHABLE")
		_, err = s.Update(ctx, c.ID, "MUG", 7)
		mustFail(t, err, codes.Unavailable, "UNREACHABLE")
		s.mustBeKept(ctx, t, c, 800, "1 MUG;")
		must(s.Remove(ctx, c.ID, "MUG")) // nobody's price is needed for that
	})
}

func TestMarkOrdered(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		c := s.newCart(ctx, t, basket.Wanted{SKU: "MUG", Quantity: 1})
		if err := s.MarkOrdered(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		ordered, err := s.Get(ctx, c.ID)
		if err != nil || ordered.State != basket.Ordered || !ordered.Updated.After(c.Updated) {
			t.Fatalf("%+v, %v", ordered, err)
		}
		s.mustBeKept(ctx, t, ordered, 700, "1 MUG;")
		for range 2 {
			if err := s.MarkOrdered(ctx, c.ID); err != nil {
				t.Fatal(err)
			}
		}
		for name, change := range map[string]func() (basket.Cart, error){
			"add":    func() (basket.Cart, error) { return s.Add(ctx, c.ID, "PEN", 1) },
			"update": func() (basket.Cart, error) { return s.Update(ctx, c.ID, "MUG", 2) },
			"zero":   func() (basket.Cart, error) { return s.Update(ctx, c.ID, "MUG", 0) },
			"remove": func() (basket.Cart, error) { return s.Remove(ctx, c.ID, "MUG") },
			"no-op":  func() (basket.Cart, error) { return s.Remove(ctx, c.ID, "PEN") },
		} {
			_, err := change()
			if p := problem.From(err); p == nil || p.Reason != basket.ReasonCartOrdered {
				t.Errorf("%s in an ordered cart: %v", name, err)
			}
		}
		s.mustBeKept(ctx, t, ordered, 700, "1 MUG;")
		mustFail(t, s.MarkOrdered(ctx, uuid.NewString()), codes.NotFound, basket.ReasonCartNotFound)
	})
}

// TestAtOnce has many change one cart at the same moment: no change is lost, and none comes after the order.
func TestAtOnce(t *testing.T) {
	const many = 8
	each(t, func(ctx context.Context, t *testing.T, s *shop) {
		c := s.newCart(ctx, t)
		var all sync.WaitGroup
		for i := range many {
			sku := []string{"MUG", "PEN"}[i%2]
			all.Go(func() {
				if _, err := s.Add(ctx, c.ID, sku, 1); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, err := s.Get(ctx, c.ID)
		if err != nil || len(got.Items) != 2 || got.Items[0].Quantity != many/2 || got.Items[1].Quantity != many/2 {
			t.Errorf("%+v, %v", got, err)
		}

		var added sync.Map
		for i := range many {
			all.Go(func() {
				if i == many/2 {
					if err := s.MarkOrdered(ctx, c.ID); err != nil {
						t.Error(err)
					}
					return
				}
				switch _, err := s.Add(ctx, c.ID, "MUG", 1); {
				case err == nil:
					added.Store(i, true)
				case problem.From(err).Reason != basket.ReasonCartOrdered:
					t.Error(err)
				}
			})
		}
		all.Wait()
		want := int64(many / 2)
		added.Range(func(any, any) bool { want++; return true })
		got, err = s.Get(ctx, c.ID)
		var mugs int64
		for _, i := range got.Items {
			if i.SKU == "MUG" {
				mugs = i.Quantity
			}
		}
		if err != nil || got.State != basket.Ordered || mugs != want {
			t.Errorf("%d mugs of %d that were said to be added; %+v, %v", mugs, want, got, err)
		}
	})
}
