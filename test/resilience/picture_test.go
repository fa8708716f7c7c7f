package resilience

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// picture draws, for each page, phase and arm, how long users waited: the 99th percentile of the pages, and the median of a checkout that came to
// nothing. The scale is logarithmic, from a millisecond on.
func picture(runs map[string]map[string]*seen) []byte {
	const row, left, decade = 22, 360, 100
	arms := []struct{ name, label, colour string }{{"on", "with the defaults", "#2f6fde"}, {"off", "without", "#9aa5b1"}}
	var b strings.Builder
	y := 62
	bar := func(label, colour, says string, took time.Duration) {
		wide := max(3, decade*math.Log10(max(1, float64(took)/float64(time.Millisecond))))
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-size="12">%s</text><rect x="%d" y="%d" width="%.0f" height="15" fill="%s"/><text x="%.0f" y="%d" font-size="12">%s</text>`+"\n",
			left-8, y+12, label, left, y, wide, colour, left+wide+6, y+12, says)
		y += row
	}
	for _, page := range []struct{ name, label string }{{"list", "product list"}, {"cart", "cart"}, {"buy", "checkout, told that it failed"}} {
		for _, p := range phases() {
			if page.name == "buy" && p.name == "well" {
				continue
			}
			for _, arm := range arms {
				run := runs[arm.name][p.name]
				label := page.label + ", payment " + p.name + ", " + arm.label
				if page.name == "buy" {
					took := percentile(run.buy.failed(), 0.5)
					bar(label, arm.colour, fmt.Sprintf("median %v", rounded(took)), took)
					continue
				}
				sent, good, p99 := run.page(page.name).count(within)
				bar(label, arm.colour, fmt.Sprintf("p99 %v, %.1f %% in time", rounded(p99), 100*float64(good)/float64(max(sent, 1))), p99)
			}
		}
		y += row / 2
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif"><rect width="100%%" height="100%%" fill="#fff"/>`+
		`<text x="12" y="24" font-size="15">What users wait for while the payments are ill, at twice the checkouts that the shop can do</text>`+
		`<text x="12" y="44" font-size="12" fill="#555">the scale is logarithmic: each step of %d px is ten times as long</text>`+"\n%s</svg>\n",
		left+5*decade+180, y+6, decade, b.String())
}

func rounded(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
