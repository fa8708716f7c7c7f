package main

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/load"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// atOnce is how many calls run at once when there are several instances to go to.
const atOnce = 16

// serveInstances is the process of the instances: each has a port, an entry in Consul and a check of its own. They leave the registry when
// the input ends.
func serveInstances(kindName, name, count, addr string) error {
	k := kind{kindName}
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	reg, err := k.real(addr)
	if err != nil {
		return err
	}
	stops := make([]func() error, n)
	for i := range n {
		if _, stops[i], err = k.serve(name, strconv.Itoa(i+1), reg, nil, load.Echoer{}); err != nil {
			return fmt.Errorf("instance %d: %w", i+1, err)
		}
	}
	if err := allThere(reg, name, n); err != nil {
		return err
	}
	child.Tell("ready")
	err = child.Serve(func(string) (any, error) { return stat.CPU(), nil })
	var all sync.WaitGroup
	errs := make([]error, n)
	for i, stop := range stops {
		all.Go(func() { errs[i] = stop() })
	}
	all.Wait()
	return errors.Join(err, errors.Join(errs...))
}

// allThere waits until the registry names n instances that pass their checks.
func allThere(reg registry.Registry, name string, n int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	got := 0
	for end := time.Now().Add(patience / 2); time.Now().Before(end); <-tick.C {
		services, err := reg.GetService(name)
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		got = 0
		for _, s := range services {
			got += len(s.Nodes)
		}
		if got == n {
			return nil
		}
	}
	return fmt.Errorf("%d of %d instances are in the registry", got, n)
}

// callInstances is the client's process of a turn: it finds the instances in Consul, as any client does.
func callInstances(kindName, name, count, addr, duration string) error {
	k := kind{kindName}
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	reg, err := k.real(addr)
	if err != nil {
		return err
	}
	if err := allThere(reg, name, n); err != nil {
		return err
	}
	c, err := k.client(reg, nil)
	if err != nil {
		return err
	}
	return called(to(name, c), atOnce, d)
}

// overInstances is one turn, with a name of its own in the registry.
func overInstances(kindName string, n, round int, addr string, d time.Duration) (load.Turn, error) {
	name, count := fmt.Sprintf("echo-%s-%d-%d", kindName, n, round), strconv.Itoa(n)
	s, err := child.Start("instances", kindName, name, count, addr)
	if err != nil {
		return load.Turn{}, err
	}
	defer s.Stop()
	if _, err := s.Line(patience); err != nil {
		return load.Turn{}, err
	}
	return turn([]string{"call", kindName, name, count, addr, d.String()}, []*child.Process{s}, d)
}
