package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"time"
	"unsafe"

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
	whole   []*SpanData // of a recent span that doesn't fit its slot; nil of the others
	at      int         // where the next one goes
	words   words
	kept    []SpanData
	most    int // of kept
	keptAt  int
	total   uint64
	notable [remembered]trace.TraceID // the last ones
	next    int
}

// slot is a span among the recent ones. It has no pointers: there are thousands of them, and the garbage collector needn't look at any.
type slot struct {
	trace                     trace.TraceID
	id, parent                trace.SpanID
	flags                     trace.TraceFlags
	kind                      Kind
	stream, direct            bool
	kept, out                 bool // is among the kept ones; is exported
	service, name, peer, code word
	start                     int64
	took                      time.Duration
}

// word stands for a string: services and methods have the same few names again and again.
type word uint16

// maxWords is how many strings a shard knows words for. A span with another one doesn't fit its slot.
const maxWords = 1024

// words are strings by their words, and the other way round; the empty one has 0.
type words struct {
	all    []string
	of     map[string]word
	recent [32]struct { // found by where they are, without hashing them
		s string
		word
	}
}

func (w *words) word(s string) (word, bool) {
	if s == "" {
		return 0, true
	}
	at := unsafe.StringData(s)                                              //nolint:gosec // compared, not followed
	last := &w.recent[uintptr(unsafe.Pointer(at))/8%uintptr(len(w.recent))] //nolint:gosec // a hash
	if len(last.s) == len(s) && unsafe.StringData(last.s) == at {           //nolint:gosec // compared, not followed
		return last.word, true
	}
	n, ok := w.find(s)
	if ok {
		last.s, last.word = s, n
	}
	return n, ok
}

func (w *words) find(s string) (word, bool) {
	if n, ok := w.of[s]; ok {
		return n, true
	}
	if len(w.all) == maxWords {
		return 0, false
	}
	n := word(len(w.all)) //nolint:gosec // at most maxWords
	w.all = append(w.all, s)
	w.of[s] = n
	return n, true
}

func (r *ring) init(recent, kept int) {
	for i := range r.of {
		h := &r.of[i]
		h.recent = make([]slot, max(recent/shards, 1))
		h.whole = make([]*SpanData, len(h.recent))
		h.most = max(kept/shards, 1)
		h.words = words{all: []string{""}, of: map[string]word{}}
	}
}

// put makes s the recent span i.
func (h *shard) put(i int, s *SpanData, out bool) {
	to := &h.recent[i]
	service, ok1 := h.words.word(s.Service)
	name, ok2 := h.words.word(s.Name)
	peer, ok3 := h.words.word(s.Peer)
	code, ok4 := h.words.word(s.Code)
	*to = slot{
		trace: s.Trace, id: s.ID, parent: s.Parent, flags: s.Flags, kind: s.Kind, stream: s.Stream, direct: s.Direct, out: out,
		service: service, name: name, peer: peer, code: code, start: s.Start, took: s.Took,
	}
	if h.whole[i] = nil; len(s.Attrs) > 0 || len(s.Links) > 0 || !ok1 || !ok2 || !ok3 || !ok4 {
		h.whole[i] = new(*s)
	}
}

// span is the recent span i.
func (h *shard) span(i int) SpanData {
	if s := h.whole[i]; s != nil {
		return *s
	}
	s, all := &h.recent[i], h.words.all
	return SpanData{
		Trace: s.trace, ID: s.id, Parent: s.parent, Flags: s.flags, Kind: s.kind, Stream: s.stream, Direct: s.direct,
		Service: all[s.service], Name: all[s.name], Peer: all[s.peer], Code: all[s.code], Start: s.start, Took: s.took,
	}
}

// add keeps s. out says that it needn't be exported for what it tells: it is, or nothing is. It returns the spans that are to be exported
// because something happened in their trace.
func (r *ring) add(s *SpanData, notable, out bool) (late []SpanData) {
	h := &r.of[s.Trace[15]%shards]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total++
	at := h.at
	if h.at++; h.at == len(h.recent) {
		h.at = 0
	}
	h.put(at, s, out)
	switch {
	case h.next > 0 && slices.Contains(h.notable[:min(h.next, remembered)], s.Trace):
		return h.keep(at, nil)
	case !notable:
		return nil
	}
	h.notable[h.next%remembered] = s.Trace
	h.next++
	for i := range h.recent { // what came before it
		if h.recent[i].trace == s.Trace {
			late = h.keep(i, late)
		}
	}
	return late
}

// keep puts the recent span i among the kept ones, and adds it to late when it is to be exported.
func (h *shard) keep(i int, late []SpanData) []SpanData {
	s := &h.recent[i]
	if !s.kept {
		s.kept = true
		if len(h.kept) < h.most {
			h.kept = append(h.kept, SpanData{})
		}
		h.kept[h.keptAt] = h.span(i)
		h.keptAt = (h.keptAt + 1) % h.most
	}
	if !s.out {
		s.out = true
		late = append(late, h.span(i))
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
	h.each(id, func(s *SpanData) {
		if _, again := seen[s.ID]; !again {
			seen[s.ID] = struct{}{}
			out = append(out, *s)
		}
	})
	slices.SortStableFunc(out, func(a, b SpanData) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// each goes through all spans, or those of one trace, with the lock held; a span that is kept may come twice.
func (h *shard) each(of trace.TraceID, f func(*SpanData)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.recent {
		if t := h.recent[i].trace; t.IsValid() && (t == of || !of.IsValid()) {
			s := h.span(i)
			f(&s)
		}
	}
	for i := range h.kept {
		if h.kept[i].Trace == of || !of.IsValid() {
			f(&h.kept[i])
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
		r.of[i].each(trace.TraceID{}, func(s *SpanData) {
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
