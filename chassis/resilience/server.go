package resilience

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/problem"
)

// ServerConfig says how many calls a service runs at the same time. Service must be given.
type ServerConfig struct {
	// Service is the label of the metrics.
	Service string
	// Least and Most bound the limit, and Start is where it begins; default 2 for each processor, 1,000, and 8 for each processor.
	Least, Most, Start int
	// Queue is how many calls may wait for their turn; default 1,000. When it is full a more important call takes the place of a less important one.
	Queue int
	// MaxWait is how long one of level Critical waits for its turn; one of level Normal waits for a quarter of it, and of level Sheddable
	// for an eighth. Default 2 s. No call waits longer than its context allows.
	MaxWait time.Duration
	// Level of a call; nil: what its metadata say, see [PriorityHeader], else Normal.
	Level func(ctx context.Context, req server.Request) Level
	// Wait says how long a goroutine waits for a processor, now; nil: it is measured.
	Wait func() time.Duration
	// Metrics receives resilience_limit, resilience_running, resilience_queued and resilience_refused_total; may be nil.
	Metrics prometheus.Registerer
}

func (c *ServerConfig) fill() error {
	if c.Service == "" {
		return errors.New("resilience: ServerConfig.Service is empty")
	}
	n := runtime.GOMAXPROCS(0)
	c.Least, c.Most, c.Start = cmp.Or(c.Least, 2*n), cmp.Or(c.Most, 1000), cmp.Or(c.Start, 8*n)
	c.Queue, c.MaxWait = cmp.Or(c.Queue, 1000), cmp.Or(c.MaxWait, defaultWait)
	if c.Least < 1 || c.Least > c.Start || c.Start > c.Most || c.Queue < 0 || c.MaxWait < 0 {
		return errors.New("resilience: want 1 <= Least <= Start <= Most, Queue and MaxWait not negative")
	}
	if c.Level == nil {
		c.Level = func(_ context.Context, req server.Request) Level { return level(req.Header()[PriorityHeader], Normal) }
	}
	return nil
}

// What the limit follows. A goroutine waits for a processor for 10 ms when another one works, since that is how long Go lets one run; so that a
// wait below means that processors are to be had, and a longer one that calls beside each other only make each other late.
const (
	defaultWait = 2 * time.Second
	calmWait    = 5 * time.Millisecond  // below, the limit may rise
	busyWait    = 10 * time.Millisecond // above, it falls
	fallsEvery  = 200 * time.Millisecond
	paceEvery   = 100 * time.Millisecond
	levels      = 3
)

// Server limits the calls of one service that run at the same time. It is safe for concurrent use.
//
// The limit follows how long goroutines wait for a processor (as CockroachDB's admission control follows how many do): while they do, it falls
// by a tenth five times a second, and while they don't and calls wait for their turn, it rises by a tenth a hundred times a second,
// from as many as run. A call that
// only waits for something slow is therefore no reason to refuse another. Calls over the limit wait, the most important first; who has waited for
// too long, or would have to at the pace at which calls end, is refused.
type Server struct {
	c       ServerConfig
	metrics *metrics

	limit   atomic.Int64
	running atomic.Int64
	queued  [levels]atomic.Int64 // by rank
	ended   atomic.Int64         // calls, while others waited
	pace    atomic.Uint64        // calls that end in a second while others wait: math.Float64bits; 0 when that isn't known
	calm    atomic.Bool          // the limit rises when it is needed
	left    func(error)          // leave, whatever came of it
	come    func()               // tells who measures that a call comes in

	mu      sync.Mutex         // of what follows
	waiting [levels]*list.List // of *waiter, by rank
	fallen  time.Time          // when the limit fell last
	paced   time.Time          // when the pace was taken last
	seen    int64              // ended, then
	began   bool               // a queue has begun since
}

// waiter is a call that waits for its turn.
type waiter struct {
	turn      chan struct{} // closed when it is there, or won't come
	given     bool
	displaced bool // by a more important one, when the queue was full
}

// NewServer makes a limit. ctx ends what measures.
func NewServer(ctx context.Context, c ServerConfig) (*Server, error) {
	s, err := newServer(c)
	if err != nil {
		return nil, err
	}
	s.come = newProcessors(ctx, func(wait time.Duration) bool {
		if c.Wait != nil {
			wait = c.Wait()
		}
		return s.follow(wait)
	}).come
	return s, nil
}

// newServer makes a limit that follows what it is told.
func newServer(c ServerConfig) (*Server, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Server{c: c, metrics: m, come: func() {}}
	s.left = func(error) { s.leave() }
	s.limit.Store(int64(c.Start))
	for i := range s.waiting {
		s.waiting[i] = list.New()
	}
	return s, nil
}

// Limit is how many calls run at the same time at most, now.
func (s *Server) Limit() int { return int(s.limit.Load()) }

// Queued is how many calls wait for their turn, now.
func (s *Server) Queued() int { return int(s.ahead(0)) }

// Wrap is a server.HandlerWrapper. A stream is not counted.
func (s *Server) Wrap(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		if req.Stream() {
			return next(ctx, req, rsp)
		}
		if err := s.enter(ctx, s.c.Level(ctx, req)); err != nil {
			return err
		}
		defer s.leave()
		return next(ctx, req, rsp)
	}
}

// enter waits until the call may run; leave is to be called then. Or it says why it may not.
func (s *Server) enter(ctx context.Context, l Level) error {
	if s.ahead(0) == 0 && s.take() {
		s.come()
		return nil
	}
	if s.late(l) {
		return s.overloaded()
	}
	return s.wait(ctx, l)
}

