package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/resilience"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// bearing adds a credential to every request.
type bearing struct {
	http.RoundTripper
	token string
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", b.token)
	}
	return b.RoundTripper.RoundTrip(r)
}

// talk opens a session as a stock client does.
func (e *edge) talk(token string) *mcp.ClientSession {
	e.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(e.t.Context(), &mcp.StreamableClientTransport{
		Endpoint: e.base + "/mcp", HTTPClient: &http.Client{Transport: bearing{e.http.Transport, token}}, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t *testing.T, s *mcp.ClientSession, name string, args any, meta mcp.Meta) (text string, refused bool) {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: args, Meta: meta})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// TestToolsAreWhatTheCallerMayCall: a guest sees and calls what is public, another what its scopes allow, and nobody more.
func TestToolsAreWhatTheCallerMayCall(t *testing.T) {
	tokens := newMint(t)
	e := running(t, &shelf{}, tokens.configure)
	e.eventually("routed", func() bool { return e.get("/v1/variants/a").status == http.StatusOK })

	guest, staff := e.talk(""), e.talk(tokens.good())
	tools := map[*mcp.ClientSession]map[string]*mcp.Tool{}
	for _, s := range []*mcp.ClientSession{guest, staff} {
		list, err := s.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		tools[s] = map[string]*mcp.Tool{}
		for _, tool := range list.Tools {
			tools[s][tool.Name] = tool
		}
	}
	get := tools[guest]["Catalog_GetVariant"]
	if get == nil || !get.Annotations.ReadOnlyHint || get.Description == "" && get.Title == "" || get.OutputSchema == nil {
		t.Fatalf("a public tool: %+v of %d", get, len(tools[guest]))
	}
	if tools[guest]["Catalog_CreateProduct"] != nil || tools[staff]["Catalog_CreateProduct"] == nil {
		t.Errorf("creating a product: guest %v, staff %v", tools[guest]["Catalog_CreateProduct"], tools[staff]["Catalog_CreateProduct"])
	}
	if a := tools[staff]["Catalog_CreateProduct"].Annotations; a.ReadOnlyHint || a.IdempotentHint || !*a.DestructiveHint {
		t.Errorf("hints %+v", a)
	}
	for name := range tools[staff] {
		if strings.HasPrefix(name, "Catalog_Export") {
			t.Errorf("a stream is a tool: %s", name)
		}
	}

	if text, refused := call(t, guest, "Catalog_GetVariant", map[string]any{"sku": "a"}, nil); refused || !strings.Contains(text, `"minor":"1999"`) {
		t.Errorf("refused %t: %s", refused, text)
	}
	for _, tc := range []struct {
		s      *mcp.ClientSession
		tool   string
		args   map[string]any
		meta   mcp.Meta
		reason string
	}{
		{guest, "Catalog_CreateProduct", map[string]any{}, nil, "CREDENTIALS_MISSING"},
		{guest, "Catalog_GetVariant", map[string]any{"sku": "none"}, nil, "VARIANT_NOT_FOUND"},
		{guest, "Catalog_GetVariant", map[string]any{"colour": "red"}, nil, "BAD_JSON"},
		{guest, "Catalog_SearchProducts", map[string]any{"query": "a"}, nil, "INTERNAL"},
		{guest, "Cart_CreateCart", map[string]any{}, mcp.Meta{"idempotency-key": "no key"}, "IDEMPOTENCY_KEY_INVALID"},
	} {
		text, refused := call(t, tc.s, tc.tool, tc.args, tc.meta)
		var p struct {
			Reason    string `json:"reason"`
			TraceID   string `json:"trace_id"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || !refused || p.Reason != tc.reason || p.TraceID == "" || p.RequestID == "" {
			t.Errorf("%s: want %s, got refused %t: %s", tc.tool, tc.reason, refused, text)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("the text of an internal error: %s", text)
		}
	}
	if text, refused := call(t, guest, "Cart_CreateCart", nil, mcp.Meta{"idempotency-key": "a"}); refused || !strings.Contains(text, anID) {
		t.Errorf("refused %t: %s", refused, text)
	}
	if _, err := guest.CallTool(t.Context(), &mcp.CallToolParams{Name: "Catalog_Nothing"}); err == nil {
		t.Error("a tool that isn't there")
	}
}

// TestToolsAreGuarded: pages of strangers are kept out, and so are bad credentials, other methods and bodies that are too large. Limits are those of the method.
func TestToolsAreGuarded(t *testing.T) {
	tokens := newMint(t)
	e := running(t, &shelf{}, tokens.configure, func(c *api.Config) {
		c.Origins, c.MaxBody = []string{"https://shop.example"}, 4096
		c.Overrides = kv.Static{"shop.catalog.v1.Catalog/GetVariant": []byte(`{"rate": {"requests": 1, "per": "1h"}}`)}
	})
	e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK })
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	post := func(body string, headers ...string) answer {
		return e.send(http.MethodPost, "/mcp", body, append([]string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}, headers...)...)
	}
	for _, tc := range []struct {
		name   string
		got    answer
		status int
	}{
		{"a page of a stranger", post(list, "Origin", "https://evil.example"), http.StatusForbidden},
		{"a page of this host, whatever it is called", post(list, "Origin", e.base), http.StatusForbidden},
		{"a page that may", post(list, "Origin", "https://shop.example"), http.StatusOK},
		{"a dead key", post(list, "X-Api-Key", tokens.dead), http.StatusUnauthorized},
		{"nonsense", post(`{`), http.StatusBadRequest},
		{"too large", post(`{"x":"` + strings.Repeat("x", 5000) + `"}`), http.StatusRequestEntityTooLarge},
		{"GET", e.get("/mcp"), http.StatusMethodNotAllowed},
	} {
		if tc.got.status != tc.status {
			t.Errorf("%s: %d %.200s, want %d", tc.name, tc.got.status, tc.got.body, tc.status)
		}
	}
	if a := post(list, "X-Api-Key", tokens.dead); !strings.HasPrefix(a.header.Get("Www-Authenticate"), "Bearer") {
		t.Errorf("no challenge: %v", a.header)
	}
	s := e.talk("")
	if text, refused := call(t, s, "Catalog_GetVariant", map[string]any{"sku": "a"}, nil); refused {
		t.Errorf("the first call: %s", text)
	}
	if text, refused := call(t, s, "Catalog_GetVariant", map[string]any{"sku": "a"}, nil); !refused || !strings.Contains(text, "RATE_LIMITED") ||
		!strings.Contains(text, `"retry_after":"`) {
		t.Errorf("the second of one an hour: %s", text)
	}
}

// A tool waits for its turn as any other call does, and is refused when there is too much to do.
func TestAToolWaitsForItsTurn(t *testing.T) {
	gate, err := resilience.NewGate(t.Context(), resilience.GateConfig{Server: resilience.ServerConfig{
		Least: 1, Start: 1, Most: 1, Queue: 1, MaxWait: time.Hour, Wait: func() time.Duration { return time.Second },
	}})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	e := running(t, &shelf{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		if md, _ := metadata.FromContext(ctx); md[resilience.PriorityHeader] != "normal" {
			t.Errorf("its level is %q", md[resilience.PriorityHeader])
		}
		<-release
		return nil
	}}, func(c *api.Config) { c.Gate = gate })
	e.eventually("routed", func() bool { return e.get("/v1/variants/a").status == http.StatusOK })
	guest := e.talk("")
	answers := make(chan bool, 2)
	for n := range 2 { // one runs, one waits
		go func() {
			_, refused := call(t, guest, "Catalog_GetProduct", map[string]any{"handle": "mug"}, nil)
			answers <- refused
		}()
		e.eventually("let in", func() bool { l := gate.Limits(); return l[0].Running+l[0].Queued == n+1 })
	}
	if text, refused := call(t, guest, "Catalog_GetProduct", map[string]any{"handle": "mug"}, nil); !refused || !strings.Contains(text, resilience.ReasonOverloaded) {
		t.Errorf("the third: %s", text)
	}
	close(release)
	for range cap(answers) {
		if <-answers {
			t.Error("one that was let in was refused")
		}
	}
}
