// Package child runs this program again as a process of its own, and speaks with it line by line over its standard input and output.
//
// The parent's side is Process. The child's side is Tell and Answer: what it says to the parent begins with a mark, since the frameworks
// that are measured log to the same output.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	mark  = "= "
	grace = 10 * time.Second // a child that has not ended so long after its input did is killed
)

// Process is a child. Stop it.
type Process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // closed when the child's output ends
}

// Start runs this program with args.
func Start(args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(self, args...), lines: make(chan string, 16)} //nolint:gosec,noctx // ourselves; it ends with its input
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(out)
	return p, nil
}

// read takes everything that the child writes: one that logs would wait for ever for a pipe that nobody reads.
func (p *Process) read(out io.Reader) {
	defer close(p.lines)
	r := bufio.NewReader(out)
	for {
		s, err := r.ReadString('\n')
		if s, ok := strings.CutPrefix(s, mark); ok && err == nil {
			p.lines <- strings.TrimSpace(s)
		}
		if err != nil {
			return
		}
	}
}

// Line is the next thing that the child tells; an error when it says nothing for so long, or has ended.
func (p *Process) Line(limit time.Duration) (string, error) {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case s, ok := <-p.lines:
		if !ok {
			return "", errors.New("the child process ended early")
		}
		return s, nil
	case <-t.C:
		return "", fmt.Errorf("the child process said nothing for %s", limit)
	}
}

// Ask sends a line, and decodes what the child answers, which is JSON, into out.
func (p *Process) Ask(line string, out any, limit time.Duration) error {
	if err := p.Send(line); err != nil {
		return err
	}
	s, err := p.Line(limit)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), out)
}

// Send sends a line.
func (p *Process) Send(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

// PID is the child's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the child's input, with which it ends, and waits for it.
func (p *Process) Stop() {
	_ = p.in.Close()
	t := time.AfterFunc(grace, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	for range p.lines { // so that it does not wait for us
	}
	_ = p.cmd.Wait() // killed by its own ways, or by ours
}

// Tell says a line to the parent.
func Tell(line string) { fmt.Println(mark + line) }

// TellJSON says v to the parent.
func TellJSON(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		Tell(string(b))
	}
	return err
}

// Begin tells that the child is ready, waits for a line, and tells what f returns.
func Begin(f func() (any, error)) error {
	Tell("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	v, err := f()
	if err != nil {
		return err
	}
	return TellJSON(v)
}

// Serve answers each line of the parent's with what answer returns, until there are no more.
func Serve(answer func(line string) (any, error)) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		v, err := answer(in.Text())
		if err != nil {
			return err
		}
		if err := TellJSON(v); err != nil {
			return err
		}
	}
	return in.Err()
}
