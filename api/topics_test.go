package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/kv"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

const changed = "/events/shop.catalog.v1.ProductChanged"

// store is a NATS of the test's own, and a broker on it.
func store(t *testing.T) *events.JetStream {
	t.Helper()
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := events.NewJetStream(events.JetStreamConfig{URL: s.URL(), MaxBytes: 32 << 20})
	if err == nil {
		err = b.Connect()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	return b
}

// newsroom is a gateway with a broker, whose only topic everybody may hear.
func newsroom(t *testing.T, b broker.Broker, with ...func(*api.Config)) *edge {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, &shelf{})
	e := start(t, reg, append([]func(*api.Config){func(c *api.Config) {
		c.Broker, c.Overrides = b, kv.Static{"shop.catalog.v1.ProductChanged": []byte(`{"public": true}`)}
	}}, with...)...)
	e.eventually("offered", func() bool { return strings.Contains(e.get("/events").body, changed) })
	return e
}

// tell publishes a change of the nth product, as the outbox does.
func tell(t *testing.T, b broker.Broker, n int) {
	t.Helper()
	m := &catalogv1.ProductChanged{EventId: fmt.Sprint("event-", n), Product: &catalogv1.Product{Handle: fmt.Sprint("p", n)}}
	if err := events.Publish(t.Context(), b, m); err != nil {
		t.Fatal(err)
	}
}

func handleOf(t *testing.T, event string) string {
	t.Helper()
	var e struct {
		EventID string `json:"eventId"`
		Product struct {
			Handle string `json:"handle"`
		} `json:"product"`
	}
	if err := json.Unmarshal([]byte(event), &e); err != nil || strings.TrimPrefix(e.EventID, "event-") != strings.TrimPrefix(e.Product.Handle, "p") {
		t.Fatalf("%s: %v", event, err)
	}
	return e.Product.Handle
}

// named is a line of NDJSON, or a message of a WebSocket.
type named struct {
	ID    string          `json:"id"`
	Event json.RawMessage `json:"event"`
}

func TestATopicInEveryForm(t *testing.T) {
	b := store(t)
	e := newsroom(t, b)
	sse, lines, ws := e.open(changed, "Accept", "text/event-stream"), e.open(changed), e.dial(changed)
	e.counted("gateway_topics_followed 1", "gateway_topic_listeners 3") // once, for all
	for n := range 3 {
		tell(t, b, n)
		want, id := fmt.Sprint("p", n), strings.TrimPrefix(sse.until(t, "id: "), "id: ")
		if got := handleOf(t, strings.TrimPrefix(sse.until(t, "data: "), "data: ")); got != want {
			t.Errorf("SSE: %s, not %s", got, want)
		}
		for form, text := range map[string]string{"NDJSON": lines.until(t, `{"id":`), "WebSocket": ws.next()} {
			var m named
			if err := json.Unmarshal([]byte(text), &m); err != nil || m.ID != id || handleOf(t, string(m.Event)) != want {
				t.Errorf("%s: %s, not %s with id %s", form, text, want, id)
			}
		}
	}
	sse.cancel()
	lines.cancel()
	_ = ws.conn.CloseNow()
	e.counted("gateway_topics_followed 0", "gateway_topic_listeners 0", `gateway_topic_events_sent_total{topic="shop.catalog.v1.ProductChanged"} 9`)
}

// A listener that comes back gets what it missed, then what comes, each once and in order.
func TestATopicIsResumed(t *testing.T) {
	b := store(t)
	e := newsroom(t, b)
	first := e.open(changed, "Accept", "text/event-stream")
	tell(t, b, 0)
	id := strings.TrimPrefix(first.until(t, "id: "), "id: ")
	first.cancel()
	const missed = 400 // more than a listener's buffer
	for n := 1; n <= missed; n++ {
		tell(t, b, n)
	}
	sse, ws := e.open(changed, "Accept", "text/event-stream", "Last-Event-ID", id), e.dial(changed+"?last_event_id="+id)
	tell(t, b, missed+1)
	for n := 1; n <= missed+1; n++ {
		if got := handleOf(t, strings.TrimPrefix(sse.until(t, "data: "), "data: ")); got != fmt.Sprint("p", n) {
			t.Fatalf("SSE: %s, not p%d", got, n)
		}
		var m named
		if err := json.Unmarshal([]byte(ws.next()), &m); err != nil || handleOf(t, string(m.Event)) != fmt.Sprint("p", n) {
			t.Fatalf("WebSocket: %s, not p%d: %v", m.Event, n, err)
		}
	}
	lost := e.open(changed, "Accept", "text/event-stream", "Last-Event-ID", "abc.1") // of a store that is no more
	lost.until(t, "event: gap")
	if p := lost.until(t, "data: "); !strings.Contains(p, "EVENTS_LOST") {
		t.Error(p)
	}
	if got := handleOf(t, strings.TrimPrefix(lost.until(t, "data: "), "data: ")); got != "p0" {
		t.Errorf("after a gap: %s", got)
	}
}

