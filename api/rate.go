package api

import (
	"cmp"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/limit"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/problem"
)

// reasonRate: RESOURCE_EXHAUSTED, the caller, all callers or those of a tenant do it too often.
const reasonRate = "RATE_LIMITED"

// limited counts a request against its method's rates: against all of them, or when one is used up, against none. A rate is for all gateways together:
// each takes its part of it, so that they need not speak to each other (and who finds one of them only gets that part). h receives RateLimit
// and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), an item for each rate, and Retry-After when it is too often; the error is
// RESOURCE_EXHAUSTED then.
func (g *Gateway) limited(r *http.Request, h http.Header, who guard.Caller, p *policy.Policy) error {
	rates := p.Rate.Value
	if len(rates) == 0 {
		return nil
	}
	now, gateways := g.c.Now(), max(int(g.gateways.Load()), 1)
	var policies, states []byte
	var over error
	var retry time.Duration
	taken := make([]func(), 0, len(rates))
	for i, rate := range rates {
		mine, per := max(rate.Requests/gateways, 1), time.Duration(rate.Per)
		key := limit.Key{Caller: counted(r, who, rate.Scope), What: p.Method}
		v := g.rates.Take(key, mine, per, now)
		if i > 0 {
			policies, states = append(policies, ", "...), append(states, ", "...)
		}
		policies = item(policies, rate.Scope, "q", mine, "w", seconds(per))
		states = item(states, rate.Scope, "r", v.Remaining, "t", seconds(v.Reset))
		switch {
		case v.OK:
			taken = append(taken, func() { g.rates.Give(key, mine, per) })
		case v.Retry >= retry:
			retry = v.Retry
			over = problem.ResourceExhausted(reasonRate, "more than %d requests in %v of %s", mine, per, whose(rate.Scope))
		}
	}
	h.Set("Ratelimit-Policy", string(policies))
	h.Set("Ratelimit", string(states))
	if over == nil {
		return nil
	}
	for _, give := range taken {
		give()
	}
	g.metrics.rated.WithLabelValues(p.Method).Inc()
	h.Set("Retry-After", strconv.Itoa(seconds(retry)))
	return over
}

// item appends an Item of a structured field (RFC 9651) with two parameters. A caller's rate is called "method", as it was when there was no other.
func item(b []byte, scope policy.Scope, k1 string, v1 int, k2 string, v2 int) []byte {
	name := string(scope)
	if scope == policy.Caller {
		name = "method"
	}
	b = append(append(append(b, '"'), name...), `";`...)
	b = strconv.AppendInt(append(append(b, k1...), '='), int64(v1), 10)
	b = strconv.AppendInt(append(append(append(b, ';'), k2...), '='), int64(v2), 10)
	return b
}

func whose(scope policy.Scope) string {
	switch scope {
	case policy.Route:
		return "all callers together"
	case policy.Tenant:
		return "one tenant"
	default:
		return "one caller"
	}
}

// counted is who is counted together in a scope. The first byte keeps the scopes apart: no caller's name begins with it.
func counted(r *http.Request, who guard.Caller, scope policy.Scope) string {
	switch {
	case scope == policy.Route:
		return "\x00route"
	case scope == policy.Tenant && who.Tenant != "":
		return "\x00tenant " + who.Issuer + " " + who.Tenant
	case scope == policy.Tenant:
		return "\x00alone " + callerOf(r, who)
	}
	return callerOf(r, who)
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
