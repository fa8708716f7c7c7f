package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/topology"
)

// shift brings the new host up and all calls to it.
func (m *mover) shift(ctx context.Context) error {
	at := m.percent()
	switch {
	case at > 0:
		m.Say("going on: %d %% of the calls go to %s already", at, m.To)
	default:
		m.Say("%s is to run on %s; it runs on %s", m.Module, m.To, names(m.old))
		if err := m.put(ctx, 0, "move to "+m.To+": make room"); err != nil {
			return err
		}
	}
	if m.Start != nil && len(m.hosts()[m.To]) == 0 {
		m.Say("starting host %s", m.To)
		var err error
		if m.ended, err = m.Start(ctx); err != nil {
			return fmt.Errorf("start host %s: %w", m.To, err)
		}
	}
	if err := m.come(ctx); err != nil {
		return err
	}
	for _, percent := range m.Steps {
		if percent <= at && percent < 100 {
			continue
		}
		if err := m.step(ctx, percent); err != nil {
			return err
		}
	}
	return nil
}

func names(shares []topology.Share) string {
	out := ""
	for i, s := range shares {
		if i > 0 {
			out += ", "
		}
		out += s.Host
	}
	return out
}

// probes is how often a new instance has to answer before it gets calls.
const probes = 5

// come waits until the new host is in the registry, and passes, and answers. Instances of an earlier life of it, which don't, may be there
// for some seconds.
func (m *mover) come(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, m.Within, fmt.Errorf("%s did not come to %s within %s", m.Module, m.To, m.Within))
	defer cancel()
	var silent error
	for {
		addresses := m.hosts()[m.To]
		if len(addresses) > 0 {
			if silent = m.probe(ctx, addresses); silent == nil {
				break
			}
		}
		select {
		case err := <-m.ended:
			return fmt.Errorf("host %s ended: %w", m.To, err)
		default:
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return errors.Join(context.Cause(ctx), silent)
		}
	}
	m.Say("%s is in the registry on %s, and answers (%s)", m.Module, m.To, time.Since(begin).Round(time.Millisecond))
	return nil
}

// probe asks each of new instances several times.
func (m *mover) probe(ctx context.Context, addresses []string) error {
	for range probes {
		for _, address := range addresses {
			if _, err := m.ask(ctx, address); err != nil {
				return fmt.Errorf("the new instance does not answer: %w", err)
			}
		}
	}
	return nil
}

// reading is what both sides had done at one moment.
type reading struct {
	young, old rpc.Stats
	gone       bool // the new host has no instance, or none that answers
}

func (m *mover) read(ctx context.Context) reading {
	var r reading
	hosts := m.hosts()
	answers := 0
	for _, address := range hosts[m.To] {
		if s, err := m.ask(ctx, address); err == nil {
			r.young = r.young.Plus(s)
			answers++
		}
	}
	r.gone = answers == 0
	for _, share := range m.old {
		for _, address := range hosts[share.Host] {
			if s, err := m.ask(ctx, address); err == nil {
				r.old = r.old.Plus(s)
			}
		}
	}
	return r
}

func (m *mover) ask(ctx context.Context, address string) (rpc.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return m.Stats(ctx, address)
}

// step sends a part of the calls to the new host, and watches how it does.
func (m *mover) step(ctx context.Context, percent int) error {
	before := m.read(ctx)
	if err := m.put(ctx, percent, fmt.Sprintf("move to %s: %d %% of the calls", m.To, percent)); err != nil {
		return err
	}
	if err := pause(ctx, m.Hold); err != nil {
		return err
	}
	after := m.read(ctx)
	if after.gone {
		return fmt.Errorf("host %s is gone", m.To)
	}
	young, old := after.young.Minus(before.young), after.old.Minus(before.old)
	m.Say("%3d %%  %s: %d calls, %d failed, p99 %s; before: %d calls, %d failed, p99 %s",
		percent, m.To, young.Calls, young.Failed, short(young), old.Calls, old.Failed, short(old))
	return m.judge(young, old, before.old)
}

