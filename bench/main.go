// Command bench runs the same small call through many RPC stacks, side by side: client and server are processes of their own, and the
// stacks take turns, so that a busy moment of the machine hits all of them. Then it does the same with streams, and measures what a direct
// call costs.
//
//	go -C bench run .                              all stacks, three rounds (about seven minutes)
//	go -C bench run . -stacks grpc-go,cleave-lane  some
//	go -C bench run . -what streams                a part: calls, streams, direct, telemetry (which is not run unless it is named)
//	go -C bench run . -o figures -quick            what test/prove reads (about three minutes)
//
// Absolute figures are of this machine at this moment; the ratios of one run are what it tells. What a direct call costs is told twice for
// that reason: as it was measured, and "at reference", which is that times 46 us and divided by the processor time of a call of raw grpc-go,
// 128 at once, in the same run; 46 us is what the latter takes on the machine that the bounds are of. The bounds hold for the former.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// children are the programs that this one runs as processes of their own, by their first argument, with how many more they take.
func children(args []string) (is bool, err error) {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return true, serve(args[1])
	case len(args) == 2 && args[0] == "feed":
		return true, serveFeed(args[1])
	case len(args) == 5 && args[0] == "load":
		return true, loaded(args[1], args[2], args[3], args[4])
	case len(args) == 5 && args[0] == "follow":
		return true, followed(args[1], args[2], args[3], args[4])
	case len(args) == 3 && args[0] == "tight":
		return true, tight(args[1], args[2])
	}
	return false, nil
}

// plan is what a run does.
type plan struct {
	what, stacks []string
	at           []int // calls at once
	rounds       int
	turn         time.Duration
	base         string
	svg          string
	output       string
}

const (
	partCalls   = "calls"
	partStreams = "streams"
	partDirect  = "direct"
)

func parse(args []string) (plan, error) {
	var p plan
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	what := f.String("what", strings.Join([]string{partCalls, partStreams, partDirect}, ","), "which parts")
	names := f.String("stacks", "", "which stacks, by name; default all")
	concurrency := f.String("concurrency", "1,16,128", "calls at once")
	quick := f.Bool("quick", false, "only what the figures need: fewer stacks, 1 and 128 calls at once")
	f.IntVar(&p.rounds, "rounds", 3, "how often each has its turn; the median counts")
	f.DurationVar(&p.turn, "duration", time.Second, "of one turn")
	f.StringVar(&p.base, "base", "grpc-go", "what the ratios are to")
	f.StringVar(&p.svg, "svg", "", "where a picture of the calls goes; empty for none")
	f.StringVar(&p.output, "o", "table", "table or figures")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	if *quick {
		*names, *concurrency = strings.Join(figureStacks(), ","), "1,128"
	}
	for s := range strings.SplitSeq(*concurrency, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return p, fmt.Errorf("-concurrency %q", s)
		}
		p.at = append(p.at, n)
	}
	p.what = strings.Split(*what, ",")
	wanted := strings.Split(*names, ",")
	for _, s := range stacks() {
		if *names == "" || slices.Contains(wanted, s.name) {
			p.stacks = append(p.stacks, s.name)
		}
	}
	for _, w := range wanted {
		if *names != "" && !slices.Contains(p.stacks, w) {
			return p, fmt.Errorf("-stacks %q: there is no such stack", w)
		}
	}
	for _, w := range p.what {
		if !slices.Contains([]string{partCalls, partStreams, partDirect, partTelemetry}, w) {
			return p, fmt.Errorf("-what %q", w)
		}
	}
	if f.NArg() > 0 || p.rounds < 1 || p.turn <= 0 || (p.output != "table" && p.output != "figures") {
		return p, fmt.Errorf("arguments %q: -h tells which there are", args)
	}
	return p, nil
}

func run(args []string) error {
	if is, err := children(args); is {
		return err
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	r, err := p.measure()
	if err != nil {
		return err
	}
	if p.svg != "" && len(r.calls) > 0 {
		if err := os.WriteFile(p.svg, picture(r.calls, p.at[len(p.at)-1]), 0o644); err != nil { //nolint:gosec // to be read
			return err
		}
	}
	if p.output == "figures" {
		return stat.Print(os.Stdout, r.figures())
	}
	return r.print(os.Stdout, p)
}

// results are all turns of a run.
type results struct {
	calls   map[string]map[int][]turn // by stack and calls at once
	streams map[string]map[int][]turn // by stack and streams at once
	backlog map[string]backlog
	direct  map[string][]each // by mode

	telemetry map[string]map[int][]turn // off and on
}

// streamsAt are how many streams run at once.
func streamsAt() []int { return []int{1, 16} }

func (p plan) measure() (r results, err error) {
	if slices.Contains(p.what, partDirect) {
		if r.direct, err = tightly(p.rounds, p.turn); err != nil {
			return r, err
		}
	}
	if slices.Contains(p.what, partTelemetry) {
		if r.telemetry, err = p.observed(); err != nil {
			return r, err
		}
	}
	if slices.Contains(p.what, partStreams) {
		if r.streams, err = streamed(streamsAt(), p.rounds, p.turn); err != nil {
			return r, err
		}
		r.backlog = map[string]backlog{}
		for _, n := range feedNames() {
			if r.backlog[n], err = full(n); err != nil {
				return r, err
			}
		}
	}
	if slices.Contains(p.what, partCalls) {
		r.calls, err = rounded(p.stacks, p.at, p.rounds, p.turn)
	}
	return r, err
}

func (r results) print(w io.Writer, p plan) error {
	if len(r.calls) > 0 {
		if err := printCalls(w, r.calls, p.at, p.base); err != nil {
			return err
		}
	}
	if len(r.telemetry) > 0 {
		if err := printTelemetry(w, r.telemetry); err != nil {
			return err
		}
	}
	if len(r.streams) > 0 {
		if err := printStreams(w, r); err != nil {
			return err
		}
	}
	if len(r.direct) > 0 {
		return printDirect(w, r)
	}
	return nil
}
