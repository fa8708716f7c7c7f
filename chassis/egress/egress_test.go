package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/chassis/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c egress.Config) *egress.Client {
	t.Helper()
	e := egress.New(c)
	t.Cleanup(e.Close)
	return e
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheck(t *testing.T) {
	strict, lax := open(t, egress.Config{}), open(t, egress.Config{Allow: loopback()})
	for _, c := range []struct {
		url         string
		strict, lax bool
	}{
		{"https://example.com/hook?a=b", true, true},
		{"https://example.com:8443/", true, true},
		{"https://93.184.216.34/", true, true},
		{"https://[2606:2800:220:1:248:1893:25c8:1946]/", true, true},
		{"http://example.com/", false, true}, // what it leads to is looked at later
		{"http://127.0.0.1:8080/", false, true},
		{"https://127.0.0.1/", false, true},
		{"https://[::1]/", false, true},
		{"https://[::ffff:127.0.0.1]/", false, true},
		{"http://93.184.216.34/", false, false}, // not allowed by name, so not without TLS
		{"https://10.0.0.1/", false, false},
		{"https://172.16.0.1/", false, false},
		{"https://192.168.1.1/", false, false},
		{"https://169.254.169.254/latest/meta-data", false, false},
		{"https://100.64.0.1/", false, false},
		{"https://0.0.0.0/", false, false},
		{"https://224.0.0.1/", false, false},
		{"https://255.255.255.255/", false, false},
		{"https://[::]/", false, false},
		{"https://[fe80::1]/", false, false},
		{"https://[fe80::1%25eth0]/", false, false},
		{"https://[fd00::1]/", false, false},
		{"https://[ff02::1]/", false, false},
		{"https://[::ffff:10.0.0.1]/", false, false},
		{"https://[64:ff9b::7f00:1]/", false, false},
		{"https://[2002:7f00:1::]/", false, false},
		{"https://user:secret@example.com/", false, false},
		{"https://example.com/#part", false, false},
		{"https:///path", false, false},
		{"https:example.com", false, false},
		{"ftp://example.com/", false, false},
		{"file:///etc/passwd", false, false},
		{"//example.com/", false, false},
		{"https://example.com/" + strings.Repeat("a", 2048), false, false},
		{"https://exa mple.com/secret", false, false},
		{"", false, false},
	} {
		if err := strict.Check(c.url); (err == nil) != c.strict {
			t.Errorf("%q: %v", c.url, err)
		}
		if err := lax.Check(c.url); (err == nil) != c.lax {
			t.Errorf("%q where loopback is allowed: %v", c.url, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows it: %v", c.url, err)
		}
	}
}

// A name that leads home is refused when it is called, with TLS and without.
func TestANameThatLeadsHome(t *testing.T) {
	called := false
	home := serve(t, func(http.ResponseWriter, *http.Request) { called = true })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(home, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	strict := open(t, egress.Config{})
	lax := open(t, egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, c := range []struct {
		e   *egress.Client
		url string
	}{{strict, "https://localhost:" + port}, {lax, "https://localhost:" + port}, {lax, "http://localhost:" + port}, {strict, home}} {
		if a, err := c.e.Post(t.Context(), c.url, nil, nil); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v, %v", c.url, a, err)
		}
	}
	if called {
		t.Error("it was called")
	}
	if a, err := open(t, egress.Config{Allow: loopback()}).Post(t.Context(), "http://localhost:"+port, nil, nil); err != nil || a.Status != 200 || !called {
		t.Errorf("allowed: %v, %v", a, err)
	}
}

func TestPost(t *testing.T) {
	e := open(t, egress.Config{Allow: loopback(), UserAgent: "Test"})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "body" || r.Method != http.MethodPost || r.Header.Get("webhook-id") != "1" || r.Header.Get("User-Agent") != "Test" {
			t.Errorf("%s %s %v, %v", r.Method, body, r.Header, err)
		}
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		case "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/forever":
			w.Header().Set("Retry-After", "99999999999")
		case "/then":
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		case "/nonsense":
			w.Header().Set("Retry-After", "soon")
		}
	})
	for path, want := range map[string]egress.Answer{
		"/":          {Status: 200},
		"/elsewhere": {Status: 307},
		"/busy":      {Status: 429, RetryAfter: 2 * time.Minute},
		"/forever":   {Status: 200, RetryAfter: 24 * time.Hour},
		"/nonsense":  {Status: 200},
	} {
		if got, err := e.Post(t.Context(), url+path, map[string]string{"webhook-id": "1"}, []byte("body")); err != nil || got != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	got, err := e.Post(t.Context(), url+"/then", map[string]string{"webhook-id": "1"}, []byte("body"))
	if err != nil || got.RetryAfter < 58*time.Minute || got.RetryAfter > time.Hour {
		t.Errorf("%v, %v", got, err)
	}
}

// A server that says nothing, one that never stops, and one that hangs up are no answers, and none of them holds us.
func TestServersThatMisbehave(t *testing.T) {
	e := open(t, egress.Config{Allow: loopback(), Timeout: 100 * time.Millisecond})
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-done:
			}
		case "/drip":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
			}
		case "/flood":
			flood := make([]byte, 1<<20)
			for r.Context().Err() == nil {
				if _, err := w.Write(flood); err != nil {
					return
				}
			}
		case "/hangup":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}
	})
	for path, want := range map[string]error{"/silent": context.DeadlineExceeded, "/hangup": io.EOF} {
		a, err := e.Post(t.Context(), url+path+"?token=secret", nil, []byte("secret"))
		if !errors.Is(err, want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", path, a, err)
		}
	}
	for _, path := range []string{"/drip", "/flood"} { // more than is read counts as an answer, and the connection is given up
		begun := time.Now()
		if _, err := e.Post(t.Context(), url+path, nil, nil); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", path, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s held us for %v", path, took)
		}
	}
}

func ExampleClient_Check() {
	c := egress.New(egress.Config{})
	defer c.Close()
	fmt.Println(c.Check("https://example.com/hook"))
	fmt.Println(c.Check("https://169.254.169.254/latest/meta-data"))
	// Output:
	// <nil>
	// the address is not public
}
