package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// profile is what perf saw of one turn.
type profile struct {
	Engine string `json:"engine"`
	Buyers int    `json:"buyers"`
	Lacks  string `json:"lacks,omitempty"` // why there is nothing else here
	// CPU and For are shares of the samples: in what code, and what for.
	CPU map[string]float64 `json:"cpu,omitempty"`
	For map[string]float64 `json:"for,omitempty"`
	// Syncs are a checkout's, by who waits for the disk.
	Syncs     map[string]float64 `json:"syncs_per_checkout,omitempty"`
	SyncsLack string             `json:"syncs_lack,omitempty"` // why there are none
	// SyncMS is how long a checkout's syncs took, all together.
	SyncMS float64 `json:"sync_ms_per_checkout,omitempty"`
}

// profile has a turn under perf's eyes. The kernel may not let it look, or it may not be there: then the profile says so.
func (s *system) profile(ctx context.Context, buyers int, d time.Duration) (profile, error) {
	p := profile{Engine: s.engine, Buyers: buyers}
	perf, err := exec.LookPath("perf")
	if err != nil {
		p.Lacks = "Linux perf isn't there"
		return p, nil //nolint:nilerr // the report says it
	}
	samples, syncs := filepath.Join(s.dir, "cpu.perf"), filepath.Join(s.dir, "sync.perf")
	pid := strconv.Itoa(s.procs[0].cmd.Process.Pid)
	watching := []*watch{
		{args: []string{"record", "-q", "-F", "199", "-e", "cpu-clock", "-g", "-p", pid, "-o", samples}},
		{args: []string{"record", "-q", "-e", "syscalls:sys_enter_fsync,syscalls:sys_exit_fsync,syscalls:sys_enter_fdatasync,syscalls:sys_exit_fdatasync", "-g", "-p", pid, "-o", syncs}},
	}
	for _, w := range watching {
		if err := w.start(perf); err != nil {
			return p, err
		}
	}
	t, err := s.turn(ctx, buyers, d)
	for _, w := range watching {
		w.stop()
	}
	if err != nil {
		return p, err
	}
	stacks, err := script(ctx, perf, samples)
	if err != nil || len(stacks) == 0 {
		p.Lacks = fmt.Sprintf("perf can't look into the process: %s", watching[0].said.String())
		return p, nil //nolint:nilerr // the report says it
	}
	p.CPU, p.For = shares(stacks, code), shares(stacks, purpose)
	if stacks, err = script(ctx, perf, syncs); err != nil {
		p.SyncsLack = "perf can't count system calls: " + watching[1].said.String()
		return p, nil //nolint:nilerr // the report says it
	}
	p.Syncs, p.SyncMS = waits(stacks, len(t.sold))
	return p, nil
}

// shares are those of the classes that of puts stacks in.
func shares(stacks []stack, of func(stack) string) map[string]float64 {
	out := map[string]float64{}
	for _, s := range stacks {
		out[of(s)] += 1 / float64(len(stacks))
	}
	return out
}

// waits counts the syncs of a checkout by who wants them, and adds up how long they took.
func waits(stacks []stack, checkouts int) (by map[string]float64, took float64) {
	by = map[string]float64{}
	begun := map[string]float64{} // by thread
	for _, s := range stacks {
		if strings.Contains(s.event, "sys_enter") {
			begun[s.thread] = s.at
			by[code(s)] += 1 / float64(checkouts)
		} else if at, there := begun[s.thread]; there {
			took += 1000 * (s.at - at) / float64(checkouts)
			delete(begun, s.thread)
		}
	}
	return by, took
}

func (p profile) print(w io.Writer) error {
	title := fmt.Sprintf("Where the processor's time goes on %s, %d buyers", p.Engine, p.Buyers)
	if p.Lacks != "" {
		_, err := fmt.Fprintf(w, "%s: not measured. %s\n\n", title, p.Lacks)
		return err
	}
	if err := stat.Table(w, title+": in what code", percent("code", p.CPU)); err != nil {
		return err
	}
	if err := stat.Table(w, title+": what for", percent("purpose", p.For)); err != nil {
		return err
	}
	title = fmt.Sprintf("How often the shop's process waits for the disk (fsync) on %s, %d buyers", p.Engine, p.Buyers)
	if p.SyncsLack != "" {
		_, err := fmt.Fprintf(w, "%s: not measured. %s\n\n", title, p.SyncsLack)
		return err
	}
	rows := [][]string{{"who", "each checkout"}}
	for _, k := range biggest(p.Syncs) {
		rows = append(rows, []string{k, stat.Number(p.Syncs[k])})
	}
	return stat.Table(w, fmt.Sprintf("%s: together %s ms of each checkout", title, stat.Number(p.SyncMS)), rows)
}

func percent(head string, m map[string]float64) [][]string {
	rows := [][]string{{head, "share"}}
	for _, k := range biggest(m) {
		if m[k] >= 0.005 {
			rows = append(rows, []string{k, fmt.Sprintf("%.0f%%", 100*m[k])})
		}
	}
	return rows
}

func biggest(m map[string]float64) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if m[a] != m[b] {
			if m[a] > m[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}
