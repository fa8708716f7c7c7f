package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/inbound"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// The webhooks that become events are below hooksPage.
const hooksPage = "/hooks"

// publishWait bounds how long a webhook waits for the broker; senders give up after 10 s or so.
const publishWait = 5 * time.Second

// CheckHook says what is wrong with what an operator says about a webhook, or nil.
func CheckHook(name string, document []byte) error {
	_, err := inbound.Parse(name, document)
	return err
}

// hooks are those that operators have declared.
type hooks struct {
	secrets *inbound.Secrets
	rules   func() (protovalidate.Validator, error)
	now     *hooksNow
}

type hooksNow struct {
	mu     sync.RWMutex
	read   bool
	byName map[string]inbound.Hook
}

func newHooks() hooks {
	return hooks{
		secrets: &inbound.Secrets{}, now: &hooksNow{},
		rules: sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() }),
	}
}

func (h *hooksNow) get(name string) (_ inbound.Hook, found, read bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	one, ok := h.byName[name]
	return one, ok, h.read
}

// takeHooks takes what operators wrote. A document that is wrong leaves its hook as it was.
func (g *Gateway) takeHooks(ctx context.Context, all map[string][]byte) {
	h := g.hooks.now
	next := map[string]inbound.Hook{}
	for name, document := range all {
		one, err := inbound.Parse(name, document)
		if err != nil {
			g.misfit(ctx, "hook", name, err)
			old, had, _ := h.get(name)
			if !had {
				continue
			}
			one = old
		}
		next[name] = one
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read, h.byName = true, next
}

// hook takes a webhook: it is answered when the broker has stored its event.
func (x *exchange) hook(name string) {
	if x.r.Method != http.MethodPost {
		x.w.Header().Set("Allow", http.MethodPost)
		x.failWith(http.StatusMethodNotAllowed, problem.Unimplemented("METHOD_NOT_ALLOWED", "a webhook is sent by POST"))
		return
	}
	one, found, read := x.g.hooks.now.get(name)
	switch {
	case !found && !read && x.g.c.Hooks != nil:
		x.notYet("the hooks were not read yet")
		return
	case !found:
		x.fail(problem.NotFound("HOOK_NOT_FOUND", "there is no hook of this name"))
		return
	}
	status, err := x.taken(name, one)
	result := "ok"
	if err != nil {
		if result = problem.From(err).Reason; status == 0 {
			status = problem.HTTPStatus(problem.From(err).Code)
		}
		x.failWith(status, err)
	}
	x.g.brokers.hooks.WithLabelValues(name, result).Inc()
}

// taken verifies a webhook and publishes its event. status goes with err, 0 for the one of its code.
func (x *exchange) taken(name string, h inbound.Hook) (status int, err error) {
	p := &policy.Policy{Method: hooksPage + "/" + name}
	if h.Rate.Requests > 0 {
		p.Rate.Value = policy.Rates{h.Rate}
	}
	if err := x.g.limited(x.r, x.w.Header(), guard.Caller{}, p); err != nil {
		return 0, err
	}
	if !isJSON(x.r.Header.Values("Content-Type")) {
		return http.StatusUnsupportedMediaType, problem.InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the body must be %s, and Content-Type say so", jsonType)
	}
	body, status, err := x.read(min(h.MaxBody, x.g.maxBody()))
	if err != nil {
		return status, err
	}
	id, err := h.Verify(name, x.r.Header, body, x.g.hooks.secrets, x.g.c.Now())
	if err != nil {
		return 0, refusal(err)
	}
	if !utf8.Valid(body) {
		return 0, problem.InvalidArgument("BAD_JSON", "the body is not UTF-8")
	}
	wire, err := x.g.eventOf(h, id, body)
	if err != nil {
		return 0, err
	}
	if x.g.c.Broker == nil {
		return 0, problem.Unavailable(reasonNoBroker, "this gateway has no broker: it was started without one")
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), publishWait)
	defer cancel()
	m := &broker.Message{Body: wire, Header: map[string]string{
		events.HeaderContentType: events.ContentType, events.HeaderTraceparent: telemetry.Traceparent(x.r.Context()), events.HeaderEventID: id,
	}}
	if err := x.g.c.Broker.Publish(h.Topic, m, broker.PublishContext(ctx)); err != nil {
		return 0, problem.Unavailable("BROKER_UNAVAILABLE", "the event could not be stored: send the webhook again").Because(err)
	}
	b, err := json.Marshal(map[string]string{"eventId": id})
	if err != nil {
		return 0, problem.Internal(err)
	}
	x.w.Header().Set("Content-Type", jsonType)
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusAccepted)
	_, _ = x.w.Write(append(b, '\n')) // the sender may be gone
	return 0, nil
}

// refusal is what a sender is told of an error of Verify.
func refusal(err error) error {
	switch {
	case errors.Is(err, inbound.ErrSecret):
		return problem.Unavailable("HOOK_UNAVAILABLE", "the hook can't be used now").Because(err)
	case errors.Is(err, inbound.ErrKey):
		return problem.InvalidArgument("IDEMPOTENCY_KEY_MISSING", "the body has no idempotency key of 1 to 255 characters where it should be")
	case errors.Is(err, hook.ErrTimestamp):
		return problem.Unauthenticated("WEBHOOK_TIMESTAMP", "the webhook's timestamp is too far from now").Because(err)
	default:
		return problem.Unauthenticated("WEBHOOK_SIGNATURE", "the webhook is not signed as it should be").Because(err)
	}
}

// eventOf makes the event of a webhook's body. Its field event_id, when it has one, is the id.
func (g *Gateway) eventOf(h inbound.Hook, id string, body []byte) ([]byte, error) {
	tp := g.topicNow(h.Topic)
	if tp == nil {
		return nil, problem.Unavailable("TOPIC_UNKNOWN", "no service that is there declares the event of this hook")
	}
	m, err := tp.event.Parse(body, h.IgnoreUnknown)
	if err != nil {
		return nil, err
	}
	if fd := m.Descriptor().Fields().ByName(eventField); fd != nil && fd.Kind() == protoreflect.StringKind && !fd.IsList() {
		m.Set(fd, protoreflect.ValueOfString(id))
	}
	rules, err := g.hooks.rules()
	if err != nil {
		return nil, problem.Internal(err)
	}
	if err := rules.Validate(m); err != nil {
		return nil, invalid(err)
	}
	wire, err := proto.Marshal(m)
	switch {
	case err != nil:
		return nil, problem.Internal(err)
	case len(wire) > events.MaxMessage:
		return nil, problem.InvalidArgument("BODY_TOO_LARGE", "the event has more than %d bytes", events.MaxMessage)
	}
	return wire, nil
}

// invalid is what is told of an event that breaks the rules of its contract.
func invalid(err error) error {
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return problem.Internal(err)
	}
	fields := make([]problem.Field, 0, len(bad.Violations))
	for _, v := range bad.Violations {
		fields = append(fields, problem.Field{Path: protovalidate.FieldPathString(v.Proto.GetField()), Message: v.Proto.GetMessage()})
	}
	return problem.Invalid(fields...)
}
