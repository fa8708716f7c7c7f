package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/bench/internal/load"
)

func TestFiguresTableAndPicture(t *testing.T) {
	p, err := parse([]string{"-quick"})
	if err != nil {
		t.Fatal(err)
	}
	r := results{map[string]map[int][]load.Turn{}, map[string]map[int][]load.Turn{}}
	fill := func(into map[string]map[int][]load.Turn, kinds []string, at []int) {
		for i, k := range kinds {
			into[k] = map[int][]load.Turn{}
			for _, n := range at {
				into[k][n] = []load.Turn{{Calls: 1000, P50: time.Duration(n*(i+1)) * time.Microsecond, CPU: time.Duration(n*(i+1)) * time.Millisecond}}
			}
		}
	}
	fill(r.paths, pathKinds(), p.hops)
	fill(r.instances, instanceKinds(), p.instances)
	got := map[string]float64{}
	for _, f := range r.figures(p) {
		got[f.Name] = f.Value
	}
	for name, want := range map[string]float64{
		"growth_8_modules_direct": 8, "growth_8_modules_lane": 16, "growth_8_modules_lane_vs_micro_grpc": 2.0 / 3, "growth_50_instances_vs_one_p50": 50,
		"growth_50_instances_cpu_vs_micro_grpc": 0.5,
	} {
		if got[name] != want {
			t.Errorf("%s is %g, want %g", name, got[name], want)
		}
	}
	var b bytes.Buffer
	if err := r.print(&b, p); err != nil || !strings.Contains(b.String(), "50.00") {
		t.Errorf("%v\n%s", err, b.String())
	}
	d := xml.NewDecoder(bytes.NewReader(picture(r, p)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A path gives back what it was sent, however long it is.
func TestAPathAnswers(t *testing.T) {
	call, err := inside(3)
	if err != nil {
		t.Fatal(err)
	}
	out, err := call(t.Context(), load.Message())
	if err != nil || out.GetId() != load.Message().GetId() || out.GetAmount() != load.Message().GetAmount() {
		t.Errorf("%v, %v", out, err)
	}
}
