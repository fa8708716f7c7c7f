package move

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// party is who dies in the middle of a move. What a supervisor would start again is started again: the gateway, the host main, Consul.
type party string

const (
	newHost     party = "the new host"
	oldHost     party = "the old host"
	command     party = "the command"
	consul      party = "Consul, which keeps its data"
	emptyConsul party = "Consul, which loses its data"
	gateway     party = "the gateway"
)

func parties() []party { return []party{newHost, oldHost, command, consul, emptyConsul, gateway} }

// steps are what a move says one after the other.
func steps() []string {
	return []string{`is to run on|going on`, `and answers`, `(?m)^  1 %`, `(?m)^ 10 %`, `(?m)^ 50 %`, `(?m)^100 %`, `all calls go to`}
}

// death is what happens in one move.
type death struct {
	how, module string
	who         party
	step        int
	after       time.Duration // the step
	away        time.Duration // of Consul
}

func (d death) String() string {
	return fmt.Sprintf("%s %s, %s dies %s after %q", d.how, d.module, d.who, d.after.Round(time.Millisecond), steps()[d.step])
}

// plan draws a death for each of so many moves of each module; every party dies before one dies again. In short, one move for each party.
func plan(r *rand.Rand, each int) []death {
	moves := each * len(modules())
	if each == 1 {
		moves = len(parties())
	}
	var out []death
	var bag []party
	for i := range moves {
		if len(bag) == 0 {
			bag = parties()
			r.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		d := death{
			how: []string{"extract", "absorb"}[i%2], module: modules()[i*len(modules())/moves], who: bag[0],
			step: r.IntN(len(steps())), after: time.Duration(r.IntN(300)) * time.Millisecond, away: time.Duration(200+r.IntN(1800)) * time.Millisecond,
		}
		if d.who == newHost && d.how == "extract" {
			d.step = max(d.step, 1) // before, there is none
		}
		bag = bag[1:]
		out = append(out, d)
	}
	return out
}

// In every move one party dies, which the seed draws, at a step that it draws. No order that was acknowledged is lost, the laws of the data
// hold, and the move is finished, by itself or when it is run again.
func TestMovesSurviveTheDeathOfAnyParty(t *testing.T) {
	deaths := plan(seed(t), rounds(t))
	w := openWorld(t)
	customers := w.shopping(t, 2, 50)
	customers.served(t, time.Now())
	var worst, longest time.Duration
	broken := 0
	for i, d := range deaths {
		begin := time.Now()
		recovery, outcome := w.suffer(d, customers)
		worst, longest = max(worst, recovery), max(longest, time.Since(begin))
		t.Logf("%d: %s: %s; a customer is served %s later; settled after %s", i+1, d, outcome, recovery.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
		if (i+1)%10 == 0 && i+1 < len(deaths) {
			broken += w.verify()
		}
	}
	customers.stop()
	broken += w.verify()
	lost := customers.lost(t)
	t.Logf("%d orders were acknowledged, %d had no clear answer in %s, refused: %v; reads: %s",
		len(customers.acknowledged), customers.unanswered.Load(), patience, customers.refused, customers.reads.Report())
	harness.Figure(t, "move_chaos_moves", float64(len(deaths)), 1e9, "moves")
	harness.Figure(t, "move_chaos_acknowledged_orders", float64(len(customers.acknowledged)), 1e9, "orders")
	harness.Figure(t, "move_chaos_acknowledged_orders_lost", float64(lost), 0, "orders")
	harness.Figure(t, "move_chaos_verify_broken", float64(broken), 0, "laws")
	harness.Figure(t, "move_chaos_worst_recovery", worst.Seconds(), 60, "s")
	harness.Figure(t, "move_chaos_longest_with_repeats", longest.Seconds(), 120, "s")
	harness.Figure(t, "move_chaos_reads_failed", float64(customers.reads.Failed.Load()), 1e9, "requests")
}

// suffer makes a move with a death in it, and sees to it that it ends well.
func (w *world) suffer(d death, customers *crowd) (recovery time.Duration, outcome string) {
	t := w.t
	t.Helper()
	to, from := d.module, "main"
	if d.how == "absorb" {
		to, from = from, to
	}
	p := w.Start(d.how, d.module, "--hold", "300ms", "--within", "30s")
	step := regexp.MustCompile(steps()[d.step])
	harness.Eventually(t, time.Minute, "the move comes to its step", func() bool {
		return p.Exited() || step.MatchString(p.Output()) && (d.how == "absorb" || d.step == 0 || harness.Pid(p) > 0)
	})
	wait(t.Context(), d.after)
	w.seen(d.module, p)
	died := time.Now()
	w.kill(d, p, from, to)
	w.seen(d.module, p) // what it has started since
	recovery = customers.served(t, died)
	code := p.Wait(2 * time.Minute)
	outcome = fmt.Sprintf("exit code %d, %q", code, last(p))
	for try := 1; code != 0 || !w.runs(d.module, to); try++ {
		if try > 5 {
			t.Fatalf("%s: not done after %d tries: exit code %d:\n%s", d, try, code, p.Output())
		}
		p = w.Start(d.how, d.module, "--hold", "300ms", "--within", "30s")
		code = p.Wait(2 * time.Minute)
		w.seen(d.module, p)
		outcome += fmt.Sprintf("; again: exit code %d, %q", code, last(p))
	}
	w.placed(d.module, to)
	return recovery, outcome
}

// runs says whether a module runs on a host: one that died at the end of a move is not there though the move was done.
func (w *world) runs(module, host string) bool { return w.hosts(module)[host] }

// last is what the command said at the end.
func last(p *harness.Process) string {
	lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
	return lines[len(lines)-1]
}

// kill kills a party, and starts again what a supervisor would.
func (w *world) kill(d death, p *harness.Process, from, to string) {
	switch d.who {
	case command:
		p.Kill()
	case gateway:
		w.Gateway.Kill()
		w.RestartGateway()
	case newHost:
		w.killHost(d.module, to)
	case oldHost:
		w.killHost(d.module, from)
	case consul, emptyConsul:
		w.Consul.Kill()
		if d.who == emptyConsul {
			w.Consul.Lose()
		}
		wait(w.t.Context(), d.away)
		w.Consul.Restart()
	}
}

// killHost kills a host. One that was extracted stays dead, until the module is extracted again. Consul notices within some seconds.
func (w *world) killHost(module, host string) {
	if host == "main" {
		w.Hosts["main"].Kill()
		w.StartMain()
		return
	}
	w.killExtracted(module)
	harness.Eventually(w.t, 30*time.Second, "Consul notices that "+host+" is dead", func() bool { return !w.hosts(module)[host] })
}
