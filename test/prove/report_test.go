package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// good is what `go test -json` says when all is well.
func good() string {
	var b strings.Builder
	for _, f := range system() {
		fmt.Fprintf(&b, `{"Action":"output","Package":"p","Test":"TestA","Output":"figure %s %g u\n"}`+"\n", f.name, f.least)
	}
	b.WriteString(`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":1}` + "\n")
	b.WriteString(`{"Action":"skip","Package":"no test files"}` + "\n")
	return b.String()
}

func judge(t *testing.T, in string) (*report, string, error) {
	t.Helper()
	var figures, talk bytes.Buffer
	r := newReport(&figures, &talk)
	r.bounds = system()
	if err := r.read(strings.NewReader(in)); err != nil {
		return r, figures.String(), err
	}
	err := r.verdict()
	return r, figures.String(), err
}

func TestVerdict(t *testing.T) {
	r, figures, err := judge(t, good())
	if err != nil || r.passed != 1 || len(r.skipped) != 0 {
		t.Fatalf("all is well: %v, %d passed, skipped %q", err, r.passed, r.skipped)
	}
	if n := strings.Count(figures, "\n"); n != len(system()) {
		t.Errorf("%d figures were printed, want %d:\n%s", n, len(system()), figures)
	}
	for name, bad := range map[string]string{
		"missing":    strings.Replace(good(), "figure kill9_reads_failed 0", "figure another 0", 1),
		"too large":  strings.Replace(good(), "figure kill9_reads_failed 0", "figure kill9_reads_failed 1", 1),
		"not enough": strings.Replace(good(), "figure kill9_reads_sent 2340", "figure kill9_reads_sent 7", 1),
		"NaN":        strings.Replace(good(), "figure kill9_reads_failed 0", "figure kill9_reads_failed NaN", 1),
		"no number":  strings.Replace(good(), "figure kill9_reads_failed 0", "figure kill9_reads_failed none", 1),
		"failed":     strings.Replace(good(), `{"Action":"pass","Package":"p","Test"`, `{"Action":"fail","Package":"p","Test"`, 1),
		"no compile": good() + `{"Action":"fail","Package":"q"}`,
		"skipped":    good() + `{"Action":"skip","Package":"p","Test":"TestB"}`,
		"not events": good() + `no Go files`,
	} {
		if bad == good() {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, _, err := judge(t, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFigureInPieces(t *testing.T) {
	r, figures, _ := judge(t, `{"Action":"output","Package":"p","Test":"T","Output":"figure a 1"}
{"Action":"output","Package":"q","Test":"T","Output":"other\n"}
{"Action":"output","Package":"p","Test":"T","Output":".5 ms\n"}`)
	if figures != "figure a 1.5 ms\n" || r.measured["a"] != 1.5 {
		t.Errorf("%q, %v", figures, r.measured)
	}
}

func TestTablesArePassedOn(t *testing.T) {
	r, said, err := judge(t, `{"Action":"output","Package":"p","Test":"T","Output":"table fault  lost\n"}
{"Action":"output","Package":"p","Test":"T","Output":"tables are no table\n"}
{"Action":"output","Package":"p","Test":"T","Output":"table kill -9   0\n"}`)
	if said != "fault  lost\nkill -9   0\n" || len(r.measured) != 0 || err == nil {
		t.Errorf("%q, %v, %v", said, r.measured, err)
	}
}

// A set that has a short form is judged by the bounds of the form that is run.
func TestBoundsKnowTheForm(t *testing.T) {
	least := func(o options, name string) float64 {
		s, err := o.chosen()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range s.bounds {
			if b.name == name {
				return b.least
			}
		}
		t.Fatalf("%+v has no bound for %s", o, name)
		return 0
	}
	for name, want := range map[string][2]float64{"shop_failpoints_killed_at": {82, 4}, "shop_nemesis_checkouts_attempted": {10_000, 20}} {
		if full, short := least(options{what: "shop"}, name), least(options{all: true}, name); full != want[0] || short != want[1] {
			t.Errorf("%s: %g and %g, want %v", name, full, short, want)
		}
	}
	if n := least(options{all: true}, "kill9_reads_sent"); n != least(options{what: "system"}, "kill9_reads_sent") {
		t.Errorf("a set without a short form has other bounds in short: %g", n)
	}
}
