// Command growth measures how the cost of a call grows: with the number of modules on its path, and with the number of instances that are
// registered.
//
//	go -C bench run ./growth                            both, three rounds (about four minutes); Consul must be there
//	go -C bench run ./growth -svg ../docs/growth.svg    with a picture
//	go -C bench run ./growth -o figures -quick          what test/prove reads
//
// On a path each module is a process of its own that does nothing but call the next one; with direct calls all are in one process. One call
// runs at a time: the latency is the sum of the hops'. The instances are servers with a port, an entry and a check in a real Consul each,
// all in one process; 16 calls run at once, and the client chooses as it always does. The processor time is that of all processes that a
// call goes through, not Consul's.
//
// CLEAVE_TEST_CONSUL names the Consul binary; `make bench-growth` builds it and sets that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/bench/internal/consul"
	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

// child runs what this program runs as a process of its own.
func asChild(args []string) (is bool, err error) {
	switch {
	case len(args) == 4 && args[0] == "hop":
		return true, serveHop(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "path":
		return true, callPath(args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "instances":
		return true, serveInstances(args[1], args[2], args[3], args[4])
	case len(args) == 6 && args[0] == "call":
		return true, callInstances(args[1], args[2], args[3], args[4], args[5])
	}
	return false, nil
}

// plan is what a run does.
type plan struct {
	hops, instances []int
	rounds          int
	turn            time.Duration
	output, svg     string
}

func parse(args []string) (plan, error) {
	p := plan{hops: []int{1, 2, 4, 8}, instances: []int{1, 5, 10, 25, 50}}
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	quick := f.Bool("quick", false, "only the ends: 1 and 8 modules, 1 and 50 instances")
	f.IntVar(&p.rounds, "rounds", 3, "how often each has its turn; the median counts")
	f.DurationVar(&p.turn, "duration", time.Second, "of one turn")
	f.StringVar(&p.output, "o", "table", "table or figures")
	f.StringVar(&p.svg, "svg", "", "where a picture goes; empty for none")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	if *quick {
		p.hops, p.instances = []int{1, 8}, []int{1, 50}
	}
	if f.NArg() > 0 || p.rounds < 1 || p.turn <= 0 || (p.output != "table" && p.output != "figures") {
		return p, fmt.Errorf("arguments %q: -h tells which there are", args)
	}
	return p, nil
}

// results are all turns, by kind and by how many modules or instances there are.
type results struct {
	paths, instances map[string]map[int][]load.Turn
}

func run(ctx context.Context, args []string) error {
	if is, err := asChild(args); is {
		return err
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	agent, err := consul.Start(ctx)
	if err != nil {
		return err
	}
	defer agent.Stop()
	r := results{map[string]map[int][]load.Turn{}, map[string]map[int][]load.Turn{}}
	for round := range p.rounds {
		for _, n := range p.hops {
			err := p.turns(ctx, r.paths, pathKinds(), n, func(k string) (load.Turn, error) {
				sayf("round %d of %d, %d modules, %s", round+1, p.rounds, n, k)
				return overPath(k, n, p.turn)
			})
			if err != nil {
				return fmt.Errorf("%d modules: %w", n, err)
			}
		}
		for _, n := range p.instances {
			err := p.turns(ctx, r.instances, instanceKinds(), n, func(k string) (load.Turn, error) {
				sayf("round %d of %d, %d instances, %s", round+1, p.rounds, n, k)
				return overInstances(k, n, round, agent.Addr, p.turn)
			})
			if err != nil {
				return fmt.Errorf("%d instances: %w", n, err)
			}
		}
	}
	if p.svg != "" {
		if err := os.WriteFile(p.svg, picture(r, p), 0o644); err != nil { //nolint:gosec // to be read
			return err
		}
	}
	if p.output == "figures" {
		return stat.Print(os.Stdout, r.figures(p))
	}
	return r.print(os.Stdout, p)
}

// turns gives each kind its turn.
func (p plan) turns(ctx context.Context, into map[string]map[int][]load.Turn, kinds []string, n int, one func(string) (load.Turn, error)) error {
	for _, k := range kinds {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := one(k)
		if err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		if into[k] == nil {
			into[k] = map[int][]load.Turn{}
		}
		into[k][n] = append(into[k][n], t)
	}
	return nil
}

func sayf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
