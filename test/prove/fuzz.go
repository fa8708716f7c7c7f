package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// fuzz is a fuzz test.
type fuzz struct{ pkg, name string }

// fuzzed are those of the router, the transcoder, the handling of headers, and all of it together.
func fuzzed() []fuzz {
	return []fuzz{
		{"./api/internal/route", "FuzzTemplate"}, {"./api/internal/route", "FuzzMatch"}, {"./api/internal/transcode", "FuzzQuery"},
		{"./api/internal/transcode", "FuzzBody"}, {"./api/internal/transcode", "FuzzResponse"}, {"./api/internal/transcode", "FuzzEncode"},
		{"./api/internal/wirejson", "FuzzWire"}, {"./api/internal/wirejson", "FuzzJSON"}, {"./api", "FuzzRequest"}, {"./api", "FuzzHeaders"},
	}
}

// fuzzFor is how long each runs; CLEAVE_PROVE_FUZZTIME is for a look only, since the bounds ask for ten minutes.
func fuzzFor() (time.Duration, error) {
	if text := os.Getenv("CLEAVE_PROVE_FUZZTIME"); text != "" {
		return time.ParseDuration(text)
	}
	return 10 * time.Minute, nil
}

// fuzz runs the fuzz tests of the set, one after another. What one finds is in its package's testdata/fuzz, and fails there from then on.
func (r *report) fuzz(ctx context.Context, all []fuzz) error {
	if len(all) == 0 {
		return nil
	}
	each, err := fuzzFor()
	if err != nil {
		return err
	}
	var errs []error
	minutes, failed := 0.0, 0
	for _, f := range all {
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+f.name+"$", "-fuzztime="+each.String(), f.pkg)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.Stdout, cmd.Stderr = r.talk, r.talk
		if err := cmd.Run(); err != nil {
			failed++
			errs = append(errs, fmt.Errorf("%s of %s: %w", f.name, f.pkg, err))
			continue
		}
		minutes += each.Minutes()
	}
	const id = "fuzz"
	return errors.Join(append(errs, r.line([2]string{id}, fmt.Sprintf("figure edge_fuzz_minutes %g min\n", minutes)),
		r.line([2]string{id}, fmt.Sprintf("figure edge_fuzz_failed %d tests\n", failed)))...)
}
