package resilience

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/priority"
	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Priority of a call; under overload the lower ones are refused first.
type Priority = priority.Priority

// The priorities.
const (
	VeryLow  = priority.VeryLow
	Low      = priority.Low
	Medium   = priority.Medium
	High     = priority.High
	VeryHigh = priority.VeryHigh
)

// ServerConfig says how many calls a service runs at the same time. Service must be given.
type ServerConfig struct {
	// Service is the label of the metrics.
	Service string
	// Least and Most bound the limit, and Start is where it begins; default 16, 2,000 and 64.
	Least, Most, Start uint
	// Queue is how many calls may wait, times the limit: from the first on some are refused, from the second on all; default 2 and 3.
	Queue [2]float64
	// MaxWait is how long a call waits for its turn; default 1 s. A call never waits longer than its deadline allows.
	MaxWait time.Duration
	// Priority of a call; default Medium for all.
	Priority func(ctx context.Context, req server.Request) Priority
	// Busy says whether there is more to do than can be done; while there isn't, calls over the limit only wait for others, and are let in. Nil:
	// there always is.
	Busy func() bool
	// Metrics receives resilience_limit, resilience_running, resilience_queued and resilience_refused_total; may be nil.
	Metrics prometheus.Registerer
}

// Server limits the calls of one service. It is safe for concurrent use.
type Server struct {
	c       ServerConfig
	limiter adaptivelimiter.PriorityLimiter[any]
	levels  priority.Prioritizer
	metrics *metrics

	running atomic.Int64  // calls that were let in
	proven  atomic.Int64  // as many ran lately while the processors were not wanted
	done    atomic.Int64  // calls that have ended
	pace    atomic.Uint64 // of a second, when it was last full: math.Float64bits; 0 when that isn't known
}

func (c *ServerConfig) fill() error {
	if c.Service == "" {
		return errors.New("resilience: ServerConfig.Service is empty")
	}
	c.Least, c.Most, c.Start = cmp.Or(c.Least, 16), cmp.Or(c.Most, 2000), cmp.Or(c.Start, 64)
	c.MaxWait = cmp.Or(c.MaxWait, defaultWait)
	if c.Queue == ([2]float64{}) {
		c.Queue = [2]float64{2, 3}
	}
	if c.Least > c.Start || c.Start > c.Most || c.MaxWait < 0 || !(c.Queue[0] >= 1 && c.Queue[0] <= c.Queue[1]) {
		return errors.New("resilience: want Least <= Start <= Most, MaxWait not negative, and Queue from 1 on")
	}
	if c.Priority == nil {
		c.Priority = func(context.Context, server.Request) Priority { return Medium }
	}
	return nil
}

// defaultWait is how long a call waits for its turn.
const defaultWait = time.Second

// calibrateEvery is how often it is decided anew whom an overload refuses.
const calibrateEvery = 500 * time.Millisecond

// NewServer makes a limit that learns by itself, from the time that calls take: when they take longer than usual the limit falls, and
// rises again when they don't (a TCP Vegas-like gradient; failsafe-go's adaptivelimiter). Some may wait; but who would have to wait for too long,
// at the pace at which calls end, is refused at once. ctx ends what decides whom an overload refuses.
func NewServer(ctx context.Context, c ServerConfig) (*Server, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	levels := adaptivelimiter.NewPrioritizer()
	limiter := adaptivelimiter.NewBuilder[any]().WithLimits(c.Least, c.Most, c.Start).
		WithQueueing(c.Queue[0], c.Queue[1]).WithMaxWaitTime(c.MaxWait).BuildPrioritized(levels)
	s := &Server{c: c, limiter: limiter, levels: levels, metrics: m}
	go s.calibrate(ctx)
	return s, nil
}

func (s *Server) calibrate(ctx context.Context) {
	t := time.NewTicker(calibrateEvery)
	defer t.Stop()
	limit, running, queued := s.metrics.limit.WithLabelValues(s.c.Service), s.metrics.running.WithLabelValues(s.c.Service),
		s.metrics.queued.WithLabelValues(s.c.Service)
	last, ended := time.Now(), s.done.Load()
	for {
		limit.Set(float64(s.limiter.Limit()))
		running.Set(float64(s.running.Load()))
		queued.Set(float64(s.limiter.Queued()))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.levels.Calibrate()
			s.prove()
			now, done := time.Now(), s.done.Load()
			s.keepPace(float64(done-ended) / now.Sub(last).Seconds())
			last, ended = now, done
		}
	}
}

