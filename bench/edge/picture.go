package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// picture draws requests a second, the most first, on a linear scale, and says each gateway's processor time beside them.
func picture(rows []row) []byte {
	all := slices.Clone(rows)
	slices.SortFunc(all, func(a, b row) int { return int(b.rate - a.rate) }) // those that are missing at the end
	const high, left, width = 26, 130, 420
	top := 1.0
	for _, r := range all {
		top = max(top, r.rate)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+width+170, high*len(all)+60)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/><text x="12" y="22" font-size="15">One small GET: requests a second, and processor time of the gateway for each</text>` + "\n")
	colours := map[string]string{ours: "#2f6fde", "grpc-gateway": "#7a9fd6", "vanguard": "#7a9fd6", direct: "#d7dce2"}
	for i, r := range all {
		y := 40 + i*high
		colour, ok := colours[r.name]
		if !ok {
			colour = "#9aa5b1"
		}
		if r.missing != "" {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><text x="%d" y="%d" fill="#b00020">missing: %s</text>`+"\n",
				left-8, y+14, html.EscapeString(r.name), left, y+14, html.EscapeString(short(r.missing)))
			continue
		}
		long := r.rate / top * width
		cost := ""
		if r.us > 0 {
			cost = fmt.Sprintf(", %.0f us", r.us)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.0f" height="18" fill="%s"/><text x="%.0f" y="%d">%.0f%s</text>`+"\n",
			left-8, y+14, html.EscapeString(r.name), left, y, long, colour, left+6+long, y+14, r.rate, cost)
	}
	fmt.Fprintf(&b, `<text x="12" y="%d" fill="#667">blue: makes an RPC of it and JSON of the answer; grey: passes it on</text>`+"\n", 52+high*len(all))
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// short is the beginning of a text, as much of it as has room.
func short(text string) string {
	const room = 70
	if len(text) <= room {
		return text
	}
	return strings.ToValidUTF8(text[:room], "") + "..."
}
