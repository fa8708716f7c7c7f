package authn

import (
	"context"
	"slices"
	"strings"

	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"
)

// Header is the metadata that a token comes in, as "Bearer TOKEN" (RFC 6750).
const Header = "Authorization"

// Caller returns who calls, by the token in the metadata of ctx. Its errors are those of Verify; what isn't a bearer token is none.
func (v *Verifier) Caller(ctx context.Context) (Identity, error) {
	h, _ := metadata.Get(ctx, Header)
	scheme, token, _ := strings.Cut(h, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return v.Verify(ctx, strings.TrimSpace(token))
}

// Wrapper returns a go-micro handler wrapper that lets a call through when its token is right, and puts who calls into its context, for
// From. The public endpoints, "Customer.Login", are let through as they are: a stale token doesn't hinder them.
func Wrapper(v *Verifier, public ...string) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			if slices.Contains(public, req.Endpoint()) {
				return next(ctx, req, rsp)
			}
			who, err := v.Caller(ctx)
			if err != nil {
				return err
			}
			return next(With(ctx, who), req, rsp)
		}
	}
}
