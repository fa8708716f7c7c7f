package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/stream"
	"github.com/cleavehq/cleave/chassis/problem"
)

// A method whose stream can be resumed has a field last_event_id in its request and a field event_id in what it sends, strings or integers: the
// header Last-Event-ID goes into the one, the id of an event is the other. docs/edge.md says so to those who write services.
const (
	lastEventHeader = "Last-Event-ID"
	lastEventField  = "last_event_id"
	eventField      = "event_id"
)

// resumed puts Last-Event-ID into the parameters of a method that can resume. A parameter goes before the header: a browser sends it
// again as often as it comes back, the header says how far it got.
func (x *exchange) resumed(e *endpoint, query url.Values) {
	id := x.r.Header.Get(lastEventHeader)
	fd := e.desc.Input().Fields().ByName(lastEventField)
	if id == "" || fd == nil || !plain(fd) || e.binding.HasBody() || e.desc.Output().Fields().ByName(eventField) == nil {
		return
	}
	query.Del(fd.JSONName())
	query.Set(lastEventField, id)
}

// eventID is the id of an event; empty when its type has none, or it is not set.
func eventID(m protoreflect.Message) string {
	fd := m.Descriptor().Fields().ByName(eventField)
	if fd == nil || !plain(fd) || !m.Has(fd) {
		return ""
	}
	return m.Get(fd).String()
}

func plain(fd protoreflect.FieldDescriptor) bool {
	if fd.IsList() {
		return false
	}
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return true
	default:
		return false
	}
}

// form is the one that Accept asks for; nil when it excludes all. NDJSON when it doesn't mind.
func (x *exchange) form() stream.Form {
	accept := x.r.Header.Values("Accept")
	lines, events := quality(accept, stream.NDJSONType), quality(accept, stream.SSEType)
	switch {
	case events > lines:
		return stream.SSE{W: x.w}
	case lines > 0:
		return stream.NDJSON{W: x.w}
	}
	return nil
}

// stream sends a server's stream in a form over HTTP. The first message is awaited for a second before the status is sent, so that a
// refusal has its own.
func (x *exchange) stream(e *endpoint, in proto.Message, f stream.Form) {
	done, err := x.long()
	if err != nil {
		x.fail(err)
		return
	}
	defer done()
	l := &listener{
		codec: transcoded{e}, open: f.Open, message: f.Message, beat: f.Beat,
		end: func(err error) { x.ended(f, err) }, unblock: func() {},
	}
	if x.r.Method == http.MethodHead {
		l.message = func([]byte, string) error { return io.EOF } // the headers were all
		l.end = func(err error) {
			if err != nil && x.w.status == 0 {
				x.fail(err)
			}
		}
	}
	x.converse(x.r.Context(), e, in, l)
	if _, lines := f.(stream.NDJSON); lines && x.broken {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut a connection: nobody takes a part for the whole
	}
}

// ended sends the last frame of a stream, or when nothing was sent yet, the problem as the answer.
func (x *exchange) ended(f stream.Form, err error) {
	if err == nil {
		f.End()
		return
	}
	begun := x.w.status != 0
	x.fail(err) // counts and logs, and answers when nothing has begun
	p := problem.From(err)
	switch {
	case !begun, x.r.Context().Err() != nil: // nobody is there to read it
	case p.Reason == reasonDraining:
		f.Drain(x.problem(problem.HTTPStatus(p.Code), err))
	default:
		x.broken = true
		f.Problem(x.problem(problem.HTTPStatus(p.Code), err))
	}
}

