package resilience

import (
	"cmp"
	"context"
	"errors"
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
	// MaxWait is how long a call waits for its turn; default 1 s. A call never waits longer than its deadline allows.
	MaxWait time.Duration
	// Priority of a call; default Medium for all.
	Priority func(ctx context.Context, req server.Request) Priority
	// Metrics receives resilience_limit, resilience_running, resilience_queued and resilience_refused_total; may be nil.
	Metrics prometheus.Registerer
}

// Server limits the calls of one service. It is safe for concurrent use.
type Server struct {
	c       ServerConfig
	limiter adaptivelimiter.PriorityLimiter[any]
	levels  priority.Prioritizer
	metrics *metrics
}

func (c *ServerConfig) fill() error {
	if c.Service == "" {
		return errors.New("resilience: ServerConfig.Service is empty")
	}
	c.Least, c.Most, c.Start = cmp.Or(c.Least, 16), cmp.Or(c.Most, 2000), cmp.Or(c.Start, 64)
	c.MaxWait = cmp.Or(c.MaxWait, defaultWait)
	if c.Least > c.Start || c.Start > c.Most || c.MaxWait < 0 {
		return errors.New("resilience: want Least <= Start <= Most, and MaxWait not negative")
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
// rises again when they don't (a TCP Vegas-like gradient; failsafe-go's adaptivelimiter). Twice the limit may wait; from there to three
// times more and more are refused. ctx ends what decides whom an overload refuses.
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
		WithQueueing(2, 3).WithMaxWaitTime(c.MaxWait).BuildPrioritized(levels)
	s := &Server{c: c, limiter: limiter, levels: levels, metrics: m}
	go s.calibrate(ctx)
	return s, nil
}

func (s *Server) calibrate(ctx context.Context) {
	t := time.NewTicker(calibrateEvery)
	defer t.Stop()
	limit, running, queued := s.metrics.limit.WithLabelValues(s.c.Service), s.metrics.running.WithLabelValues(s.c.Service),
		s.metrics.queued.WithLabelValues(s.c.Service)
	for {
		limit.Set(float64(s.limiter.Limit()))
		running.Set(float64(s.limiter.Inflight()))
		queued.Set(float64(s.limiter.Queued()))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.levels.Calibrate()
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
		if req.Stream() {
			defer permit.Drop()
			return next(ctx, req, rsp)
		}
		done := false
		defer func() {
			if !done {
				permit.Drop()
				return
			}
			release(ctx, permit, err)
		}()
		err = next(ctx, req, rsp)
		done = true
		return err
	}
}

// acquire waits for a place.
func (s *Server) acquire(ctx context.Context, p Priority) (adaptivelimiter.Permit, error) {
	permit, err := s.limiter.AcquirePermitWithMaxWait(priority.ContextWithPriority(ctx, p), s.c.MaxWait)
	if err == nil {
		return permit, nil
	}
	if !errors.Is(err, adaptivelimiter.ErrExceeded) { // the caller left, or its time was up
		return nil, problem.From(err)
	}
	return nil, s.overloaded()
}

func (s *Server) overloaded() error {
	s.metrics.refused.WithLabelValues(s.c.Service, ReasonOverloaded).Inc()
	return problem.Unavailable(ReasonOverloaded, "%s has more to do than it can", s.c.Service)
}

// release ends a call. What was cut short or refused says nothing about how long it takes.
func release(ctx context.Context, permit adaptivelimiter.Permit, err error) {
	if ctx.Err() != nil || err != nil && problem.From(err).Code == codes.Unavailable {
		permit.Drop()
		return
	}
	permit.Record()
}
