package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

const said = `Running 2s test @ http://127.0.0.1:1/v1/items/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.01ms   11.12ms 130.24ms   91.04%
    Req/Sec     7.78k     1.52k   10.90k    70.00%
  Latency Distribution
     50%    7.30ms
     75%    9.45ms
     90%   15.24ms
     99%  127.90us
  15523 requests in 2.01s, 11.20MB read
Requests/sec:   7741.57
Transfer/sec:      5.59MB
`

func TestParseWrk(t *testing.T) {
	got, err := parseWrk(said)
	want := turn{requests: 15523, took: 2010 * time.Millisecond, p50: 7300 * time.Microsecond, p99: 127900 * time.Nanosecond}
	if err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", said + "  Non-2xx or 3xx responses: 5\n", said + "  Socket errors: connect 0, read 1, write 0, timeout 0\n"} {
		if _, err := parseWrk(bad); err == nil {
			t.Errorf("no error of %q", bad)
		}
	}
}

func TestFigures(t *testing.T) {
	var b strings.Builder
	for _, what := range []string{"ToJSON", "ToWire"} {
		for _, size := range []string{"small", "medium", "large"} {
			for way, cost := range map[string]string{ways: "100", dynamic: "900", generated: "500"} {
				b.WriteString("Benchmark" + what + "/" + size + "/" + way + "-2 10 1 ns/op " + cost + " cpu-ns/op 5 B/op 1 allocs/op\n")
			}
		}
	}
	alone, err := parseBenchmark(b.String())
	if err != nil {
		t.Fatal(err)
	}
	rows := []row{{name: direct, rate: 300}, {name: "nginx", missing: "not installed"}, {name: "grpc-gateway", rate: 100, us: 60}, {name: ours, rate: 200, us: 30}}
	want := []stat.Figure{
		{Name: "edge_vs_grpc_gateway", Value: 2, Unit: "ratio"}, {Name: "edge_cpu_vs_grpc_gateway", Value: 0.5, Unit: "ratio"},
		{Name: "transcode_vs_dynamicpb", Value: 9, Unit: "ratio"}, {Name: "transcode_vs_generated", Value: 5, Unit: "ratio"},
		{Name: "transcode_allocations", Value: 1, Unit: "allocations"},
	}
	if got := figures(rows, alone); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	var out bytes.Buffer
	if err := show(&out, rows, alone); err != nil || !strings.Contains(out.String(), "nginx has no figures: not installed") {
		t.Errorf("%v %s", err, out.String())
	}
	if p := string(picture(rows)); !strings.Contains(p, ours) || !strings.Contains(p, "missing: not installed") {
		t.Error(p)
	}
}
