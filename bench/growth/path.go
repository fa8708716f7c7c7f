package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/bench/internal/stat"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// A path is a chain of modules, each of which does nothing but call the next: hop-1 calls hop-2 and so on; the last one answers.

func hopName(i int) string { return "hop-" + strconv.Itoa(i) }

// hop is the handler of one module.
type hop struct{ next load.Say }

func (h hop) Say(ctx context.Context, in, out *echo.Message) error {
	if h.next == nil {
		load.Answer(in, out)
		return nil
	}
	got, err := h.next(ctx, in)
	if err == nil {
		load.Answer(got, out)
	}
	return err
}

// serveHop is the process of one module: it tells its address, then its processor time for each line.
func serveHop(kindName, index, next string) error {
	k := kind{kindName}
	i, err := strconv.Atoi(index)
	if err != nil {
		return err
	}
	var h hop
	if next != "none" {
		if h.next, err = k.dial(hopName(i+1), next); err != nil {
			return err
		}
	}
	address, _, err := k.serve(hopName(i), "1", registry.NewMemoryRegistry(), nil, h)
	if err != nil {
		return err
	}
	child.Tell(address)
	return child.Serve(func(string) (any, error) { return stat.CPU(), nil })
}

func (k kind) dial(name, address string) (load.Say, error) {
	reg, err := one(name, address)
	if err != nil {
		return nil, err
	}
	c, err := k.client(reg, nil)
	if err != nil {
		return nil, err
	}
	return to(name, c), nil
}

// inside starts a whole path in this process, and returns how to call its first module.
func inside(hops int) (load.Say, error) {
	k, reg, local := kind{direct}, registry.NewMemoryRegistry(), &rpc.Local{}
	c, err := k.client(reg, local)
	if err != nil {
		return nil, err
	}
	for i := hops; i > 0; i-- {
		var h hop
		if i < hops {
			h.next = to(hopName(i+1), c)
		}
		if _, _, err := k.serve(hopName(i), "1", reg, local, h); err != nil {
			return nil, err
		}
	}
	return to(hopName(1), c), nil
}

// callPath is the client's process of a turn. address is that of the first module, or how many there are in this process.
func callPath(kindName, address, duration string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	var call load.Say
	if kindName == direct {
		hops, err := strconv.Atoi(address)
		if err != nil {
			return err
		}
		if call, err = inside(hops); err != nil {
			return err
		}
	} else if call, err = (kind{kindName}).dial(hopName(1), address); err != nil {
		return err
	}
	return called(call, 1, d)
}

// called warms up, and has a turn when the parent says so.
func called(call load.Say, n int, d time.Duration) error {
	if _, err := load.Measure(call, n, d/4); err != nil {
		return err
	}
	return child.Begin(func() (any, error) { return load.Measure(call, n, d) })
}

// overPath is one turn: each module a process of its own, except with direct calls.
func overPath(kindName string, hops int, d time.Duration) (load.Turn, error) {
	if kindName == direct {
		return turn([]string{"path", direct, strconv.Itoa(hops), d.String()}, nil, d)
	}
	var servers []*child.Process
	defer func() {
		for i := range servers {
			servers[len(servers)-1-i].Stop() // the first module of the path first
		}
	}()
	address := "none"
	for i := hops; i > 0; i-- {
		s, err := child.Start("hop", kindName, strconv.Itoa(i), address)
		if err != nil {
			return load.Turn{}, err
		}
		servers = append(servers, s)
		if address, err = s.Line(patience); err != nil {
			return load.Turn{}, fmt.Errorf("module %d: %w", i, err)
		}
	}
	return turn([]string{"path", kindName, address, d.String()}, servers, d)
}

// patience is how long a child may take for anything, besides the turn itself.
const patience = 60 * time.Second

// turn has a client's process do its turn, and adds the processor time of the servers'.
func turn(client []string, servers []*child.Process, d time.Duration) (t load.Turn, err error) {
	c, err := child.Start(client...)
	if err != nil {
		return t, err
	}
	defer c.Stop()
	if _, err := c.Line(patience + d); err != nil {
		return t, err
	}
	before, err := used(servers)
	if err != nil {
		return t, err
	}
	if err := c.Ask("", &t, patience+d); err != nil {
		return t, err
	}
	after, err := used(servers)
	t.CPU += after - before
	return t, err
}

func used(servers []*child.Process) (sum time.Duration, err error) {
	for _, s := range servers {
		var d time.Duration
		if err := s.Ask("", &d, patience); err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}
