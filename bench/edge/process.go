package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

const (
	patience = 60 * time.Second // for a gateway to be ready
	grace    = 20 * time.Second // for it to end
)

// process is a gateway that runs.
type process struct {
	name  string
	url   string
	parts bool
	admin string
	cmd   *exec.Cmd
	in    io.Closer
	done  chan struct{} // closed when it has ended
	log   string        // the file that it writes to
}

// start runs a gateway, and waits until it answers with the item.
func (g gateway) start(ctx context.Context, e env) (_ *process, err error) {
	p := &process{name: g.name, parts: g.parts, done: make(chan struct{})}
	if g.command == nil {
		p.url = "http://" + e.JSON + itemPath
		return p, p.ready(ctx)
	}
	e.peer = filepath.Join(e.dir, g.name)
	if err := os.Mkdir(e.peer, 0o700); err != nil {
		return nil, err
	}
	address, err := free()
	if err != nil {
		return nil, err
	}
	args, err := g.command(ctx, &e, address)
	if err != nil {
		return nil, err
	}
	p.admin = e.admin
	p.url, p.log = "http://"+address+itemPath, filepath.Join(e.peer, "log")
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // ours; stop ends it
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = e.peer, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// ready waits until the gateway answers with the whole item.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		if last = p.get(ctx); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, last, p.said())
		case <-p.done:
			return fmt.Errorf("%s has ended:\n%s", p.name, p.said())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *process) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	if err != nil {
		return err
	}
	for _, part := range []string{itemID, "Stoneware mug", "1990", "EUR"} {
		if rsp.StatusCode != http.StatusOK || !strings.Contains(string(b), part) {
			return fmt.Errorf("status %d, %.200s", rsp.StatusCode, b)
		}
	}
	return nil
}

// cpu is the processor time of the gateway so far; 0 when there is none.
func (p *process) cpu() (time.Duration, error) {
	if p.cmd == nil {
		return 0, nil
	}
	pid := p.cmd.Process.Pid
	sum, err := stat.CPUOf(pid)
	if err != nil || !p.parts {
		return sum, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		d, err := stat.CPUOf(n)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// stop ends the process in good order, and kills it when it doesn't.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.in.Close()                          // ours end with their input
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		err := p.cmd.Process.Kill()
		<-p.done
		return errors.Join(fmt.Errorf("%s: still there %v after SIGTERM", p.name, grace), err)
	}
}
