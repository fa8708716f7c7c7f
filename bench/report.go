package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figures are the medians of one stack at one concurrency.
type figures struct {
	name         string
	rate         float64 // calls a second
	p50, p99, us float64 // microseconds; us is processor time a call, of both sides
}

func median(turns []turn, of func(turn) float64) float64 {
	v := make([]float64, len(turns))
	for i, t := range turns {
		v[i] = of(t)
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// summary is in the order of stacks.
func summary(results map[string]map[int][]turn, concurrency int) []figures {
	var out []figures
	for _, s := range stacks() {
		turns := results[s.name][concurrency]
		if len(turns) == 0 {
			continue
		}
		out = append(out, figures{
			name: s.name,
			rate: median(turns, func(t turn) float64 { return float64(t.Calls) / t.Took.Seconds() }),
			p50:  median(turns, func(t turn) float64 { return micros(t.P50) }),
			p99:  median(turns, func(t turn) float64 { return micros(t.P99) }),
			us:   median(turns, func(t turn) float64 { return micros(t.CPU) / float64(t.Calls) }),
		})
	}
	return out
}

// report prints a table for each concurrency. A ratio is to base: how many times its calls, and how much of its latency and processor time.
func report(w io.Writer, results map[string]map[int][]turn, at []int, base string) {
	for _, c := range at {
		all := summary(results, c)
		var b figures
		if i := slices.IndexFunc(all, func(f figures) bool { return f.name == base }); i >= 0 {
			b = all[i]
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintf(tw, "%d at once\treq/s\tp50 us\tp99 us\tCPU us/req\tx req/s\tx p50\tx p99\tx CPU\t\n", c)
		for _, f := range all {
			_, _ = fmt.Fprintf(tw, "%s\t%.0f\t%.1f\t%.1f\t%.2f\t%s\t%s\t%s\t%s\t\n", f.name, f.rate, f.p50, f.p99, f.us,
				ratio(f.rate, b.rate), ratio(f.p50, b.p50), ratio(f.p99, b.p99), ratio(f.us, b.us))
		}
		_ = tw.Flush()
		_, _ = fmt.Fprintln(w)
	}
}

func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// picture draws calls a second at one concurrency, on a logarithmic scale.
func picture(results map[string]map[int][]turn, concurrency int) []byte {
	all := summary(results, concurrency)
	slices.SortFunc(all, func(a, b figures) int { return int(b.rate - a.rate) })
	const row, left, width = 26, 190, 420
	top := 1.0
	for _, f := range all {
		top = max(top, f.rate)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n",
		left+width+110, row*len(all)+60)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="12" y="22" font-size="15">Calls a second, %d at once (logarithmic: a third of the width is ten times)</text>`+"\n", concurrency)
	for i, f := range all {
		y := 40 + i*row
		colour := "#9aa5b1"
		if strings.HasPrefix(f.name, "cleave") {
			colour = "#2f6fde"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.0f" height="18" fill="%s"/><text x="%.0f" y="%d">%s</text>`+"\n",
			left-8, y+14, html.EscapeString(f.name), left, y, length(f.rate, top)*width, colour, left+6+length(f.rate, top)*width, y+14, thousands(f.rate))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// length of a bar, 0 to 1: three decades below the top is nothing.
func length(v, top float64) float64 { return max(0.01, 1-math.Log10(top/v)/3) }

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
