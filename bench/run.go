package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// turn is what one stack did in one turn.
type turn struct {
	Calls    int
	Took     time.Duration
	P50, P99 time.Duration
	CPU      time.Duration // of the client, and after rounded of the server too
}

// serve is the server's process: it prints its address, then its processor time for every line that it reads, and ends with its input.
func serve(name string) error {
	s, ok := find(name)
	if !ok {
		return fmt.Errorf("no stack %q", name)
	}
	address, err := s.serve()
	if err != nil {
		return err
	}
	tell(address)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		tell(strconv.FormatInt(int64(cpu()), 10))
	}
	return nil
}

// mark begins a line that is meant for the parent.
const mark = "= "

func tell(line string) { fmt.Println(mark + line) }

// cpu is the processor time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load is the client's process: it calls, and prints a turn.
func load(name, address, concurrency, duration string) error {
	s, ok := find(name)
	if !ok {
		return fmt.Errorf("no stack %q", name)
	}
	n, err := strconv.Atoi(concurrency)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	call, err := s.dial(address)
	if err != nil {
		return err
	}
	if _, err := measure(call, n, d/4); err != nil { // warms up
		return err
	}
	tell("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	t, err := measure(call, n, d)
	if err != nil {
		return err
	}
	b, err := json.Marshal(t)
	tell(string(b))
	return err
}

// measure calls with n at once for d.
func measure(call say, n int, d time.Duration) (turn, error) {
	runtime.GC()
	ctx := context.Background()
	var all sync.WaitGroup
	took := make([][]time.Duration, n)
	errs := make([]error, n)
	before, start := cpu(), time.Now()
	for i := range n {
		all.Go(func() {
			in := message()
			for last := start; last.Sub(start) < d; {
				out, err := call(ctx, in)
				if err == nil && out.GetId() != in.GetId() {
					err = errors.New("another answer than that of this call")
				}
				if err != nil {
					errs[i] = err
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(last))
				last = now
			}
		})
	}
	all.Wait()
	t := turn{Took: time.Since(start), CPU: cpu() - before}
	if err := errors.Join(errs...); err != nil {
		return t, err
	}
	each := slices.Concat(took...)
	slices.Sort(each)
	t.Calls = len(each)
	t.P50, t.P99 = each[len(each)/2], each[len(each)*99/100]
	return t, nil
}

// rounded lets the stacks take turns, and returns all turns by stack and concurrency.
func rounded(names []string, at []int, rounds int, d time.Duration) (map[string]map[int][]turn, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out := map[string]map[int][]turn{}
	for _, n := range names {
		out[n] = map[int][]turn{}
	}
	for r := range rounds {
		for _, c := range at {
			for _, n := range names {
				fmt.Fprintf(os.Stderr, "round %d of %d, %d at once, %s\n", r+1, rounds, c, n)
				t, err := one(self, n, c, d)
				if err != nil {
					return nil, fmt.Errorf("%s, %d at once: %w", n, c, err)
				}
				out[n][c] = append(out[n][c], t)
			}
		}
	}
	return out, nil
}

// process is a child that answers line by line.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(self string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(self, args...)} //nolint:gosec,noctx // ourselves; it ends with its input
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// line is the next that is meant for us: go-micro logs to the same output.
func (p *process) line() (string, error) {
	for {
		s, err := p.out.ReadString('\n')
		if err != nil {
			return "", err
		}
		if s, ok := strings.CutPrefix(s, mark); ok {
			return strings.TrimSpace(s), nil
		}
	}
}

func (p *process) ask() (string, error) {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return "", err
	}
	return p.line()
}

func (p *process) cpu() (time.Duration, error) {
	s, err := p.ask()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Duration(n), err
}

func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

// one is one turn of one stack.
func one(self, name string, concurrency int, d time.Duration) (t turn, err error) {
	s, _ := find(name)
	address := "none"
	var server *process
	if s.serve != nil {
		if server, err = start(self, "serve", name); err != nil {
			return t, err
		}
		defer server.stop()
		if address, err = server.line(); err != nil {
			return t, err
		}
	}
	client, err := start(self, "load", name, address, strconv.Itoa(concurrency), d.String())
	if err != nil {
		return t, err
	}
	defer client.stop()
	if _, err := client.line(); err != nil {
		return t, err
	}
	var before, after time.Duration
	if server != nil {
		if before, err = server.cpu(); err != nil {
			return t, err
		}
	}
	result, err := client.ask()
	if err != nil {
		return t, err
	}
	if server != nil {
		if after, err = server.cpu(); err != nil {
			return t, err
		}
	}
	if err := json.Unmarshal([]byte(result), &t); err != nil {
		return t, err
	}
	t.CPU += after - before
	return t, nil
}