func short(s rpc.Stats) string {
	if s.Calls <= 0 {
		return "-"
	}
	return s.Quantile(0.99).Round(10 * time.Microsecond).String()
}

// enough is how many calls make a latency worth comparing; muchSlower is how much slower, in time, is worth a word.
const (
	enough     = 50
	muchSlower = 250 * time.Millisecond
)

// judge says whether the new host does worse than the old ones do, or have done when they do nothing any more.
func (m *mover) judge(young, old, past rpc.Stats) error {
	if old.Calls < enough {
		old = past
	}
	allowed := m.MaxFailed
	if old.Calls > 0 {
		allowed += float64(old.Failed) / float64(old.Calls)
	}
	if float64(young.Failed) > allowed*float64(young.Calls) {
		return fmt.Errorf("%d of %d calls failed on %s", young.Failed, young.Calls, m.To)
	}
	if young.Calls < enough || old.Calls < enough {
		return nil
	}
	slow, was := young.Quantile(0.99), old.Quantile(0.99)
	if slow > was+muchSlower && float64(slow) > m.MaxSlower*float64(was) {
		return fmt.Errorf("the p99 on %s is %s, and was %s", m.To, slow, was)
	}
	return nil
}

// leave makes the old hosts stop the module, and waits until they have.
func (m *mover) leave(ctx context.Context) error {
	if err := m.write(ctx, []topology.Share{{Host: m.To, Weight: full}}, "move to "+m.To+": done"); err != nil {
		return err
	}
	m.Say("all calls go to %s; %s finishes what runs", m.To, names(m.old))
	return m.gone(ctx)
}

// missed is how long the new host may be out of the registry while the old ones leave.
const missed = 3 * time.Second

// gone waits until the module runs on the new host and nowhere else.
func (m *mover) gone(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, m.Within)
	defer cancel()
	seen := begin
	for {
		hosts := m.hosts()
		if len(hosts[m.To]) > 0 {
			seen = time.Now()
		}
		delete(hosts, m.To)
		if m.deaf(ctx, hosts) {
			m.Say("no other host has %s (%s); done", m.Module, time.Since(begin).Round(time.Millisecond))
			return nil
		}
		if time.Since(seen) > missed {
			return fmt.Errorf("all calls were to go to %s, and it is gone; run it again, or cleave topology rollback %s", m.To, m.Module)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("all calls go to %s, but %s still runs elsewhere as well: %w", m.To, m.Module, err)
		}
	}
}

// deaf says that nobody listens at any of the addresses: a registry that was away itself may keep them for a while.
func (m *mover) deaf(ctx context.Context, hosts map[string][]string) bool {
	for _, addresses := range hosts {
		for _, address := range addresses {
			if _, err := m.ask(ctx, address); err == nil || problem.From(err).Code != codes.Unavailable {
				return false
			}
		}
	}
	return ctx.Err() == nil
}

// backWithin bounds the way back.
const backWithin = 15 * time.Second

// back takes the move back because of why.
func (m *mover) back(ctx context.Context, why error) error {
	if errors.Is(why, topology.ErrConflict) {
		return fmt.Errorf("someone else changed the rule of %s in between; nothing was taken back: %w", m.Module, why)
	}
	m.Say("taking it back: %v", why)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backWithin)
	defer cancel()
	shares := m.begin
	if len(shares) == 0 || m.percentOf(shares) > 0 { // no rule, or one of an earlier try: all calls go where they went before
		shares = m.old
	}
	if err := m.write(ctx, shares, "move to "+m.To+" taken back: "+cut(why.Error())); err != nil {
		return fmt.Errorf("%w; it could not be taken back (%w): %d %% of the calls go to %s; run it again to go on", why, err, m.percent(), m.To)
	}
	return fmt.Errorf("%w: %w", ErrRolledBack, why)
}

func (m *mover) percentOf(shares []topology.Share) int {
	other := mover{Config: m.Config, rule: topology.Rule{Shares: shares}}
	return other.percent()
}

// cut keeps a reason within the topology's limit.
func cut(s string) string { return s[:min(len(s), topology.MaxText-100)] }
