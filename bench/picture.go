package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// picture draws calls a second at one concurrency, on a logarithmic scale.
func picture(calls map[string]map[int][]turn, concurrency int) []byte {
	all := summary(calls, concurrency)
	slices.SortFunc(all, func(a, b medians) int { return int(b.rate - a.rate) })
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
