package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api/internal/protocol"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/resilience"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

const (
	requestIDHeader = "X-Request-Id"
	sessionHeader   = "X-Session"
	reasonNotReady  = "NOT_READY"
)

// Handler serves the routes, and beside them /, /docs, /openapi.json, /asyncapi.json, /mcp, /events, /hooks, /healthz and /readyz. What those who run the gateway read is AdminHandlers'.
func (g *Gateway) Handler() http.Handler { return g.handle((*exchange).serve) }

// handle guards whatever serves requests: it counts them, and answers when serve panics.
func (g *Gateway) handle(serve func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := g.c.Now()
		r = withSocketToken(r)
		x := &exchange{g: g, recorder: recorder{ResponseWriter: w, within: g.writeFor}, route: "none"}
		x.w = &x.recorder
		x.r = r.WithContext(x.begin(r))
		x.rpc = protocol.Of(x.w, x.r, g.maxBody())
		defer x.done(start)
		defer func() {
			if p := recover(); p != nil {
				x.panicked(p)
			}
		}()
		serve(x)
	})
}

// exchange is one request and its answer.
type exchange struct {
	g     *Gateway
	w     *recorder // its own
	r     *http.Request
	id    string            // X-Request-Id
	md    metadata.Metadata // of the call, and of r's context, which it is in; nobody else has it before the call
	route string            // template of the route, for the metrics
	span  *telemetry.Active // nil when nothing is recorded
	code  string            // of the error that it was answered with

	version string // of a service that it is meant for, when it says so and may

	rpc    protocol.Call // nil when the request is none, or is not known to be one yet
	placed bool          // it has a place among the requests in flight
	broken bool          // a stream failed after it had begun
	noted                // for the access log

	recorder recorder
	lines    [12]string // of the answer's header: one piece of memory for all
	set      int        // of the lines
}

// header sets a header of the answer, whose key is canonical.
func (x *exchange) header(key, value string) {
	if x.set == len(x.lines) {
		x.w.Header()[key] = []string{value}
		return
	}
	x.lines[x.set] = value
	x.set++
	x.w.Header()[key] = x.lines[x.set-1 : x.set : x.set]
}

// recorder remembers the status, and gives every write its time: a client that doesn't read must not keep us.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64         // of the body
	within time.Duration // of one write
	since  time.Time     // when it was last set
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.timed()
	w.ResponseWriter.WriteHeader(status)
}

// timed leaves the deadline as it is when that is as good as new: a small answer is two writes.
func (w *recorder) timed() {
	now := time.Now()
	if now.Sub(w.since) < w.within/64 {
		return
	}
	w.since = now
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(w.within)) // a test's writer has none
}

// written says that what was written is out: HTTP/2 would reset a stream at the deadline of its last write, however well that went.
func (w *recorder) written() {
	w.since = time.Time{}
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Time{}) // a test's writer has none
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.timed()
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin gives the request its trace and its id, and tells the client of both.
func (x *exchange) begin(r *http.Request) context.Context {
	ctx, span := x.g.c.Tracer.Join(r.Context(), r.Header.Get(telemetry.Header), known(r.Method), telemetry.Server)
	x.span = span
	id := r.Header.Get(requestIDHeader)
	if !saneID(id) {
		id = newID()
	}
	x.id = id
	h := x.w.Header()
	x.header(requestIDHeader, id)
	x.header("Traceparent", telemetry.Traceparent(ctx))
	x.g.fixed.secure(h, r)
	x.g.shared(h, r)
	md := metadata.Metadata{requestIDHeader: id}
	authn.Stamp(md, authn.Identity{}) // until it is known who calls: nothing from outside passes for a module's own call
	if session := r.Header.Get(sessionHeader); saneID(session) {
		md[sessionHeader] = session
	}
	if ip := source(r); ip != "" {
		md[sourceHeader] = ip
	}
	x.md = md
	return metadata.NewContext(ctx, md)
}

// newID is a UUID that is unlikely to be met twice. It is no secret: a fast generator will do.
func newID() string {
	var u uuid.UUID
	binary.NativeEndian.PutUint64(u[:8], rand.Uint64()) //nolint:gosec // no secret
	binary.NativeEndian.PutUint64(u[8:], rand.Uint64()) //nolint:gosec // no secret
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80         // version 4 (RFC 9562, 5.4)
	return u.String()
}

func saneID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// The gateway's own pages. No service can have them.
const (
	indexPage    = "/"
	openapiPage  = "/openapi.json"
	asyncapiPage = "/asyncapi.json"
	docsPage     = "/docs"
	docsScript   = "/docs/reference.js"
	docsStyle    = "/docs/reference.css"
	mcpPath      = "/mcp"
	livenessPage = "/healthz"
	readyPage    = "/readyz"
)

func ownPages() []string {
	return []string{indexPage, openapiPage, livenessPage, readyPage, mcpPath, eventsPage, asyncapiPage, docsPage, docsScript, docsStyle}
}

// isOwn says that a path, or a template's shape, is the gateway's.
func isOwn(path string) bool {
	return slices.Contains(ownPages(), path) || strings.HasPrefix(path, eventsPage+"/") || strings.HasPrefix(path, hooksPage+"/")
}

