package main

import (
	"fmt"
	"io"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// report is what a run found.
type report struct {
	Figures  []figures `json:"figures"`
	Profiles []profile `json:"profiles,omitempty"`
}

// grow compares each figure with the first one of its engine.
func (r *report) grow() {
	base := map[string]float64{}
	for i, f := range r.Figures {
		if _, there := base[f.Engine]; !there {
			base[f.Engine] = f.Rate
		}
		if b := base[f.Engine]; b > 0 {
			r.Figures[i].Growth = f.Rate / b
		}
	}
}

// failed is an error when a checkout failed that counts.
func (r *report) failed() error {
	n := 0
	for _, f := range r.Figures {
		n += f.Failed
	}
	if n > 0 {
		return fmt.Errorf("%d checkouts failed", n)
	}
	return nil
}

func (r *report) print(w io.Writer) error {
	rows := [][]string{{"engine", "buyers", "checkouts/s", "growth", "p50 ms", "p99 ms", "CPU ms each", "PAID", "failed"}}
	for _, f := range r.Figures {
		rows = append(rows, []string{
			f.Engine, fmt.Sprint(f.Buyers), stat.Number(f.Rate), fmt.Sprintf("x%.2f", f.Growth), stat.Number(f.P50), stat.Number(f.P99), stat.Number(f.CPU), fmt.Sprint(f.Checkouts), fmt.Sprint(f.Failed),
		})
	}
	if err := stat.Table(w, "Checkouts (medians of the turns; CPU is of the shop's process, not of PostgreSQL's; PAID and failed are sums)", rows); err != nil {
		return err
	}
	if err := stat.Table(w, "Where a checkout waits: ms of each step, and its share of the steps' sum (medians)", r.steps()); err != nil {
		return err
	}
	for _, p := range r.Profiles {
		if err := p.print(w); err != nil {
			return err
		}
	}
	return nil
}

// steps has a column for the fewest and for the most buyers of each engine.
func (r *report) steps() [][]string {
	var ends []figures
	for i, f := range r.Figures {
		if i == 0 || i == len(r.Figures)-1 || r.Figures[i-1].Engine != f.Engine || r.Figures[i+1].Engine != f.Engine {
			ends = append(ends, f)
		}
	}
	rows := [][]string{{"step"}}
	for _, f := range ends {
		rows[0] = append(rows[0], fmt.Sprintf("%s, %d", f.Engine, f.Buyers))
	}
	for i, name := range steps() {
		row := []string{name}
		for _, f := range ends {
			sum := 0.0
			for _, s := range f.Steps {
				sum += s
			}
			row = append(row, fmt.Sprintf("%s  %2.0f%%", stat.Number(f.Steps[i]), 100*f.Steps[i]/max(sum, 1e-9)))
		}
		rows = append(rows, row)
	}
	return rows
}
