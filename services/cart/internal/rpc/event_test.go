package rpc_test

import (
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
	"github.com/cleavehq/cleave/services/cart/internal/rpc"
	"github.com/cleavehq/cleave/services/cart/internal/store"
)

func TestMain(m *testing.M) {
	// A cache that one of go-micro's packages makes when it is imported never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

type noPrices struct{ basket.Prices } // an ordered cart needs no price

func connect(t *testing.T) *events.JetStream {
	t.Helper()
	nats, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{
		URL: nats.URL(), Name: t.Name(), Delivery: events.Delivery{Backoff: []time.Duration{10 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Disconnect(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func confirmation(cart string) *orderv1.OrderConfirmed {
	return &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: &orderv1.PlacedOrder{Id: uuid.NewString(), CartId: cart}}
}

// each runs fn with a service on every database, and a real broker.
func each(t *testing.T, fn func(t *testing.T, db *sql.DB, svc *basket.Service, b broker.Broker)) {
	t.Helper()
	datatest.Each(t, "cart", store.Migrations(), func(t *testing.T, db *sql.DB) {
		now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
		svc, err := basket.New(basket.Config{Store: store.New(db), Prices: noPrices{}, Now: func() time.Time { now = now.Add(time.Second); return now }})
		if err != nil {
			t.Fatal(err)
		}
		fn(t, db, svc, connect(t))
	}, outbox.Schema())
}

func stop(t *testing.T, sub broker.Subscriber, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	})
}

func publish(t *testing.T, b broker.Broker, m proto.Message) {
	t.Helper()
	if err := events.Publish(t.Context(), b, m); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s didn't come", what)
		}
	}
}

// TestOrderConfirmed takes the event from a real broker, and has it come again.
func TestOrderConfirmed(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, svc *basket.Service, b broker.Broker) {
		ctx := t.Context()
		cart := newCart(t, svc, "")
		other := newCart(t, svc, "")
		log := &lines{}
		handle := rpc.OrderConfirmed(svc, slog.New(slog.NewTextHandler(log, nil)))
		sub, err := outbox.Subscribe(b, db, "cart", handle)
		stop(t, sub, err)
		state := func(id string) basket.State {
			c, err := svc.Get(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return c.State
		}
		m := confirmation(cart.ID)
		publish(t, b, m)
		waitFor(t, "the order", func() bool { return state(cart.ID) == basket.Ordered })
		first, err := svc.Get(ctx, cart.ID)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, b, m)                     // delivered again
		publish(t, b, confirmation(cart.ID)) // published again, by an order module that didn't know that it had
		unknown := confirmation(uuid.NewString())
		for _, m := range []*orderv1.OrderConfirmed{unknown, {EventId: uuid.NewString()}, confirmation(other.ID)} {
			publish(t, b, m)
		}
		waitFor(t, "the last order", func() bool { return state(other.ID) == basket.Ordered })
		if again, err := svc.Get(ctx, cart.ID); err != nil || !again.Updated.Equal(first.Updated) {
			t.Errorf("delivered and published again: %+v, the first time %+v, %v", again, first, err)
		}
		waitFor(t, "the word of a cart that isn't here", func() bool { return strings.Contains(log.String(), unknown.GetEventId()) })
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := handle(ctx, nil, m); err == nil {
			t.Error("an event that could not be applied is taken for done")
		}
	})
}

// TestCustomerErased has a customer forgotten, and nobody else.
func TestCustomerErased(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, svc *basket.Service, b broker.Broker) {
		ctx, gone, stays := t.Context(), uuid.NewString(), uuid.NewString()
		kept := store.New(db)
		fill := func(customer string) basket.Cart {
			c := newCart(t, svc, customer)
			c, err := kept.Change(ctx, c.ID, func(c *basket.Cart) error {
				c.Coupon = "TEN"
				c.Items = []basket.Item{{SKU: "MUG", Title: "Mug", Quantity: 1, Unit: basket.Money{Currency: "USD", Minor: 700}}}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		ordered := fill(gone)
		if err := svc.MarkOrdered(ctx, ordered.ID); err != nil {
			t.Fatal(err)
		}
		open, guest, another := fill(gone), fill(""), fill(stays)
		sub, err := outbox.Subscribe(b, db, "cart", rpc.CustomerErased(svc))
		stop(t, sub, err)
		publish(t, b, &customerv1.CustomerErased{EventId: uuid.NewString()}) // nobody: nothing is erased for it
		publish(t, b, &customerv1.CustomerErased{EventId: uuid.NewString(), CustomerId: gone})
		waitFor(t, "the end of the customer", func() bool {
			_, found, err := kept.OpenOf(ctx, gone)
			return err == nil && !found
		})
		for _, c := range []basket.Cart{ordered, open} {
			if got, err := svc.Get(ctx, c.ID); err != nil || got.Customer != "" || got.Coupon != "" || len(got.Items) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		}
		for _, c := range []basket.Cart{guest, another} {
			if got, err := svc.Get(ctx, c.ID); err != nil || got.Customer != c.Customer || got.Coupon != "TEN" || len(got.Items) != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}

func newCart(t *testing.T, svc *basket.Service, customer string) basket.Cart {
	t.Helper()
	c, err := svc.Create(t.Context(), customer, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines are a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
