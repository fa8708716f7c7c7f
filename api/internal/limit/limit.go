// Package limit counts how often each caller does something, and says when it is too often: by the generic cell rate algorithm (GCRA, ITU-T
// I.371, appendix A), which needs one point in time for each caller. A caller may use all of a time's requests at once, and gets them back evenly.
package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	shards   = 64
	maxPer   = 2048        // callers of a shard; over it those who are at rest are forgotten, and then whoever comes first
	maxSweep = time.Second // between two looks for those at rest
)

// Key is what is counted alone: who does what.
type Key struct{ Caller, What string }

// Limiter counts. It keeps 131,072 keys at most. It is safe for concurrent use.
type Limiter struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	full  map[Key]time.Time // when all of its requests are there again
	swept time.Time
}

// New makes a limiter that has counted nothing.
func New() *Limiter {
	l := &Limiter{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].full = map[Key]time.Time{}
	}
	return l
}

// Verdict is what became of a request.
type Verdict struct {
	OK bool
	// Remaining is how many more may come at once.
	Remaining int
	// Reset is when all are there again; Retry, of one that was refused, when one is.
	Reset, Retry time.Duration
}

// Take counts a request at a moment, unless it is one too many of so many in a time.
func (l *Limiter) Take(k Key, requests int, per time.Duration, now time.Time) Verdict {
	s := &l.shards[maphash.Comparable(l.seed, k)%shards]
	every := per / time.Duration(requests)
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.full[k]
	if full.Before(now) {
		full = now
	}
	next := full.Add(every)
	if over := next.Sub(now) - every*time.Duration(requests); over > 0 {
		return Verdict{Reset: full.Sub(now), Retry: over}
	}
	if _, known := s.full[k]; !known && len(s.full) >= maxPer {
		s.sweep(now)
	}
	s.full[k] = next
	return Verdict{OK: true, Remaining: int((every*time.Duration(requests) - next.Sub(now)) / every), Reset: next.Sub(now)}
}

// Give takes a request back that Take counted, as of so many in a time: it was not done after all.
func (l *Limiter) Give(k Key, requests int, per time.Duration) {
	s := &l.shards[maphash.Comparable(l.seed, k)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if full, known := s.full[k]; known {
		s.full[k] = full.Add(-per / time.Duration(requests))
	}
}

// sweep makes room: it forgets who is at rest, or when nobody is, anybody, who then has all requests again.
func (s *shard) sweep(now time.Time) {
	if now.Sub(s.swept) >= maxSweep {
		s.swept = now
		for k, full := range s.full {
			if !full.After(now) {
				delete(s.full, k)
			}
		}
	}
	for k := range s.full {
		if len(s.full) < maxPer {
			return
		}
		delete(s.full, k)
	}
}
