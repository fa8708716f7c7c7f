package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// transcoding is the cost of a message in processor time, both ways, by size and way: that of ours, and of protojson with two kinds of messages.
type transcoding struct {
	cost        map[string]map[string][]float64 // ns, by "ToJSON/small" and way
	allocations map[string]float64              // of ours, the most
}

const (
	ways      = "wirejson"
	dynamic   = "dynamicpb"
	generated = "generated"
)

// transcode runs the benchmarks that stand beside the transcoder, which nobody else can import.
func transcode(ctx context.Context) (*transcoding, error) {
	module, err := bench(ctx)
	if err != nil {
		return nil, err
	}
	sayf("transcoding alone")
	c := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^Benchmark(ToJSON|ToWire)$", "-benchmem", "-benchtime=100ms", "-count=5", "./api/internal/wirejson")
	c.Dir = filepath.Dir(module)
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("transcoding: %w\n%s", err, out)
	}
	return parseBenchmark(string(out))
}

// parseBenchmark reads lines such as BenchmarkToJSON/small/wirejson-2 100 900 ns/op 850 cpu-ns/op 512 B/op 1 allocs/op.
func parseBenchmark(text string) (*transcoding, error) {
	t := &transcoding{cost: map[string]map[string][]float64{}, allocations: map[string]float64{}}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), "-")
		parts := strings.Split(name, "/")
		if len(parts) != 3 {
			continue
		}
		what, way := parts[0]+"/"+parts[1], parts[2]
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("transcoding: %q", line)
			}
			switch f[i+1] {
			case "cpu-ns/op":
				if t.cost[what] == nil {
					t.cost[what] = map[string][]float64{}
				}
				t.cost[what][way] = append(t.cost[what][way], v)
			case "allocs/op":
				if way == ways {
					t.allocations[what] = max(t.allocations[what], v)
				}
			}
		}
	}
	if len(t.cost) != 6 {
		return nil, fmt.Errorf("transcoding: %d sizes and directions, want 6, in\n%s", len(t.cost), text)
	}
	return t, nil
}

// times is how many times as much processor time the other way takes.
func (t *transcoding) times(what, other string) float64 {
	return stat.Median(t.cost[what][other]) / stat.Median(t.cost[what][ways])
}

// least is the worst of all sizes and both directions.
func (t *transcoding) least(other string) float64 {
	worst := math.Inf(1)
	for what := range t.cost {
		worst = min(worst, t.times(what, other))
	}
	return worst
}

func (t *transcoding) figures() []stat.Figure {
	most := 0.0
	for _, n := range t.allocations {
		most = max(most, n)
	}
	return []stat.Figure{{Name: "transcode_vs_dynamicpb", Value: t.least(dynamic), Unit: "ratio"}, {Name: "transcode_vs_generated", Value: t.least(generated), Unit: "ratio"},
		{Name: "transcode_allocations", Value: most, Unit: "allocations"}}
}

func (t *transcoding) print(w io.Writer) error {
	out := [][]string{{"message", "ours ns", "dynamicpb: x", "generated: x", "allocations"}}
	for _, way := range []string{"ToJSON", "ToWire"} {
		for _, size := range []string{"small", "medium", "large"} {
			what := way + "/" + size
			out = append(out, []string{
				what, fmt.Sprintf("%.0f", stat.Median(t.cost[what][ways])), fmt.Sprintf("%.2f", t.times(what, dynamic)), fmt.Sprintf("%.2f", t.times(what, generated)),
				fmt.Sprintf("%.0f", t.allocations[what]),
			})
		}
	}
	return stat.Table(w, "Transcoding alone: processor time a message, and how many times that of ours the other ways take", out)
}
