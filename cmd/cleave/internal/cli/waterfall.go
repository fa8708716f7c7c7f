package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const (
	barWidth  = 30
	nameWidth = 46
	maxDepth  = 20
)

// waterfall draws the spans of a trace, which are sorted by their start: each a line below the one that it is part of, with a bar that shows
// when it was.
func waterfall(spans []telemetry.SpanJSON) []byte {
	w := drawing{under: map[string][]telemetry.SpanJSON{}, known: map[string]bool{}}
	services, failed := map[string]bool{}, 0
	for _, s := range spans {
		w.known[s.ID] = true
		services[s.Service] = true
		if s.Failed {
			failed++
		}
		end := s.Start.Add(time.Duration(s.Nanos))
		if w.from.IsZero() || s.Start.Before(w.from) {
			w.from = s.Start
		}
		if end.After(w.to) {
			w.to = end
		}
	}
	var tops []telemetry.SpanJSON
	for _, s := range spans {
		if s.Parent == "" || !w.known[s.Parent] || s.Parent == s.ID {
			tops = append(tops, s)
		} else {
			w.under[s.Parent] = append(w.under[s.Parent], s)
		}
	}
	fmt.Fprintf(&w.out, "trace %s  %s  %d spans of %d services  %s\n\n",
		spans[0].Trace, w.from.Format(time.RFC3339Nano), len(spans), len(services), brief(w.to.Sub(w.from)))
	for _, s := range tops {
		w.draw(s, 0)
	}
	if failed > 0 {
		fmt.Fprintf(&w.out, "\n%d failed\n", failed)
	}
	return w.out.Bytes()
}

type drawing struct {
	out      bytes.Buffer
	from, to time.Time
	under    map[string][]telemetry.SpanJSON
	known    map[string]bool // to be drawn; false once they are, so that spans that are each other's parents end
}

func (w *drawing) draw(s telemetry.SpanJSON, depth int) {
	if !w.known[s.ID] {
		return
	}
	w.known[s.ID] = false
	name := strings.Repeat("  ", min(depth, maxDepth)) + s.Service + "  " + s.Name
	mark := ""
	switch {
	case s.Failed:
		mark = "  FAILED " + s.Code
	case s.Code != "":
		mark = "  " + s.Code
	}
	if s.Attrs["cleave.direct"] != "" {
		mark += "  direct"
	}
	if len(s.Links) > 0 {
		mark += fmt.Sprintf("  %d links", len(s.Links))
	}
	fmt.Fprintf(&w.out, "%s %s %9s%s\n", padded(name, nameWidth), w.bar(s), brief(time.Duration(s.Nanos)), mark)
	under := w.under[s.ID]
	slices.SortStableFunc(under, func(a, b telemetry.SpanJSON) int { return a.Start.Compare(b.Start) })
	for _, c := range under {
		w.draw(c, depth+1)
	}
}

// bar shows when in the trace a span was.
func (w *drawing) bar(s telemetry.SpanJSON) string {
	all := max(w.to.Sub(w.from), 1)
	at := min(int(int64(barWidth)*int64(s.Start.Sub(w.from))/int64(all)), barWidth-1)
	n := max(int(int64(barWidth)*s.Nanos/int64(all)), 1)
	n = min(n, barWidth-at)
	return "|" + strings.Repeat(" ", at) + strings.Repeat("█", n) + strings.Repeat(" ", barWidth-at-n) + "|"
}

// padded is a text of exactly n columns.
func padded(text string, n int) string {
	if k := utf8.RuneCountInString(text); k <= n {
		return text + strings.Repeat(" ", n-k)
	}
	r := []rune(text)
	return string(r[:n-1]) + "…"
}

// brief is a duration of three figures.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
