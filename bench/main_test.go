package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a run in which everything was measured, with the figures of name n times those of the one before.
func made() results {
	r := results{calls: map[string]map[int][]turn{}, streams: map[string]map[int][]turn{}, backlog: map[string]backlog{}, direct: map[string][]each{}}
	for i, s := range stacks() {
		r.calls[s.name] = map[int][]turn{}
		for _, at := range []int{1, 128} {
			t := turn{Calls: 1000, Took: time.Second << i, P50: time.Millisecond << i, P99: time.Second, CPU: time.Second << i}
			r.calls[s.name][at] = []turn{t, t, t}
		}
	}
	for i, n := range feedNames() {
		t := turn{Calls: 1000, Took: time.Second << i, CPU: time.Second}
		r.streams[n] = map[int][]turn{1: {t}, 16: {t}}
		r.backlog[n] = backlog{Messages: 10, Bytes: 610}
	}
	for _, m := range modes() {
		r.direct[m.name] = []each{{Wall: 900, CPU: 1000, Allocs: 4}}
	}
	return r
}

func TestFiguresAreRatiosOfMedians(t *testing.T) {
	got := map[string]float64{}
	for _, f := range made().figures() {
		got[f.Name] = f.Value
	}
	between := func(a, b string) float64 {
		at := func(name string) int {
			return slices.IndexFunc(stacks(), func(s stack) bool { return s.name == name })
		}
		return float64(int(1) << (at(b) - at(a)))
	}
	for name, want := range map[string]float64{
		"lane_throughput_vs_grpc": between("cleave-lane", "grpc-go"), "lane_cpu_vs_grpc": 1 / between("cleave-lane", "grpc-go"),
		"lane_p99_vs_grpc": 1, "lane_p50_at_1_vs_grpc": 1 / between("cleave-lane", "grpc-go"),
		"lane_throughput_vs_micro_grpc": between("cleave-lane", "go-micro-grpc"), "stream_1_vs_grpc": 2, "stream_16_vs_grpc": 2,
		"stream_backlog_when_reader_stops": 610, "direct_on": 1000, "direct_bare": 1000, "direct_on_copied": 1000, "direct_on_allocations": 4, "direct_on_copied_allocations": 4,
		"direct_vs_micro_grpc": 1000 * between("cleave-direct", "go-micro-grpc"),
		// 1000 ns, when a call of the first stack costs 1 ms and 46 us are the reference.
		"direct_bare_at_reference": 46 / between("cleave-direct", "grpc-go"), "direct_on_at_reference": 46 / between("cleave-direct", "grpc-go"),
	} {
		if got[name] != want {
			t.Errorf("%s is %g, want %g", name, got[name], want)
		}
	}
	if len((results{}).figures()) != 0 {
		t.Error("what was not run has figures")
	}
}

func TestReportAndPicture(t *testing.T) {
	var b bytes.Buffer
	r := made()
	if err := r.print(&b, plan{at: []int{1, 128}, base: "grpc-go"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Calls, 128 at once", "kitex", "Messages on streams", "A reader that stops", "direct, bare, shared"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	d := xml.NewDecoder(bytes.NewReader(picture(r.calls, 128)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestArguments(t *testing.T) {
	p, err := parse([]string{"-quick", "-rounds", "5", "-o", "figures"})
	if err != nil || p.rounds != 5 || !slices.Equal(p.at, []int{1, 128}) || !slices.Equal(p.stacks, figureStacks()) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range [][]string{{"-stacks", "none"}, {"-what", "all"}, {"-o", "xml"}, {"-concurrency", "0"}, {"more"}, {"-rounds", "0"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
