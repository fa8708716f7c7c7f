package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// measure lets the shops take turns.
func measure(ctx context.Context, p plan, shops []*system) (report, error) {
	for _, s := range shops {
		sayf("warm up %s", s.engine)
		if _, err := s.turn(ctx, p.buyers[0], p.turn/2); err != nil {
			return report{}, s.told(p.buyers[0], err)
		}
	}
	turns := map[string]map[int][]turn{}
	for round := range p.rounds {
		for _, n := range p.buyers {
			for _, s := range shops {
				t, err := s.turn(ctx, n, p.turn)
				if err != nil {
					return report{}, s.told(n, err)
				}
				if len(t.failed) > 0 {
					sayf("%v", s.told(n, fmt.Errorf("%d checkouts failed, the first with: %w", len(t.failed), t.failed[0])))
				}
				sayf("round %d of %d, %s, %d buyers: %d checkouts in %.1f s", round+1, p.rounds, s.engine, n, len(t.sold), t.took.Seconds())
				if turns[s.engine] == nil {
					turns[s.engine] = map[int][]turn{}
				}
				turns[s.engine][n] = append(turns[s.engine][n], t)
			}
		}
	}
	var r report
	for _, s := range shops {
		for _, n := range p.buyers {
			r.Figures = append(r.Figures, summary(s.engine, n, turns[s.engine][n]))
		}
	}
	r.grow()
	if p.profile == 0 {
		return r, nil
	}
	for _, s := range shops {
		sayf("profile %s, %d buyers", s.engine, p.profile)
		f, err := s.profile(ctx, p.profile, p.turn)
		if err != nil {
			return r, s.told(p.profile, err)
		}
		r.Profiles = append(r.Profiles, f)
	}
	return r, nil
}

// figures are the medians of one shop with so many buyers.
type figures struct {
	Engine    string    `json:"engine"`
	Buyers    int       `json:"buyers"`
	Checkouts int       `json:"checkouts"` // in all turns; every one of them was PAID
	Failed    int       `json:"failed"`    // checkouts that came to nothing
	Rate      float64   `json:"checkouts_per_second"`
	P50       float64   `json:"p50_ms"`
	P99       float64   `json:"p99_ms"`
	CPU       float64   `json:"cpu_ms_per_checkout"`
	Growth    float64   `json:"growth"` // of the rate, against the fewest buyers
	Steps     []float64 `json:"steps_ms"`
}

func summary(engine string, buyers int, turns []turn) figures {
	f := figures{Engine: engine, Buyers: buyers}
	var rate, p50, p99, cpu []float64
	each := make([][]float64, len(steps()))
	for _, t := range turns {
		f.Checkouts += len(t.sold)
		f.Failed += len(t.failed)
		var took []float64
		for _, b := range t.sold {
			took = append(took, stat.MS(b.took()))
		}
		slices.Sort(took)
		rate = append(rate, float64(len(t.sold))/t.took.Seconds())
		p50, p99 = append(p50, took[len(took)/2]), append(p99, took[len(took)*99/100])
		cpu = append(cpu, stat.MS(t.cpu)/float64(len(t.sold)))
		for _, p := range t.at {
			for i, d := range p {
				each[i] = append(each[i], stat.MS(d))
			}
		}
	}
	f.Rate, f.P50, f.P99, f.CPU = stat.Median(rate), stat.Median(p50), stat.Median(p99), stat.Median(cpu)
	for _, e := range each {
		f.Steps = append(f.Steps, stat.Median(e))
	}
	return f
}