// socket serves a stream as a WebSocket. values are those of the path; nil when the method is called by its name. A client that sends one
// message sends it in the address when the route takes no body; else as its first one.
func (x *exchange) socket(e *endpoint, values []string) {
	in, err := x.opening(e, values)
	var done func()
	if err == nil {
		done, err = x.long()
	}
	if err != nil {
		x.fail(err)
		return
	}
	defer done()
	ws, err := stream.Upgrade(x.w, x.r, x.g.maxBody(), writeTimeout)
	if err != nil {
		x.w.status = cmp.Or(x.w.status, http.StatusBadRequest) // it has answered
		return
	}
	defer ws.Close()
	x.w.status = http.StatusSwitchingProtocols
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	defer context.AfterFunc(ws.Context(), func() { cancel(context.Cause(ws.Context())) })()
	l := &listener{
		codec: bound{transcoded{e}, values}, recv: ws.Recv, unblock: ws.Close, open: ws.Open, message: ws.Message, beat: ws.Beat,
		end: func(err error) { x.closed(ws, err) },
	}
	if in == nil && !e.desc.IsStreamingClient() {
		if in, err = x.request(ws, l); err != nil {
			x.closed(ws, err)
			return
		}
	}
	if in != nil {
		ws.Watch()
	}
	x.converse(ctx, e, in, l)
}

// request reads the only message of a client that sends one.
func (x *exchange) request(ws *stream.WebSocket, l *listener) (proto.Message, error) {
	late := time.AfterFunc(x.g.c.ReadTimeout, ws.Close)
	b, err := ws.Recv()
	late.Stop()
	if errors.Is(err, io.EOF) {
		b, err = nil, nil // an empty message is one
	}
	if err != nil {
		return nil, err
	}
	return l.decode(b)
}

// opening checks what opens a WebSocket, and returns the message that its address makes, if it does.
func (x *exchange) opening(e *endpoint, values []string) (proto.Message, error) {
	if !e.desc.IsStreamingServer() && !e.desc.IsStreamingClient() {
		return nil, problem.InvalidArgument("NO_STREAM", "the method is no stream: call it without a WebSocket")
	}
	if err := x.mayUpgrade(); err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	switch {
	case err != nil:
		return nil, problem.InvalidArgument("BAD_QUERY", "the query is not percent-encoded as it should be")
	case e.binding.HasBody() && len(query) > 0:
		return nil, problem.InvalidArgument("BAD_QUERY", "the method takes no parameters: its messages say all")
	case e.binding.HasBody():
		return nil, nil //nolint:nilnil // there is none yet
	}
	x.resumed(e, query)
	return e.binding.Encode(values, query, nil)
}

// mayUpgrade says why a request may not become a WebSocket.
func (x *exchange) mayUpgrade() error {
	switch {
	case x.r.ProtoMajor != 1:
		return problem.InvalidArgument("HTTP1_REQUIRED", "a WebSocket is opened over HTTP/1.1")
	case !x.g.c.Origin(x.r):
		return problem.PermissionDenied("ORIGIN_NOT_ALLOWED", "a page of another origin may not open a WebSocket here")
	}
	return nil
}

// closed sends the last frame of a WebSocket.
func (x *exchange) closed(ws *stream.WebSocket, err error) {
	if err == nil {
		ws.End()
		return
	}
	x.fail(err) // counts and logs
	p := problem.From(err)
	status := problem.HTTPStatus(p.Code)
	switch {
	case ws.Context().Err() != nil: // nobody is there to read it
	case p.Reason == reasonDraining:
		ws.Drain(nil)
	case status < http.StatusInternalServerError:
		ws.Refuse(x.problem(status, err))
	default:
		ws.Problem(x.problem(status, err))
	}
}

// bound is a codec of messages that have something from the path too.
type bound struct {
	transcoded
	values []string
}

func (b bound) decode(body []byte) (proto.Message, error) {
	return b.e.binding.Encode(b.values, nil, body)
}

// sameOrigin is the default of Config.Origin: a page of the same host, or no browser.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// needsSocket answers a request without an upgrade for a method that takes a stream.
func (x *exchange) needsSocket() {
	x.w.Header().Set("Upgrade", "websocket")
	x.w.Header().Set("Connection", "Upgrade")
	x.failWith(http.StatusUpgradeRequired, problem.InvalidArgument("WEBSOCKET_REQUIRED", "%s takes a stream: open a WebSocket", fmt.Sprint(x.route)))
}
