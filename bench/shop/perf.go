package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// watch is a running perf.
type watch struct {
	args []string
	cmd  *exec.Cmd
	said bytes.Buffer
}

func (w *watch) start(perf string) error {
	w.cmd = exec.Command(perf, w.args...) //nolint:gosec,noctx // stop ends it, in good order: it writes its file then
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.said
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return w.cmd.Start()
}

func (w *watch) stop() {
	_ = w.cmd.Process.Signal(os.Interrupt) // it may have ended
	_ = w.cmd.Wait()                       // killed by that signal is how it ends
}

// stack is one sample: frames from the innermost out.
type stack struct {
	thread, event string
	at            float64 // seconds
	frames        []string
}

// script has perf print a file.
func script(ctx context.Context, perf, file string) ([]stack, error) {
	cmd := exec.CommandContext(ctx, perf, "script", "-i", file, "-F", "tid,time,event,ip,sym") //nolint:gosec // a file of ours
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return parseScript(bytes.NewReader(out))
}

// parseScript reads blocks: a line with thread, time and event, then a line for each frame, then an empty one.
func parseScript(r io.Reader) ([]stack, error) {
	var out []stack
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		f := strings.Fields(in.Text())
		switch {
		case len(f) == 0:
		case len(f) >= 3 && strings.HasSuffix(f[1], ":"):
			at, err := strconv.ParseFloat(strings.TrimSuffix(f[1], ":"), 64)
			if err != nil {
				return nil, fmt.Errorf("perf script: %w", err)
			}
			out = append(out, stack{thread: f[0], at: at, event: strings.TrimSuffix(f[2], ":")})
		case len(out) > 0 && len(f) >= 2:
			last := &out[len(out)-1]
			last.frames = append(last.frames, strings.Join(f[1:], " "))
		}
	}
	return out, in.Err()
}
