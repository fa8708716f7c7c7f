package resilience

import (
	"context"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"time"
)

// Whether a process has too much to do, or only waits for others, is told apart by how long its goroutines that could run wait for a processor.
// A handler that waits for something slow makes calls take longer, too, and is no reason to refuse any.
const (
	busyEvery  = 250 * time.Millisecond
	busyWait   = 5 * time.Millisecond // that a tenth of the goroutines waited at least
	busyLooks  = 2                    // in a row until it is busy
	quietLooks = 8                    // in a row until it isn't: what is kept out must not come in at once
	waits      = "/sched/latencies:seconds"
)

// processors says whether they are wanted by more than there is of them.
type processors struct {
	busy atomic.Bool
	seen []uint64
	row  int // looks in a row that say the other than busy
}

// follow looks again and again, until ctx ends.
func (p *processors) follow(ctx context.Context) {
	t := time.NewTicker(busyEvery)
	defer t.Stop()
	for {
		p.look()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (p *processors) look() {
	sample := []runtimemetrics.Sample{{Name: waits}}
	runtimemetrics.Read(sample)
	if sample[0].Value.Kind() != runtimemetrics.KindFloat64Histogram { // a Go that doesn't tell
		p.busy.Store(true)
		return
	}
	h := sample[0].Value.Float64Histogram()
	before := p.seen
	p.seen = append([]uint64(nil), h.Counts...)
	if len(before) == len(h.Counts) {
		p.saw(waited(h.Buckets, h.Counts, before))
	}
}

// saw takes the result of a look.
func (p *processors) saw(waited bool) {
	was := p.busy.Load()
	if waited == was {
		p.row = 0
		return
	}
	enough := busyLooks
	if was {
		enough = quietLooks
	}
	if p.row++; p.row >= enough {
		p.row = 0
		p.busy.Store(waited)
	}
}

// waited says whether a tenth of what was counted since before is at busyWait or above. bounds are one more than counts.
func waited(bounds []float64, counts, before []uint64) bool {
	var all, long uint64
	for i, n := range counts {
		n -= before[i]
		all += n
		if bounds[i] >= busyWait.Seconds() {
			long += n
		}
	}
	return long > 0 && long*10 >= all
}