// Limit is how many calls run at the same time at most, now.
func (s *Server) Limit() int { return s.limiter.Limit() }

// Queued is how many calls wait for their turn, now.
func (s *Server) Queued() int { return s.limiter.Queued() }

// Wrap is a server.HandlerWrapper. A stream counts while its handler runs, and teaches the limit nothing.
func (s *Server) Wrap(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		permit, err := s.acquire(ctx, s.c.Priority(ctx, req))
		if err != nil {
			return err
		}
		drop := func() {
			s.running.Add(-1)
			permit.Drop()
		}
		if req.Stream() {
			defer drop()
			return next(ctx, req, rsp)
		}
		done := false
		defer func() {
			if !done {
				drop()
				return
			}
			s.release(ctx, permit, err)
		}()
		err = next(ctx, req, rsp)
		done = true
		return err
	}
}

// acquire waits for a place.
func (s *Server) acquire(ctx context.Context, p Priority) (adaptivelimiter.Permit, error) {
	if s.late(p) {
		return nil, s.overloaded()
	}
	if s.room() {
		s.running.Add(1)
		return free{}, nil
	}
	permit, err := s.limiter.AcquirePermitWithMaxWait(priority.ContextWithPriority(ctx, p), s.c.MaxWait)
	if err == nil {
		s.running.Add(1)
		return permit, nil
	}
	if !errors.Is(err, adaptivelimiter.ErrExceeded) { // the caller left, or its time was up
		return nil, problem.From(err)
	}
	return nil, s.overloaded()
}

func (s *Server) idle() bool { return s.c.Busy != nil && !s.c.Busy() }

// room says that a call needs no place of the limit's: nobody waits for a processor, or no more calls run than did while nobody did.
func (s *Server) room() bool { return s.idle() || s.running.Load() < s.proven.Load() }

// prove remembers how many calls run while nobody waits for a processor, and forgets it by a tenth at a time.
func (s *Server) prove() {
	n := s.proven.Load() * 9 / 10
	if s.idle() {
		n = max(n, s.running.Load())
	}
	s.proven.Store(n)
}

// free is the permit of a call that no limit holds.
type free struct{}

func (free) Record() {}
func (free) Drop()   {}

func (s *Server) overloaded() error {
	s.metrics.refused.WithLabelValues(s.c.Service, ReasonOverloaded).Inc()
	return problem.Unavailable(ReasonOverloaded, "%s has more to do than it can", s.c.Service)
}

// keepPace remembers how many calls ended in a second, when there were more than could run.
func (s *Server) keepPace(rate float64) {
	before := math.Float64frombits(s.pace.Load())
	switch {
	case s.limiter.Queued() == 0 && before == 0:
		return
	case s.limiter.Queued() == 0: // it has caught up: nobody knows how fast it could be
		rate = 0
	case before > 0:
		rate = (before + rate) / 2
	}
	s.pace.Store(math.Float64bits(rate))
}

// late says that a call would have to wait for too long: MaxWait for the most important, a quarter of it for those in the middle, an eighth for
// the others.
func (s *Server) late(p Priority) bool {
	queued := s.limiter.Queued()
	if queued == 0 || s.room() {
		return false
	}
	pace := math.Float64frombits(s.pace.Load())
	patience := s.c.MaxWait.Seconds()
	switch {
	case p >= High:
	case p >= Medium:
		patience /= 4
	default:
		patience /= 8
	}
	return pace > 0 && float64(queued)/pace > patience
}

// release ends a call. What was cut short or refused says nothing about how long it takes.
func (s *Server) release(ctx context.Context, permit adaptivelimiter.Permit, err error) {
	s.running.Add(-1)
	s.done.Add(1)
	if ctx.Err() != nil || err != nil && problem.From(err).Code == codes.Unavailable {
		permit.Drop()
		return
	}
	permit.Record()
}
