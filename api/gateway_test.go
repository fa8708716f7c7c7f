package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/api/internal/stream"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestRoutesComeAndGo(t *testing.T) {
	e := open(t, nil)
	e.eventually(t, "/readyz", http.StatusOK)
	if w := e.do(http.MethodGet, mug, ""); w.Code != http.StatusNotFound {
		t.Errorf("before: %d", w.Code)
	}
	s, _ := e.serve(t, "catalog")
	if took := e.eventually(t, mug, http.StatusOK); took > 30*time.Second {
		t.Errorf("routed after %v", took)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	e.eventually(t, mug, http.StatusNotFound)
}

func TestTheLastGoodRoutesStay(t *testing.T) {
	e := open(t, nil)
	e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	e.reg.down.Store(true)
	e.serve(t, "other") // a change, at which the registry fails
	if _, err := e.rebuild(t.Context()); err == nil {
		t.Error("a registry that is down was read")
	}
	if w := e.do(http.MethodGet, mug, ""); w.Code != http.StatusOK {
		t.Errorf("with the registry down: %d %s", w.Code, w.Body)
	}
}

func TestTheFirstOwnerKeepsARoute(t *testing.T) {
	e := open(t, nil)
	_, first := e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	_, second := e.serve(t, "another") // before "catalog" by name, and with the same routes
	if _, err := e.rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		e.do(http.MethodGet, mug, "")
	}
	if first.seen.Load() == nil || second.seen.Load() != nil {
		t.Errorf("first %v, second %v", first.seen.Load(), second.seen.Load())
	}
}