func TestATopicByKey(t *testing.T) {
	b := store(t)
	e := newsroom(t, b)
	keyed := func(n int, key string) {
		m := &broker.Message{Header: map[string]string{events.HeaderContentType: events.ContentType, "Event-Key": key}, Body: product(t, n)}
		if err := b.Publish("shop.catalog.v1.ProductChanged", m); err != nil {
			t.Fatal(err)
		}
	}
	o := e.open(changed+"?key=one", "Accept", "text/event-stream")
	for n := range 4 {
		keyed(n, []string{"one", "two"}[n%2])
	}
	o.until(t, "id: ")
	id := strings.TrimPrefix(o.until(t, "id: "), "id: ")
	if got := handleOf(t, strings.TrimPrefix(o.until(t, "data: "), "data: ")); got != "p2" {
		t.Errorf("the second of the key is %s", got)
	}
	keyed(5, "two")
	keyed(6, "one")
	back := e.open(changed+"?key=one", "Accept", "text/event-stream", "Last-Event-ID", id)
	if got := handleOf(t, strings.TrimPrefix(back.until(t, "data: "), "data: ")); got != "p6" {
		t.Errorf("resumed by key: %s", got)
	}
}

func TestATopicIsDrained(t *testing.T) {
	b := store(t)
	e := newsroom(t, b, func(c *api.Config) { c.StreamGrace, c.Heartbeat = 10*time.Millisecond, 20*time.Millisecond })
	sse, ws := e.open(changed, "Accept", "text/event-stream"), e.dial(changed)
	sse.until(t, ":") // a heartbeat
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	sse.until(t, "event: drain")
	ws.wantClose(websocket.StatusGoingAway)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestWhoMayHearATopic(t *testing.T) {
	b := store(t)
	keys := map[string][]byte{}
	mint := func(scopes ...string) string {
		k, text, err := apikey.New("listener", scopes, time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if keys[k.ID], err = json.Marshal(k); err != nil {
			t.Fatal(err)
		}
		return text
	}
	good, bad := mint("catalog.*"), mint("order.read")
	e := newsroom(t, b, func(c *api.Config) { c.Overrides, c.Keys = kv.Static{}, kv.Static(keys) })
	for name, tc := range map[string]struct {
		path   string
		header []string
		status int
		reason string
	}{
		"nobody":            {changed, nil, 401, "CREDENTIALS_MISSING"},
		"another's scope":   {changed, []string{"X-Api-Key", bad}, 403, "SCOPE_MISSING"},
		"no topic":          {"/events/shop.catalog.v1.Product", []string{"X-Api-Key", good}, 404, "TOPIC_NOT_FOUND"},
		"a parameter":       {changed + "?api_key=" + good, []string{"X-Api-Key", good}, 400, "INVALID_FIELDS"},
		"no id of an event": {changed, []string{"X-Api-Key", good, "Last-Event-ID", "7"}, 400, "INVALID_FIELDS"},
		"not acceptable":    {changed, []string{"X-Api-Key", good, "Accept", "text/html"}, 406, "NOT_ACCEPTABLE"},
	} {
		if a := e.get(tc.path, tc.header...); a.status != tc.status || a.problem(t).Reason != tc.reason {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := e.send(http.MethodPost, changed, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET" {
		t.Errorf("POST: %d", a.status)
	}
	e.dial(changed, "X-Api-Key", good)
	// As a browser's page does it: its token is a subprotocol, and never comes back.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for token, status := range map[string]int{good: 101, bad: 403, good + ", cleave.bearer." + good: 401} {
		c, rsp, err := websocket.Dial(ctx, e.base+changed, &websocket.DialOptions{Subprotocols: []string{"cleave.v1", "cleave.bearer." + token}, HTTPClient: e.http}) //nolint:bodyclose // Dial says that it need not be
		if rsp == nil || rsp.StatusCode != status || status == 101 && c.Subprotocol() != "cleave.v1" {
			t.Errorf("a token of %d characters: %v, %v, not %d", len(token), rsp, err, status)
		}
		if c != nil {
			_ = c.CloseNow()
		}
	}
}

func TestATopicNeedsABroker(t *testing.T) {
	e := newsroom(t, nil)
	if a := e.get(changed); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "NO_BROKER" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestABrokerThatIsAway(t *testing.T) {
	b := store(t)
	if err := b.Disconnect(); err != nil {
		t.Fatal(err)
	}
	e := newsroom(t, b)
	for range 2 {
		if a := e.get(changed); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "BROKER_UNAVAILABLE" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
func product(t *testing.T, n int) []byte {
	t.Helper()
	b, err := proto.Marshal(&catalogv1.ProductChanged{EventId: fmt.Sprint("event-", n), Product: &catalogv1.Product{Handle: fmt.Sprint("p", n)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
