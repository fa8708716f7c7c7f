package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/admin"
)

func start(t *testing.T) string {
	t.Helper()
	s, err := admin.Listen(t.Context(), admin.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("GET /hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	s.Handle("PUT /level", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Address()
}

func do(t *testing.T, method, url, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, string(text)
}

func TestPages(t *testing.T) {
	at := start(t)
	if !strings.HasPrefix(at, "127.0.0.1:") {
		t.Errorf("listens at %s, not on loopback", at)
	}
	if code, body := do(t, http.MethodGet, "http://"+at+"/hello", "", nil); code != http.StatusOK || body != "hello" {
		t.Errorf("page: %d %q", code, body)
	}
	if _, body := do(t, http.MethodGet, "http://"+at+"/", "", nil); body != "GET /hello\nPUT /level\n" {
		t.Errorf("the list of pages: %q", body)
	}
}

func TestWhatABrowserIsTrickedIntoIsRefused(t *testing.T) {
	at := start(t)
	rebound := func(r *http.Request) { r.Host = "evil.example:80" }
	if code, _ := do(t, http.MethodGet, "http://"+at+"/hello", "", rebound); code != http.StatusMisdirectedRequest {
		t.Errorf("another name for this address: %d", code)
	}
	across := func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }
	if code, _ := do(t, http.MethodPut, "http://"+at+"/level", "debug", across); code != http.StatusForbidden {
		t.Errorf("a request of another origin: %d", code)
	}
}

func TestABodyHasALimit(t *testing.T) {
	at := start(t)
	if code, _ := do(t, http.MethodPut, "http://"+at+"/level", strings.Repeat("x", 70<<10), nil); code != http.StatusRequestEntityTooLarge {
		t.Errorf("70 KiB: %d", code)
	}
}
