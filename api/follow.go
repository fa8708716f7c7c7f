package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/kv"
)

// Issuer is who makes access tokens that the gateway takes.
type Issuer struct {
	// Name is the iss of its tokens, and Audience an aud that they must have.
	Name, Audience string
	// Keys is where its public keys come from: authn.JWKS, authn.Discover, or another service.
	Keys authn.KeySource
	// Algorithms of authn.EdDSA, ES256 and RS256 that are taken; all of them when empty. A key fixes its own, whatever a token says.
	Algorithms []string
	// Leeway between the clocks; 30 s when 0.
	Leeway time.Duration
	// Roles are the scopes that each role of its tokens stands for: {"admin": {"*"}}.
	Roles map[string][]string
}

func newGuard(c Config) (*guard.Guard, error) {
	g := &guard.Guard{Issuers: map[string]guard.Issuer{}, Now: c.Now}
	if c.Keys != nil {
		g.Keys = &apikey.Ring{}
	}
	for _, i := range c.Issuers {
		if _, twice := g.Issuers[i.Name]; twice {
			return nil, fmt.Errorf("api: two issuers are called %q", i.Name)
		}
		algorithms := i.Algorithms
		if len(algorithms) == 0 {
			algorithms = []string{authn.EdDSA, authn.ES256, authn.RS256}
		}
		v, err := authn.New(authn.Config{
			Issuer: i.Name, Audience: i.Audience, Keys: i.Keys, Algorithms: algorithms, Leeway: i.Leeway, Now: c.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("api: the issuer %q: %w", i.Name, err)
		}
		g.Issuers[i.Name] = guard.Issuer{Verifier: v, Roles: i.Roles}
	}
	return g, nil
}

// follow takes what operators write about methods and keys, until ctx ends; the result waits for the end.
func (g *Gateway) follow(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	watch := func(w kv.Watcher, take func(context.Context, map[string][]byte)) {
		if w == nil {
			return
		}
		running.Go(func() {
			err := w.Watch(ctx, func(all map[string][]byte) { take(ctx, all) })
			if err != nil && !errors.Is(err, context.Canceled) {
				g.c.Log.ErrorContext(ctx, "a store is watched no more", "error", err)
			}
		})
	}
	watch(g.c.Keys, g.takeKeys)
	watch(g.c.Overrides, g.takeOverrides)
	watch(g.c.Hooks, g.takeHooks)
	return running.Wait
}

func (g *Gateway) takeKeys(ctx context.Context, all map[string][]byte) {
	for id, err := range g.guard.Keys.Replace(all) {
		g.misfit(ctx, "key", id, err)
	}
}

func (g *Gateway) takeOverrides(ctx context.Context, all map[string][]byte) {
	old := g.overrides.Load()
	if old == nil {
		old = &policy.Overrides{}
	}
	next, bad := old.Next(all)
	for key, err := range bad {
		g.misfit(ctx, "policy", key, err)
	}
	if g.overrides.Load() != nil && next.Same(*old) {
		return
	}
	g.overrides.Store(&next)
	g.c.Log.InfoContext(ctx, "policy overrides changed", "keys", next.Keys())
	poke(g.changes)
}

// misfit tells of a document that is wrong; the last good one stays.
func (g *Gateway) misfit(ctx context.Context, kind, name string, err error) {
	g.metrics.misfits.WithLabelValues(kind).Inc()
	g.c.Log.WarnContext(ctx, "a document is wrong, and the last good one stays", "kind", kind, "name", name, "error", err)
}
