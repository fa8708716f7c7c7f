package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

func failing(pkg string, tests ...string) string {
	var b strings.Builder
	for _, name := range tests {
		b.WriteString(`{"Action":"fail","Package":"` + pkg + `","Test":"` + name + `/part"}` + "\n")
		b.WriteString(`{"Action":"fail","Package":"` + pkg + `","Test":"` + name + `"}` + "\n")
	}
	b.WriteString(`{"Action":"fail","Package":"` + pkg + `"}` + "\n")
	return b.String()
}

func TestOnceMore(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}`
	const race = `{"Action":"output","Package":"p","Output":"WARNING: DATA RACE\n"}` + "\n"
	for name, c := range map[string]struct {
		first, second string
		again         int
		bad           bool
	}{
		"passes then":     {failing("p", "TestA"), pass, 1, false},
		"two":             {failing("p", "TestA", "TestB"), pass + strings.Replace(pass, "TestA", "TestB", 1), 2, false},
		"fails again":     {failing("p", "TestA"), failing("p", "TestA"), 0, true},
		"did not run":     {failing("p", "TestA"), `{"Action":"pass","Package":"p"}`, 0, true},
		"data race":       {race + failing("p", "TestA"), pass, 0, true},
		"does not build":  {`{"Action":"fail","Package":"p"}`, pass, 0, true},
		"too many":        {failing("p", "TestA", "TestB", "TestC", "TestD"), pass, 0, true},
		"another package": {failing("p", "TestA") + failing("q"), pass, 1, true},
	} {
		r := newReport(io.Discard, io.Discard)
		if err := r.read(strings.NewReader(c.first)); err != nil {
			t.Fatal(err)
		}
		err := r.onceMore(t.Context(), func(_ context.Context, into *report, _, _ string) error {
			return into.read(strings.NewReader(c.second))
		})
		if len(r.again) != c.again || (err != nil) != c.bad || (len(r.failed) > 0) != c.bad {
			t.Errorf("%s: %d passed then, want %d; %v, failed %v", name, len(r.again), c.again, err, r.failed)
		}
	}
}
