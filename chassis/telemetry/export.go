package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxQueue   = 8192 // spans that wait for the collector; more are dropped
	maxBatch   = 512
	batchEvery = 2 * time.Second
	exportTime = 10 * time.Second
	quietAfter = time.Minute // between two complaints in the log
)

// batcher collects spans, and exports them from its own goroutine.
type batcher struct {
	to  Exporter
	log *slog.Logger

	mu    sync.Mutex
	queue []SpanData
	shut  bool

	wake          chan struct{}
	stop, stopped chan struct{}
	sent, dropped atomic.Uint64
	complained    time.Time
}

func newBatcher(to Exporter, log *slog.Logger) *batcher {
	b := &batcher{to: to, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	go b.run()
	return b
}

// put queues spans, or drops them when too many wait. It never blocks.
func (b *batcher) put(spans ...SpanData) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := maxQueue - len(b.queue)
	if b.shut {
		room = 0
	}
	take := min(room, len(spans))
	b.queue = append(b.queue, spans[:take]...)
	b.dropped.Add(uint64(len(spans) - take)) //nolint:gosec // take is at most their number
	if len(b.queue) >= maxBatch {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

func (b *batcher) run() {
	defer close(b.stopped)
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		case <-b.wake:
		}
		b.flush(context.Background())
	}
}

// flush exports what waits.
func (b *batcher) flush(ctx context.Context) {
	b.mu.Lock()
	all := b.queue
	b.queue = nil
	b.mu.Unlock()
	for len(all) > 0 {
		n := min(len(all), maxBatch)
		b.send(ctx, all[:n])
		all = all[n:]
	}
}

func (b *batcher) send(ctx context.Context, spans []SpanData) {
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	err := b.to.Export(ctx, spans)
	if err == nil {
		b.sent.Add(uint64(len(spans)))
		return
	}
	b.dropped.Add(uint64(len(spans)))
	if now := time.Now(); now.Sub(b.complained) >= quietAfter {
		b.complained = now
		b.log.WarnContext(ctx, "spans could not be exported", "spans", len(spans), "dropped", b.dropped.Load(), "error", err)
	}
}

func (b *batcher) close(ctx context.Context) error {
	b.mu.Lock()
	again := b.shut
	b.shut = true
	b.mu.Unlock()
	if again {
		return nil
	}
	close(b.stop)
	<-b.stopped
	b.flush(ctx)
	return b.to.Close(ctx)
}
