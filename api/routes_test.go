package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cleavehq/cleave/api"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestOneContractIsFetchedOnce(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	e := start(t, reg)
	if a := e.get("/v1/products"); a.status != http.StatusNotFound {
		t.Fatalf("before: %d", a.status)
	}
	for range 3 {
		s := catalogue(t, reg, &shelf{})
		took := e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK })
		if took > 30*time.Second {
			t.Errorf("reachable after %v", took)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		e.eventually("gone", func() bool { return e.get("/v1/products").status == http.StatusNotFound })
	}
	if n := e.fetched("ok"); n != 1 {
		t.Errorf("the contract was fetched %v times: it is the same one", n)
	}
}

// fetched counts the contracts that were asked for.
func (e *edge) fetched(result string) float64 {
	e.t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "gateway_contract_fetches_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestAnInstanceThatHangsKeepsNobodyWaiting: it accepts connections and says nothing.
func TestAnInstanceThatHangsKeepsNobodyWaiting(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	e := start(t, reg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	err = reg.Register(&registry.Service{Name: "aaa", Version: "1", Nodes: []*registry.Node{{
		Id: "aaa-1", Address: ln.Addr().String(), Metadata: map[string]string{"protocol": "grpc", "schema": "sha256:00"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	catalogue(t, reg, &shelf{})
	if took := e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK }); took > 30*time.Second {
		t.Errorf("reachable after %v", took)
	}
	e.eventually("given up", func() bool { return e.fetched("failed") > 0 })
	if a := e.get("/v1/products"); a.status != http.StatusOK {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestAnOutageOfTheRegistryIsNotNoticed(t *testing.T) {
	reg := &flaky{Registry: registry.NewMemoryRegistry()}
	s := catalogue(t, reg, &shelf{})
	e := start(t, reg)
	if a := e.get("/v1/products"); a.status != http.StatusOK {
		t.Fatalf("before: %d", a.status)
	}
	reg.broken.Store(true)
	carts(t, reg) // a change, so that the gateway looks and fails
	deadline := time.NewTimer(600 * time.Millisecond)
	defer deadline.Stop()
	for done := false; !done; {
		if a := e.get("/v1/products"); a.status != http.StatusOK {
			t.Fatalf("without a registry: %d %s", a.status, a.body)
		}
		if a := e.get("/readyz"); a.status != http.StatusOK {
			t.Fatalf("not ready without a registry: %d", a.status)
		}
		select {
		case <-deadline.C:
			done = true
		default:
		}
	}
	reg.broken.Store(false)
	e.eventually("carts are routed", func() bool { return e.json("POST", "/v1/carts", "{}").status == http.StatusOK })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	e.eventually("the catalogue is gone", func() bool { return e.get("/v1/products").status == http.StatusNotFound })
}

func TestNotReadyWithoutARegistry(t *testing.T) {
	reg := &flaky{Registry: registry.NewMemoryRegistry()}
	reg.broken.Store(true)
	catalogue(t, reg, &shelf{})
	var seen atomic.Int32
	time.AfterFunc(200*time.Millisecond, func() { reg.broken.Store(false) })
	e := start(t, reg, func(c *api.Config) {
		c.Now = func() time.Time { seen.Add(1); return time.Now() }
	}) // returns when ready
	if a := e.get("/v1/products"); a.status != http.StatusOK {
		t.Errorf("ready, and the route of a service that was there is %d", a.status)
	}
	if seen.Load() == 0 {
		t.Error("the clock was not asked")
	}
}

// A browser's EventSource gives up at any answer but 200: one that comes back to a gateway that has just started must not be told to wait.
func TestNobodyIsRefusedWhileAGatewayLearnsItsRoutes(t *testing.T) {
	reg := &flaky{Registry: registry.NewMemoryRegistry()}
	reg.broken.Store(true)
	catalogue(t, reg, &shelf{})
	e := listening(t, reg, func(c *api.Config) { c.HoldFor = patience })
	if a := e.get("/readyz"); a.status != http.StatusServiceUnavailable {
		t.Errorf("ready without routes: %d", a.status)
	}
	got := make(chan answer, 3)
	for _, path := range []string{"/v1/products", "/openapi.json", "/events"} {
		go func() { got <- e.get(path) }()
	}
	e.counted("gateway_requests_in_flight 3")
	reg.broken.Store(false)
	for range cap(got) {
		if a := <-got; a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestAServiceThatDiesIs503(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	catalogue(t, reg, &shelf{})
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, reg)
	services, err := reg.GetService("catalog")
	if err != nil {
		t.Fatal(err)
	}
	// The same contract at an address where nobody is: the instance was killed, and the registry has not noticed.
	gone := *services[0].Nodes[0]
	gone.Id, gone.Address = "catalog-dead", dead.Addr().String()
	_ = dead.Close()
	if err := reg.Deregister(services[0]); err != nil {
		t.Fatal(err)
	}
	if err := reg.Register(&registry.Service{Name: "catalog", Version: "1.2.3", Nodes: []*registry.Node{&gone}}); err != nil {
		t.Fatal(err)
	}
	e.eventually("unreachable", func() bool { return e.get("/v1/products").status == http.StatusServiceUnavailable })
	a := e.get("/v1/products")
	if p := a.problem(t); p.Reason != "UNREACHABLE" || a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("%s %v", a.body, a.header)
	}
}

func TestStream(t *testing.T) {
	h := &shelf{}
	e := running(t, h)
	h.export = func(_ context.Context, st catalogv1.Catalog_ExportProductsStream) error {
		for _, title := range []string{"one", "two\nlines", "drei"} {
			if err := st.Send(&catalogv1.Product{Title: title}); err != nil {
				return err
			}
		}
		return nil
	}
	a := e.get("/v1/products:export")
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 3 || a.err != nil {
		t.Fatalf("%d %v %q %v", a.status, a.header, a.body, a.err)
	}
	for i, want := range []string{"one", "two\nlines", "drei"} {
		var p catalogv1.Product
		if err := protojson.Unmarshal([]byte(lines[i]), &p); err != nil || p.GetTitle() != want {
			t.Errorf("line %d: %q, %v", i, p.GetTitle(), err)
		}
	}
	h.export = func(context.Context, catalogv1.Catalog_ExportProductsStream) error { return nil }
	if a := e.get("/v1/products:export"); a.status != http.StatusOK || a.body != "" {
		t.Errorf("nothing to stream: %d %q", a.status, a.body)
	}
	if a := e.get("/v1/products:export", "Accept", "application/json"); a.status != http.StatusNotAcceptable {
		t.Errorf("a stream as one document: %d", a.status)
	}
}

func TestStreamThatFails(t *testing.T) {
	h := &shelf{}
	e := running(t, h)
	h.export = func(context.Context, catalogv1.Catalog_ExportProductsStream) error { return errors.New("hunter2") }
	if a := e.get("/v1/products:export"); a.status != 500 || a.problem(t).Reason != "INTERNAL" || strings.Contains(a.body, "hunter2") {
		t.Errorf("at once: %d %s", a.status, a.body)
	}
	h.export = func(_ context.Context, st catalogv1.Catalog_ExportProductsStream) error {
		if err := st.Send(&catalogv1.Product{Title: "one"}); err != nil {
			return err
		}
		return errors.New("hunter2")
	}
	a := e.get("/v1/products:export")
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	var last struct {
		Error struct {
			Status  int
			TraceID string `json:"trace_id"`
		}
	}
	if len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &last) != nil || last.Error.Status != 500 || last.Error.TraceID == "" {
		t.Errorf("in the middle: %q", a.body)
	}
	if a.err == nil || strings.Contains(a.body, "hunter2") {
		t.Errorf("half a stream looks whole, or says too much: %q", a.body)
	}
}

// TestStreamIsLive: a message is there before the next one is sent, and a client that leaves ends the handler.
func TestStreamIsLive(t *testing.T) {
	h := &shelf{}
	e := running(t, h)
	next, left := make(chan struct{}), make(chan struct{})
	h.export = func(ctx context.Context, st catalogv1.Catalog_ExportProductsStream) error {
		defer close(left)
		for {
			if err := st.Send(&catalogv1.Product{Title: "x"}); err != nil {
				return err
			}
			select {
			case <-next:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+"/v1/products:export", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	rsp, err := e.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	lines := bufio.NewReader(rsp.Body)
	for range 3 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		next <- struct{}{}
	}
	cancel()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the handler runs on for nobody")
	}
}

func TestPages(t *testing.T) {
	e := running(t, &shelf{})
	doc := e.get("/openapi.json")
	etag := doc.header.Get("ETag")
	var openapi struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(doc.body), &openapi); err != nil || !strings.HasPrefix(openapi.OpenAPI, "3.1.") || openapi.Info.Version != "9.9" || openapi.Paths["/v1/carts"] == nil {
		t.Errorf("%v %+v", err, openapi)
	}
	for _, match := range []string{etag, `"x", ` + etag} {
		if a := e.get("/openapi.json", "If-None-Match", match); a.status != http.StatusNotModified || a.body != "" {
			t.Errorf("If-None-Match %s: %d", match, a.status)
		}
	}
	if a := e.get("/openapi.json", "If-None-Match", `"other"`); a.status != http.StatusOK {
		t.Errorf("another ETag: %d", a.status)
	}
	var index struct {
		Version string
		Links   []string
		Routes  []struct{ Method, Path, Service, Endpoint string }
	}
	if err := json.Unmarshal([]byte(e.get("/").body), &index); err != nil || index.Version != "9.9" || len(index.Routes) < 15 || len(index.Links) != 6 {
		t.Errorf("%v %+v", err, index)
	}
	page := e.get("/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for _, want := range []string{`<a href="/v1/products">`, "/v1/products/{id}", `<a href="/openapi.json">`, "Catalog.GetProduct"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page.body, "http://") || strings.Contains(page.body, "https://") || page.header.Get("Content-Security-Policy") == "" {
		t.Error("the page asks others for something")
	}
	e.get("/v1/products/" + anID)
	e.get("/v1/nothing")
	scrape := e.scrape()
	for _, want := range []string{
		`gateway_request_seconds_count{method="GET",route="/v1/products/{id}",status="200"} 1`, `gateway_request_seconds_count{method="GET",route="none",status="404"} 1`,
		`gateway_contract_fetches_total{result="ok"} 2`, `gateway_refused_total{reason="ROUTE_NOT_FOUND"} 1`, `gateway_requests_in_flight 0`,
	} {
		if !strings.Contains(scrape, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestRegistersAndDrains(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	busy, release := make(chan struct{}), make(chan struct{})
	catalogue(t, reg, &shelf{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
		close(busy)
		<-release
		return nil
	}})
	e := start(t, reg)
	var node *registry.Node
	e.eventually("registered", func() bool {
		s, err := reg.GetService("gateway")
		if err != nil {
			return false
		}
		node = s[0].Nodes[0]
		return true
	})
	if node.Metadata["check"] != "http:/healthz" || node.Metadata["version"] != "9.9" || "http://"+node.Address != e.base {
		t.Errorf("registered as %+v", node)
	}
	running := make(chan answer, 1)
	go func() { running <- e.get("/v1/products/" + anID) }()
	<-busy
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	e.eventually("out of the registry", func() bool {
		_, err := reg.GetService("gateway")
		return errors.Is(err, registry.ErrNotFound)
	})
	// Those who have not noticed are served still, and those who ask hear of it.
	if a := e.get("/v1/products"); a.status != http.StatusOK {
		t.Errorf("while it drains: %d", a.status)
	}
	if a := e.get("/readyz"); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "DRAINING" {
		t.Errorf("ready while it drains: %d", a.status)
	}
	close(release)
	if a := <-running; a.status != http.StatusOK {
		t.Errorf("a request that ran: %d %s", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
