package rpc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A retry budget keeps retries from multiplying the load of a service that is down: each call earns a fifth of a retry, and every second
// earns ten, so that a quiet client may retry too. At most a hundred are saved up.
const (
	budgetPerCall   = 0.2
	budgetPerSecond = 10.0
	budgetMax       = 100.0
)

type budget struct {
	now            func() time.Time
	endless        bool
	calls, refused prometheus.Counter // first attempts, and retries that were not made

	full    atomic.Bool // balance is budgetMax: there is nothing to add
	mu      sync.Mutex
	balance float64
	last    time.Time
}

func newBudget(now func() time.Time, m *metrics, service string) *budget {
	return &budget{
		now: now, balance: budgetMax, last: now(),
		calls: m.attempts.WithLabelValues(service), refused: m.unretried.WithLabelValues(service),
	}
}

func (b *budget) deposit() {
	b.calls.Inc()
	if b.full.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balance = min(b.balance+budgetPerCall, budgetMax)
	b.full.Store(b.balance == budgetMax)
}

// withdraw says whether a retry is allowed, and takes it from the budget.
func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.balance = min(b.balance+now.Sub(b.last).Seconds()*budgetPerSecond, budgetMax)
	b.last = now
	if b.endless {
		return true
	}
	if b.balance < 1 {
		b.refused.Inc()
		return false
	}
	b.balance--
	b.full.Store(false)
	return true
}
