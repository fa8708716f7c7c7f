package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/stat"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// A direct call is too short to be timed one by one: it is measured in a process of its own, one after the other, as a whole.

// mode is a way to call directly.
type mode struct {
	name   string
	shares bool // the handler is given the caller's own messages
	bare   bool // no trace comes in, nobody counts, no circuit breaker and no bulkhead, and the deadline is the default one
}

func modes() []mode {
	return []mode{
		{"direct, all on, copied", false, false},
		{"direct, all on, shared", true, false},
		{"direct, bare, copied", false, true},
		{"direct, bare, shared", true, true},
	}
}

// each is what a call costs.
type each struct {
	Wall, CPU float64 // nanoseconds; CPU is of the whole process, its collector included
	Allocs    float64
	Bytes     float64 // allocated
}

func (m mode) client() (say, error) {
	reg, local := registry.NewMemoryRegistry(), &rpc.Local{}
	if m.bare {
		if _, err := cleaveServer(reg, local, m.shares, false); err != nil {
			return nil, err
		}
		return cleaveClient(reg, local, false, nil)
	}
	metrics := prometheus.NewRegistry()
	tracer, err := telemetry.New(telemetry.Config{Host: "bench", Metrics: metrics})
	if err != nil {
		return nil, err
	}
	if err := serveEcho(rpc.ServerConfig{Registry: reg, Local: local, SharesMemory: m.shares, Tracer: tracer.For("echo"), Metrics: metrics}); err != nil {
		return nil, err
	}
	return guardedClient(reg, local, metrics)
}

// tight is the process of a turn: it calls for d, and tells what a call cost.
func tight(name, duration string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(modes(), func(m mode) bool { return m.name == name })
	if i < 0 {
		return fmt.Errorf("no mode %q", name)
	}
	m := modes()[i]
	call, err := m.client()
	if err != nil {
		return err
	}
	ctx := context.Background()
	if !m.bare {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(telemetry.Ensure(ctx), time.Hour)
		defer cancel()
	}
	if _, err := cost(ctx, call, d/4); err != nil { // warms up
		return err
	}
	e, err := cost(ctx, call, d)
	if err != nil {
		return err
	}
	return child.TellJSON(e)
}

// cost calls one after the other for d.
func cost(ctx context.Context, call say, d time.Duration) (each, error) {
	const batch = 1000
	in, n := message(), 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, start := stat.CPU(), time.Now()
	for time.Since(start) < d {
		for range batch {
			out, err := call(ctx, in)
			if err != nil {
				return each{}, err
			}
			if out.GetAmount() != in.GetAmount() {
				return each{}, errors.New("another answer than that of this call")
			}
		}
		n += batch
	}
	wall, used := time.Since(start), stat.CPU()-cpu
	runtime.ReadMemStats(&after)
	of := func(v float64) float64 { return v / float64(n) }
	return each{
		of(float64(wall)), of(float64(used)), of(float64(after.Mallocs - before.Mallocs)), of(float64(after.TotalAlloc - before.TotalAlloc)),
	}, nil
}

// tightly lets the modes take turns.
func tightly(rounds int, d time.Duration) (map[string][]each, error) {
	out := map[string][]each{}
	for r := range rounds {
		for _, m := range modes() {
			fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", r+1, rounds, m.name)
			c, err := child.Start("tight", m.name, d.String())
			if err != nil {
				return nil, err
			}
			var e each
			err = c.Ask("", &e, patience+d)
			c.Stop()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			out[m.name] = append(out[m.name], e)
		}
	}
	return out, nil
}
