package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// mcpKey is where a call of a tool has its idempotency key, in _meta.
const mcpKey = "idempotency-key"

// mcpPage is how many tools a list has at once.
const mcpPage = 1000

// exchangeKey is the exchange's in a context.
type exchangeKey struct{}

// tools offers the methods of a table by the Model Context Protocol (https://modelcontextprotocol.io/specification). It is made when it is first
// asked for: most gateways of a fleet never are.
type tools struct {
	once    sync.Once
	byName  map[string]*endpoint
	handler http.Handler
}

// mcp serves /mcp: Streamable HTTP without sessions, an answer for each POST.
func (x *exchange) mcp() {
	x.route = mcpPath
	if x.preflight([]string{http.MethodPost}) {
		return
	}
	if x.r.Method != http.MethodPost {
		x.notAllowed([]string{http.MethodPost})
		return
	}
	t := x.routes()
	if t == nil {
		return
	}
	// A page that a browser loaded may come from anybody's server under any name (DNS rebinding), so that to be of this host says nothing.
	if origin := x.r.Header.Get("Origin"); origin != "" && !lists(x.g.c.Origins, origin) {
		x.fail(problem.PermissionDenied("ORIGIN_FORBIDDEN", "pages of %.100s may not call tools", origin))
		return
	}
	if _, err := x.g.guard.Identify(x.r.Context(), x.r); err != nil { // a client is to hear at once that its credential is no good
		if problem.HTTPStatus(problem.From(err).Code) == http.StatusUnauthorized {
			x.w.Header().Set("Www-Authenticate", guard.Challenge(err, policy.Access{}))
		}
		x.fail(err)
		return
	}
	t.tools.once.Do(func() { t.tools.fill(t, x.g.c) })
	t.tools.handler.ServeHTTP(x.w, x.r.WithContext(context.WithValue(x.r.Context(), exchangeKey{}, x)))
}

// fill makes a tool of each unary method whose request is an object.
func (ts *tools) fill(t *table, c Config) {
	ts.byName = map[string]*endpoint{}
	s := mcp.NewServer(&mcp.Implementation{Name: "cleave", Title: "Cleave", Version: c.Version}, &mcp.ServerOptions{
		Logger: c.Log, PageSize: mcpPage, Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
		Instructions: "Each tool is a method of a service that is running now. What must not be done twice takes a random text that stays the same when the call " +
			"is sent again, as _meta." + mcpKey + ". A refusal is a problem document (RFC 9457): its reason says which, its detail why.",
	})
	for _, e := range t.named() {
		if tool := ts.tool(e, c); tool != nil {
			s.AddTool(tool, called(e))
		}
	}
	s.AddReceivingMiddleware(ts.admit)
	ts.handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, Logger: c.Log, MaxRequestBodyBytes: c.MaxBody, PropagateRequestCancellation: true,
		DisableLocalhostProtection: true, // a proxy on this machine has its own names; mcp looks at the origin
	})
}

// named are the methods that are offered, each once, by their name.
func (t *table) named() []*endpoint {
	var out []*endpoint
	for name, e := range t.methods {
		if name == e.path() {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *endpoint) int { return strings.Compare(a.path(), b.path()) })
	return out
}

// tool is what is said of a method; nil when it can be none.
func (ts *tools) tool(e *endpoint, c Config) *mcp.Tool {
	if e.desc.IsStreamingClient() || e.desc.IsStreamingServer() || e.binding.IsRaw() {
		return nil
	}
	in, err := openapi.Schema(e.desc.Input())
	if err != nil || in == nil {
		c.Log.Debug("a method is no tool", "method", e.path(), "error", err)
		return nil
	}
	name := openapi.ID(e.desc)
	if ts.byName[name] != nil { // another package's
		name = strings.ReplaceAll(string(e.desc.FullName()), ".", "_")
	}
	ts.byName[name] = e
	o, _ := e.desc.Options().(*descriptorpb.MethodOptions)
	level := o.GetIdempotencyLevel()
	reads := level == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	destroys, open := !reads, false
	t := &mcp.Tool{
		Name: name, Title: openapi.Summary(e.desc), Description: openapi.Comment(e.desc), InputSchema: in,
		Annotations: &mcp.ToolAnnotations{
			Title: openapi.Summary(e.desc), ReadOnlyHint: reads, IdempotentHint: level == descriptorpb.MethodOptions_IDEMPOTENT || reads,
			DestructiveHint: &destroys, OpenWorldHint: &open,
		},
	}
	if out, err := openapi.Schema(e.desc.Output()); err == nil && out != nil {
		t.OutputSchema = out
	}
	return t
}

