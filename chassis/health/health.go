// Package health says whether a process lives, whether it is ready, and whether it has started, from what the things that it depends on say.
//
// A critical dependency, such as a module's database, takes what needs it out of readiness when it is away; one that only degrades, such as the
// broker, is shown and takes nothing out. One failed or slow look is no outage: a dependency is down after three in a row, and up again after two
// that went well.
//
//	every      1 s    a dependency is looked at
//	time       1 s    one look may take; a longer one has failed
//	down       3      failures in a row
//	up         2      successes in a row
package health

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	every     = time.Second
	lookTime  = time.Second
	downAfter = 3
	upAfter   = 2
)

// Criticality says what a dependency that is away takes with it.
type Criticality string

const (
	// Critical dependencies take what needs them out of readiness.
	Critical Criticality = "critical"
	// Degrades is for dependencies without which much still works.
	Degrades Criticality = "degrades"
)

// Dependency is something that is looked at.
type Dependency struct {
	// Name of the dependency, such as "database"; Of is what needs it, a module or "" for the whole process.
	Name, Of    string
	Criticality Criticality
	// Check returns nil when it is there. It should end with ctx; when it doesn't, its look has failed, and it isn't asked again until it returns.
	Check func(ctx context.Context) error
	// Changed is told when the dependency goes down or comes up; may be nil.
	Changed func(up bool)
}

// Process knows the dependencies of a process. The zero value is ready for use, and hasn't started.
type Process struct {
	started atomic.Bool
	every   time.Duration // for tests; every when 0

	mu   sync.Mutex
	deps []*watched
}

// watched is a dependency and what was seen of it.
type watched struct {
	Dependency
	mu      sync.Mutex
	up      bool
	streak  int    // looks in a row that say the other thing
	last    string // what the last failure said
	changed time.Time
}

// Started says that the process has started: everything serves.
func (p *Process) Started() { p.started.Store(true) }

// Watch looks at a dependency, which counts as up at first, until the result is called.
func (p *Process) Watch(d Dependency) (stop func()) {
	w := &watched{Dependency: d, up: true, changed: time.Now().UTC()}
	p.mu.Lock()
	p.deps = append(p.deps, w)
	wait := p.every
	p.mu.Unlock()
	if wait == 0 {
		wait = every
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { w.run(ctx, wait) })
	return func() {
		cancel()
		ended.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.deps = slices.DeleteFunc(p.deps, func(o *watched) bool { return o == w })
	}
}

func (w *watched) run(ctx context.Context, wait time.Duration) {
	tick := time.NewTicker(wait)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.look(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// look asks once, and waits for the answer. Each time that it is late counts as a failure.
func (w *watched) look(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- w.Check(bounded) }()
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for late := false; ; {
		select {
		case err := <-answer:
			if !late && ctx.Err() == nil {
				w.saw(err)
			}
			return
		case <-tick.C:
			late = true
			w.saw(fmt.Errorf("no answer within %v", lookTime))
		}
	}
}

// saw counts what a look said.
func (w *watched) saw(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.last = err.Error()
	}
	if (err == nil) == w.up {
		w.streak = 0
		return
	}
	w.streak++
	if w.up && w.streak < downAfter || !w.up && w.streak < upAfter {
		return
	}
	w.up, w.streak, w.changed = !w.up, 0, time.Now().UTC()
	if w.Changed != nil {
		w.Changed(w.up)
	}
}

// Status is one dependency, as it is shown.
type Status struct {
	Name        string      `json:"name"`
	Of          string      `json:"of,omitempty"`
	Criticality Criticality `json:"criticality"`
	Up          bool        `json:"up"`
	// Since when it is up or down.
	Since time.Time `json:"since"`
	// Problem is what the last look said of one that is down.
	Problem string `json:"problem,omitempty"`
}

// Report is what a page shows.
type Report struct {
	// Status is "ok"; "degraded" when something that isn't critical is down; else "down".
	Status       string   `json:"status"`
	Dependencies []Status `json:"dependencies,omitempty"`
}

// Ready reports whether every critical dependency is up and the process has started, and how all are.
func (p *Process) Ready() (bool, Report) {
	p.mu.Lock()
	deps := slices.Clone(p.deps)
	p.mu.Unlock()
	out := Report{Status: "ok"}
	ready := p.started.Load()
	for _, w := range deps {
		w.mu.Lock()
		s := Status{Name: w.Name, Of: w.Of, Criticality: w.Criticality, Up: w.up, Since: w.changed}
		if !w.up {
			s.Problem = w.last
			out.Status = "degraded"
			ready = ready && w.Criticality != Critical
		}
		w.mu.Unlock()
		out.Dependencies = append(out.Dependencies, s)
	}
	if !ready {
		out.Status = "down"
	}
	slices.SortFunc(out.Dependencies, func(a, b Status) int { return strings.Compare(a.Of+"\x00"+a.Name, b.Of+"\x00"+b.Name) })
	return ready, out
}

// Live answers 200 for as long as the process answers at all.
func (p *Process) Live() http.Handler {
	return page(func() (bool, Report) { return true, Report{Status: "ok"} })
}

// Readiness answers 200 while the process is ready, else 503, with a Report as JSON.
func (p *Process) Readiness() http.Handler { return page(p.Ready) }

// Startup answers 200 once the process has started.
func (p *Process) Startup() http.Handler {
	return page(func() (bool, Report) {
		if p.started.Load() {
			return true, Report{Status: "ok"}
		}
		return false, Report{Status: "down"}
	})
}

func page(say func() (bool, Report)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ok, report := say()
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(report) // whoever asked has gone
	})
}
