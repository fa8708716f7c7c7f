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
	from := ctx
	if e.policy.Access.Value.Public {
		md := metadata.Metadata{requestIDHeader: x.id}
		authn.Stamp(md, authn.Identity{})
		from = metadata.NewContext(ctx, md)
	}
	answer := func(until context.Context) (*cache.Answer, error) {
		b, err := ask(until)
		if err != nil {
			return nil, err
		}
		return cache.NewAnswer(media, b), nil
	}
	said := e.policy.Cache.Value
	var r cache.Result
	// Anybody may say no-cache, and it costs a call each time: it is heard of those who are known.
	if x.who.Kind != "" && hasDirective(x.r.Header.Values("Cache-Control"), "no-cache") {
		r, err = x.g.kept.Force(from, key, answer)
	} else {
		r, err = x.g.kept.Get(from, key, cache.Policy{Fresh: time.Duration(said.MaxAge), Stale: time.Duration(said.StaleWhileRevalidate)}, answer)
	}
	if err != nil {
		x.fail(x.upstream(err))
		return
	}
	x.g.metrics.cached.WithLabelValues(r.How.String()).Inc()
	x.sendKept(e, r)
}

// keptKey is under what an answer is kept.
func (x *exchange) keptKey(e *endpoint, form string, in proto.Message) (string, error) {
	b := make([]byte, 0, 256)
	for _, s := range []string{form, e.policy.Method, e.service, x.version} {
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
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, in)
	return string(b), err
}

// sendKept sends what is kept, or that the client has it already.
func (x *exchange) sendKept(e *endpoint, r cache.Result) {
	h := x.w.Header()
	said := e.policy.Cache.Value
	whose := "private"
	if e.policy.Access.Value.Public {
		whose = "public"
	} else {
		h.Add("Vary", "Authorization, X-Api-Key")
	}
	control := whose + ", max-age=" + strconv.Itoa(int(time.Duration(said.MaxAge).Seconds()))
	if s := time.Duration(said.StaleWhileRevalidate); s > 0 {
		control += ", stale-while-revalidate=" + strconv.Itoa(int(s.Seconds()))
	}
	h.Set("Cache-Control", control)
	if r.How != cache.Forced && r.How != cache.Miss {
		h.Set("Age", strconv.Itoa(int(r.Age.Seconds())))
	}
	h.Set("Cache-Status", status(r, time.Duration(said.MaxAge)))
	body, coding := r.Body, compress.Identity
	if len(r.Body) >= compress.From && x.mayCompress(e) {
		if !slices.Contains(h["Vary"], "Accept-Encoding") {
			h.Add("Vary", "Accept-Encoding")
		}
		body, coding = r.In(x.coding(), &x.g.encoder)
	}
	h.Set("Etag", r.Tag(coding))
	if r.Matches(strings.Join(x.r.Header.Values("If-None-Match"), ",")) {
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	x.send(r.Media, body, coding)
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
