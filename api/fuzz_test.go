package api

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/rpc"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// FuzzHeaders: whatever the head of a request says, the answer is no bug of ours. The services behind it aren't there, so that 503 is an answer.
func FuzzHeaders(f *testing.F) {
	for _, s := range [][2]string{
		{"GET /v1/products/x HTTP/1.1", "Accept: text/event-stream;q=0.1, */*;q=nan"},
		{"GET /v1/products:export HTTP/1.1", "Accept: text/event-stream\r\nLast-Event-ID: 3"},
		{"POST /v1/carts HTTP/1.1", "Content-Type: application/json; charset=\"utf-8\"\r\nIdempotency-Key: a\r\nContent-Length: 2"},
		{"POST /v1/carts HTTP/1.1", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 2"},
		{"POST /shop.catalog.v1.Catalog/GetProduct HTTP/1.1", "Content-Type: application/grpc-web-text+proto\r\nGrpc-Timeout: 99999999H"},
		{"POST /shop.catalog.v1.Catalog/GetProduct HTTP/2.0", "Content-Type: application/grpc\r\nGrpc-Timeout: -1S\r\nGrpc-Encoding: gzip"},
		{"POST /shop.catalog.v1.Catalog/GetProduct HTTP/1.1", "Content-Type: application/json\r\nConnect-Timeout-Ms: 1\r\nContent-Encoding: gzip\r\nContent-Length: 2"},
		{"POST / HTTP/1.1", "Micro-Service: catalog\r\nMicro-Endpoint: Catalog.GetProduct\r\nContent-Type: application/protobuf\r\nTimeout: 1"},
		{"POST /twirp/shop.catalog.v1.Catalog/GetProduct HTTP/1.1", "Content-Type: application/protobuf"},
		{"GET /v1/orders HTTP/1.1", "Authorization: Bearer eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJpIn0.AA"},
		{"GET /v1/orders HTTP/1.1", "Authorization: Basic YTpi\r\nX-Api-Key: ck_1_2\r\nX-Forwarded-For: 1.2.3.4, ::1,, x"},
		{"OPTIONS /v1/products HTTP/1.1", "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET"},
		{"GET /v1/products:export HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="},
		{"GET /openapi.json HTTP/1.1", "If-None-Match: W/\"x\", *\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Request-Id: \x7f"},
	} {
		f.Add(s[0], s[1], "{}")
	}
	g := fuzzed(f)
	h := g.Handler()
	f.Fuzz(func(t *testing.T, line, head, body string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\r\nHost: edge\r\n" + head + "\r\n\r\n" + body)))
		if err != nil {
			return // net/http refuses it
		}
		r.RemoteAddr = "10.0.0.1:1000" // a proxy, whose word is taken
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code == http.StatusInternalServerError || w.Code < 100 {
			t.Errorf("%q %q %q: %d %s", line, head, body, w.Code, w.Body)
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsAny(name+v, "\r\n\x00") {
					t.Errorf("%q %q: the answer's header %q: %q", line, head, name, v)
				}
			}
		}
		if n := len(g.inFlight); n != 0 {
			t.Errorf("%q %q: %d requests are still in flight", line, head, n)
		}
	})
}

// fuzzed is a gateway with routes, an issuer of tokens and an origin, and nothing behind it.
func fuzzed(f *testing.F) *Gateway {
	f.Helper()
	reg, log := registry.NewMemoryRegistry(), slog.New(slog.DiscardHandler)
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	keys := authn.KeySourceFunc(func(context.Context) ([]authn.Key, error) { return []authn.Key{{ID: "k", Public: public}}, nil })
	g, err := New(Config{Registry: reg, Client: c, Log: log, Origins: []string{"https://shop.example"}, Issuers: []Issuer{{Name: "i", Audience: "a", Keys: keys}}})
	if err != nil {
		f.Fatal(err)
	}
	list := []*offer{offerOf("catalog", "a", "1", catalogv1.File_shop_catalog_v1_catalog_proto), offerOf("cart", "b", "1", cartv1.File_shop_cart_v1_cart_proto)}
	t, err := newTable(list, nil, openapi.Info{Version: "1"}, policy.Overrides{})
	if err != nil {
		f.Fatal(err)
	}
	g.table.Store(t)
	return g
}
