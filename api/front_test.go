package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/api"
)

func TestPagesOfListedOriginsMayCall(t *testing.T) {
	e := running(t, &shelf{}, func(c *api.Config) { c.Origins = []string{"https://shop.example"} })
	ask := func(origin, method, path string) answer {
		return e.send(http.MethodOptions, path, "", "Origin", origin, "Access-Control-Request-Method", method)
	}
	a := ask("https://shop.example", "POST", "/v1/products")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") || strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "X-Api-Key") || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := ask("https://shop.example", "POST", "/shop.catalog.v1.Catalog/GetProduct"); a.status != http.StatusNoContent ||
		a.header.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("a method by its name: %d %v", a.status, a.header)
	}
	if a := ask("https://shop.example", "GET", "/v1/nothing"); a.status != http.StatusNotFound {
		t.Errorf("a path that isn't: %d", a.status)
	}
	for _, origin := range []string{"https://evil.example", "https://shop.example.evil.example", "null", "http://shop.example"} {
		if a := ask(origin, "POST", "/v1/products"); a.status == http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
		if a := e.get("/v1/products", "Origin", origin); a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") == "" {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
	}
	if a := e.get("/v1/products", "Origin", "https://shop.example"); a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestAnswersAreSafeInABrowser(t *testing.T) {
	e := running(t, &shelf{})
	for _, path := range []string{"/v1/products", "/v1/nothing", "/", "/healthz"} {
		h := e.get(path).header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "",
			"Access-Control-Allow-Origin": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %v", path, h)
		}
	}
	if a := e.send(http.MethodOptions, "/v1/products", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "GET"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("a preflight where no origin is listed: %d", a.status)
	}
}
