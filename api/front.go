package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	maxURL     = 8 << 10 // bytes of a request's target
	maxHeaders = 100     // lines
	maxAge     = "600"   // seconds that a browser keeps the answer of a preflight
	hsts       = "max-age=31536000; includeSubDomains"
	noPage     = "default-src 'none'; frame-ancestors 'none'" // an answer is data, whatever a browser takes it for
)

// fixed are values of headers that are the same in every answer, made once. Nobody writes into them: http.Header's Set replaces, and Add copies
// what has no room.
type fixed struct{ nosniff, policy, frame, referrer []string }

func newFixed() fixed {
	return fixed{nosniff: []string{"nosniff"}, policy: []string{noPage}, frame: []string{"DENY"}, referrer: []string{"no-referrer"}}
}

// secure sets the headers that keep a browser from making something else of an answer.
func (f *fixed) secure(h http.Header, r *http.Request) {
	h["X-Content-Type-Options"] = f.nosniff
	h["Content-Security-Policy"] = f.policy
	h["X-Frame-Options"] = f.frame
	h["Referrer-Policy"] = f.referrer
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// net/http takes a Content-Length beside it away unseen. What follows such a request on its connection may be a part of it to
		// somebody in front of us, so that nothing is read from there any more (RFC 9112, 6.1 and 11.2).
		h["Connection"] = []string{"close"}
	}
	if r.TLS != nil {
		h["Strict-Transport-Security"] = []string{hsts}
	}
}

// oversized says what of a request's head is more than may be: its target, its lines, or all of it.
func (g *Gateway) oversized(r *http.Request) (status int, err error) {
	if len(r.RequestURI) > maxURL || len(r.URL.Path)+len(r.URL.RawQuery) > maxURL {
		return http.StatusRequestURITooLong, problem.InvalidArgument("URL_TOO_LONG", "the address has more than %d bytes", maxURL)
	}
	n, lines := len(r.Method)+len(r.RequestURI)+len(r.Host), 0
	for k, vs := range r.Header {
		lines += len(vs)
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	switch {
	case n > g.c.MaxHeader:
		return http.StatusRequestHeaderFieldsTooLarge,
			problem.InvalidArgument("HEADER_TOO_LARGE", "the headers and the address have more than %d bytes", g.c.MaxHeader)
	case lines > maxHeaders:
		return http.StatusRequestHeaderFieldsTooLarge, problem.InvalidArgument("TOO_MANY_HEADERS", "there are more than %d headers", maxHeaders)
	}
	return 0, nil
}

// shared lets a page of an origin that the operator lists read the answer (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol). No cookie is
// ever asked for: who calls is in a header that the page sets itself.
func (g *Gateway) shared(h http.Header, r *http.Request) {
	if len(g.origins()) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && lists(g.origins(), origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "ETag, Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin, RateLimit, RateLimit-Policy, Retry-After, Traceparent, X-Request-Id")
	}
}

func lists(origins []string, origin string) bool {
	return slices.Contains(origins, "*") || slices.Contains(origins, origin)
}

// preflight answers a browser that asks whether a page may send a request, when the origin is listed: with the methods that the path has now. It
// reports whether it did.
func (x *exchange) preflight(allowed []string) bool {
	asked := x.r.Header.Get("Access-Control-Request-Method")
	if x.r.Method != http.MethodOptions || asked == "" || len(x.g.origins()) == 0 || !lists(x.g.origins(), x.r.Header.Get("Origin")) {
		return false
	}
	h := x.w.Header()
	h.Add("Vary", "Access-Control-Request-Method")
	h.Set("Access-Control-Allow-Methods", strings.Join(allowed, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Type, Grpc-Timeout, "+
		"Idempotency-Key, If-None-Match, Last-Event-Id, Traceparent, X-Api-Key, X-Grpc-Web, X-Request-Id, X-User-Agent")
	h.Set("Access-Control-Max-Age", maxAge)
	x.w.WriteHeader(http.StatusNoContent)
	return true
}
