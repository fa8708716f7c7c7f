// Package stat holds what every benchmark needs: processor time, medians, tables, and the lines that a program reads.
package stat

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// CPU is the processor time of this process so far, in its own code and in the kernel.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Tick is Linux's unit of processor time in /proc, USER_HZ: a hundredth of a second on every architecture that Go knows.
const Tick = 10 * time.Millisecond

// CPUOf is the processor time of another process so far, in whole ticks.
func CPUOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(b)
}

// parseStat reads utime and stime, fields 14 and 15 of proc(5); field 2 is a name in parentheses that may hold anything.
func parseStat(b []byte) (time.Duration, error) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is %q", b)
	}
	var sum int64
	for _, v := range f[11:13] {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * Tick, nil
}

// Median is 0 of nothing.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 0:
		return (v[n/2-1] + v[n/2]) / 2
	default:
		return v[n/2]
	}
}

// Quantile is the least of sorted values that is not below the share q of them; 0 of nothing.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// MS is d in milliseconds, and US in microseconds.
func MS(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// US is d in microseconds.
func US(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// Number prints v with as many digits as tell something.
func Number(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 1000:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// Ratio prints a / b.
func Ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// Table prints rows under a title; the first of them is the head, and the first column is text.
func Table(w io.Writer, title string, rows [][]string) error {
	var b strings.Builder
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r[0]))
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		_, _ = fmt.Fprintf(tw, "%-*s\t%s\t\n", wide, r[0], strings.Join(r[1:], "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", title, b.String())
	return err
}

// Figure is a value that a program reads: test/prove holds it to its bounds.
type Figure struct {
	Name  string
	Value float64
	Unit  string
}

// Print prints figures, one a line: figure NAME VALUE UNIT.
func Print(w io.Writer, figures []Figure) error {
	for _, f := range figures {
		if _, err := fmt.Fprintf(w, "figure %s %s %s\n", f.Name, strconv.FormatFloat(f.Value, 'g', 6, 64), f.Unit); err != nil {
			return err
		}
	}
	return nil
}
