package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/api"
)

// row is one instance of a module, or a gateway.
type row struct {
	Host    string  `json:"host"`
	Module  string  `json:"module"`
	Version string  `json:"version"`
	Address string  `json:"address"`
	Health  string  `json:"health"`
	Rate    float64 `json:"requests_per_second"`
	Failed  float64 `json:"failed_per_second"`
	// P99 in milliseconds; nil without requests, and -1 when it is above the last bound of the histogram.
	P99 *float64 `json:"p99_ms"`
	// Open are the circuits of the process that are not closed; Ejections what its client has ejected a second.
	Open      []string `json:"open_circuits,omitempty"`
	Ejections float64  `json:"ejections_per_second,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func (a *app) ps() *cobra.Command {
	over := time.Second
	c := &cobra.Command{
		Use: "ps", Short: "List the processes: modules, versions, health, requests, latency, open circuits", GroupID: "operate", Args: exactly(cobra.NoArgs),
		Long: `ps asks every process in the registry twice, and says what happened in between. P99 is the bound of a histogram's bucket: it may be half as
much again as it was. FAIL/S counts what the module is to blame for, of a gateway the answers from 500 on.`,
		Example: "  cleave ps\n  cleave ps --over 10s -o json",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if over < 100*time.Millisecond || over > time.Minute {
				return usagef("--over is %v; want 100ms to 1m", over)
			}
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			ctx := c.Context()
			before := se.look(ctx)
			if err := pauseFor(ctx, over); err != nil {
				return err
			}
			rows, err := se.rows(ctx, before)
			if err != nil {
				return err
			}
			if se.s.Output == "json" {
				return a.json(rows)
			}
			return table(a.env.Stdout, rows)
		},
	}
	c.Flags().DurationVar(&over, "over", over, "how long to count, from 100ms to 1m")
	return c
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// moment is what every process had counted.
type moment struct {
	at      time.Time
	samples map[string]sample // by admin address
}

// look asks every process.
func (se *session) look(ctx context.Context) moment {
	m := moment{at: time.Now(), samples: map[string]sample{}}
	list, err := se.processes()
	if err != nil { // rows says so
		return m
	}
	got := make([]sample, len(list))
	each(list, func(i int, p process) { got[i], _ = p.sample(ctx) })
	for i, p := range list {
		m.samples[p.Admin] = got[i]
	}
	return m
}

// rows are what happened since before, by host and module.
func (se *session) rows(ctx context.Context, before moment) ([]row, error) {
	list, err := se.processes()
	if err != nil {
		return nil, err
	}
	seconds := time.Since(before.at).Seconds()
	got := make([][]row, len(list))
	each(list, func(i int, p process) {
		now, err := p.sample(ctx)
		for _, m := range p.Modules {
			r := row{Host: p.Host, Module: m.Name, Version: m.Version, Address: m.Node.Address, Health: healthOf(ctx, m)}
			was := before.samples[p.Admin]
			switch {
			case err != nil:
				r.Error = err.Error()
			case was != nil:
				d := now.of(m.Name).minus(was.of(m.Name))
				r.Rate, r.Failed = d.calls/seconds, d.failed/seconds
				if q := d.quantile(0.99); !math.IsNaN(q) {
					ms := q * 1000
					if math.IsInf(q, 1) {
						ms = -1
					}
					r.P99 = &ms
				}
				r.Open, r.Ejections = now.open(), max(0, now.total(ejections)-was.total(ejections))/seconds
			}
			got[i] = append(got[i], r)
		}
	})
	return slices.Concat(got...), nil
}

// healthOf asks an instance.
func healthOf(ctx context.Context, m instance) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var err error
	if m.Name == api.Name {
		err = httpHealth(ctx, "http://"+m.Node.Address+"/readyz")
	} else {
		err = grpcHealth(m.Node.Metadata["tls"] != "")(ctx, m.Node.Address)
	}
	if err == nil {
		return "ok"
	}
	if strings.Contains(err.Error(), "NOT_SERVING") || strings.Contains(err.Error(), "503") {
		return "not ready"
	}
	return "no answer"
}

// table prints rows, and what stands out of the processes below it.
func table(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tMODULE\tVERSION\tADDRESS\tHEALTH\tREQ/S\tFAIL/S\tP99")
	var notes []string
	for _, r := range rows {
		p99 := "-"
		switch {
		case r.P99 == nil:
		case *r.P99 < 0:
			p99 = "more"
		default:
			p99 = time.Duration(*r.P99 * float64(time.Millisecond)).Round(10 * time.Microsecond).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f\t%.1f\t%s\n", r.Host, r.Module, r.Version, r.Address, r.Health, r.Rate, r.Failed, p99)
		for _, o := range r.Open {
			notes = append(notes, r.Host+": circuit "+o)
		}
		if r.Ejections > 0 {
			notes = append(notes, fmt.Sprintf("%s: ejects %.1f instances a second", r.Host, r.Ejections))
		}
		if r.Error != "" {
			notes = append(notes, r.Host+": "+r.Error)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	slices.Sort(notes)
	for _, n := range slices.Compact(notes) {
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return nil
}
