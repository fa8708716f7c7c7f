package api

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/limit"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/problem"
)

// reasonRate: RESOURCE_EXHAUSTED, the caller does it too often.
const reasonRate = "RATE_LIMITED"

// limited counts a request against its method's rate. The rate is for all gateways together: each takes its part of it, so that they need not speak
// to each other (and who finds one of them only gets that part). h receives RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers), and Retry-After when it is too often; the error is RESOURCE_EXHAUSTED then.
func (g *Gateway) limited(r *http.Request, h http.Header, who guard.Caller, p *policy.Policy) error {
	rate := p.Rate.Value
	if rate.Requests == 0 {
		return nil
	}
	mine, per := max(rate.Requests/max(int(g.gateways.Load()), 1), 1), time.Duration(rate.Per)
	v := g.rates.Take(limit.Key{Caller: callerOf(r, who), What: p.Method}, mine, per, g.c.Now())
	h.Set("Ratelimit-Policy", fmt.Sprintf(`"method";q=%d;w=%d`, mine, seconds(per)))
	h.Set("Ratelimit", fmt.Sprintf(`"method";r=%d;t=%d`, v.Remaining, seconds(v.Reset)))
	if v.OK {
		return nil
	}
	h.Set("Retry-After", strconv.Itoa(seconds(v.Retry)))
	return problem.ResourceExhausted(reasonRate, "more than %d requests in %v", mine, per)
}

// seconds rounds up: who comes back then is not too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// callerOf is whose requests are counted together: an API key's owner, a token's subject, a certificate's, or whoever has the same address.
func callerOf(r *http.Request, who guard.Caller) string {
	if who.Kind != "" {
		return who.Kind + " " + who.Issuer + " " + who.Subject
	}
	if ip := source(r); ip != "" {
		return ip
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return cmp.Or(host, "unknown")
}
