package main

import (
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// figureStacks are those that the figures need.
func figureStacks() []string {
	return []string{"cleave-lane", "grpc-go", "go-micro-grpc"}
}

// figures are what the issue of the fast lane and of direct calls asks for: ratios of medians of one run, and a direct call's cost. A part
// that was not run has none.
func (r results) figures() []stat.Figure {
	var out []stat.Figure
	add := func(name string, value float64, unit string) {
		out = append(out, stat.Figure{Name: name, Value: value, Unit: unit})
	}
	if r.telemetry != nil {
		rate, cpu := telemetryCost(r.telemetry)
		add("telemetry_on_vs_off_throughput", rate, "ratio")
		add("telemetry_on_vs_off_cpu", cpu, "ratio")
	}
	calls := func(stack string, at int) medians { return medianOf(stack, r.calls[stack][at]) }
	if r.calls != nil {
		lane, raw, micro := calls("cleave-lane", 128), calls("grpc-go", 128), calls("go-micro-grpc", 128)
		add("lane_throughput_vs_grpc", lane.rate/raw.rate, "ratio")
		add("lane_cpu_vs_grpc", lane.us/raw.us, "ratio")
		add("lane_p99_vs_grpc", lane.p99/raw.p99, "ratio")
		add("lane_throughput_vs_micro_grpc", lane.rate/micro.rate, "ratio")
		add("lane_p50_at_1_vs_grpc", calls("cleave-lane", 1).p50/calls("grpc-go", 1).p50, "ratio")
	}
	for _, s := range []struct {
		streams int
		name    string
	}{{1, "stream_1_vs_grpc"}, {16, "stream_16_vs_grpc"}} {
		if r.streams != nil {
			add(s.name, medianOf("", r.streams["cleave-lane"][s.streams]).rate/medianOf("", r.streams["grpc-go"][s.streams]).rate, "ratio")
		}
	}
	if r.streams != nil {
		add("stream_backlog_when_reader_stops", float64(r.backlog["cleave-lane"].Bytes), "bytes")
	}
	if r.direct == nil {
		return out
	}
	// A module of the shop shares memory with its callers; one that can't gets copies, and a goroutine.
	on, copied, bare := r.cost("direct, all on, shared"), r.cost("direct, all on, copied"), r.cost("direct, bare, shared")
	add("direct_on", on.CPU, "ns")
	add("direct_on_allocations", on.Allocs, "allocations")
	add("direct_on_copied", copied.CPU, "ns")
	add("direct_on_copied_allocations", copied.Allocs, "allocations")
	add("direct_bare", bare.CPU, "ns")
	if scale := r.toReference(); scale > 0 {
		add("direct_on_at_reference", on.CPU*scale, "ns")
		add("direct_on_copied_at_reference", copied.CPU*scale, "ns")
		add("direct_bare_at_reference", bare.CPU*scale, "ns")
	}
	if r.calls != nil {
		micro := calls("go-micro-grpc", 1).us * 1000
		add("direct_vs_micro_grpc", micro/on.CPU, "ratio")
		add("direct_copied_vs_micro_grpc", micro/copied.CPU, "ratio")
	}
	return out
}
