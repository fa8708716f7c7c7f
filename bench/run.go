package main

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// patience is how long a child may take for anything, besides the turn itself.
const patience = 60 * time.Second

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

// loaded is the client's process: it calls, and tells a turn.
func loaded(name, address, concurrency, duration string) error {
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
	if _, err := load.Measure(call, n, d/4); err != nil { // warms up
		return err
	}
	return child.Begin(func() (any, error) { return load.Measure(call, n, d) })
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
