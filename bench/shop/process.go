package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is Linux's unit of processor time in /proc, USER_HZ: a hundredth of a second on every architecture that Go knows.
const tick = 10 * time.Millisecond

// cpuOf is the processor time of a process so far, in its own code and in the kernel.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(b)
}

// parseStat reads utime and stime, fields 14 and 15 of proc(5); field 2 is a name in parentheses that may hold anything.
func parseStat(b []byte) (time.Duration, error) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is %q", b)
	}
	var sum int64
	for _, v := range f[11:13] {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

const (
	look  = 250 * time.Millisecond // how long a process is looked at
	quiet = 3 * tick               // what it does meanwhile when it has nothing to do: its workers look for work
	limit = 5 * time.Second        // then it is taken for at rest: it has other work, such as a checkpoint
)

// rest waits until the process has done what follows from the checkouts: the events, the mails, the fulfilments.
func (s *system) rest(ctx context.Context) error {
	before, err := cpuOf(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	t := time.NewTicker(look)
	defer t.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		now, err := cpuOf(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		if now-before <= quiet {
			return nil
		}
		before = now
	}
	return nil
}
