package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// benches are the arguments of `go -C bench run` whose figures belong to the topology's: bench/ is a Go module of its own, so that nobody
// who builds the product downloads its peers. On a quiet machine of two cores they take less than eight minutes.
func benches() [][]string {
	return [][]string{
		{".", "-o", "figures", "-quick", "-rounds", "5"},
		{"./shop", "-what", "placement", "-o", "figures"},
		{"./growth", "-o", "figures", "-quick"},
	}
}

// bench runs a benchmark, and reads its figures like a test's.
func (r *report) bench(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"-C", "bench", "run"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = r.talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("bench %s: %w", args[0], err)
	}
	var errs []error
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		errs = append(errs, r.line([2]string{"bench", args[0]}, lines.Text()+"\n"))
	}
	errs = append(errs, lines.Err())
	if err := cmd.Wait(); err != nil {
		errs = append(errs, fmt.Errorf("bench %s: %w", args[0], err))
	}
	return errors.Join(errs...)
}
