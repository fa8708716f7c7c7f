package api

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// maxMirrors is how many copies run at once; over it none is made.
const maxMirrors = 64

// mirrors sends copies of calls elsewhere, and forgets what comes.
type mirrors struct {
	client client.Client
	log    *slog.Logger
	slots  chan struct{}
	sent   *prometheus.CounterVec

	mu      sync.Mutex
	ended   bool
	running sync.WaitGroup
	stop    context.Context // ends with close
	cancel  context.CancelFunc
}

func newMirrors(c client.Client, log *slog.Logger, sent *prometheus.CounterVec) *mirrors {
	m := &mirrors{client: c, log: log, slots: make(chan struct{}, maxMirrors), sent: sent}
	m.stop, m.cancel = context.WithCancel(context.Background())
	return m
}

// copied makes a copy of a call, once in so many, when there is room for it. It doesn't wait. The copy has the call's metadata, and says what it is; it
// is sent once, and has the time that a call of the method has.
func (m *mirrors) copied(ctx context.Context, e *endpoint, to policy.Mirror, in proto.Message, timeout time.Duration) {
	if rand.IntN(100) >= to.Percent { //nolint:gosec // not a secret
		return
	}
	service := cmp.Or(to.Service, e.service)
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case m.slots <- struct{}{}:
	default:
		m.sent.WithLabelValues(service, "dropped").Inc()
		return
	}
	if m.ended {
		<-m.slots
		return
	}
	md, _ := metadata.FromContext(ctx) // a copy
	if md == nil {
		md = metadata.Metadata{}
	}
	md[rpc.MirrorHeader] = "1"
	ctx = metadata.NewContext(context.WithoutCancel(ctx), md)
	if to.Version != "" {
		ctx = rpc.WithVersion(ctx, service, to.Version)
	}
	m.running.Go(func() {
		defer func() { <-m.slots }()
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		defer context.AfterFunc(m.stop, cancel)()
		out := wire{}.empty()
		err := m.client.Call(ctx, m.client.NewRequest(service, e.name, in), out, rpc.WithMethod(e.desc), client.WithRequestTimeout(timeout), client.WithRetries(0))
		if err == nil {
			m.sent.WithLabelValues(service, "ok").Inc()
			return
		}
		m.sent.WithLabelValues(service, "failed").Inc()
		m.log.DebugContext(ctx, "the copy of a call failed", "service", service, "endpoint", e.name, "reason", problem.From(err).Reason)
	})
}

// close ends the copies that run, and makes no more.
func (m *mirrors) close() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.cancel()
	m.running.Wait()
}
