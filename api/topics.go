package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go-micro.dev/v4/broker"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/stream"
	"github.com/cleavehq/cleave/api/internal/topic"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/problem"
)

// The topics at the edge are below eventsPage.
const eventsPage = "/events"

// reasonNoBroker: UNAVAILABLE, this gateway was given none.
const reasonNoBroker = "NO_BROKER"

// brokerage is what of a gateway has to do with the broker.
type brokerage struct {
	hub     *topic.Hub // nil without a broker that can be followed
	brokers *brokerMetrics
	hooks   hooks
}

func newBrokerage(g *Gateway) (brokerage, error) {
	m, err := newBrokerMetrics(g.c.Metrics)
	if err != nil {
		return brokerage{}, fmt.Errorf("api: register metrics: %w", err)
	}
	b := brokerage{brokers: m, hooks: newHooks()}
	if f, ok := g.c.Broker.(events.Follower); ok {
		b.hub = &topic.Hub{
			Follower: f, Encode: g.encodeEvent, Log: g.c.Log,
			Followed:  func(delta int) { m.followed.Add(float64(delta)) },
			Listening: func(delta int) { m.listeners.Add(float64(delta)) },
		}
	}
	return b, nil
}

// topicOf is a topic that a contract declares.
type topicOf struct {
	event  *transcode.Event
	policy *policy.Policy
}

// addTopics finds the events of the contracts, exposed or not: a hook may publish what nobody may hear. Of several contracts of a service the
// newest that has an event describes it; of two services the one that has run for longer.
func (t *table) addTopics(list []*offer, said policy.Overrides) {
	t.topics = map[string]*topicOf{}
	for _, o := range list {
		if o.contract == nil {
			continue
		}
		for _, md := range o.contract.Events {
			name := string(md.FullName())
			if t.topics[name] != nil {
				continue
			}
			p, err := said.OfEvent(md)
			if err != nil {
				t.leftOut[fmt.Sprintf("the topic %s of %s: %v", name, o.service, err)] = mistake
			}
			t.topics[name] = &topicOf{transcode.NewEvent(md, o.codec, o.contract.Types), &p}
			t.policies = append(t.policies, &p)
		}
	}
}

// encodeEvent writes an event as JSON, by the contract that is known now.
func (g *Gateway) encodeEvent(name string, m *broker.Message) ([]byte, error) {
	media, _, err := mime.ParseMediaType(m.Header[events.HeaderContentType])
	if err == nil && media != events.ContentType {
		err = fmt.Errorf("the content type is %.50q", media)
	}
	var b []byte
	if err == nil {
		if tp := g.topicNow(name); tp != nil {
			b, err = tp.event.JSON(m.Body)
		} else {
			err = errors.New("its contract is gone")
		}
	}
	if err != nil {
		g.brokers.unreadable.WithLabelValues(name).Inc()
		g.c.Log.Warn("an event can't be shown at the edge", "topic", name, "event", m.Header[events.HeaderEventID], "error", err)
	}
	return b, err
}

func (g *Gateway) topicNow(name string) *topicOf {
	if t := g.table.Load(); t != nil {
		return t.topics[name]
	}
	return nil
}

// listTopics sends the topics that are offered.
func (x *exchange) listTopics() {
	t := x.routes()
	if t == nil {
		return
	}
	type line struct {
		Topic string `json:"topic"`
		Path  string `json:"path"`
		policy.Access
	}
	out := []line{}
	for name, tp := range t.topics {
		if tp.policy.Expose.Value {
			out = append(out, line{name, eventsPage + "/" + name, tp.policy.Access.Value})
		}
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(a.Topic, b.Topic) })
	b, err := json.MarshalIndent(map[string]any{"topics": out}, "", "  ")
	if err != nil {
		x.fail(problem.Internal(err))
		return
	}
	x.w.Header().Set("Content-Type", jsonType)
	x.w.Header().Set("Cache-Control", "no-store")
	_, _ = x.w.Write(append(b, '\n'))
}

// brokered serves the topics and the hooks, and what is neither on its route.
func (x *exchange) brokered() {
	if name, ok := strings.CutPrefix(x.r.URL.Path, eventsPage+"/"); ok {
		x.route = eventsPage + "/{topic}"
		x.topic(name)
		return
	}
	if name, ok := strings.CutPrefix(x.r.URL.Path, hooksPage+"/"); ok {
		x.route = hooksPage + "/{hook}"
		x.hook(name)
		return
	}
	x.routed()
}

