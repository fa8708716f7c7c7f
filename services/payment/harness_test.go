package payment_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// till is the module, run by a host and called as others call it, the provider behind it, and its database.
type till struct {
	paymentv1.PaymentService
	t    *testing.T
	bank *testprovider.Provider
	db   *sql.DB
	wire *wire
	late *atomic.Int64 // by how much the clock is ahead
	// postgres: the database is one of PostgreSQL.
	postgres bool
	from     int // the bank's ledger is this test's from here on
}

// in is the same till for a test of its own.
func (c *till) in(t *testing.T) *till {
	t.Helper()
	other := *c
	other.t, other.from = t, c.from+len(c.ledger())
	return &other
}

// setup is how a till is made.
type setup struct {
	url     string // SQLite when empty
	bank    testprovider.Config
	faults  string
	log     slog.Handler
	timeout time.Duration
}

// once is a client that does not send again by itself: a test sees every answer.
type once struct{ client.Client }

func (o once) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	return o.Client.Call(ctx, req, rsp, append(opts, client.WithRetries(0))...)
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, c *till)) {
	t.Helper()
	eachWith(t, setup{}, fn)
}

func eachWith(t *testing.T, s setup, fn func(t *testing.T, c *till)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, open(t, s)) })
	s.url = "postgres"
	t.Run("postgres", func(t *testing.T) { fn(t, open(t, s)) })
}

