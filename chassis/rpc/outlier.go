package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// An instance that answers, and answers badly, is an outlier for a method when others do better: Envoy's outlier detection
// (envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier), for each method by itself. What is wrong everywhere is nobody's
// fault among them, and left to the circuit breaker.
const (
	outlierWindow  = 10 * time.Second
	outlierSlots   = 10 // of the window
	outlierRow     = 5  // failures in a row that are enough
	outlierCalls   = 20 // before a rate or a mean says anything
	outlierRate    = 0.5
	outlierSlow    = 5                     // times the others' mean
	outlierSlowest = 50 * time.Millisecond // and at least so much more
	outlierShare   = 0.5                   // of the instances at most, and never all
)

// record is how an instance does with a method.
type record struct {
	mu       sync.Mutex
	slots    [outlierSlots]slot
	row      int
	until    time.Time // out of the choice until then
	ejection time.Duration
}

// slot is a tenth of the window.
type slot struct {
	begin         int64 // in slots since 1970
	calls, failed int
	took          time.Duration // those that didn't fail
}

// add counts a call; it says whether the instance is suspect.
func (r *record) add(now time.Time, failed bool, took time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now.UnixNano() / int64(outlierWindow/outlierSlots)
	s := &r.slots[at%outlierSlots]
	if s.begin != at {
		*s = slot{begin: at}
	}
	s.calls++
	if failed {
		s.failed++
		r.row++
		return true
	}
	s.took += took
	r.row = 0
	return s.calls%4 == 0 // slowness is looked for now and then
}

// sum is the window up to now.
func (r *record) sum(now time.Time) (out slot, row int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now.UnixNano() / int64(outlierWindow/outlierSlots)
	for _, s := range r.slots {
		if at-s.begin < outlierSlots {
			out.calls, out.failed, out.took = out.calls+s.calls, out.failed+s.failed, out.took+s.took
		}
	}
	return out, r.row
}

func (r *record) out(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.until)
}

// eject begins anew when it is back, and is out twice as long when it was out lately.
func (r *record) eject(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ejection *= 2; now.Sub(r.until) > maxEjection || r.ejection == 0 {
		r.ejection = minEjection
	}
	r.ejection = min(r.ejection, maxEjection)
	r.until = now.Add(r.ejection)
	r.slots, r.row = [outlierSlots]slot{}, 0
}

func (s slot) rate() float64 { return float64(s.failed) / float64(max(s.calls, 1)) }

func (s slot) mean() time.Duration {
	return s.took / time.Duration(max(s.calls-s.failed, 1))
}

func (p *peer) record(path string) *record {
	if r, ok := p.methods.Load(path); ok {
		if r, ok := r.(*record); ok {
			return r
		}
	}
	r, _ := p.methods.LoadOrStore(path, &record{})
	out, _ := r.(*record)
	return out
}

func (p *peer) outlierAt(path string, now time.Time) bool {
	r, ok := p.methods.Load(path)
	if !ok {
		return false
	}
	rec, ok := r.(*record)
	return ok && rec.out(now)
}

// judge lets one outlier go at a time.
type judge struct{ mu sync.Mutex }

// judged counts what came of an attempt, and takes the instance out of the choice for its method when it is an outlier.
func (t *target) judged(ctx context.Context, o *client.CallOptions, info *methodInfo, node *registry.Node, err error, began time.Time) {
	nodes := t.instances(o)
	if len(nodes) < 2 || t.c.c.Careless || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	p := t.called(node)
	if p == nil {
		return
	}
	now := t.c.clock.now()
	if r := p.record(info.path); r.add(now, blames(err), now.Sub(began)) {
		t.try(ctx, nodes, info, p, r, now)
	}
}

// blames says that an error is the instance's fault, as far as it goes; one that is full is looked for less by the choice itself.
func blames(err error) bool {
	var broken *brokenError
	switch {
	case err == nil, errors.As(err, &broken): // a broken connection has an ejection of its own
		return false
	}
	p := problem.From(err)
	return blamed(p.Code) && (p.Code != codes.Unavailable || p.Reason != reasonOverloaded)
}

// reasonOverloaded is package resilience's ReasonOverloaded.
const reasonOverloaded = "OVERLOADED"

// try compares an instance with the others.
func (t *target) try(ctx context.Context, nodes []*registry.Node, info *methodInfo, p *peer, r *record, now time.Time) {
	t.judge.mu.Lock()
	defer t.judge.mu.Unlock()
	mine, row := r.sum(now)
	var others slot
	out := 0
	for _, n := range nodes {
		q := t.called(n)
		switch {
		case q == p || q == nil:
		case q.ejectedAt(now) || q.outlierAt(info.path, now):
			out++
		default:
			s, _ := q.record(info.path).sum(now)
			others.calls, others.failed, others.took = others.calls+s.calls, others.failed+s.failed, others.took+s.took
		}
	}
	reason := ""
	enough := mine.calls >= outlierCalls
	switch {
	case r.out(now) || float64(out+1) > outlierShare*float64(len(nodes)):
	case others.calls == 0 || others.rate() >= outlierRate: // nobody does better
	case row >= outlierRow, enough && mine.rate() >= outlierRate:
		reason = "failures"
	case enough && others.calls >= outlierCalls && mine.mean() > outlierSlow*others.mean() && mine.mean()-others.mean() > outlierSlowest:
		reason = "latency"
	}
	if reason == "" {
		return
	}
	r.eject(now)
	t.c.metrics.outliers.WithLabelValues(t.name, reason).Inc()
	t.c.c.Log.WarnContext(ctx, "instance ejected for a method", "service", t.name, "address", p.address, "method", info.path, "reason", reason,
		"calls", mine.calls, "failed", mine.failed, "mean", mine.mean(), "others", others.mean())
}

// called is the peer of an instance that was called; else nil.
func (t *target) called(n *registry.Node) *peer {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return t.c.peers[t.c.peerID(t.name, n)]
}

// Instance is what a client knows of one instance that it has called.
type Instance struct {
	Service string `json:"service"`
	Address string `json:"address"`
	Running int64  `json:"running"`
	// Ejected until this time, because its connection failed; zero when it isn't.
	Ejected time.Time `json:"ejected,omitzero"`
	// Outlier holds the methods that it isn't called for, and until when.
	Outlier map[string]time.Time `json:"outlier,omitempty"`
}

// Instances lists those that were called in the last minute or so, in no order.
func (c *Client) Instances() []Instance {
	c.mu.Lock()
	peers := make(map[string]*peer, len(c.peers))
	services := map[string]string{}
	for name, t := range c.targets {
		if list := t.snap.Load(); list != nil {
			for _, s := range *list {
				for _, n := range s.Nodes {
					if p := c.peers[c.peerID(name, n)]; p != nil {
						peers[n.Id], services[n.Id] = p, name
					}
				}
			}
		}
	}
	c.mu.Unlock()
	now := time.Now()
	var out []Instance
	for id, p := range peers {
		i := Instance{Service: services[id], Address: p.address, Running: p.running.Load()}
		p.mu.Lock()
		if now.Before(p.until) {
			i.Ejected = p.until
		}
		p.mu.Unlock()
		p.methods.Range(func(path, r any) bool {
			name, _ := path.(string)
			if rec, ok := r.(*record); ok && rec.out(now) {
				if i.Outlier == nil {
					i.Outlier = map[string]time.Time{}
				}
				rec.mu.Lock()
				i.Outlier[name] = rec.until
				rec.mu.Unlock()
			}
			return true
		})
		out = append(out, i)
	}
	return out
}
