package api

import (
	"cmp"
	"slices"
	"time"
)

// Tuning are the settings of a Gateway that may change while it serves. A request that is under way goes on with those that it began with, or the
// new ones.
type Tuning struct {
	// Origins, Timeout and MaxBody are Config's; zero is Config's default.
	Origins []string
	Timeout time.Duration
	MaxBody int64
}

const (
	defaultTimeout = 10 * time.Second
	defaultMaxBody = 4 << 20
)

// Tune puts t in force. It may be called at any time.
func (g *Gateway) Tune(t Tuning) { g.tuned.Store(t.filled()) }

func (t Tuning) filled() *Tuning {
	t.Origins = slices.Clone(t.Origins)
	t.Timeout = cmp.Or(t.Timeout, defaultTimeout)
	t.MaxBody = cmp.Or(t.MaxBody, defaultMaxBody)
	return &t
}

func (g *Gateway) origins() []string { return g.tuned.Load().Origins }
func (g *Gateway) maxBody() int64    { return g.tuned.Load().MaxBody }