// open starts the module.
func open(t *testing.T, s setup) *till {
	t.Helper()
	c := &till{t: t, wire: &wire{}, late: &atomic.Int64{}}
	if s.bank.Dir == "" {
		s.bank.Dir = t.TempDir()
	}
	s.bank.Now = c.now
	var err error
	if c.bank, err = testprovider.Open(t.Context(), s.bank); err != nil {
		t.Fatal(err)
	}
	c.wire.Provider = c.bank
	if c.postgres = s.url != ""; c.postgres {
		s.url = datatest.PostgresURL(t, "payment")
	}
	if s.log == nil {
		s.log = slog.DiscardHandler
	}
	faults, err := fault.Parse(s.faults)
	if err != nil {
		t.Fatal(err)
	}
	b := broker.NewMemoryBroker()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h, err := host.New(host.Config{
		Modules: []host.Module{payment.Module(payment.Config{
			Provider:       func(context.Context, host.Deps) (payment.Provider, error) { return c.wire, nil },
			ReconcileEvery: 5 * time.Millisecond, ProviderTimeout: s.timeout,
		})},
		Registry: registry.NewMemoryRegistry(), Broker: b, DataURL: s.url, DataDir: dir, Log: slog.New(s.log), Now: c.now, Fault: faults,
		DrainWait: time.Millisecond, Watch: rpc.Watched(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.PaymentService = paymentv1.NewPaymentService("payment", once{h.Client()})
	if c.db, err = data.Open(t.Context(), data.Config{URL: s.url, Dir: dir, Module: "payment"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.bank.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ran, c.db.Close(), h.Shutdown(context.Background()), b.Disconnect(), c.bank.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// now is the clock of the module and of the bank.
func (c *till) now() time.Time { return time.Now().Add(time.Duration(c.late.Load())) }

// later puts it forward.
func (c *till) later(d time.Duration) { c.late.Add(int64(d)) }

func (c *till) refund(ctx context.Context, id, refund string, minor int64) (*paymentv1.PaymentRecord, error) {
	return c.Refund(ctx, &paymentv1.RefundRequest{PaymentId: id, RefundId: refund, Amount: euros(minor), Reason: "for the test"})
}

func (c *till) resolve(ctx context.Context, order string) (*paymentv1.PaymentRecord, error) {
	return c.Resolve(ctx, &paymentv1.ResolveRequest{OrderId: order})
}

// of returns the payment of an order, which it has.
func (c *till) of(order string) *paymentv1.PaymentRecord {
	c.t.Helper()
	list, err := c.ListPayments(context.Background(), &paymentv1.ListPaymentsRequest{OrderId: order})
	if err != nil || len(list.GetPayments()) != 1 {
		c.t.Fatalf("%v, %v", list, err)
	}
	return list.GetPayments()[0]
}

// captured is a payment of 1000 that was taken.
func (c *till) captured(token string) *paymentv1.PaymentRecord {
	c.t.Helper()
	p, err := c.authorize(c.t.Context(), uuid.NewString(), token, 1000)
	if err == nil {
		p, err = c.capture(c.t.Context(), p.GetId())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// eventually waits until ok, for at most a minute.
func (c *till) eventually(what string, ok func() bool) {
	c.t.Helper()
	deadline, again := time.After(time.Minute), time.NewTicker(3*time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			c.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// becomes waits until the payment of an order has a state.
func (c *till) becomes(order string, want paymentv1.PaymentState) *paymentv1.PaymentRecord {
	c.t.Helper()
	var p *paymentv1.PaymentRecord
	c.eventually("the payment is "+want.String(), func() bool {
		p = c.of(order)
		return p.GetState() == want
	})
	return p
}

func euros(minor int64) *typev1.Money { return &typev1.Money{Currency: "EUR", Minor: minor} }

func (c *till) authorize(ctx context.Context, order, token string, minor int64) (*paymentv1.PaymentRecord, error) {
	return c.Authorize(ctx, &paymentv1.AuthorizeRequest{OrderId: order, Amount: euros(minor), PaymentToken: token})
}

func (c *till) capture(ctx context.Context, id string) (*paymentv1.PaymentRecord, error) {
	return c.Capture(ctx, &paymentv1.CaptureRequest{PaymentId: id})
}

func (c *till) void(ctx context.Context, id string) (*paymentv1.PaymentRecord, error) {
	return c.Void(ctx, &paymentv1.VoidRequest{PaymentId: id})
}

// ledger is the bank's.
func (c *till) ledger() []testprovider.Entry {
	c.t.Helper()
	out, err := c.bank.Ledger(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	return out[c.from:]
}

// moved is what happened to the money, in order.
func (c *till) moved() []testprovider.Kind {
	var out []testprovider.Kind
	for _, e := range c.ledger() {
		out = append(out, e.Kind)
	}
	return out
}

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }

func wantState(t *testing.T, p *paymentv1.PaymentRecord, err error, want paymentv1.PaymentState) {
	t.Helper()
	if err != nil || p.GetState() != want {
		t.Errorf("got %v, %v; want %v", p.GetState(), err, want)
	}
}

// announced is what the events said of a payment, the oldest first.
func (c *till) announced(id string) []*paymentv1.PaymentRecord {
	c.t.Helper()
	rows, err := c.db.QueryContext(context.Background(), "SELECT topic, body FROM outbox WHERE key = $1 ORDER BY seq", id)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []*paymentv1.PaymentRecord
	for rows.Next() {
		var topic string
		var body []byte
		e := &paymentv1.PaymentUpdated{}
		if err := rows.Scan(&topic, &body); err != nil {
			c.t.Fatal(err)
		}
		if err := proto.Unmarshal(body, e); err != nil || topic != "shop.payment.v1.PaymentUpdated" || e.GetEventId() == "" {
			c.t.Fatalf("%s: %v, %v", topic, e, err)
		}
		out = append(out, e.GetPayment())
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// booksAreRight fails unless the ledger's transactions sum to zero, and its accounts say what the payments and the refunds say.
func (c *till) booksAreRight(fail func(format string, args ...any)) {
	c.t.Helper()
	for what, query := range map[string]string{
		"transactions that don't sum to zero": `SELECT transaction_id FROM ledger_entries GROUP BY transaction_id, currency
			HAVING SUM(debit) <> SUM(credit)`,
		"payments of which the ledger says otherwise": `SELECT p.id FROM payment p LEFT JOIN ledger_entries e ON e.payment_id = p.id GROUP BY p.id
			HAVING COALESCE(SUM(CASE WHEN e.account = 'provider:held' THEN e.debit - e.credit ELSE 0 END), 0)
				<> MAX(CASE WHEN p.state = 'authorized' THEN p.authorized ELSE 0 END)
			OR COALESCE(SUM(CASE WHEN e.account = 'provider:balance' THEN e.debit - e.credit ELSE 0 END), 0) <> MAX(p.captured - p.refunded)
			OR COALESCE(SUM(CASE WHEN e.account = 'revenue' THEN e.credit - e.debit ELSE 0 END), 0) <> MAX(p.captured)
			OR COALESCE(SUM(CASE WHEN e.account = 'refunds' THEN e.debit - e.credit ELSE 0 END), 0) <> MAX(p.refunded)`,
		"payments of which the refunds say otherwise": `SELECT p.id FROM payment p LEFT JOIN refund r ON r.payment_id = p.id GROUP BY p.id
			HAVING COALESCE(SUM(CASE WHEN r.state = 'succeeded' THEN r.minor ELSE 0 END), 0) <> MAX(p.refunded)
			OR COALESCE(SUM(CASE WHEN r.state = 'pending' THEN r.minor ELSE 0 END), 0) <> MAX(p.refunding)`,
	} {
		if ids := c.rows(query); len(ids) > 0 {
			fail("%s: %v", what, ids)
		}
	}
}
