package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// TestAccessLog: a request is a line with its route and its outcome, and no word of the client's.
func TestAccessLog(t *testing.T) {
	reg, tokens := registry.NewMemoryRegistry(), newMint(t)
	catalogue(t, reg, &shelf{})
	var out bytes.Buffer // read when the gateway has ended
	e := start(t, reg, tokens.configure, func(c *api.Config) { c.AccessLog, c.AccessShare = &out, 1 })
	e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK })
	e.get("/v1/products?page_token=secretvalue", "Authorization", tokens.good(), "X-Request-Id", "mine")
	e.get("/v1/secretpath")
	e.get("/v1/products:search?query=secretvalue")
	e.json(http.MethodPost, "/shop.catalog.v1.Catalog/SearchProducts", `{"query":"secretvalue"}`)
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Contains(text, "secret") || strings.Contains(text, tokens.good()) {
		t.Errorf("the log has what the client wrote: %s", text)
	}
	type line struct {
		Level, Msg, Method, Route, Protocol, Reason string
		Status                                      int
		Bytes                                       int64
		MS                                          float64
		TraceID                                     string `json:"trace_id"`
		RequestID                                   string `json:"request_id"`
		Kind                                        string `json:"caller_kind"`
		Caller                                      string
	}
	var all []line
	for l := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		var one line
		if err := json.Unmarshal([]byte(l), &one); err != nil || len(one.TraceID) != 32 || one.RequestID == "" || one.Protocol != "HTTP/1.1" {
			t.Fatalf("%v: %s", err, l)
		}
		all = append(all, one)
	}
	for what, is := range map[string]func(line) bool{
		"a good one": func(l line) bool {
			return l.RequestID == "mine" && l.Route == "/v1/products" && l.Status == 200 && l.Bytes > 0 && l.Kind == "token" && len(l.Caller) == 16 && l.Reason == ""
		},
		"no route": func(l line) bool {
			return l.Route == "none" && l.Status == 404 && l.Reason == "ROUTE_NOT_FOUND" && l.Kind == ""
		},
		"a failure of REST": func(l line) bool { return strings.HasPrefix(l.Route, "/v1/products:search") && l.Status == 500 },
		"a failure of RPC":  func(l line) bool { return l.Route == "/shop.catalog.v1.Catalog/SearchProducts" && l.Status == 500 },
	} {
		if !slices.ContainsFunc(all, is) {
			t.Errorf("%s is not in the log:\n%s", what, text)
		}
	}
}

// Whoever comes before there are routes isn't in the log, since whoever waits for them asks all the time; a service that says the same of itself is.
func TestOnlyTheGatewaysOwnStartIsKeptOutOfTheAccessLog(t *testing.T) {
	reg := &flaky{Registry: registry.NewMemoryRegistry()}
	reg.broken.Store(true)
	catalogue(t, reg, &shelf{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
		return problem.Unavailable("NOT_READY", "the shelf is empty")
	}})
	var out bytes.Buffer // read when the gateway has ended
	e := listening(t, reg, func(c *api.Config) { c.AccessLog, c.AccessShare, c.HoldFor = &out, 1, time.Millisecond })
	if a := e.get("/v1/products"); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "NOT_READY" {
		t.Fatalf("without routes: %d %s", a.status, a.body)
	}
	reg.broken.Store(false)
	e.eventually("routed", func() bool { return e.get("/v1/products").status == http.StatusOK })
	if a := e.get("/v1/products/by-handle/mug"); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "NOT_READY" {
		t.Fatalf("of a service: %d %s", a.status, a.body)
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), `"reason":"NOT_READY"`); n != 1 {
		t.Errorf("%d lines say NOT_READY: %s", n, &out)
	}
}