// take takes a place, if there is one.
func (s *Server) take() bool {
	for {
		n := s.running.Load()
		if n >= s.limit.Load() {
			return false
		}
		if s.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave gives the place back, to the first of the most important who wait.
func (s *Server) leave() {
	s.running.Add(-1)
	if s.ahead(0) != 0 {
		s.ended.Add(1)
		s.mu.Lock()
		s.dispatch()
		s.mu.Unlock()
	}
}

// dispatch gives the free places to those who wait. mu is held.
func (s *Server) dispatch() {
	for rank := levels - 1; rank >= 0; rank-- {
		for line := s.waiting[rank]; line.Len() > 0; {
			if !s.take() {
				return
			}
			w, _ := line.Remove(line.Front()).(*waiter)
			s.queued[rank].Add(-1)
			w.given = true
			close(w.turn)
		}
	}
}

func (s *Server) wait(ctx context.Context, l Level) error {
	rank := l.rank()
	w := &waiter{turn: make(chan struct{})}
	s.mu.Lock()
	if s.ahead(0) >= int64(s.c.Queue) && !s.displace(rank) {
		s.mu.Unlock()
		return s.overloaded()
	}
	if s.ahead(0) == 0 {
		s.began = true
	}
	at := s.waiting[rank].PushBack(w)
	s.queued[rank].Add(1)
	s.dispatch() // a place may have become free since
	s.mu.Unlock()
	s.come() // after it is counted: who measures looks for that before it sleeps
	patience := time.NewTimer(s.patience(l))
	defer patience.Stop()
	select {
	case <-w.turn:
		if w.displaced {
			return s.overloaded()
		}
		// Go runs whom another goroutine wakes before all others. Calls that wake each other would keep everything else from running, also who is
		// to be refused.
		runtime.Gosched()
		return nil
	case <-patience.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.given: // in that moment
		return nil
	case !w.displaced:
		s.waiting[rank].Remove(at)
		s.queued[rank].Add(-1)
	}
	if err := ctx.Err(); err != nil {
		return problem.From(err)
	}
	return s.overloaded()
}

// displace refuses the last of the least important who wait, if it is less important than rank. mu is held.
func (s *Server) displace(rank int) bool {
	for i, line := range s.waiting[:rank] {
		if line.Len() > 0 {
			w, _ := line.Remove(line.Back()).(*waiter)
			s.queued[i].Add(-1)
			w.displaced = true
			close(w.turn)
			return true
		}
	}
	return false
}

// ahead is how many wait whose rank is at least this one.
func (s *Server) ahead(rank int) (n int64) {
	for i := rank; i < levels; i++ {
		n += s.queued[i].Load()
	}
	return n
}

// patience is how long one of a level waits.
func (s *Server) patience(l Level) time.Duration {
	switch l {
	case Critical:
		return s.c.MaxWait
	case Sheddable:
		return s.c.MaxWait / 8
	case Normal:
	}
	return s.c.MaxWait / 4
}

// late says that a call would have to wait for too long.
func (s *Server) late(l Level) bool {
	ahead := s.ahead(l.rank())
	pace := math.Float64frombits(s.pace.Load())
	return ahead > 0 && pace > 0 && !s.calm.Load() && float64(ahead)/pace > s.patience(l).Seconds()
}

// refuses says that a call would be refused at once.
func (s *Server) refuses(l Level) bool {
	return s.late(l) || s.ahead(l.rank()) >= int64(s.c.Queue)
}

func (s *Server) overloaded() error {
	s.metrics.refused.WithLabelValues(s.c.Service, ReasonOverloaded).Inc()
	return problem.Unavailable(ReasonOverloaded, "%s has more to do than it can", s.c.Service)
}

// follow is told how long goroutines wait for a processor, about every probeEvery. It says whether calls run or wait.
func (s *Server) follow(wait time.Duration) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	limit, running, queued := s.limit.Load(), s.running.Load(), s.ahead(0)
	switch next := float64(limit); {
	case now.Sub(s.fallen) >= fallsEvery && (wait > busyWait || limit > int64(s.c.Start) && running < limit/2):
		// What is far from being used is given back, too, down to where it began.
		least := s.c.Least
		if wait <= busyWait {
			least = s.c.Start
		}
		limit, s.fallen = max(int64(math.Floor(next*0.9)), int64(least)), now
	case wait < calmWait && queued > 0:
		limit = min(int64(math.Ceil(max(next, float64(running))*1.1)), int64(s.c.Most))
	}
	s.limit.Store(limit)
	s.calm.Store(wait < calmWait && limit < int64(s.c.Most))
	s.dispatch()
	if past := now.Sub(s.paced); past >= paceEvery {
		s.keepPace(queued == 0 || s.began, float64(s.ended.Load()-s.seen)/past.Seconds())
		s.paced, s.seen, s.began = now, s.ended.Load(), false
		s.metrics.limit.WithLabelValues(s.c.Service).Set(float64(limit))
		s.metrics.running.WithLabelValues(s.c.Service).Set(float64(running))
		s.metrics.queued.WithLabelValues(s.c.Service).Set(float64(queued))
	}
	return running > 0 || queued > 0
}

// keepPace remembers how many calls end in a second, while there are more than may run. partly says that none waited for some of the time:
// then nobody knows how many could have.
func (s *Server) keepPace(partly bool, rate float64) {
	before := math.Float64frombits(s.pace.Load())
	switch {
	case partly:
		rate = 0
	case before > 0:
		rate = 0.8*before + 0.2*rate
	}
	s.pace.Store(math.Float64bits(rate))
}
