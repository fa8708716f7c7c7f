package resilience

import (
	"fmt"
	"strings"
	"time"
)

// picture draws, for each arm and phase, the share of pages that came in time.
func picture(runs map[string]map[string]*seen) []byte {
	const row, left, width = 24, 250, 380
	var rows []struct {
		label, colour string
		share         float64
		p99           time.Duration
	}
	for _, page := range []struct{ name, label string }{{"list", "product list"}, {"cart", "cart"}} {
		for _, p := range phases() {
			for _, arm := range []struct{ name, label, colour string }{{"on", "with the defaults", "#2f6fde"}, {"off", "without", "#9aa5b1"}} {
				run := runs[arm.name]
				if run == nil {
					continue
				}
				sent, good, p99 := run[p.name].page(page.name).count(within)
				rows = append(rows, struct {
					label, colour string
					share         float64
					p99           time.Duration
				}{page.label + ", payment " + p.name + ", " + arm.label, arm.colour, float64(good) / float64(max(sent, 1)), p99})
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+width+220, row*len(rows)+60)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="12" y="22" font-size="15">Pages that came within a second, at twice the checkouts that the shop can do, and their p99</text>`+"\n")
	for i, r := range rows {
		y := 40 + i*row
		bar := max(2, r.share*width)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-size="11">%s</text><rect x="%d" y="%d" width="%.0f" height="17" fill="%s"/><text x="%.0f" y="%d">%.1f %%, %v</text>`+"\n",
			left+60, y+13, r.label, left+68, y, bar, r.colour, float64(left)+74+bar, y+13, 100*r.share, r.p99.Round(time.Millisecond))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
