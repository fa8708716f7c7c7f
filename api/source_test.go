package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSource(t *testing.T) {
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:5000", nil, "203.0.113.7"},
		{"203.0.113.7:5000", []string{"198.51.100.1"}, "203.0.113.7"}, // it is no proxy of ours
		{"[::ffff:203.0.113.7]:5000", nil, "203.0.113.7"},
		{"[2001:db8::7]:5000", nil, "2001:db8::7"},
		{"127.0.0.1:5000", nil, ""},
		{"10.0.0.1:5000", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},               // the client claims to be a proxy
		{"10.0.0.1:5000", []string{"198.51.100.1", "203.0.113.7,192.168.1.1"}, "203.0.113.7"}, // two proxies of ours
		{"[fd00::1]:5000", []string{"2001:db8::7"}, "2001:db8::7"},
		{"10.0.0.1:5000", []string{"203.0.113.7, unknown"}, ""},
		{"10.0.0.1:5000", []string{"10.0.0.9"}, ""},
		{"10.0.0.1:5000", []string{""}, ""},
		{"@", []string{"203.0.113.7"}, ""}, // a Unix socket
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.forwarded
		if got := source(r); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.peer, c.forwarded, got, c.want)
		}
	}
}
