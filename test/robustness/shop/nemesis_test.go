package shop

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
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
	w.timeline.notef("kill -9 %s", name)
	w.hosts[name].Kill()
	w.start(name, "")
}

// freeze stops a host for a time, as a machine that is out of memory does.
func (w *world) freeze(t *testing.T, name string, d time.Duration) {
	t.Helper()
	w.timeline.notef("stop %s for %v", name, d)
	w.hosts[name].Signal(syscall.SIGSTOP)
	lull(t, d)
	w.hosts[name].Signal(syscall.SIGCONT)
}

// restartNATS kills the broker, and starts it on the same files after a while.
func (w *world) restartNATS(t *testing.T, away time.Duration) {
	t.Helper()
	w.timeline.notef("NATS away for %v", away)
	w.nats.Kill()
	lull(t, away)
	w.startNATS()
}

// restartConsul kills Consul, which comes back with nothing in its memory.
func (w *world) restartConsul(t *testing.T, away time.Duration) {
	t.Helper()
	w.timeline.notef("Consul away for %v", away)
	w.consul.Kill()
	lull(t, away)
	w.consul.Restart()
	w.timeline.notef("Consul is back, empty")
}

// crashPostgres crashes the database of every module at once. One that isn't ours to crash is left alone, and told.
func (w *world) crashPostgres() {
	if w.db.Process == nil {
		w.t.Error("initdb isn't installed: PostgreSQL can't be crashed")
		return
	}
	w.timeline.notef("PostgreSQL crashes")
	w.db.crash()
	w.db.run()
	w.timeline.notef("PostgreSQL is back")
}

// How long the random nemesis lasts, how many checkouts it is to see, and how long it goes on for that at most.
const (
	nemesisShort  = 10 * time.Second
	nemesisReplay = time.Minute
	nemesisFull   = 5 * time.Minute
	nemesisMost   = 12 * time.Minute
	nemesisLeast  = 10_000
)

// nemesis does something bad every few seconds, drawn by the seed, while customers shop.
func nemesis(t *testing.T, w *world, b *table, seed uint64) {
	length, most, least, buyers := nemesisShort, nemesisShort, 0, 16
	if w.form == formFull {
		length, most, least, buyers = nemesisFull, nemesisMost, nemesisLeast, 64
	}
	if w.replay {
		length, most, least = nemesisReplay, nemesisReplay, 0
	}
	r := rand.New(rand.NewPCG(seed, 0))
	customers := w.shopping(t, buyers, seed+1, choose)
	begin := time.Now()
	for took := time.Duration(0); took < length || took < most && customers.count() < least; took = time.Since(begin) {
		lull(t, time.Duration(1000+r.IntN(4000))*time.Millisecond)
		w.strike(t, r)
	}
	over := time.Now()
	recovery := customers.served(t, over)
	visits := customers.stop()
	if !w.replay {
		harness.Figure(t, "shop_nemesis_lasted", over.Sub(begin).Seconds(), 1e9, "s")
		harness.Figure(t, "shop_nemesis_checkouts_attempted", float64(len(visits)), 1e9, "checkouts")
	}
	b.judge(t, w, "random nemesis", visits, recovery)
}

// strike does one thing of those that the world can suffer.
func (w *world) strike(t *testing.T, r *rand.Rand) {
	victim := w.names()[r.IntN(len(w.names()))]
	long := time.Duration(500+r.IntN(3500)) * time.Millisecond
	switch n := r.IntN(20); {
	case n < 11:
		w.kill9(victim)
	case n < 16:
		w.freeze(t, victim, long)
	case n < 18:
		w.restartNATS(t, long)
	case n < 19:
		w.crashPostgres()
	default:
		w.restartConsul(t, long/2)
	}
}
