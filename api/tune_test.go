package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/api"
)

// What is tuned is in force for the next request.
func TestAGatewayIsTunedWhileItServes(t *testing.T) {
	const tooLarge = http.StatusTooManyRequests // so Connect says RESOURCE_EXHAUSTED
	e := running(t, &shelf{})
	big := `{"category": "` + strings.Repeat("x", 2000) + `"}`
	if a := e.get("/v1/products", "Origin", "https://shop.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("before: %v", a.header)
	}
	if a := e.send(http.MethodPost, "/shop.catalog.v1.Catalog/ListProducts", big, "Content-Type", "application/json"); a.status == tooLarge {
		t.Errorf("before: %d", a.status)
	}
	e.gateway.Tune(api.Tuning{Origins: []string{"https://shop.example"}, MaxBody: 1000})
	if a := e.get("/v1/products", "Origin", "https://shop.example"); a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("after: %v", a.header)
	}
	if a := e.send(http.MethodPost, "/shop.catalog.v1.Catalog/ListProducts", big, "Content-Type", "application/json"); a.status != tooLarge {
		t.Errorf("after: %d", a.status)
	}
	e.gateway.Tune(api.Tuning{})
	if a := e.send(http.MethodPost, "/shop.catalog.v1.Catalog/ListProducts", big, "Content-Type", "application/json"); a.status == tooLarge {
		t.Errorf("back: %d", a.status)
	}
}
