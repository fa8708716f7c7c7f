package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/cache"
	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/wirejson"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
)

// keeps says whether the answer of a request may be kept, and one that is kept be its answer.
func (x *exchange) keeps(e *endpoint) bool {
	return e.policy.Cache.Value.MaxAge > 0 && (x.r.Method == http.MethodGet || x.r.Method == http.MethodHead)
}

// kept answers a GET whose policy has a cache: with what is kept, or what ask says. form tells apart the ways that one message may be written in.
//
// The answer of a public method is one for all: it is asked for as nobody, so that it can't be anybody's own. That of another method is its caller's,
// and nobody else's, in what is kept here and, by Cache-Control, everywhere.
func (x *exchange) kept(ctx context.Context, e *endpoint, form, media string, in proto.Message, ask func(context.Context) ([]byte, error)) {
	key, err := x.keptKey(e, form, in)
	if err != nil {
		x.fail(problem.Internal(err))
		return
	}
	said := e.policy.Cache.Value
	p := cache.Policy{Fresh: time.Duration(said.MaxAge), Stale: time.Duration(said.StaleWhileRevalidate)}
	// Anybody may say no-cache, and it costs a call each time: it is heard of those who are known.
	force := x.who.Kind != "" && hasDirective(x.r.Header["Cache-Control"], "no-cache")
	if !force {
		if r, ok := x.g.kept.Fresh(key, p); ok {
			x.sendKept(e, r)
			return
		}
	}
	answer := func(until context.Context) (*cache.Answer, error) {
		if e.policy.Access.Value.Public {
			md := metadata.Metadata{requestIDHeader: x.id}
			authn.Stamp(md, authn.Identity{})
			until = metadata.NewContext(until, md)
		}
		b, err := ask(until)
		if err != nil {
			return nil, err
		}
		return cache.NewAnswer(media, b), nil
	}
	var r cache.Result
	if force {
		r, err = x.g.kept.Force(ctx, key, answer)
	} else {
		r, err = x.g.kept.Get(ctx, key, p, answer)
	}
	if err != nil {
		x.fail(x.upstream(err))
		return
	}
	x.sendKept(e, r)
}

// keptKey is under what an answer is kept. A message that is in its wire format already is taken as it is: one that says the same in another order
// has an answer of its own.
func (x *exchange) keptKey(e *endpoint, form string, in proto.Message) (string, error) {
	var room [256]byte
	b := room[:0]
	for _, s := range [...]string{form, x.route, e.policy.Method, e.service, x.version} {
		b = append(append(b, s...), 0)
	}
	if !e.policy.Access.Value.Public {
		i := x.who
		b = fmt.Appendf(b, "%q %q %q %q %q %q", i.Kind, i.Issuer, i.Subject, i.Tenant, i.Scopes, i.Roles)
		if x.who.Kind == "" {
			b = append(b, i.Token...) // one that isn't looked at here: whom it reaches does
		}
	}
	b = append(b, 0)
	if w, ok := in.(*wirejson.Encoded); ok {
		return string(append(b, w.Wire()...)), nil
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, in)
	return string(b), err
}

// sendKept sends what is kept, or that the client has it already.
func (x *exchange) sendKept(e *endpoint, r cache.Result) {
	x.g.metrics.cached.WithLabelValues(r.How.String()).Inc()
	h := x.w.Header()
	if !e.policy.Access.Value.Public {
		h.Add("Vary", "Authorization, X-Api-Key")
	}
	x.header("Cache-Control", e.control)
	if r.How != cache.Forced && r.How != cache.Miss {
		x.header("Age", strconv.Itoa(int(r.Age.Seconds())))
	}
	x.header("Cache-Status", status(r, time.Duration(e.policy.Cache.Value.MaxAge)))
	body, coding := r.Body, compress.Identity
	if len(r.Body) >= compress.From && x.mayCompress(e) {
		if !slices.Contains(h["Vary"], "Accept-Encoding") {
			h.Add("Vary", "Accept-Encoding")
		}
		body, coding = r.In(x.coding(), &x.g.encoder)
	}
	x.header("Etag", r.Tag(coding))
	if r.Matches(strings.Join(x.r.Header["If-None-Match"], ",")) {
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	x.send(r.Media, body, coding)
}

// control is the Cache-Control header of a method's answers.
func control(p *policy.Policy) string {
	said, b := p.Cache.Value, "private"
	if p.Access.Value.Public {
		b = "public"
	}
	b += ", max-age=" + strconv.Itoa(int(time.Duration(said.MaxAge).Seconds()))
	if s := time.Duration(said.StaleWhileRevalidate); s > 0 {
		b += ", stale-while-revalidate=" + strconv.Itoa(int(s.Seconds()))
	}
	return b
}

// status is the Cache-Status header (RFC 9211).
func status(r cache.Result, fresh time.Duration) string {
	left := int((fresh - r.Age).Seconds()) // negative when it is stale
	if fresh > r.Age {
		left = seconds(fresh - r.Age)
	}
	ttl := strconv.Itoa(left)
	var s string
	switch r.How {
	case cache.Hit, cache.Stale:
		return "cleave; hit; ttl=" + ttl
	case cache.Collapsed:
		s = "cleave; fwd=uri-miss; collapsed"
	case cache.Forced:
		s = "cleave; fwd=request"
	default:
		s = "cleave; fwd=uri-miss"
	}
	if r.Stored {
		s += "; stored; ttl=" + ttl
	}
	return s
}

// hasDirective says whether a Cache-Control header has a directive.
func hasDirective(header []string, name string) bool {
	return slices.ContainsFunc(header, func(line string) bool {
		for part := range strings.SplitSeq(line, ",") {
			part, _, _ = strings.Cut(part, "=")
			if strings.EqualFold(strings.TrimSpace(part), name) {
				return true
			}
		}
		return false
	})
}
