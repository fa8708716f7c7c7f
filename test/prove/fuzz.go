package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
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

// fuzz runs the fuzz tests of the set, as many at once as there are processors, each on one of its own. What one finds is in its package's
// testdata/fuzz, and fails there from then on.
func (r *report) fuzz(ctx context.Context, all []fuzz) error {
	if len(all) == 0 {
		return nil
	}
	each, err := fuzzFor()
	if err != nil {
		return err
	}
	talk := &oneAtATime{to: r.talk}
	lanes := make(chan struct{}, runtime.NumCPU())
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, f := range all {
		lanes <- struct{}{}
		running.Go(func() {
			defer func() { <-lanes }()
			cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+f.name+"$", "-fuzztime="+each.String(), "-parallel=1", f.pkg)
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.Stdout, cmd.Stderr = talk, talk
			if err := cmd.Run(); err != nil {
				errs[i] = fmt.Errorf("%s of %s: %w", f.name, f.pkg, err)
			}
		})
	}
	running.Wait()
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	const id = "fuzz"
	return errors.Join(errors.Join(errs...), r.line([2]string{id}, fmt.Sprintf("figure edge_fuzz_minutes %g min\n", each.Minutes()*float64(len(all)-failed))),
		r.line([2]string{id}, fmt.Sprintf("figure edge_fuzz_failed %d tests\n", failed)))
}

// oneAtATime is a writer for several.
type oneAtATime struct {
	mu sync.Mutex
	to io.Writer
}

func (w *oneAtATime) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}
