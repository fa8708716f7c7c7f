// Command prove runs the tests and says what they showed.
//
// It runs tests that break or move a running system, one package at a time so that no other test takes their processors, and prints each
// figure that they measured as a line `figure NAME VALUE UNIT`. -what chooses them: "system" is what a newcomer's first version promises,
// "shop" the whole matrix of faults under shopping, "topology" modules that move ten times each and the benchmarks of calls, "resilience"
// failures that must not spread, overloads, settings and certificates that change under load, "edge" the gateway while it is changed, its speed
// beside others, and ten minutes of every fuzz test of it, one on each processor (over an hour on two). With -all it runs every other test
// first, as `go test` does, then all sets, in a short form where there is one; a test of those others that fails is run once more, and named.
// Standard output holds the figures, what a test prints as lines `table ...`, and one line `skipped: N`; all else goes to standard error.
//
// It exits with 1 when a test fails or is skipped, when a figure is missing, and when one is out of its bounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

const module = "github.com/cleavehq/cleave/"

// set is a part of the proof.
type set struct {
	packages []string
	env      string // makes its tests run in full
	bounds   []bound
	short    []bound    // of its short form, if they are others
	benches  [][]string // see bench.go; none with -all
	fuzzes   []fuzz     // see fuzz.go; none with -all
	speed    []bound    // of what these measure
}

// sets are by the name that -what takes. Their packages need the machine for themselves.
func sets() map[string]set {
	return map[string]set{
		"system": {packages: []string{module + "test/acceptance", module + "test/robustness", module + "test/stockcli"}, bounds: system()},
		"shop": {
			packages: []string{module + "test/robustness/shop"}, env: "CLEAVE_PROVE_SHOP=full", bounds: shop(true), short: shop(false),
		},
		"resilience": {
			packages: resilient(), env: "CLEAVE_PROVE_RESILIENCE=full",
			bounds: slices.Concat(resilience(true), live(true), meshed(true)), short: slices.Concat(resilience(false), live(false), meshed(false)),
			benches: [][]string{{".", "-what", "telemetry", "-rounds", "9", "-duration", "2s", "-o", "figures"}}, speed: observed(),
		},
		"topology": {
			packages: []string{module + "test/move"}, env: "CLEAVE_TEST_MOVES=10", bounds: topology(true),
			short: topology(false), benches: benches(), speed: speed(),
		},
		"edge": {
			packages: []string{module + "test/edge"}, env: "CLEAVE_PROVE_EDGE=full", bounds: edge(true), short: edge(false),
			benches: [][]string{{"./edge", "-o", "figures"}}, fuzzes: fuzzed(), speed: edgeSpeed(),
		},
	}
}

// measured are the packages of every set.
func measured() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(sets())) {
		out = append(out, sets()[name].packages...)
	}
	return out
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var o options
	flag.StringVar(&o.what, "what", "system", "what to prove: "+strings.Join(slices.Sorted(maps.Keys(sets())), ", "))
	flag.BoolVar(&o.all, "all", false, "run every test: the others first, then all sets, in short where that is possible")
	flag.BoolVar(&o.race, "race", false, "under the race detector, in a random order")
	flag.StringVar(&o.timeout, "timeout", "30m", "of each package")
	flag.Parse()
	if err := prove(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1) //nolint:gocritic // the deferred cancel has nothing left to do
	}
}

type options struct {
	what      string
	all, race bool
	timeout   string
}

// chosen is what the options ask for.
func (o options) chosen() (set, error) {
	if !o.all {
		s, ok := sets()[o.what]
		if !ok {
			return set{}, fmt.Errorf("-what %q is none of %s", o.what, strings.Join(slices.Sorted(maps.Keys(sets())), ", "))
		}
		return s, nil
	}
	all := set{packages: measured()}
	for _, s := range sets() {
		if s.short != nil {
			s.bounds = s.short
		}
		all.bounds = append(all.bounds, s.bounds...)
	}
	return all, nil
}

// prove runs the tests. Its error says everything that falls short.
func prove(ctx context.Context, o options, figures, talk io.Writer) error {
	what, err := o.chosen()
	if err != nil {
		return err
	}
	r := newReport(figures, talk)
	r.bounds = slices.Concat(what.bounds, what.speed)
	var errs []error
	if o.all {
		others, err := others(ctx)
		if err != nil {
			return err
		}
		switch err := r.test(ctx, "", o.args(others...)); {
		case err != nil && len(r.failed) == 0: // no test ran
			errs = append(errs, err)
		case err != nil:
			errs = append(errs, r.onceMore(ctx, func(ctx context.Context, into *report, pkg, pattern string) error {
				return into.test(ctx, "", o.args("-run="+pattern, pkg))
			}))
		}
		fmt.Fprintf(figures, "figure tests_passed_second_time %d tests\n", len(r.again))
	}
	errs = append(errs, r.test(ctx, what.env, o.args(append([]string{"-p=1"}, what.packages...)...)))
	for _, b := range what.benches {
		errs = append(errs, r.bench(ctx, b))
	}
	errs = append(errs, r.fuzz(ctx, what.fuzzes))
	fmt.Fprintf(figures, "skipped: %d\n", len(r.skipped))
	for _, name := range r.again {
		fmt.Fprintf(talk, "passed only the second time: %s\n", name)
	}
	fmt.Fprintf(talk, "%d tests passed, %d failed, %d were skipped\n", r.passed, len(r.failed), len(r.skipped))
	return errors.Join(append(errs, r.verdict())...)
}

func (o options) args(more ...string) []string {
	args := []string{"test", "-json", "-count=1", "-timeout=" + o.timeout}
	if o.race {
		args = append(args, "-race", "-shuffle=on")
	}
	return append(args, more...)
}

// others lists the packages that are not among the measured.
func others(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return slices.Contains(measured(), p) }), nil
}

// test runs `go test -json` and reads what it says. A process that fails is an error even when every test that was read passed: it
// may not have compiled.
func (r *report) test(ctx context.Context, env string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = r.talk
	if env != "" {
		cmd.Env = append(os.Environ(), env)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	read := r.read(out)
	if err := cmd.Wait(); err != nil {
		return errors.Join(read, fmt.Errorf("go test: %w", err))
	}
	return read
}
