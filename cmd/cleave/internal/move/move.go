// Package move takes a module from one host to another while it is called.
//
// What it does is a row of changes of the module's rule in the topology, each of which is a state that the system can stay in: so a move that
// dies at any point harms nobody, can be run again, which goes on from there, or be taken back.
package move

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/topology"
)

// Config says what to move, and where to.
type Config struct {
	Store    topology.Store
	Registry registry.Registry
	Module   string
	// To is the host that is to run the module.
	To string
	// Author of the changes.
	Author string
	// Start starts the host To, and returns what receives an error when it ends; nil when it runs already, or another will start it.
	Start func(context.Context) (ended <-chan error, err error)
	// Steps are the parts of the calls, in percent, that go to the new host one after the other; the last is 100. Default 1, 10, 50, 100.
	Steps []int
	// Hold is how long each step is watched; default 1 s.
	Hold time.Duration
	// Within is how long the new host has to come, and the old one to go; default 60 s.
	Within time.Duration
	// MaxFailed is the part of the calls that may fail at the new host beyond what fails at the old one; default 0.01. MaxSlower is how
	// many times the old host's p99 the new one's may be, if it is also more than 250 ms slower; default 4.
	MaxFailed, MaxSlower float64
	// Say tells a person how it goes.
	Say func(format string, args ...any)
	// Stats asks an instance; default rpc.StatsOf.
	Stats func(ctx context.Context, address string) (rpc.Stats, error)
}

// ErrRolledBack says that the move was taken back, and why; found with errors.Is.
var ErrRolledBack = errors.New("the move was taken back")

// ErrNowhere says that no instance of the module is in the registry.
var ErrNowhere = errors.New("no instance of the module is in the registry")

// full is the sum of the weights of a rule that a move writes: hundredths of a percent.
const full = 10_000

// mover is one move.
type mover struct {
	Config
	rule   topology.Rule  // as the store has it
	unsure *topology.Rule // what was written last and got no clear answer; nil for none
	begin  []topology.Share
	old    []topology.Share // the hosts that the module leaves, and how the calls are split among them
	ended  <-chan error     // receives when the host that was started ends; nil for none
}

// Run moves the module. When the new host does badly, or ctx ends before all calls go there, it takes the move back, and the error is
// ErrRolledBack; what can't be taken back because the store is away stays as it is, and can be run again. When the module is there
// already and nowhere else, it does nothing.
func Run(ctx context.Context, c Config) error {
	if len(c.Steps) == 0 {
		c.Steps = []int{1, 10, 50, 100}
	}
	c.Hold = cmp.Or(c.Hold, time.Second)
	c.Within = cmp.Or(c.Within, time.Minute)
	c.MaxFailed = cmp.Or(c.MaxFailed, 0.01)
	c.MaxSlower = cmp.Or(c.MaxSlower, 4)
	if c.Stats == nil {
		c.Stats = func(ctx context.Context, address string) (rpc.Stats, error) { return rpc.StatsOf(ctx, address) }
	}
	if err := c.check(); err != nil {
		return err
	}
	m := &mover{Config: c}
	if err := m.look(ctx); err != nil {
		return err
	}
	if m.there() {
		c.Say("%s is placed on %s already, and nowhere else", c.Module, c.To)
		return m.gone(ctx)
	}
	if err := m.shift(ctx); err != nil {
		return m.back(ctx, err)
	}
	return m.leave(ctx)
}

func (c *Config) check() error {
	if !topology.ValidHost(c.To) {
		return fmt.Errorf("%q is no host's name", c.To)
	}
	before := 0
	for _, s := range c.Steps {
		if s <= before || s > 100 {
			return fmt.Errorf("the steps %v must grow, from 1 to 100", c.Steps)
		}
		before = s
	}
	if before != 100 {
		return fmt.Errorf("the last of the steps %v must be 100", c.Steps)
	}
	return nil
}