// topic sends the events of a topic, as they come.
func (x *exchange) topic(name string) {
	if x.preflight([]string{http.MethodGet}) {
		return
	}
	if x.r.Method != http.MethodGet {
		x.w.Header().Set("Allow", http.MethodGet)
		x.failWith(http.StatusMethodNotAllowed, problem.Unimplemented("METHOD_NOT_ALLOWED", "a topic is read by GET"))
		return
	}
	if x.routes() == nil {
		return
	}
	tp := x.g.topicNow(name)
	if tp == nil || !tp.policy.Expose.Value {
		x.fail(problem.NotFound("TOPIC_NOT_FOUND", "there is no topic %.200s here; %s has all that are", name, eventsPage))
		return
	}
	if !x.permitted(tp.policy) {
		return
	}
	if x.g.hub == nil {
		x.fail(problem.Unavailable(reasonNoBroker, "this gateway has no broker: it was started without one"))
		return
	}
	after, key, err := x.wanted()
	if err != nil {
		x.fail(err)
		return
	}
	if isUpgrade(x.r) {
		x.topicSocket(name, after, key)
		return
	}
	f := x.form()
	if f == nil {
		x.failWith(http.StatusNotAcceptable, problem.InvalidArgument("NOT_ACCEPTABLE", "events are %s or %s, which Accept excludes", stream.NDJSONType, stream.SSEType))
		return
	}
	done, err := x.long()
	if err != nil {
		x.fail(err)
		return
	}
	defer done()
	_, lines := f.(stream.NDJSON)
	x.listen(x.r.Context(), name, after, key, &listener{
		open: f.Open, message: f.Message, gap: f.Gap, beat: f.Beat, end: func(err error) { x.ended(f, err) },
	}, lines)
	if lines && x.broken {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut a connection: nobody takes a part for the whole
	}
}

// wanted is what a listener asks for: events after a place, of one key.
func (x *exchange) wanted() (after events.Place, key string, err error) {
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return after, "", problem.InvalidArgument("BAD_QUERY", "the query is not percent-encoded as it should be")
	}
	for name, values := range query {
		if name != "key" && name != lastEventField || len(values) > 1 || len(values[0]) > 200 {
			return after, "", problem.Invalid(problem.Field{Path: name, Message: "a topic has the parameters key and last_event_id, each once and of at most 200 bytes"})
		}
	}
	if id := cmp.Or(x.r.Header.Get(lastEventHeader), query.Get(lastEventField)); id != "" {
		if after, err = events.ParsePlace(id); err != nil {
			return after, "", problem.Invalid(problem.Field{Path: lastEventField, Message: "it is no id of an event of a topic"})
		}
	}
	return after, query.Get("key"), nil
}

// topicSocket sends the events of a topic over a WebSocket.
func (x *exchange) topicSocket(name string, after events.Place, key string) {
	err := x.mayUpgrade()
	var done func()
	if err == nil {
		done, err = x.long()
	}
	if err != nil {
		x.fail(err)
		return
	}
	defer done()
	ws, err := stream.Upgrade(x.w, x.r, x.g.maxBody(), x.g.writeFor)
	if err != nil {
		x.w.status = cmp.Or(x.w.status, http.StatusBadRequest) // it has answered
		return
	}
	defer ws.Close()
	x.w.status = http.StatusSwitchingProtocols
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	defer context.AfterFunc(ws.Context(), func() { cancel(context.Cause(ws.Context())) })()
	ws.Watch()
	x.listen(ctx, name, after, key, &listener{
		open: ws.Open, message: ws.Message, gap: ws.Gap, beat: ws.Beat, end: func(err error) { x.closed(ws, err) },
	}, true)
}

// listen passes events on until one side ends. named puts the id into what is sent: of the forms, only SSE has a place for it.
func (x *exchange) listen(ctx context.Context, name string, after events.Place, key string, l *listener, named bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := x.g.hub.Listen(ctx, name, after, key)
	if err != nil {
		l.end(err)
		return
	}
	defer from.Close()
	heards := make(chan heard)
	go func() {
		defer close(heards)
		err := from.Run(ctx, func(e topic.Event) error {
			select {
			case heards <- x.shown(e, named):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		select {
		case heards <- heard{err: err}:
		case <-ctx.Done():
		}
	}()
	sent := x.g.brokers.sent.WithLabelValues(name)
	message := l.message
	l.message = func(b []byte, id string) error {
		err := message(b, id)
		if err == nil {
			sent.Inc()
		}
		return err
	}
	l.end(x.told(ctx, x.pass(ctx, l, heards)))
	cancel()
	for range heards { // until it is closed
	}
}

// shown is an event as it is sent.
func (x *exchange) shown(e topic.Event, named bool) heard {
	if e.Gap {
		err := problem.New(codes.DataLoss, "EVENTS_LOST", "events after the last one that was seen may be lost: the broker doesn't keep them any more")
		return heard{gap: true, b: x.problem(http.StatusGone, err)}
	}
	id := e.Place.String()
	if !named {
		return heard{b: e.JSON, id: id}
	}
	b := fmt.Appendf(nil, `{"id":%q,"event":`, id) // an id is letters, digits and a full stop
	return heard{b: append(append(b, e.JSON...), '}'), id: id}
}
