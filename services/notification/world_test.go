package notification_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	notificationv1 "github.com/cleavehq/cleave/proto/shop/notification/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/notification"
	"github.com/cleavehq/cleave/services/notification/internal/smtptest"
)

const (
	patience = 20 * time.Second
	password = "smtp-canary-4711"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// world is the module, run by a host and called as others call it, and what it stands on.
type world struct {
	notificationv1.NotificationService
	broker  broker.Broker
	post    *smtptest.Server
	log     *journal
	ahead   atomic.Int64 // of the clock
	url, in string       // of its data
	stop    func()
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// each runs fn on every database.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, open(t, "")) })
	t.Run("postgres", func(t *testing.T) { fn(t, open(t, datatest.PostgresURL(t, "notification"))) })
}

func open(t *testing.T, url string) *world {
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
	w := &world{broker: b, log: &journal{}, post: smtptest.Start(t, password), url: url, in: t.TempDir()}
	w.start(t, w.config())
	return w
}

func (w *world) config() notification.Config {
	return notification.Config{SMTPURL: "smtp://shop:" + password + "@" + w.post.Addr + "?tls=off", From: "Shop <shop@example.com>"}
}

// start runs the module; one more when it runs already.
func (w *world) start(t *testing.T, c notification.Config) {
	t.Helper()
	h, err := host.New(host.Config{
		Modules: []host.Module{notification.Module(c)}, Registry: registry.NewMemoryRegistry(), Broker: w.broker, DataURL: w.url, DataDir: w.in,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), DrainWait: time.Millisecond,
		Watch: rpc.Watched(t),
		Now:   func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.stop = sync.OnceFunc(func() {
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	w.NotificationService = notificationv1.NewNotificationService("notification", h.Client())
}

// jump moves the module's clock.
func (w *world) jump(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) publish(t *testing.T, m interface {
	proto.Message
	GetEventId() string
}) string {
	t.Helper()
	if err := events.Publish(t.Context(), w.broker, m); err != nil {
		t.Fatal(err)
	}
	return m.GetEventId()
}

// placed is an order of one who has an address of their own, so that one's mails can be told from another test's.
func placed() *orderv1.PlacedOrder {
	eur := func(n int64) *typev1.Money { return &typev1.Money{Currency: "EUR", Minor: n} }
	return &orderv1.PlacedOrder{
		Id: uuid.NewString(), Email: "ada-" + uuid.NewString() + "@example.org", Total: eur(1999), Tax: eur(319), CustomerId: uuid.NewString(),
		ShippingAddress: &typev1.Address{Name: "Ada", Line1: "1 Way", City: "Town", PostalCode: "12345", Country: "DE"},
		Lines:           []*orderv1.OrderLine{{Sku: "MUG", Title: "Blue mug", Quantity: 2, LineTotal: eur(1680), Shipped: 1}},
	}
}

// mail waits until the mail of an event is in a state.
func (w *world) mail(t *testing.T, eventID string, want notificationv1.MailState) *notificationv1.Mail {
	t.Helper()
	return w.until(t, eventID, func(m *notificationv1.Mail) bool { return m.GetState() == want })
}

func (w *world) until(t *testing.T, eventID string, ok func(*notificationv1.Mail) bool) *notificationv1.Mail {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		m := w.find(t, eventID)
		if m != nil && ok(m) {
			return m
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the mail of %s stays %v", eventID, m)
		}
	}
}

// find is the mail of an event, whole; nil when there is none.
func (w *world) find(t *testing.T, eventID string) *notificationv1.Mail {
	t.Helper()
	list, err := w.ListNotifications(t.Context(), &notificationv1.ListNotificationsRequest{PageSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.GetNotifications() {
		if m.GetText() != "" || m.GetHtml() != "" {
			t.Errorf("the list has a text: %v", m)
		}
		if m.GetEventId() == eventID {
			whole, err := w.GetNotification(t.Context(), &notificationv1.GetNotificationRequest{NotificationId: m.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			return whole
		}
	}
	return nil
}

// posted are the mails that a recipient got.
func (w *world) posted(to string) []smtptest.Mail {
	var out []smtptest.Mail
	for _, m := range w.post.Mails() {
		if strings.Contains(m.To, "<"+to+">") && m.Taken {
			out = append(out, m)
		}
	}
	return out
}

const (
	pending = notificationv1.MailState_MAIL_STATE_PENDING
	held    = notificationv1.MailState_MAIL_STATE_HELD
	sent    = notificationv1.MailState_MAIL_STATE_SENT
	dead    = notificationv1.MailState_MAIL_STATE_DEAD
	erased  = notificationv1.MailState_MAIL_STATE_ERASED
)

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }
