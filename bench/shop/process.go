package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

// process is a running command of the binary.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  string        // the file that it writes to
}

func start(name, log, bin string, args ...string) (*process, error) {
	f, err := os.Create(log) //nolint:gosec // in our own folder
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	p := &process{name: name, cmd: exec.Command(bin, args...), done: make(chan struct{}), log: log} //nolint:gosec,noctx // our binary; stop ends it, in good order
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// said is the end of what the process wrote.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// stop ends the process in good order.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s: still there 30 s after SIGTERM", p.name)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s: %v\n%s", p.name, p.cmd.ProcessState, p.said())
	}
	return nil
}

// cpu is the processor time so far of all that the system consists of.
func (s *system) cpu() (time.Duration, error) {
	sum, err := cpuOf(s.beside...)
	for _, p := range s.procs {
		if err != nil {
			return 0, err
		}
		var d time.Duration
		d, err = stat.CPUOf(p.cmd.Process.Pid)
		sum += d
	}
	return sum, err
}

func cpuOf(pids ...int) (sum time.Duration, err error) {
	for _, pid := range pids {
		d, err := stat.CPUOf(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

const (
	look  = 250 * time.Millisecond // how long a process is looked at
	quiet = 3 * stat.Tick          // what it does meanwhile when it has nothing to do: its workers look for work
	limit = 5 * time.Second        // then it is taken for at rest: it has other work, such as a checkpoint
)

// rest waits until the system has done what follows from the checkouts: the events, the mails, the fulfilments.
func (s *system) rest(ctx context.Context) error {
	before, err := s.cpu()
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
		now, err := s.cpu()
		if err != nil {
			return err
		}
		if now-before <= quiet+time.Duration(len(s.procs)-1)*stat.Tick {
			return nil
		}
		before = now
	}
	return nil
}