func TestErrorsAreProblems(t *testing.T) {
	e := open(t, func(c *Config) { c.MaxBody, c.MaxHeader, c.Timeout = 100, 1000, 50*time.Millisecond })
	e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	for _, tc := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		reason                     string
	}{
		{"not found", "GET", "/v1/products/by-handle/none", "", nil, 404, "PRODUCT_NOT_FOUND"},
		{"no route", "GET", "/v1/nothing", "", nil, 404, "ROUTE_NOT_FOUND"},
		{"method", "DELETE", mug, "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"own page", "POST", "/healthz", "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"an error without a code", "GET", "/v1/products/by-handle/broken", "", nil, 500, "INTERNAL"},
		{"a panic of the service", "GET", "/v1/categories", "", nil, 500, "INTERNAL"},
		{"too late", "GET", "/v1/products/by-handle/slow", "", nil, 504, "DEADLINE_EXCEEDED"},
		{"parameter", "GET", mug + "?colour=red", "", nil, 400, "INVALID_FIELDS"},
		{"rule of the contract", "GET", "/v1/products?page_size=-1", "", nil, 400, "INVALID_FIELDS"},
		{"JSON", "POST", "/v1/categories", "{", nil, 400, "BAD_JSON"},
		{"unknown field", "POST", "/v1/categories", `{"colour":1}`, nil, 400, "BAD_JSON"},
		{"media type", "POST", "/v1/categories", "{}", []string{"Content-Type", "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"encoding", "POST", "/v1/categories", "{}", []string{"Content-Encoding", "gzip"}, 415, "UNSUPPORTED_CONTENT_ENCODING"},
		{"body too large", "POST", "/v1/categories", `{"title":"` + strings.Repeat("x", 200) + `"}`, nil, 413, "BODY_TOO_LARGE"},
		{"header too large", "GET", mug, "", []string{"X-Padding", strings.Repeat("x", 2000)}, 431, "HEADER_TOO_LARGE"},
		{"accept", "GET", mug, "", []string{"Accept", "text/html"}, 406, "NOT_ACCEPTABLE"},
		{"refused stream", "GET", "/v1/products:export?category=refused", "", nil, 403, "NO"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := e.do(tc.method, tc.target, tc.body, tc.header...)
			var doc problem.Document
			if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Header().Get("Content-Type") != problem.MediaType {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if w.Code != tc.status || doc.Status != tc.status || doc.Reason != tc.reason || doc.TraceID == "" || doc.Detail == "" {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tc.status, tc.reason)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("the text of an internal error: %s", w.Body)
			}
			if tc.status == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func TestNoInstanceIsReachable(t *testing.T) {
	e := open(t, nil)
	s, _ := e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	// It stays in the registry, and is gone: as after kill -9.
	list, err := e.reg.GetService("catalog")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := e.reg.Register(list[0]); err != nil {
		t.Fatal(err)
	}
	w := e.do(http.MethodGet, mug, "")
	if w.Code != http.StatusServiceUnavailable && w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestWhatGoesUpstream(t *testing.T) {
	e := open(t, nil)
	_, h := e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	w := e.do(http.MethodGet, mug, "", "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01", "X-Request-Id", "mine-1",
		"X-User", "root", "Micro-From-Service", "order", "Authorization", "Bearer x",
		"X-Forwarded-For", "198.51.100.1")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), trace) || w.Header().Get("X-Request-Id") != "mine-1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	for k := range *h.seen.Load() {
		if k != "X-Request-Id" && k != "Traceparent" && k != "Authorization" && k != "X-Forwarded-For" && k != "Cleave-Caller-Kind" {
			t.Errorf("a client's %s became metadata: %v", k, *h.seen.Load())
		}
	}
	if got := (*h.seen.Load())["X-Forwarded-For"]; got != "192.0.2.1" { // httptest's peer
		t.Errorf("the request comes from %q", got)
	}
	for given, want := range map[string]string{
		"Bearer x.y-z": "Bearer x.y-z", "bearer  x": "Bearer x", "Basic eDp5": "", "Bearer": "", "Bearer a b": "", "Bearer \u00fc": "",
		"Bearer " + strings.Repeat("x", 8<<10): "Bearer " + strings.Repeat("x", 8<<10), "Bearer " + strings.Repeat("x", 8<<10+1): "",
	} {
		e.do(http.MethodGet, mug, "", "Authorization", given)
		if got := (*h.seen.Load())["Authorization"]; got != want {
			t.Errorf("Authorization %.20q became %.20q", given, got)
		}
	}
	for given, want := range map[string]string{"ada-1": "ada-1", "a b": "", "\u00fc": "", strings.Repeat("x", 129): ""} {
		e.do(http.MethodGet, mug, "", "X-Session", given)
		if got := (*h.seen.Load())["X-Session"]; got != want {
			t.Errorf("X-Session %.20q became %.20q", given, got)
		}
	}
	two := httptest.NewRequest(http.MethodGet, mug, http.NoBody)
	two.Header["Authorization"] = []string{"Bearer x", "Bearer y"}
	e.Handler().ServeHTTP(httptest.NewRecorder(), two)
	if token, ok := (*h.seen.Load())["Authorization"]; ok {
		t.Errorf("of two tokens %s was taken", token)
	}
	for _, id := range []string{"", strings.Repeat("x", 129), "a b", "ü"} {
		if got := e.do(http.MethodGet, mug, "", "X-Request-Id", id).Header().Get("X-Request-Id"); got == id || len(got) != 36 {
			t.Errorf("the request id %q became %q", id, got)
		}
	}
}

func TestBodiesAndStreams(t *testing.T) {
	e := open(t, nil)
	e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	if w := e.do(http.MethodPost, "/v1/categories", `{"slug":"tea","title":"Tea"}`); w.Body.String() != `{"slug":"tea","title":"Tea","productCount":"0"}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := e.do(http.MethodHead, mug, ""); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
	for category, want := range map[string]string{"": `"a" "b"`, "breaks": `"a" "b" BROKE`} {
		w := e.do(http.MethodGet, "/v1/products:export?category="+category, "")
		var got []string
		for line := range strings.Lines(w.Body.String()) {
			var m struct {
				Handle *string
				Error  *problem.Document
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if m.Error != nil {
				got = append(got, m.Error.Reason)
			} else {
				got = append(got, `"`+*m.Handle+`"`)
			}
		}
		if strings.Join(got, " ") != want || w.Code != http.StatusOK || w.Header().Get("Content-Type") != stream.NDJSONType {
			t.Errorf("%q: %d %v, want %s", category, w.Code, got, want)
		}
	}
}

func TestOwnPages(t *testing.T) {
	e := open(t, nil)
	e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	w := e.do(http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/v1/products/{id}"]["get"] == nil {
		t.Errorf("%v, %+v", err, doc)
	}
	if again := e.do(http.MethodGet, "/openapi.json", "", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("again: %d", again.Code)
	}
	if w := e.do(http.MethodGet, "/", "", "Accept", "text/html"); !strings.Contains(w.Body.String(), "/v1/products/{id}") || !strings.Contains(w.Body.String(), `id="catalog"`) {
		t.Errorf("the page: %s", w.Body)
	}
	if w := e.do(http.MethodGet, "/", ""); !json.Valid(w.Body.Bytes()) {
		t.Errorf("the index: %s", w.Body)
	}
}

func TestServeDrains(t *testing.T) {
	e := open(t, nil)
	e.serve(t, "catalog")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, ln) }()
	url := "http://" + ln.Addr().String()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		rsp, err := hc.Get(url + path)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = rsp.Body.Close() }()
		b, _ := io.ReadAll(rsp.Body)
		return rsp.StatusCode, string(b)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := e.reg.GetService(Name)
		if status, _ := get("/readyz"); status == http.StatusOK && err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not ready, or not in the registry")
		}
	}
	cancel()
	for { // it has left, and serves a little longer
		if _, err := e.reg.GetService(Name); errors.Is(err, registry.ErrNotFound) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it stays in the registry")
		}
	}
	if status, body := get("/healthz"); status != http.StatusOK {
		t.Errorf("while it drains: %d %s", status, body)
	}
	if status, _ := get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("ready while it drains: %d", status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if status, _ := get("/healthz"); status != 0 {
		t.Errorf("it still serves: %d", status)
	}
}

func TestTooManyInFlight(t *testing.T) {
	e := open(t, func(c *Config) { c.MaxInFlight = 1 })
	e.inFlight <- struct{}{}
	w := e.do(http.MethodGet, mug, "")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "OVERLOADED") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := e.do(http.MethodGet, "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("alive: %d", w.Code)
	}
	<-e.inFlight
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil || problem.From(err).Code != codes.Internal {
		t.Errorf("got %v", err)
	}
}

// TestASilentStreamStays: over HTTP/2 the deadline of a write is the stream's.
func TestASilentStreamStays(t *testing.T) {
	e := open(t, func(c *Config) { c.Heartbeat = time.Hour })
	h := &holder{next: make(chan struct{})}
	e.handle(t, "catalog", h)
	e.eventually(t, "/v1/products/by-handle/mug", http.StatusOK)
	e.writeFor = 20 * time.Millisecond
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	srv := httptest.NewUnstartedServer(e.Handler())
	srv.Config.Protocols = p
	srv.Start()
	defer srv.Close()
	tr := &http.Transport{Protocols: p}
	defer tr.CloseIdleConnections()
	rsp, err := (&http.Client{Transport: tr}).Get(srv.URL + "/v1/products:export")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	lines := bufio.NewReader(rsp.Body)
	for range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line == "\n" {
			t.Fatalf("%q %v", line, err)
		}
		<-time.After(10 * e.writeFor)
		select {
		case h.next <- struct{}{}:
		case <-time.After(time.Minute):
			t.Fatal("the stream was cut")
		}
	}
}

// holder sends a product each time that it is let.
type holder struct {
	shelf
	next chan struct{}
}

func (h *holder) ExportProducts(ctx context.Context, _ *catalogv1.ExportProductsRequest, out catalogv1.Catalog_ExportProductsStream) error {
	for range 3 {
		if err := out.Send(&catalogv1.Product{Handle: "a"}); err != nil {
			return err
		}
		select {
		case <-h.next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func TestASlowClientIsToldAndDropped(t *testing.T) {
	e := open(t, nil)
	e.serve(t, "catalog")
	e.eventually(t, mug, http.StatusOK)
	e.slowFrom = -1 // every message takes longer
	w := e.do(http.MethodGet, "/v1/products:export", "")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `{"error":`) || !strings.Contains(lines[1], `"SLOW_CLIENT"`) {
		t.Errorf("%q", lines)
	}
	w = e.do(http.MethodGet, "/v1/products:export", "", "Accept", "text/event-stream")
	if _, last, ok := strings.Cut(w.Body.String(), "event: problem\n"); !ok || !strings.Contains(last, `"SLOW_CLIENT"`) {
		t.Errorf("%q", w.Body)
	}
}
