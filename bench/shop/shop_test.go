package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStepsAreAllOfACheckout(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	b := bought{order: "o", paid: true, begun: start, carted: at(1), filled: at(3), placed: at(60)}
	var history []event
	for i, s := range []string{"PENDING", "RESERVED", "AUTHORIZED", "CONFIRMED", "PAID", "PAID"} { // the last one is a note
		history = append(history, event{To: "ORDER_STATE_" + s, At: at(10 * (i + 1))})
	}
	p, err := b.path(history)
	var want path
	for _, ms := range []int{1, 2, 7, 10, 20, 10, 10} {
		want = append(want, time.Duration(ms)*time.Millisecond)
	}
	if err != nil || !slices.Equal(p, want) || len(p) != len(steps()) {
		t.Errorf("%v, %v: want %v", p, err, want)
	}
	if _, err := b.path(history[:4]); err == nil {
		t.Error("an order that was never PAID has a path")
	}
	b.paid = false
	if p, err := b.path(history); p != nil || err != nil {
		t.Errorf("answered before it was PAID: %v, %v", p, err)
	}
}

func TestSummary(t *testing.T) {
	of := func(n int, each, took, cpu time.Duration) turn {
		u := turn{took: took, cpu: cpu}
		for range n {
			u.sold = append(u.sold, bought{placed: time.Time{}.Add(each)})
		}
		return u
	}
	one := summary("sqlite", 1, []turn{of(10, 100*time.Millisecond, time.Second, time.Second), of(30, 20*time.Millisecond, time.Second, time.Second), of(20, 50*time.Millisecond, time.Second, time.Second)})
	if one.Checkouts != 60 || one.Rate != 20 || one.P50 != 50 || one.P99 != 50 || one.CPU != 50 {
		t.Errorf("%+v", one)
	}
	four := summary("sqlite", 4, []turn{of(60, 66*time.Millisecond, time.Second, time.Second)})
	r := report{Figures: []figures{one, four, {Engine: "postgres", Buyers: 1, Rate: 5}}}
	r.grow()
	for i, want := range []float64{1, 3, 1} {
		if r.Figures[i].Growth != want {
			t.Errorf("growth %d is %g, want %g", i, r.Figures[i].Growth, want)
		}
	}
}

func TestPerfScript(t *testing.T) {
	const said = ` 11 100.000500: syscalls:sys_enter_fsync:
	     7f00 fsync
	    1011cad modernc.org/libc.Xfsync
	    1013e25 modernc.org/sqlite.(*conn).exec

 12 100.001000: syscalls:sys_enter_fdatasync:
	    99 github.com/nats-io/nats-server/v2/server.(*msgBlock).flush

 11 100.002500:  syscalls:sys_exit_fsync:
	     7f00 fsync

 13 100.003000:          cpu-clock:
	    98 runtime.mallocgc
	    97 modernc.org/sqlite/lib._sqlite3Prepare
	    96 github.com/cleavehq/cleave/chassis/outbox.(*Relay).pending

 13 100.004000:          cpu-clock:
	    98 runtime.scanobject
	    97 runtime.gcBgMarkWorker.func2
`
	stacks, err := parseScript(strings.NewReader(said))
	if err != nil || len(stacks) != 5 {
		t.Fatalf("%d stacks, %v", len(stacks), err)
	}
	by, took := waits(stacks[:3], 2)
	if math.Abs(took-1) > 1e-6 || by["SQLite: run the statement"] != 0.5 || by["NATS server"] != 0.5 {
		t.Errorf("syncs %v, %g ms: want half a one of both, and 1 ms", by, took)
	}
	if c, p := code(stacks[3]), purpose(stacks[3]); c != "SQLite: read the statement" || p != "relays: publish the outbox" {
		t.Errorf("%s, %s", c, p)
	}
	if got := shares(stacks[3:], code); got["garbage collector"] != 0.5 {
		t.Errorf("shares %v", got)
	}
}

func TestFailuresAreCounted(t *testing.T) {
	lost := errors.New("lost")
	r := report{Figures: []figures{
		summary("sqlite", 1, []turn{{sold: make([]bought, 1), failed: []error{lost}}, {sold: make([]bought, 2), failed: []error{lost, lost}}}),
		summary("sqlite", 4, []turn{{sold: make([]bought, 5)}}),
	}}
	if r.Figures[0].Failed != 3 || r.Figures[0].Checkouts != 3 {
		t.Errorf("%+v", r.Figures[0])
	}
	if err := r.failed(); err == nil || !strings.Contains(err.Error(), "3 checkouts") {
		t.Error(err)
	}
	r.Figures = r.Figures[1:]
	if err := r.failed(); err != nil {
		t.Error(err)
	}
}

func TestReportIsWhole(t *testing.T) {
	var r report
	for _, e := range []string{"sqlite", "postgres"} {
		for _, n := range []int{1, 4, 64} {
			r.Figures = append(r.Figures, figures{Engine: e, Buyers: n, Rate: float64(n), Steps: make([]float64, len(steps()))})
		}
		r.Profiles = append(r.Profiles, profile{Engine: e, Lacks: "perf isn't there"})
	}
	r.grow()
	var b bytes.Buffer
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"x64.00", "sqlite, 1 ", "postgres, 64", "not measured. perf isn't there"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "sqlite, 4") {
		t.Error("the steps are of the fewest and of the most buyers")
	}
	d := xml.NewDecoder(bytes.NewReader(picture(r)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestArguments(t *testing.T) {
	p, err := parse([]string{"-short", "-buyers", "1,64", "-o", "json"})
	if err != nil || p.rounds != 1 || p.turn != time.Second/2 || !slices.Equal(p.buyers, []int{1, 64}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range [][]string{{"-buyers", "0"}, {"-buyers", "many"}, {"-o", "xml"}, {"-rounds", "0"}, {"more"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
