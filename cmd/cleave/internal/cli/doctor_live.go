package cli

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/cleavehq/cleave/chassis/config"
	"github.com/cleavehq/cleave/chassis/fault"
)

// broker looks at the broker and at its dead letters.
func (c *checkup) broker(ctx context.Context) {
	const what = "broker"
	s := c.s
	if s.Broker == embedded {
		at, err := embeddedBroker(s)
		if err != nil {
			c.goodf(what, "embedded: it runs when a host does")
			return
		}
		s.Broker = at
	}
	var p parts
	defer func() { _ = p.Close() }() // it was opened to look at it
	b, _, is, err := p.broker(s, c.log)
	if err != nil {
		mend := "start it there, or say where it is with --broker"
		if text := strings.ToLower(err.Error()); strings.Contains(text, "auth") || strings.Contains(text, "access_refused") {
			mend = "the user or the password in --broker is wrong, or may not do this"
		}
		c.badf(what, mend, "%v", err)
		return
	}
	d, ok := b.(box)
	if !ok {
		c.goodf(what, "%s answers", is)
		return
	}
	letters, err := d.DeadLetters(ctx, readAtMost)
	switch {
	case err != nil:
		c.badf(what, "look into its log: JetStream may be off, or out of room", "%s answers, but doesn't say what dead letters it has: %v", is, err)
	case len(letters) > 0:
		c.badf("dead letters", "cleave events dead list; mend what it says, then cleave events dead replay", "%s has %d, the first for %s: %s",
			is, len(letters), letters[0].Group, letters[0].Reason)
	default:
		c.goodf(what, "%s answers, and has no dead letters", is)
	}
}

// processes looks at what the registry knows.
func (c *checkup) processes(ctx context.Context) {
	se := &session{s: c.s, log: c.log}
	defer func() { _ = se.Close() }() // it was opened to look
	var err error
	if se.reg, err = se.registry(c.s, c.log); err != nil {
		return // told already
	}
	list, err := se.processes()
	if err != nil {
		return // as above
	}
	got := make([]*checkup, len(list))
	each(list, func(i int, p process) {
		got[i] = &checkup{a: c.a, s: c.s, log: c.log}
		got[i].process(ctx, p)
	})
	well := true
	for _, g := range got {
		for _, f := range g.all {
			if !f.OK {
				well = false
				c.all = append(c.all, f)
			}
		}
	}
	if well {
		c.goodf("processes", "%d in the registry, all well", len(list))
	}
}

// process looks at one.
func (c *checkup) process(ctx context.Context, p process) {
	what := "host " + p.Host
	for _, m := range p.Modules {
		if h := healthOf(ctx, m); h != "ok" {
			c.badf(what, "look into its log; when it is gone, the registry forgets it within a minute", "%s at %s: %s", m.Name, m.Node.Address, h)
		}
	}
	var state config.State
	if err := p.read(ctx, "/config", &state); err != nil {
		c.badf(what, "if it runs elsewhere, start it with --admin-listen on an address that is reached from here", "its admin listener %s doesn't answer: %v", cmp.Or(p.Admin, "(unknown)"), err)
		return
	}
	for _, r := range state.Refused {
		c.badf(what, "cleave config set "+r.Key+" VALUE, or cleave config unset "+r.Key, "it refuses %s from %s: %s", r.Key, r.Source, r.Reason)
	}
	c.clock(ctx, http.DefaultClient, what, "http://"+p.Admin+"/config")
	var faults struct{ Faults []fault.Rule }
	if p.read(ctx, "/faults", &faults) == nil {
		for _, f := range faults.Faults {
			c.badf(what, "cleave fault remove "+f.ID, "a fault is injected on purpose, by %s: %s", f.Author, f)
		}
	}
	if s, err := p.sample(ctx); err == nil {
		for _, o := range s.open() {
			c.badf(what, "see what ails the service: cleave ps, and its log", "a circuit is not closed: %s", o)
		}
	}
}
