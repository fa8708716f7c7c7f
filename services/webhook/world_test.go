package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
	"github.com/cleavehq/cleave/services/webhook"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-micro's memory registry never ends, nor does a cache that one of its packages makes when it is imported.
		goleak.IgnoreAnyFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// world is the module, run by a host and called as others call it, and what it stands on.
type world struct {
	webhookv1.WebhookService
	broker  broker.Broker
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
	t.Run("postgres", func(t *testing.T) { fn(t, open(t, datatest.PostgresURL(t, "webhook"))) })
}

// open starts a world where endpoints may be on this machine.
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
	w := &world{broker: b, log: &journal{}, url: url, in: t.TempDir()}
	w.start(t, webhook.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: time.Second})
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// start runs the module; one more when it runs already.
func (w *world) start(t *testing.T, c webhook.Config) {
	t.Helper()
	h, err := host.New(host.Config{
		Modules: []host.Module{webhook.ModuleWith(c)}, Registry: registry.NewMemoryRegistry(), Broker: w.broker, DataURL: w.url, DataDir: w.in,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: w.now, DrainWait: time.Millisecond,
		Watch: rpc.Watched(t),
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
	w.WebhookService = webhookv1.NewWebhookService("webhook", h.Client())
}

// jump moves the module's clock.
func (w *world) jump(d time.Duration) { w.ahead.Add(int64(d)) }

// paid has an order paid, and returns the event's id.
func (w *world) paid(t *testing.T) string { t.Helper(); return w.publish(t, paidOrder()) }

func paidOrder() *orderv1.OrderPaid {
	return &orderv1.OrderPaid{
		EventId: uuid.NewString(), OccurredAt: timestamppb.New(time.Date(2026, 11, 3, 12, 0, 0, 5000, time.UTC)),
		Order: &orderv1.PlacedOrder{Id: uuid.NewString(), Email: "ada@example.com", Total: &typev1.Money{Currency: "EUR", Minor: 1999}},
	}
}

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

// endpoint makes one, and deletes it when the test ends, so that no other test's events come to it.
func (w *world) endpoint(t *testing.T, url string, types ...string) (string, hook.Secret) {
	t.Helper()
	e, err := w.CreateEndpoint(t.Context(), &webhookv1.CreateEndpointRequest{Url: url, EventTypes: types, Description: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hook.ParseSecret(e.GetSecret())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := w.DeleteEndpoint(context.Background(), &webhookv1.DeleteEndpointRequest{EndpointId: e.GetEndpoint().GetId()})
		if p := problem.From(err); p != nil && p.Code != codes.NotFound {
			t.Error(err)
		}
	})
	return e.GetEndpoint().GetId(), secret
}

// delivery waits until the delivery of an event to an endpoint is as ok wants it.
func (w *world) delivery(t *testing.T, endpointID, eventID string, ok func(*webhookv1.Delivery) bool) *webhookv1.Delivery {
	t.Helper()
	var last *webhookv1.Delivery
	until(t, func() bool {
		list, err := w.ListDeliveries(t.Context(), &webhookv1.ListDeliveriesRequest{EndpointId: endpointID, PageSize: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.GetDeliveries() {
			if d.GetEventId() == eventID {
				last = d
				return ok(d)
			}
		}
		return false
	}, func() string { return last.String() })
	return last
}

func is(s webhookv1.DeliveryState) func(*webhookv1.Delivery) bool {
	return func(d *webhookv1.Delivery) bool { return d.GetState() == s }
}

const (
	pending   = webhookv1.DeliveryState_DELIVERY_STATE_PENDING
	delivered = webhookv1.DeliveryState_DELIVERY_STATE_DELIVERED
	dead      = webhookv1.DeliveryState_DELIVERY_STATE_DEAD
)

func until(t *testing.T, ok func() bool, what func() string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it stays %s", what())
		}
	}
}

// post is what a receiver got.
type post struct {
	id, timestamp, signature string
	body                     []byte
	header                   http.Header
}

func (p post) verify(w *world, secrets ...hook.Secret) error {
	return hook.Verifier{Secrets: secrets, Now: w.now}.Verify(p.header.Get, p.body)
}

// receiver is somebody's server.
type receiver struct {
	url    string
	posts  chan post
	status atomic.Int64 // what it answers; 0 is 200
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{posts: make(chan post, 1000)}
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return
		}
		h := in.Header
		r.posts <- post{h.Get(hook.HeaderID), h.Get(hook.HeaderTimestamp), h.Get(hook.HeaderSignature), body, h}
		if status := r.status.Load(); status != 0 {
			out.Header().Set("Location", "/elsewhere")
			out.WriteHeader(int(status))
			_, _ = out.Write([]byte("the receiver's words"))
		}
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func (r *receiver) next(t *testing.T) post {
	t.Helper()
	select {
	case p := <-r.posts:
		return p
	case <-time.After(patience):
		t.Fatal("nothing was posted")
		return post{}
	}
}

// content is the body of a webhook.
type content struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Order struct {
			ID    string `json:"id"`
			Email string `json:"email"`
			Total struct {
				Currency string `json:"currency"`
				Minor    string `json:"minor"`
			} `json:"total"`
		} `json:"order"`
		Payment struct {
			ID string `json:"id"`
		} `json:"payment"`
		EventID *string `json:"eventId"`
	} `json:"data"`
}

func read(t *testing.T, p post) content {
	t.Helper()
	var c content
	if err := json.Unmarshal(p.body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func wantErr(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != code || p.Reason != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
	}
}

func second[T any](_ T, err error) error { return err }
