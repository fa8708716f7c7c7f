package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// patience is how long a child may take for anything, besides the turn itself.
const patience = 60 * time.Second

// turn is what one stack did in one turn.
type turn struct {
	Calls    int
	Took     time.Duration
	P50, P99 time.Duration
	CPU      time.Duration // of the client, and after rounded of the server too
}

// usage is what a server's process answers to a line.
type usage struct {
	CPU  time.Duration
	Sent int64 // messages on streams
}

// serve is the server's process: it tells its address, then its usage for every line that it reads, and ends with its input.
func serve(name string) error {
	s, ok := find(name)
	if !ok || s.serve == nil {
		return fmt.Errorf("no server %q", name)
	}
	address, err := s.serve()
	if err != nil {
		return err
	}
	return counted(address, new(atomic.Int64))
}

// serveFeed is the same of streams.
func serveFeed(name string) error {
	f, ok := feeds()[name]
	if !ok {
		return fmt.Errorf("no feed %q", name)
	}
	sent := new(atomic.Int64)
	address, err := f.serve(sent)
	if err != nil {
		return err
	}
	return counted(address, sent)
}

func counted(address string, sent *atomic.Int64) error {
	child.Tell(address)
	return child.Serve(func(string) (any, error) { return usage{stat.CPU(), sent.Load()}, nil })
}

// load is the client's process: it calls, and tells a turn.
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
	return told(func() (any, error) { return measure(call, n, d) })
}

// told says that it is ready, waits for the word to begin, and tells what f returns.
func told(f func() (any, error)) error {
	child.Tell("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	v, err := f()
	if err != nil {
		return err
	}
	return child.TellJSON(v)
}

// measure calls with n at once for d.
func measure(call say, n int, d time.Duration) (turn, error) {
	runtime.GC()
	ctx := context.Background()
	var all sync.WaitGroup
	took := make([][]time.Duration, n)
	errs := make([]error, n)
	before, start := stat.CPU(), time.Now()
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
	t := turn{Took: time.Since(start), CPU: stat.CPU() - before}
	if err := errors.Join(errs...); err != nil {
		return t, err
	}
	each := slices.Concat(took...)
	slices.Sort(each)
	t.Calls = len(each)
	t.P50, t.P99 = stat.Quantile(each, 0.5), stat.Quantile(each, 0.99)
	return t, nil
}

// rounded lets the stacks take turns, and returns all turns by stack and concurrency.
func rounded(names []string, at []int, rounds int, d time.Duration) (map[string]map[int][]turn, error) {
	out := map[string]map[int][]turn{}
	for _, n := range names {
		out[n] = map[int][]turn{}
	}
	for r := range rounds {
		for _, c := range at {
			for _, n := range names {
				fmt.Fprintf(os.Stderr, "round %d of %d, %d at once, %s\n", r+1, rounds, c, n)
				t, err := one(n, c, d)
				if err != nil {
					return nil, fmt.Errorf("%s, %d at once: %w", n, c, err)
				}
				out[n][c] = append(out[n][c], t)
			}
		}
	}
	return out, nil
}

// one is one turn of one stack.
func one(name string, concurrency int, d time.Duration) (turn, error) {
	var t turn
	s, _ := find(name)
	var server []string
	if s.serve != nil {
		server = []string{"serve", name}
	}
	used, err := beside(server, d, func(address string) []string {
		return []string{"load", name, address, strconv.Itoa(concurrency), d.String()}
	}, &t)
	t.CPU += used
	return t, err
}

// beside starts a server, if there is one, and a client; has the client do its turn, which is decoded into out; and returns the processor time
// that the server used meanwhile. The client's process tells that it is ready, and then begins at a word.
func beside(server []string, d time.Duration, client func(address string) []string, out any) (time.Duration, error) {
	address := "none"
	usedSoFar := func() (u usage, err error) { return u, nil }
	if server != nil {
		s, err := child.Start(server...)
		if err != nil {
			return 0, err
		}
		defer s.Stop()
		if address, err = s.Line(patience); err != nil {
			return 0, err
		}
		usedSoFar = func() (u usage, err error) {
			err = s.Ask("", &u, patience)
			return u, err
		}
	}
	c, err := child.Start(client(address)...)
	if err != nil {
		return 0, err
	}
	defer c.Stop()
	if _, err := c.Line(patience + d); err != nil {
		return 0, err
	}
	before, err := usedSoFar()
	if err != nil {
		return 0, err
	}
	if err := c.Ask("", out, patience+d); err != nil {
		return 0, err
	}
	after, err := usedSoFar()
	return after.CPU - before.CPU, err
}
