package main

import (
	"fmt"
	"io"

	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// medians are those of some turns, in microseconds; cpu is a call's.
type medians struct{ p50, p99, cpu float64 }

func of(turns []load.Turn) medians {
	var p50, p99, cpu []float64
	for _, t := range turns {
		p50, p99 = append(p50, stat.US(t.P50)), append(p99, stat.US(t.P99))
		cpu = append(cpu, stat.US(t.CPU)/float64(t.Calls))
	}
	return medians{stat.Median(p50), stat.Median(p99), stat.Median(cpu)}
}

func (r results) print(w io.Writer, p plan) error {
	if err := table(w, "Modules on the path (one call at a time; x is times that of one)", "modules", r.paths, pathKinds(), p.hops); err != nil {
		return err
	}
	return table(w, fmt.Sprintf("Instances in Consul (%d calls at once; x is times that of one)", atOnce), "instances", r.instances, instanceKinds(), p.instances)
}

func table(w io.Writer, title, what string, turns map[string]map[int][]load.Turn, kinds []string, at []int) error {
	rows := [][]string{{"stack", what, "p50 us", "p99 us", "CPU us/call", "x p50", "x CPU"}}
	for _, k := range kinds {
		first := of(turns[k][at[0]])
		for _, n := range at {
			m := of(turns[k][n])
			rows = append(rows, []string{
				k, fmt.Sprint(n), stat.Number(m.p50), stat.Number(m.p99), stat.Number(m.cpu), stat.Ratio(m.p50, first.p50), stat.Ratio(m.cpu, first.cpu),
			})
		}
	}
	return stat.Table(w, title, rows)
}

// figures compare the ends: the longest path, and the most instances with one.
func (r results) figures(p plan) []stat.Figure {
	hops, most := p.hops[len(p.hops)-1], p.instances[len(p.instances)-1]
	d, l, m := of(r.paths[direct][hops]), of(r.paths[lane][hops]), of(r.paths[micro][hops])
	one, many := of(r.instances[lane][p.instances[0]]), of(r.instances[lane][most])
	microMany := of(r.instances[micro][most])
	return []stat.Figure{
		{Name: fmt.Sprintf("growth_%d_modules_direct", hops), Value: d.p50, Unit: "us"},
		{Name: fmt.Sprintf("growth_%d_modules_lane", hops), Value: l.p50, Unit: "us"},
		{Name: fmt.Sprintf("growth_%d_modules_lane_vs_micro_grpc", hops), Value: l.p50 / m.p50, Unit: "ratio"},
		{Name: fmt.Sprintf("growth_%d_modules_lane_cpu_vs_micro_grpc", hops), Value: l.cpu / m.cpu, Unit: "ratio"},
		{Name: fmt.Sprintf("growth_%d_instances_vs_one_p50", most), Value: many.p50 / one.p50, Unit: "ratio"},
		{Name: fmt.Sprintf("growth_%d_instances_vs_one_cpu", most), Value: many.cpu / one.cpu, Unit: "ratio"},
		{Name: fmt.Sprintf("growth_%d_instances_cpu_vs_micro_grpc", most), Value: many.cpu / microMany.cpu, Unit: "ratio"},
	}
}