// admit lets a caller see no tool but those that it may call.
func (ts *tools) admit(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		res, err := next(ctx, method, req)
		list, ok := res.(*mcp.ListToolsResult)
		x, _ := ctx.Value(exchangeKey{}).(*exchange)
		if !ok || x == nil || err != nil {
			return res, err
		}
		who, refused := x.g.guard.Identify(ctx, x.r)
		own := *list
		own.Tools = []*mcp.Tool{}
		for _, t := range list.Tools {
			if e := ts.byName[t.Name]; e != nil && guard.Admit(who, refused, e.policy.Access.Value) == nil {
				own.Tools = append(own.Tools, t)
			}
		}
		return &own, nil
	}
}

// called calls a method as the caller, and nothing that the caller may not.
func called(e *endpoint) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		x, ok := ctx.Value(exchangeKey{}).(*exchange)
		if !ok {
			return nil, problem.Internal(http.ErrAbortHandler)
		}
		b, header, err := x.tool(ctx, e, req.Params)
		if err != nil {
			return x.refusedTool(err, header), nil
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(b)}}, StructuredContent: json.RawMessage(b)}, nil
	}
}

// tool makes a call as any other way to the method does: the same policy, limits, deadline and metadata. header has what a refusal says beside.
func (x *exchange) tool(ctx context.Context, e *endpoint, p *mcp.CallToolParamsRaw) (answer []byte, header http.Header, err error) {
	header = http.Header{}
	md := metadata.Copy(x.md) // several tools may run at once
	ctx = metadata.NewContext(ctx, md)
	if err := x.shed(e); err != nil {
		return nil, header, err
	}
	who, err := x.g.authorise(ctx, md, x.r, header, e.policy)
	x.levelled(md, e, who)
	if err == nil {
		err = x.g.limited(x.r, header, who, e.policy)
	}
	if err != nil {
		return nil, header, err
	}
	args := p.Arguments
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	in, err := e.binding.Encode(nil, nil, args)
	if err != nil {
		return nil, header, err
	}
	switch key, given := p.Meta[mcpKey].(string); {
	case given && !idempotency.Valid(key):
		return nil, header, idempotency.BadKey()
	case given:
		ctx = idempotency.WithKey(ctx, key)
	case idempotency.NeedsKey(e.desc):
		ctx = idempotency.WithKey(ctx, uuid.NewString())
	}
	out := e.binding.Answer()
	err = x.ask(ctx, e, who, in, out, func() (err error) {
		if answer, err = e.binding.JSON(out); err != nil {
			return problem.Internal(err)
		}
		return nil
	})
	if err != nil {
		return nil, header, x.upstream(err)
	}
	return answer, header, nil
}

// refusedTool tells a model why its call was not done, as a problem document: so that it may do better.
func (x *exchange) refusedTool(err error, header http.Header) *mcp.CallToolResult {
	p := problem.From(err)
	x.g.metrics.refused.WithLabelValues(p.Reason).Inc()
	doc := struct {
		problem.Document
		RequestID  string `json:"request_id"`
		RetryAfter string `json:"retry_after,omitempty"` // seconds
	}{p.Document("", telemetry.TraceID(x.r.Context())), x.id, header.Get("Retry-After")}
	b, err := json.Marshal(doc)
	if err != nil { // texts and numbers only: it can't be
		b = []byte(p.Reason)
	}
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: string(b)}}}
}
