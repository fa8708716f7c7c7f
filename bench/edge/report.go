package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

func find(rows []row, name string) (row, bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == name && r.missing == "" })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// show prints the table. A ratio is what ours has of the other's: of requests more is better, of processor time less.
func show(w io.Writer, rows []row, alone *transcoding) error {
	mine, _ := find(rows, ours)
	out := [][]string{{"gateway", "req/s", "p50 ms", "p99 ms", "CPU us/req", "ours: x req/s", "x CPU"}}
	for _, r := range rows {
		if r.missing != "" {
			out = append(out, []string{r.name, "MISSING", "-", "-", "-", "-", "-"})
			continue
		}
		out = append(out, []string{
			r.name, fmt.Sprintf("%.0f", r.rate), stat.Number(r.p50), stat.Number(r.p99), stat.Number(r.us), stat.Ratio(mine.rate, r.rate), stat.Ratio(mine.us, r.us),
		})
	}
	if err := stat.Table(w, "One small GET behind wrk; "+ours+", grpc-gateway and vanguard make a call of it, the others pass it on", out); err != nil {
		return err
	}
	for _, r := range rows {
		if r.missing != "" {
			if _, err := fmt.Fprintf(w, "MISSING: %s has no figures: %s\n", r.name, r.missing); err != nil {
				return err
			}
		}
	}
	if alone == nil {
		return nil
	}
	return alone.print(w)
}

// figures are what the issue of the edge asks for. A gateway that is missing has none.
func figures(rows []row, alone *transcoding) []stat.Figure {
	var out []stat.Figure
	mine, ok := find(rows, ours)
	for _, r := range rows {
		if !ok || r.missing != "" || r.name == ours || r.name == direct {
			continue
		}
		name := strings.ReplaceAll(r.name, "-", "_")
		out = append(out, stat.Figure{Name: "edge_vs_" + name, Value: mine.rate / r.rate, Unit: "ratio"},
			stat.Figure{Name: "edge_cpu_vs_" + name, Value: mine.us / r.us, Unit: "ratio"})
	}
	if alone == nil {
		return out
	}
	return append(out, alone.figures()...)
}
