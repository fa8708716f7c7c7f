package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/cleavehq/cleave/bench/internal/load"
)

// picture draws four charts: latency and processor time, against modules and against instances. All scales are logarithmic.
func picture(r results, p plan) []byte {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="900" height="640" font-family="sans-serif" font-size="12">` + "\n")
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	p50 := func(m medians) float64 { return m.p50 }
	cpu := func(m medians) float64 { return m.cpu }
	chart(&b, 60, 40, "Median latency, us, against modules on the path", r.paths, pathKinds(), p.hops, p50)
	chart(&b, 510, 40, "CPU of a call, us, against modules on the path", r.paths, pathKinds(), p.hops, cpu)
	chart(&b, 60, 350, fmt.Sprintf("Median latency, us, against instances (%d calls at once)", atOnce), r.instances, instanceKinds(), p.instances, p50)
	chart(&b, 510, 350, fmt.Sprintf("CPU of a call, us, against instances (%d calls at once)", atOnce), r.instances, instanceKinds(), p.instances, cpu)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func colour(kind string) string {
	switch kind {
	case direct:
		return "#0b3d91"
	case lane:
		return "#2f6fde"
	default:
		return "#9aa5b1"
	}
}

// chart draws lines into a box of 300 by 200 whose upper left corner is at left, top.
func chart(b *strings.Builder, left, top int, title string, turns map[string]map[int][]load.Turn, kinds []string, at []int, value func(medians) float64) {
	const width, height = 300.0, 200.0
	var all []float64
	for _, k := range kinds {
		for _, n := range at {
			all = append(all, value(of(turns[k][n])))
		}
	}
	low, high := slices.Min(all)*0.8, slices.Max(all)*1.2
	x := func(n int) float64 {
		return float64(left) + width*math.Log(float64(n)/float64(at[0]))/max(math.Log(float64(at[len(at)-1])/float64(at[0])), 1e-9)
	}
	y := func(v float64) float64 { return float64(top) + height*(1-math.Log(v/low)/math.Log(high/low)) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="13">%s</text>`+"\n", left-40, top-14, html.EscapeString(title))
	fmt.Fprintf(b, `<path d="M%d %d v%.0f h%.0f" fill="none" stroke="#9aa5b1"/>`+"\n", left, top, height, width)
	for decade := math.Pow(10, math.Ceil(math.Log10(low))); decade <= high; decade *= 10 {
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%g</text><path d="M%d %.1f h%.0f" stroke="#e4e8ec"/>`+"\n",
			left-6, y(decade)+4, decade, left, y(decade), width)
	}
	for _, n := range at {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`+"\n", x(n), float64(top)+height+18, n)
	}
	for _, k := range kinds {
		var points []string
		for _, n := range at {
			v := value(of(turns[k][n]))
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(v)))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(n), y(v), colour(k))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour(k))
		last := value(of(turns[k][at[len(at)-1]]))
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", x(at[len(at)-1])+6, y(last)+4, colour(k), html.EscapeString(k))
	}
}
