package openapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Names of the security schemes.
const (
	byToken       = "accessToken"
	byKey         = "apiKey"
	byCertificate = "certificate"
)

func securitySchemes() object {
	return object{
		byToken: object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of an issuer that the gateway knows (RFC 9068). Its scopes say what it may do."},
		byKey:   object{"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "A key that an operator made with `cleave apikey create`. It may also be a bearer token."},
		byCertificate: object{
			"type": "mutualTLS", "description": "A client certificate of an authority that the gateway was told of. It is granted no scopes.",
		},
	}
}

func headers() object {
	text := object{"type": "string"}
	return object{
		"X-Request-Id":     object{"description": "The client's, or a new one.", "schema": text},
		"Traceparent":      object{"description": "The trace of the request (W3C Trace Context).", "schema": text},
		"Retry-After":      object{"description": "In so many seconds, not before.", "schema": object{"type": "integer", "minimum": 0}},
		"RateLimit":        object{"description": "How many requests are left, and for how many seconds: `\"method\";r=9;t=1`.", "schema": text},
		"RateLimit-Policy": object{"description": "How many requests in how many seconds: `\"method\";q=10;w=1`.", "schema": text},
		"WWW-Authenticate": object{"description": "What is missing (RFC 6750).", "schema": text},
	}
}

func headerRef(name string) object { return object{"$ref": "#/components/headers/" + name} }

// policy says who may call an operation, how often and for how long.
func (b *builder) policy(out, done object, op Operation) {
	p := op.Policy
	if p == nil {
		return
	}
	out["security"] = security(p.Access.Value)
	if p.Access.Value.Public {
		out["x-public"] = true
	} else if len(p.Access.Value.Scopes) > 0 {
		out["x-scopes"] = p.Access.Value.Scopes
	}
	out["x-idempotency"] = p.Idempotency
	if !op.Desc.IsStreamingServer() {
		out["x-timeout-seconds"] = max(time.Duration(p.Timeout.Value), 0).Seconds()
		if p.Timeout.Value == 0 {
			out["x-timeout-seconds"] = b.info.Timeout.Seconds()
		}
	}
	if len(p.Rate.Value) > 0 {
		var rates []object
		for _, r := range p.Rate.Value {
			rates = append(rates, object{"requests": r.Requests, "seconds": time.Duration(r.Per).Seconds(), "per": cmp.Or(string(r.Scope), string(policy.Caller))})
		}
		out["x-ratelimit"] = rates
		if h, ok := done["headers"].(object); ok {
			h["RateLimit"], h["RateLimit-Policy"] = headerRef("RateLimit"), headerRef("RateLimit-Policy")
		}
	}
	if c := p.Cache.Value; c.MaxAge > 0 {
		out["x-cache"] = object{"maxAgeSeconds": time.Duration(c.MaxAge).Seconds(), "staleWhileRevalidateSeconds": time.Duration(c.StaleWhileRevalidate).Seconds()}
	}
}

// security is one of the ways to say who calls; none for what anybody may call.
func security(a policy.Access) []object {
	if a.Public {
		return []object{}
	}
	scopes := append([]string{}, a.Scopes...)
	out := []object{{byToken: scopes}, {byKey: scopes}}
	if len(scopes) == 0 {
		out = append(out, object{byCertificate: scopes})
	}
	return out
}

// responses are all that an operation may end with: what its comment says, and what the gateway has to say before it is called.
func (b *builder) responses(op Operation, it *item, done object) object {
	all := refusals(op.Desc)
	add(all, "INVALID_ARGUMENT", "INVALID_FIELDS")
	if op.Binding.HasBody() {
		add(all, "INVALID_ARGUMENT", "BAD_JSON")
	}
	if op.Method != http.MethodGet && idempotency.NeedsKey(op.Desc) {
		add(all, "INVALID_ARGUMENT", idempotency.ReasonBadKey)
		add(all, "FAILED_PRECONDITION", idempotency.ReasonReused)
		add(all, "ABORTED", idempotency.ReasonInUse)
	}
	if p := op.Policy; p != nil && !p.Access.Value.Public {
		add(all, "UNAUTHENTICATED", "CREDENTIALS_MISSING", "TOKEN_INVALID", "API_KEY_INVALID", "CREDENTIALS_AMBIGUOUS")
		if len(p.Access.Value.Scopes) > 0 {
			add(all, "PERMISSION_DENIED", "SCOPE_MISSING")
		}
	}
	if p := op.Policy; p != nil && len(p.Rate.Value) > 0 {
		add(all, "RESOURCE_EXHAUSTED", "RATE_LIMITED")
	}
	if len(it.names) > 0 {
		add(all, "NOT_FOUND")
	}
	add(all, "UNAVAILABLE", "UNREACHABLE", "OVERLOADED")
	if !op.Desc.IsStreamingServer() {
		add(all, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
	}
	out := object{"200": done, "default": b.shared("Other", object{
		"description": "It was not done, for a reason that any request may meet: 405, 406, 408, 413, 414, 415, 431, 500.", "content": problemContent(0, nil),
	})}
	for _, status := range slices.Sorted(maps.Keys(all)) {
		out[strconv.Itoa(status)] = b.shared(camel(all[status].code), refused(status, all[status]))
	}
	return out
}

// shared is a reference to a response, which operations that have the same share; the second of a name is called Name2.
func (b *builder) shared(name string, response object) object {
	for i := 1; ; i++ {
		key := name
		if i > 1 {
			key += strconv.Itoa(i)
		}
		had, there := b.answers[key].(object)
		if !there {
			b.answers[key] = response
		}
		if !there || reflect.DeepEqual(had, response) {
			return object{"$ref": "#/components/responses/" + key}
		}
	}
}

// camel is NOT_FOUND as NotFound.
func camel(code string) string {
	var out string
	for part := range strings.SplitSeq(code, "_") {
		out += part[:1] + strings.ToLower(part[1:])
	}
	return out
}

func refused(status int, r *refusal) object {
	text := r.code + "."
	if len(r.reasons) > 0 {
		text = fmt.Sprintf("%s, with the reason %s.", r.code, strings.Join(r.reasons, " or "))
	}
	out := object{"description": text, "content": problemContent(status, r)}
	if len(r.reasons) > 0 {
		out["x-reasons"] = r.reasons
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		out["headers"] = object{"Retry-After": headerRef("Retry-After")}
	case http.StatusUnauthorized, http.StatusForbidden:
		out["headers"] = object{"WWW-Authenticate": headerRef("WWW-Authenticate")}
	}
	return out
}

// problemContent is a problem document, with an example of each reason.
func problemContent(status int, r *refusal) object {
	m := object{"schema": object{"$ref": inComponents + "Problem"}}
	if r != nil && len(r.reasons) > 0 {
		examples := object{}
		for _, reason := range r.reasons {
			v := object{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": r.code, "reason": reason}
			if reason == "INVALID_FIELDS" {
				v["errors"] = []object{{"field": "field", "message": "what is wrong with it"}}
			}
			examples[reason] = object{"value": v}
		}
		m["examples"] = examples
	}
	return object{problem.MediaType: m}
}

func problemSchema() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type": "object", "description": "Problem is why a request was not done (RFC 9457).",
		"required": []string{"type", "title", "status", "code"},
		"properties": object{
			"type": text("about:blank: the status and the reason say it all."), "title": text("The status in words."),
			"status": object{"type": "integer", "minimum": 400, "maximum": 599}, "detail": text("For a person."), "instance": text("The path of the request."),
			"code": text("The google.rpc.Code."), "reason": text("Which of the errors with this code it is; for programs."),
			"trace_id": text("Finds the request in the logs."), "request_id": text("X-Request-Id."),
			"errors": object{"type": "array", "description": "The wrong fields.", "items": object{
				"type": "object", "required": []string{"field", "message"},
				"properties": object{"field": text("Its path, in the names of the contract."), "message": text("What is wrong with it.")},
			}},
		},
	}
}
