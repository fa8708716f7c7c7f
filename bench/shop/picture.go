package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// picture draws how the checkouts a second grow with the buyers: the buyers on a logarithmic scale, the growth on a linear one.
func picture(r report) []byte {
	const left, top, width, height = 60, 60, 480, 240
	most, fewest, high := 1, math.MaxInt, 1.0
	for _, f := range r.Figures {
		most, fewest, high = max(most, f.Buyers), min(fewest, f.Buyers), max(high, f.Growth)
	}
	span := math.Log(float64(most) / float64(fewest))
	x := func(buyers int) float64 {
		if span == 0 {
			return left
		}
		return left + width*math.Log(float64(buyers)/float64(fewest))/span
	}
	y := func(growth float64) float64 { return top + height*(1-growth/high) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+width+130, top+height+60)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	fmt.Fprintf(&b, `<text x="12" y="24" font-size="15">Checkouts a second, times those of %d at once</text>`+"\n", fewest)
	fmt.Fprintf(&b, `<path d="M%d %d V%d H%d" fill="none" stroke="#9aa5b1"/>`+"\n", left, top, top+height, left+width)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">buyers at once</text>`+"\n", left+width/2, top+height+44)
	for g := 1.0; g <= high; g += math.Max(1, math.Ceil(high/6)) {
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">x%.0f</text>`+"\n", left-8, y(g)+4, g)
	}
	colours := map[string]string{"sqlite": "#2f6fde", "postgres": "#c2571a"}
	for i, f := range r.Figures {
		colour := colours[f.Engine]
		if i > 0 && r.Figures[i-1].Engine == f.Engine {
			l := r.Figures[i-1]
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`+"\n",
				x(l.Buyers), y(l.Growth), x(f.Buyers), y(f.Growth), colour)
		} else {
			n := i / max(1, len(r.Figures)/2)
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+12, top+4+18*n, colour, html.EscapeString(f.Engine))
		}
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/><text x="%.1f" y="%.1f" fill="%s">x%.1f</text>`+"\n",
			x(f.Buyers), y(f.Growth), colour, x(f.Buyers)+7, y(f.Growth)-7, colour, f.Growth)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(f.Buyers), top+height+20, f.Buyers)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
