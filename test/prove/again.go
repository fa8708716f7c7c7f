package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// mostAgain is how many tests may be run once more. When more fail it isn't chance.
const mostAgain = 3

// onceMore runs the tests that failed, each package's by themselves. Those that pass count as passed, are named, and are the figure
// tests_passed_second_time: each is a defect, of the test or of what it tests, that shows when the processors are busy. What showed a data
// race or panicked, a package that doesn't compile, and what the proof measures get no second try.
func (r *report) onceMore(ctx context.Context, run func(ctx context.Context, into *report, pkg, pattern string) error) error {
	tests := r.chances()
	for _, pkg := range slices.Sorted(maps.Keys(tests)) {
		names := tests[pkg]
		fmt.Fprintf(r.talk, "once more: %s of %s\n", strings.Join(names, ", "), pkg)
		second := newReport(io.Discard, r.talk)
		if err := run(ctx, second, pkg, "^("+strings.Join(names, "|")+")$"); err != nil || len(second.failed) > 0 || second.passed < len(names) {
			fmt.Fprintf(r.talk, "failed again: %s of %s\n", strings.Join(names, ", "), pkg)
			continue
		}
		r.failed = slices.DeleteFunc(r.failed, func(id [2]string) bool { return id[0] == pkg })
		r.skipped = append(r.skipped, second.skipped...)
		r.passed += len(names)
		for _, name := range names {
			r.again = append(r.again, pkg+"."+name)
		}
	}
	if len(r.failed) > 0 {
		return fmt.Errorf("tests failed in %d packages", len(slices.Compact(slices.Sorted(packages(r.failed)))))
	}
	return nil
}

func packages(ids [][2]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, id := range ids {
			if !yield(id[0]) {
				return
			}
		}
	}
}

// chances are the tests that get a second try, by package: whole tests, not their parts.
func (r *report) chances() map[string][]string {
	out, n := map[string][]string{}, 0
	for _, id := range r.failed {
		if id[1] == "" || strings.Contains(id[1], "/") {
			continue
		}
		n++
		if !r.fatal[id[0]] {
			out[id[0]] = append(out[id[0]], id[1])
		}
	}
	if n > mostAgain {
		return nil
	}
	return out
}
