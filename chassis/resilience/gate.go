package resilience

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// GateConfig says how a process lets calls in. The zero value is fit for use.
type GateConfig struct {
	// Server is the limit of each service, without its name. Level is not asked.
	Server ServerConfig
	// Rules say how important a method's calls are; nil for what contracts say.
	Rules *Rules
}

// Gate lets calls into a process: a limit that learns for each service, made when it is first called. It stands where calls come in, before
// their messages are decoded: a gateway, and a server's wires. What has come in is not stopped again: a call within the process, which a
// handler makes of another module there, goes past it, so that nothing waits for a place while it holds one.
type Gate struct {
	c        GateConfig
	waits    *processors
	services atomic.Pointer[map[string]*Server]
	methods  sync.Map // of protoreflect.FullName to *admission

	mu sync.Mutex
}

// admission is what the gate knows of a method.
type admission struct {
	by    *overrides
	level Level
}

// NewGate makes a gate. ctx ends what measures.
func NewGate(ctx context.Context, c GateConfig) (*Gate, error) {
	probe := c.Server
	probe.Service = "gate"
	if err := probe.fill(); err != nil {
		return nil, err
	}
	g := &Gate{c: c}
	g.services.Store(&map[string]*Server{})
	g.waits = newProcessors(ctx, g.follow)
	return g, nil
}

// follow has every limit follow how long goroutines wait for a processor.
func (g *Gate) follow(wait time.Duration) (more bool) {
	if g.c.Server.Wait != nil {
		wait = g.c.Server.Wait()
	}
	for _, s := range *g.services.Load() {
		more = s.follow(wait) || more
	}
	return more
}

// Level is how important a call of a method is: what its caller says, in [PriorityHeader], and else what holds for the method.
func (g *Gate) Level(md protoreflect.MethodDescriptor, said string) Level {
	by := g.c.Rules.version()
	if a, ok := g.methods.Load(md.FullName()); ok {
		if a, ok := a.(*admission); ok && a.by == by {
			return level(said, a.level)
		}
	}
	s, _ := settingsOf(by, md, defaultBreaker()) // what is wrong in it doesn't hold, and is logged by who calls
	g.methods.Store(md.FullName(), &admission{by, s.Priority.Value})
	return level(said, s.Priority.Value)
}

// Refuses says that a call of this level would not be let in, without waiting: who has a message to read or to decode first asks before.
// The error is Enter's.
func (g *Gate) Refuses(service string, l Level) error {
	if s := (*g.services.Load())[service]; s != nil && s.refuses(l) {
		return s.overloaded()
	}
	return nil
}

// Enter waits until the call may run, and then leave is to be called with its error; or it says why it may not: Unavailable with
// [ReasonOverloaded], or ctx's error.
func (g *Gate) Enter(ctx context.Context, service string, l Level) (leave func(error), err error) {
	s, err := g.of(service)
	if err != nil {
		return nil, err
	}
	if err := s.enter(ctx, l); err != nil {
		return nil, err
	}
	return s.left, nil
}

func (g *Gate) of(service string) (*Server, error) {
	if s := (*g.services.Load())[service]; s != nil {
		return s, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	before := *g.services.Load()
	if s := before[service]; s != nil {
		return s, nil
	}
	c := g.c.Server
	c.Service = service
	s, err := newServer(c)
	if err != nil {
		return nil, err
	}
	s.come = g.waits.come
	next := maps.Clone(before)
	next[service] = s
	g.services.Store(&next)
	return s, nil
}

// Limit is what a gate does with one service now.
type Limit struct {
	Service string `json:"service"`
	Limit   int    `json:"limit"` // calls at the same time
	Running int    `json:"running"`
	Queued  int    `json:"queued"`
}

// Limits of every service that was called, by name.
func (g *Gate) Limits() []Limit {
	var out []Limit
	if g == nil {
		return out
	}
	all := *g.services.Load()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		out = append(out, Limit{name, s.Limit(), int(s.running.Load()), s.Queued()})
	}
	return out
}
