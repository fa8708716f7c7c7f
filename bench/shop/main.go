// Command shop measures the checkout of the whole shop: the real binary as a process of its own, `cleave up`, with buyers who come through
// the gateway over HTTP, fill a cart and pay. One shop keeps its data in SQLite, the other in PostgreSQL; the two take turns, so that a busy
// moment of the machine hits both.
//
//	go -C bench run ./shop                               1, 4, 16 and 64 buyers at once, three rounds
//	go -C bench run ./shop -short                        one round of short turns
//	go -C bench run ./shop -svg ../docs/checkout.svg     with a picture of the growth; the path is that of -C's folder
//	go -C bench run ./shop -what placement               all modules in one process against one process for each, over Consul
//
// A buyer is a closed loop: the next checkout begins when the last one is answered. Every checkout has to become a PAID order and both
// databases have to pass `cleave verify`, else the exit code is 1; one that fails is counted, and the run goes on. A server of PostgreSQL with
// too few connections for the shop makes them fail, and so does a machine so busy that a step of the saga takes longer than its bound. The buyers run on the machine that the shop runs on, and so does PostgreSQL. Absolute
// figures are of that machine at that moment and worth nothing elsewhere; the medians of one run and their ratios are what it tells.
//
// CLEAVE_TEST_POSTGRES names the server; the databases on it have a name of their own and are dropped at the end. CLEAVE_TEST_BINARY names a
// binary, instead of one that is built. The placements are on SQLite; they need CLEAVE_TEST_CONSUL, which names a Consul binary. Where the processor's time goes and how often the disk is waited for is asked of Linux perf, in turns
// of their own that no other figure knows; without perf the report says so.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// plan is what a run does.
type plan struct {
	what    string
	buyers  []int
	rounds  int
	turn    time.Duration
	profile int // buyers in the turn that perf looks at; 0 for none
	output  string
	svg     string
}

const (
	whatCheckout  = "checkout"
	whatPlacement = "placement"
)

func parse(args []string) (plan, error) {
	var p plan
	f := flag.NewFlagSet("shop", flag.ContinueOnError)
	f.StringVar(&p.what, "what", whatCheckout, "checkout, or placement")
	buyers := f.String("buyers", "", "how many buy at once, the fewest first; default 1,4,16,64, and 1,16 of placements")
	short := f.Bool("short", false, "one round of turns of half a second, for a look")
	f.IntVar(&p.rounds, "rounds", 3, "how often each has its turn; the median counts")
	f.DurationVar(&p.turn, "turn", 2*time.Second, "of one turn")
	f.IntVar(&p.profile, "profile", 16, "buyers in the turn that perf looks at; 0 for no such turn")
	f.StringVar(&p.output, "o", "table", "table or json; of placements also figures")
	f.StringVar(&p.svg, "svg", "", "where a picture of the growth goes; empty for none")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	if *short {
		p.rounds, p.turn = 1, time.Second/2
	}
	if *buyers == "" {
		*buyers = "1,4,16,64"
		if p.what == whatPlacement {
			*buyers = "1,16"
		}
	}
	for s := range strings.SplitSeq(*buyers, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return p, fmt.Errorf("-buyers %q", s)
		}
		p.buyers = append(p.buyers, n)
	}
	outputs := map[string][]string{whatCheckout: {"table", "json"}, whatPlacement: {"table", "json", "figures"}}
	if f.NArg() > 0 || p.rounds < 1 || p.turn <= 0 || p.profile < 0 || !slices.Contains(outputs[p.what], p.output) {
		return p, fmt.Errorf("arguments %q: -h tells which there are", args)
	}
	return p, nil
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) == 2 && args[0] == "broker" {
		return broker(args[1])
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cleave-shop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin, err := build(ctx, dir)
	if err != nil {
		return err
	}
	if p.what == whatPlacement {
		return comparePlacements(ctx, p, bin, dir)
	}
	shops, err := open(ctx, bin, dir)
	defer func() {
		for _, s := range shops {
			err = errors.Join(err, s.close())
		}
	}()
	if err != nil {
		return err
	}
	r, err := measure(ctx, p, shops)
	if err != nil {
		return err
	}
	for _, s := range shops {
		if err := s.verify(ctx); err != nil {
			return err
		}
	}
	if p.svg != "" {
		if err := os.WriteFile(p.svg, picture(r), 0o644); err != nil { //nolint:gosec // to be read
			return err
		}
	}
	if p.output == "json" {
		err = printJSON(r)
	} else {
		err = r.print(os.Stdout)
	}
	return errors.Join(err, r.failed())
}

// comparePlacements is the other part: what of the same shop in two placements.
func comparePlacements(ctx context.Context, p plan, bin, dir string) error {
	rows, err := compare(ctx, p, bin, dir)
	if err != nil {
		return err
	}
	switch p.output {
	case "json":
		err = printJSON(rows)
	case "figures":
		err = stat.Print(os.Stdout, placeFigures(rows))
	default:
		err = printPlaces(os.Stdout, rows)
	}
	return errors.Join(err, failedPlaces(rows))
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func sayf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
