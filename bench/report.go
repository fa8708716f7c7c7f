package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// medians are those of one stack at one concurrency.
type medians struct {
	name         string
	rate         float64 // calls a second
	p50, p99, us float64 // microseconds; us is processor time a call, of both sides
}

func median[T any](turns []T, of func(T) float64) float64 {
	v := make([]float64, len(turns))
	for i, t := range turns {
		v[i] = of(t)
	}
	return stat.Median(v)
}

func medianOf(name string, turns []turn) medians {
	return medians{
		name: name,
		rate: median(turns, func(t turn) float64 { return float64(t.Calls) / t.Took.Seconds() }),
		p50:  median(turns, func(t turn) float64 { return stat.US(t.P50) }),
		p99:  median(turns, func(t turn) float64 { return stat.US(t.P99) }),
		us:   median(turns, func(t turn) float64 { return stat.US(t.CPU) / float64(t.Calls) }),
	}
}

// summary is in the order of stacks.
func summary(calls map[string]map[int][]turn, concurrency int) []medians {
	var out []medians
	for _, s := range stacks() {
		if turns := calls[s.name][concurrency]; len(turns) > 0 {
			out = append(out, medianOf(s.name, turns))
		}
	}
	return out
}

// printCalls prints a table for each concurrency. A ratio is to base: how many times its calls, and how much of its latency and processor time.
func printCalls(w io.Writer, calls map[string]map[int][]turn, at []int, base string) error {
	for _, c := range at {
		all := summary(calls, c)
		var b medians
		if i := slices.IndexFunc(all, func(m medians) bool { return m.name == base }); i >= 0 {
			b = all[i]
		}
		rows := [][]string{{"stack", "req/s", "p50 us", "p99 us", "CPU us/req", "x req/s", "x p50", "x p99", "x CPU"}}
		for _, m := range all {
			rows = append(rows, []string{
				m.name, fmt.Sprintf("%.0f", m.rate), stat.Number(m.p50), stat.Number(m.p99), stat.Number(m.us),
				stat.Ratio(m.rate, b.rate), stat.Ratio(m.p50, b.p50), stat.Ratio(m.p99, b.p99), stat.Ratio(m.us, b.us),
			})
		}
		if err := stat.Table(w, fmt.Sprintf("Calls, %d at once (medians of the turns; x is times %s's)", c, base), rows); err != nil {
			return err
		}
	}
	return nil
}

func printStreams(w io.Writer, r results) error {
	rows := [][]string{{"streams", "at once", "messages/s", "CPU us/message"}}
	for _, c := range streamsAt() {
		for _, n := range feedNames() {
			m := medianOf(n, r.streams[n][c])
			rows = append(rows, []string{n, fmt.Sprint(c), fmt.Sprintf("%.0f", m.rate), stat.Number(m.us)})
		}
	}
	if err := stat.Table(w, "Messages on streams, from the server to the client", rows); err != nil {
		return err
	}
	rows = [][]string{{"stack", "messages", "bytes of them", "heap of the reader, bytes"}}
	for _, n := range feedNames() {
		b := r.backlog[n]
		rows = append(rows, []string{n, fmt.Sprint(b.Messages), fmt.Sprint(b.Bytes), fmt.Sprint(b.Reader)})
	}
	return stat.Table(w, "A reader that stops after the first message: what the sender could send until it had to wait", rows)
}

func printDirect(w io.Writer, r results) error {
	rows := [][]string{{"mode", "ns", "CPU ns", "at reference", "allocations", "bytes"}}
	for _, m := range modes() {
		e, atReference := r.cost(m.name), "-"
		if scale := r.toReference(); scale > 0 {
			atReference = stat.Number(e.CPU * scale)
		}
		rows = append(rows, []string{m.name, stat.Number(e.Wall), stat.Number(e.CPU), atReference, stat.Number(e.Allocs), stat.Number(e.Bytes)})
	}
	return stat.Table(w, "Direct calls, one after the other (on: trace, metrics, deadline, validation, retry budget; bare: the default deadline, validation, retry budget)", rows)
}

// referenceGRPC is the processor time in microseconds of a call of raw grpc-go, both sides, 128 at once, on the machine that the bounds
// of a direct call were set on.
const referenceGRPC = 46

// toReference is by what a processor time of this run is multiplied to say what it were on the reference machine, as far as raw grpc-go in the
// same run tells how fast this one is; 0 when it was not run.
func (r results) toReference() float64 {
	us := medianOf("grpc-go", r.calls["grpc-go"][128]).us
	if us == 0 {
		return 0
	}
	return referenceGRPC / us
}

func (r results) cost(mode string) each {
	all := r.direct[mode]
	return each{
		median(all, func(e each) float64 { return e.Wall }), median(all, func(e each) float64 { return e.CPU }),
		median(all, func(e each) float64 { return e.Allocs }), median(all, func(e each) float64 { return e.Bytes }),
	}
}
