package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// row is one gateway's: medians, or why there are none.
type row struct {
	name     string
	missing  string
	rate     float64 // requests a second
	p50, p99 float64 // ms
	us       float64 // processor time of the gateway a request, in microseconds
}

// compare starts all gateways, and lets them take turns.
func compare(ctx context.Context, p plan, dir string) (rows []row, err error) {
	bin, err := findWrk()
	if err != nil {
		return nil, err
	}
	e := env{dir: dir, build: p.build, domain: "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	up, err := child.Start("upstream", e.domain)
	if err != nil {
		return nil, err
	}
	defer up.Stop()
	said, err := up.Line(patience)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(said), &e.addresses); err != nil {
		return nil, err
	}
	var running []*process
	defer func() {
		for _, r := range running {
			err = errors.Join(err, r.stop())
		}
	}()
	for _, g := range gateways() {
		if !slices.Contains(p.gateways, g.name) {
			continue
		}
		r, err := g.start(ctx, e)
		if why, is := isMissing(err); is {
			sayf("%s: %s", g.name, why)
			rows = append(rows, row{name: g.name, missing: why})
			continue
		}
		if err != nil {
			return nil, err
		}
		running, rows = append(running, r), append(rows, row{name: g.name})
	}
	turns, err := takeTurns(ctx, p, bin, running)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].take(turns[rows[i].name])
	}
	return rows, nil
}

// takeTurns returns the turns by gateway. Each round begins with another one.
func takeTurns(ctx context.Context, p plan, bin string, all []*process) (map[string][]turn, error) {
	out := map[string][]turn{}
	for _, r := range all { // warms up
		if _, err := wrk(ctx, bin, r.url, p.connections, time.Second); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	stop, err := profiled(ctx, p, all)
	if err != nil {
		return nil, err
	}
	for round := range p.rounds {
		for i := range all {
			r := all[(i+round)%len(all)]
			sayf("round %d of %d, %s", round+1, p.rounds, r.name)
			before, err := r.cpu()
			if err != nil {
				return nil, err
			}
			t, err := wrk(ctx, bin, r.url, p.connections, p.turn)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			after, err := r.cpu()
			if err != nil {
				return nil, err
			}
			t.cpu = after - before
			out[r.name] = append(out[r.name], t)
		}
	}
	return out, stop()
}

// take sets the medians.
func (r *row) take(turns []turn) {
	median := func(of func(turn) float64) float64 {
		v := make([]float64, len(turns))
		for i, t := range turns {
			v[i] = of(t)
		}
		return stat.Median(v)
	}
	r.rate = median(func(t turn) float64 { return float64(t.requests) / t.took.Seconds() })
	r.p50 = median(func(t turn) float64 { return stat.MS(t.p50) })
	r.p99 = median(func(t turn) float64 { return stat.MS(t.p99) })
	r.us = median(func(t turn) float64 { return stat.US(t.cpu) / float64(t.requests) })
}
