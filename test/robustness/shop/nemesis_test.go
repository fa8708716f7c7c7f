package shop

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// lull is a time in which nothing is done to the shop: what is measured is what happens in it.
func lull(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

// kill9 kills a host and starts it anew.
func (w *world) kill9(name string) {
	w.hosts[name].Kill()
	w.start(name, "")
}

// freeze stops a host for a time, as a machine that is out of memory does.
func (w *world) freeze(t *testing.T, name string, d time.Duration) {
	t.Helper()
	w.hosts[name].Signal(syscall.SIGSTOP)
	lull(t, d)
	w.hosts[name].Signal(syscall.SIGCONT)
}

// restartNATS kills the broker, and starts it on the same files after a while.
func (w *world) restartNATS(t *testing.T, away time.Duration) {
	t.Helper()
	w.nats.Kill()
	lull(t, away)
	w.startNATS()
}

// restartConsul kills Consul, which comes back with nothing in its memory.
func (w *world) restartConsul(t *testing.T, away time.Duration) {
	t.Helper()
	w.consul.Kill()
	lull(t, away)
	w.consul.Restart()
}

// crashPostgres crashes the database of every module at once. One that isn't ours to crash is left alone, and told.
func (w *world) crashPostgres() {
	if w.db.Process == nil {
		w.t.Error("initdb isn't installed: PostgreSQL can't be crashed")
		return
	}
	w.db.crash()
	w.db.run()
}

// nemesis does something bad every few seconds, drawn by the seed, while customers shop: for five minutes and until 10,000 checkouts were
// tried, or for ten seconds.
func nemesis(t *testing.T, w *world, b *table, seed uint64) {
	length, least := 10*time.Second, 0
	if full() {
		length, least = 5*time.Minute, 10_000
	}
	r := rand.New(rand.NewPCG(seed, 0))
	customers := w.shopping(t, 16, seed+1)
	begin := time.Now()
	for time.Since(begin) < length || time.Since(begin) < 4*length && customers.count() < least {
		lull(t, time.Duration(500+r.IntN(2500))*time.Millisecond)
		victim := names()[r.IntN(len(names()))]
		switch n := r.IntN(20); {
		case n < 12:
			w.kill9(victim)
		case n < 17:
			w.freeze(t, victim, time.Duration(500+r.IntN(3500))*time.Millisecond)
		case n < 19:
			w.restartNATS(t, time.Duration(r.IntN(3000))*time.Millisecond)
		default:
			w.restartConsul(t, time.Duration(r.IntN(2000))*time.Millisecond)
		}
	}
	over := time.Now()
	recovery := customers.served(t, over)
	b.judge(t, w, "random nemesis", customers.stop(), recovery)
}

// count says how many checkouts were tried so far.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.visits)
}
