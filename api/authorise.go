package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"go-micro.dev/v4/metadata"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/resilience"
)

// authorise finds out who sends a request, and whether the policy lets it through. It sets the metadata that say who it is, and nothing else that a
// client wrote under their names: whatever the protocol, a call goes to a service with them. Its errors are problems, and their status and headers
// are fail's business; h receives the challenge that goes with them.
func (g *Gateway) authorise(ctx context.Context, md metadata.Metadata, r *http.Request, h http.Header, p *policy.Policy) (guard.Caller, error) {
	who, refused := g.guard.Identify(ctx, r)
	access := p.Access.Value
	if err := guard.Admit(who, refused, access); err != nil {
		if code := problem.From(err).Code; code == codes.Unauthenticated || code == codes.PermissionDenied {
			h.Set("Www-Authenticate", guard.Challenge(err, access))
		}
		return who, err
	}
	if who.Kind == "" && who.Token == "" {
		return who, nil // nothing to say, and begin has taken nothing from the client
	}
	authn.Stamp(md, who.Identity)
	if who.Token != "" {
		md[authn.Header] = "Bearer " + who.Token
	}
	return who, nil
}

// admitted lets a request through to a method, with the metadata that say who sends it, or answers why not. Every way to a method leads by it.
func (x *exchange) admitted(e *endpoint) bool {
	if err := x.shed(e); err != nil {
		x.fail(err)
		return false
	}
	x.streams = e.desc.IsStreamingClient() || e.desc.IsStreamingServer()
	if !x.permitted(e.policy) {
		return false
	}
	x.levelled(x.md, e, x.who)
	if x.r.Header[canaryHeader] != nil {
		x.in(x.pinned(x.r.Context(), e))
	}
	return true
}

// permitted is admitted for what has a policy: a method, or a topic.
func (x *exchange) permitted(p *policy.Policy) bool {
	who, err := x.g.authorise(x.r.Context(), x.md, x.r, x.w.Header(), p)
	x.who = who
	if err == nil {
		err = x.g.limited(x.r, x.w.Header(), who, p)
	}
	if err != nil {
		x.fail(err)
		return false
	}
	return true
}

// timeout is how long a unary call may take.
func (x *exchange) timeout(e *endpoint) time.Duration {
	return cmp.Or(time.Duration(e.policy.Timeout.Value), x.g.tuned.Load().Timeout)
}

// reserved says that a header is for the gateway alone, in whatever protocol it came: it must become neither metadata nor a part of a raw request.
// A protocol that passes on what a client sent has to ask it of each name.
func reserved(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case authn.Header, guard.KeyHeader, "Cookie", "Proxy-Authorization", sourceHeader, resilience.PriorityHeader:
		return true
	}
	return authn.Reserved(name)
}