// look finds out where the module runs, and what the rule is.
func (m *mover) look(ctx context.Context) error {
	rules, err := m.Store.Rules(ctx)
	if err != nil {
		return err
	}
	m.rule = rules[m.Module]
	m.begin = m.rule.Shares
	for _, s := range m.begin {
		if s.Host == "" || s.ModuleVersion != "" {
			return fmt.Errorf("the calls of %s are split by version (%s); end that first: cleave topology set", m.Module, s)
		}
	}
	hosts, err := m.known(ctx)
	if err != nil {
		return err
	}
	for _, s := range m.begin { // also those that nothing is seen of: the registry may not know all yet
		if s.Host != m.To {
			m.old = append(m.old, topology.Share{Host: s.Host, Weight: max(s.Weight, 1)})
		}
	}
	if len(m.old) == 0 { // no rule; or a move that died after its last change, and others that have not left, or that stand in for a dead host
		for name, addresses := range hosts {
			if name != m.To {
				m.old = append(m.old, topology.Share{Host: name, Weight: len(addresses)})
			}
		}
	}
	slices.SortFunc(m.old, func(a, b topology.Share) int { return cmp.Compare(a.Host, b.Host) })
	return nil
}

// there says that the module is on its new host, and that no other is to run it.
func (m *mover) there() bool {
	if len(m.hosts()[m.To]) == 0 {
		return false
	}
	return len(m.old) == 0 || len(m.begin) == 1 && m.begin[0].Host == m.To
}

// settles is how long a registry that is asked for the first time may take to know every instance: with mdns they answer one by one.
const settles = time.Second

// known waits until the registry has instances, on the new host too when the rule sends calls there, or has had time for it.
func (m *mover) known(ctx context.Context) (map[string][]string, error) {
	end := time.Now().Add(settles)
	for {
		hosts := m.hosts()
		all := len(hosts) > 0 && (m.percent() == 0 || len(hosts[m.To]) > 0)
		if late := time.Now().After(end); all || late && len(hosts) > 0 {
			return hosts, nil
		} else if late {
			return nil, fmt.Errorf("%s: %w", m.Module, ErrNowhere)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// hosts are the addresses of the module's instances, by host.
func (m *mover) hosts() map[string][]string {
	services, err := m.Registry.GetService(m.Module)
	if err != nil {
		return nil
	}
	out := map[string][]string{}
	for _, s := range services {
		for _, n := range s.Nodes {
			name := n.Metadata["host"]
			out[name] = append(out[name], n.Address)
		}
	}
	return out
}

// percent is what the rule sends to the new host now.
func (m *mover) percent() int {
	sum, mine := 0, 0
	for _, s := range m.rule.Shares {
		sum += s.Weight
		if s.Host == m.To {
			mine = s.Weight
		}
	}
	if sum == 0 {
		return 0
	}
	return mine * 100 / sum
}

// put changes the rule: percent of the calls go to the new host, the rest to the old ones as before.
func (m *mover) put(ctx context.Context, percent int, reason string) error {
	shares := []topology.Share{{Host: m.To, Weight: percent * full / 100}} // the new one first: sticky calls that moved stay moved
	sum := 0
	for _, s := range m.old {
		sum += s.Weight
	}
	for _, s := range m.old {
		weight := 0
		if percent < 100 {
			weight = max(s.Weight*(100-percent)*full/100/sum, 1)
		}
		shares = append(shares, topology.Share{Host: s.Host, Weight: weight})
	}
	return m.write(ctx, shares, reason)
}

// storeWait is how long a store that is away is waited for.
const storeWait = 30 * time.Second

// write changes the rule. A store that is away for a moment is asked again.
func (m *mover) write(ctx context.Context, shares []topology.Share, reason string) error {
	next := m.rule
	next.Module, next.Shares, next.Author, next.Reason = m.Module, shares, m.Author, reason
	end := time.Now().Add(storeWait)
	for {
		r, err := m.Store.Put(ctx, next)
		if err == nil {
			m.rule = r
			return nil
		}
		conflict := errors.Is(err, topology.ErrConflict)
		if conflict {
			now, rerr := m.Store.Rules(ctx)
			r := now[m.Module]
			if rerr == nil && wrote(r, next) {
				m.rule = r // by us: the answer was lost
				return nil
			}
			if rerr == nil && m.unsure != nil && wrote(r, *m.unsure) { // what was written before this, by us: its answer was lost
				m.rule, m.unsure = r, nil
				next.Version = r.Version
				continue
			}
			conflict = rerr == nil && r.Version != next.Version // else it was lost in between, and is back
		} else {
			tried := next
			m.unsure = &tried
		}
		if conflict || errors.Is(err, topology.ErrInvalid) || time.Now().After(end) {
			return err
		}
		m.Say("  the topology can't be changed, trying again: %v", err)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// wrote says whether r is what next became.
func wrote(r, next topology.Rule) bool {
	return r.Version == next.Version+1 && r.Author == next.Author && r.Reason == next.Reason && slices.Equal(r.Shares, next.Shares)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
