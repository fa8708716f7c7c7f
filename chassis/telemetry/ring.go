package telemetry

import (
	"cmp"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// shards is how many locks the spans are spread over, by their traces.
const shards = 8

// remembered is how many traces a shard knows to be notable.
const remembered = 16

// ring keeps the last spans of this process, and those of notable traces.
type ring struct{ of [shards]shard }

type shard struct {
	mu      sync.Mutex
	recent  []slot
	at      int // where the next one goes
	kept    []SpanData
	keptAt  int
	total   uint64
	notable [remembered]trace.TraceID // the last ones
	next    int
}

// slot is a span among the recent ones.
type slot struct {
	SpanData
	kept, out bool // is among the kept ones; is exported
}

func (r *ring) init(recent, kept int) {
	for i := range r.of {
		r.of[i].recent = make([]slot, max(recent/shards, 1))
		r.of[i].kept = make([]SpanData, max(kept/shards, 1))
	}
}

// add keeps s. out says that it needn't be exported for what it tells: it is, or nothing is. It returns the spans that are to be exported
// because something happened in their trace.
func (r *ring) add(s *SpanData, notable, out bool) (late []SpanData) {
	h := &r.of[s.Trace[15]%shards]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total++
	slot := &h.recent[h.at]
	if h.at++; h.at == len(h.recent) {
		h.at = 0
	}
	slot.SpanData, slot.kept, slot.out = *s, false, out
	switch {
	case h.next > 0 && slices.Contains(h.notable[:min(h.next, remembered)], s.Trace):
		return h.keep(slot, nil)
	case !notable:
		return nil
	}
	h.notable[h.next%remembered] = s.Trace
	h.next++
	for i := range h.recent { // what came before it
		if o := &h.recent[i]; o.Trace == s.Trace {
			late = h.keep(o, late)
		}
	}
	return late
}

// keep puts a span among the kept ones, and adds it to late when it is to be exported.
func (h *shard) keep(s *slot, late []SpanData) []SpanData {
	if !s.kept {
		s.kept = true
		h.kept[h.keptAt] = s.SpanData
		if h.keptAt++; h.keptAt == len(h.kept) {
			h.keptAt = 0
		}
	}
	if !s.out {
		s.out = true
		late = append(late, s.SpanData)
	}
	return late
}

func (r *ring) total() (n uint64) {
	for i := range r.of {
		h := &r.of[i]
		h.mu.Lock()
		n += h.total
		h.mu.Unlock()
	}
	return n
}

// trace returns what is known of a trace, the earliest first.
func (r *ring) trace(id trace.TraceID) []SpanData {
	h := &r.of[id[15]%shards]
	var out []SpanData
	seen := map[trace.SpanID]struct{}{}
	h.each(func(s *SpanData) {
		if _, again := seen[s.ID]; s.Trace == id && !again {
			seen[s.ID] = struct{}{}
			out = append(out, *s)
		}
	})
	slices.SortStableFunc(out, func(a, b SpanData) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// each goes through all spans, with the lock held; a span that is kept may come twice.
func (h *shard) each(f func(*SpanData)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.recent {
		if s := &h.recent[i]; s.Trace.IsValid() {
			f(&s.SpanData)
		}
	}
	for i := range h.kept {
		if s := &h.kept[i]; s.Trace.IsValid() {
			f(s)
		}
	}
}

// summary is what is known of a trace in this process.
type summary struct {
	first, last int64
	top         SpanData // the one that began first
	spans       int
	failed      bool
	seen        map[trace.SpanID]struct{}
}

// summaries returns one for each trace, the newest first, at most limit.
func (r *ring) summaries(limit int) []summary {
	all := map[trace.TraceID]*summary{}
	for i := range r.of {
		r.of[i].each(func(s *SpanData) {
			u := all[s.Trace]
			if u == nil {
				u = &summary{first: s.Start, top: *s, seen: map[trace.SpanID]struct{}{}}
				all[s.Trace] = u
			}
			if _, again := u.seen[s.ID]; again {
				return
			}
			u.seen[s.ID] = struct{}{}
			u.spans++
			u.failed = u.failed || s.Failed()
			u.last = max(u.last, s.Start+int64(s.Took))
			if s.Start < u.first || s.Start == u.first && s.Took > u.top.Took {
				u.first, u.top = s.Start, *s
			}
		})
	}
	out := make([]summary, 0, len(all))
	for _, u := range all {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b summary) int { return cmp.Compare(b.first, a.first) })
	return out[:min(len(out), limit)]
}