func (x *exchange) serve() {
	if status, err := x.g.oversized(x.r); err != nil {
		x.failWith(status, err)
		return
	}
	switch x.r.URL.Path {
	case livenessPage:
		x.own(func() { _, _ = x.w.Write([]byte("ok\n")) })
		return
	case readyPage:
		x.own(x.ready)
		return
	}
	select {
	case x.g.inFlight <- struct{}{}:
		x.placed = true
		x.g.metrics.inFlight.Inc()
		defer x.release()
	default:
		x.fail(problem.Unavailable("OVERLOADED", "the gateway serves %d requests already", cap(x.g.inFlight)))
		return
	}
	if x.rpc != nil {
		x.routed()
		return
	}
	switch x.r.URL.Path {
	case indexPage:
		x.own(x.index)
	case openapiPage:
		x.own(x.document)
	case asyncapiPage:
		x.own(x.events)
	case docsPage, docsScript, docsStyle:
		x.own(x.reference)
	case mcpPath:
		x.mcp()
	case eventsPage:
		x.own(x.listTopics)
	default:
		x.brokered()
	}
}

// release gives back the place among the requests in flight, once.
func (x *exchange) release() {
	if !x.placed {
		return
	}
	x.placed = false
	<-x.g.inFlight
	x.g.metrics.inFlight.Dec()
}

// in goes on with ctx. A request is copied for it, and need not be when nothing was added.
func (x *exchange) in(ctx context.Context) {
	if ctx != x.r.Context() {
		x.r = x.r.WithContext(ctx)
	}
}

// own serves a page of the gateway's own, which can be read only.
func (x *exchange) own(page func()) {
	x.route = x.r.URL.Path
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.notAllowed([]string{http.MethodGet, http.MethodHead})
		return
	}
	page()
}

func (x *exchange) ready() {
	switch {
	case x.g.draining.Load():
		x.fail(problem.Unavailable("DRAINING", "the gateway is about to stop"))
	case x.g.table.Load() == nil:
		x.notYet("the registry has not answered yet")
	default:
		_, _ = x.w.Write([]byte("ok\n"))
	}
}

// routed finds the route and serves it.
func (x *exchange) routed() {
	t := x.routes()
	if t == nil {
		return
	}
	if x.rpc != nil {
		x.named(t)
		return
	}
	method := x.r.Method
	m, allowed, found := t.tree.Find(method, x.r.URL.EscapedPath())
	if !found && method == http.MethodHead {
		m, allowed, found = t.tree.Find(http.MethodGet, x.r.URL.EscapedPath())
	}
	if !found && isUpgrade(x.r) { // it is a GET, whatever the rule's method is
		for _, method := range allowed {
			if m, _, found = t.tree.Find(method, x.r.URL.EscapedPath()); found {
				break
			}
		}
	}
	switch {
	case found:
		x.route = m.Value.template.String()
		x.call(m.Value, m.Values)
	case len(allowed) > 0 && x.preflight(allowed):
	case len(allowed) > 0:
		x.notAllowed(allowed)
	case x.named(t):
	default:
		x.fail(problem.NotFound("ROUTE_NOT_FOUND", "there is no %.200s here; /openapi.json has all that is", x.r.URL.Path))
	}
}

func (x *exchange) notAllowed(allowed []string) {
	if slices.Contains(allowed, http.MethodGet) && !slices.Contains(allowed, http.MethodHead) {
		allowed = append(allowed, http.MethodHead)
	}
	x.w.Header().Set("Allow", strings.Join(allowed, ", "))
	x.failWith(http.StatusMethodNotAllowed,
		problem.Unimplemented("METHOD_NOT_ALLOWED", "the method is %.20s; this path has %s", x.r.Method, strings.Join(allowed, ", ")))
}

// fail answers with the problem that err is.
func (x *exchange) fail(err error) { x.failWith(problem.HTTPStatus(problem.From(err).Code), err) }

func (x *exchange) failWith(status int, err error) {
	p := problem.From(err)
	x.problemStatus, x.reason = status, p.Reason
	x.code = p.Code.String()
	x.g.metrics.refused.WithLabelValues(p.Reason).Inc()
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError && !x.early && p.Reason != resilience.ReasonOverloaded { // an overload needs its time for other things
		level = slog.LevelWarn
	}
	x.g.c.Log.Log(x.r.Context(), level, "request failed", "method", x.r.Method, "path", x.r.URL.Path, "status", status, "reason", p.Reason, "error", err)
	begun := x.w.status != 0
	if !begun && (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || p.Reason == idempotency.ReasonInUse) &&
		x.w.Header().Get("Retry-After") == "" {
		x.w.Header().Set("Retry-After", "1")
	}
	if x.rpc != nil {
		x.rpc.End(err)
		return
	}
	if begun {
		return
	}
	body := x.problem(status, err)
	h := x.w.Header()
	h.Set("Content-Type", problem.MediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the client may be gone
	}
}

// problem is the document that tells of an error, on a line.
func (x *exchange) problem(status int, err error) []byte {
	doc := struct {
		problem.Document
		RequestID string `json:"request_id"`
	}{problem.From(err).Document(x.r.URL.Path, telemetry.TraceID(x.r.Context())), x.id}
	if doc.Status != status {
		doc.Status, doc.Title = status, http.StatusText(status)
	}
	b, err := json.Marshal(doc)
	if err != nil { // texts and numbers only: it can't be
		b = []byte(`{"type":"about:blank","status":` + strconv.Itoa(status) + `}`)
	}
	return append(b, '\n')
}

// panicked answers for a bug of ours. When the answer has begun the connection is cut: half of it must not look whole.
func (x *exchange) panicked(p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(p) //nolint:forbidigo // net/http's way to cut a connection
	}
	x.g.metrics.panics.Inc()
	x.g.c.Log.ErrorContext(x.r.Context(), "the gateway panicked", "path", x.r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	begun := x.w.status != 0
	x.fail(problem.Internal(fmt.Errorf("panic: %v", p)))
	if begun {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut a connection
	}
}
