package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// report gathers what the tests say.
type report struct {
	figures, talk io.Writer
	bounds        []bound // that the figures have to keep

	passed   int
	failed   [][2]string // by package and test; without a test it is the package
	skipped  []string
	fatal    map[string]bool      // packages that showed more than a test that failed: a data race, a panic
	again    []string             // tests that passed when they were run once more
	measured map[string]float64   // figures by name
	lines    map[[2]string]string // a line that isn't whole yet, by package and test
	output   map[[2]string][]byte // what a test has said, until it passes
}

func newReport(figures, talk io.Writer) *report {
	return &report{
		figures: figures, talk: talk,
		fatal: map[string]bool{}, measured: map[string]float64{}, lines: map[[2]string]string{}, output: map[[2]string][]byte{},
	}
}

// read takes events until there are no more. What is not an event is passed on: `go vet` and the compiler speak plainly.
func (r *report) read(in io.Reader) error {
	d := json.NewDecoder(in)
	for {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			rest, _ := io.ReadAll(io.MultiReader(d.Buffered(), in))
			_, _ = r.talk.Write(rest)
			return fmt.Errorf("read what go test says: %w", err)
		}
		if err := r.take(e); err != nil {
			return err
		}
	}
}

func (r *report) take(e event) error {
	id := [2]string{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		r.output[id] = append(r.output[id], e.Output...)
		if e.Action == "build-output" {
			_, _ = io.WriteString(r.talk, e.Output)
		}
		return r.line(id, e.Output)
	case "pass", "fail", "skip":
		r.end(id, e)
	}
	return nil
}

// line looks for a figure, and for a line of a table, which is passed on. The JSON cuts lines where the test's writes ended.
func (r *report) line(id [2]string, text string) error {
	text = r.lines[id] + text
	line, rest, whole := strings.Cut(text, "\n")
	if !whole {
		r.lines[id] = text
		return nil
	}
	r.lines[id] = rest
	if strings.HasPrefix(line, "WARNING: DATA RACE") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		r.fatal[id[0]] = true
	}
	if row, ok := strings.CutPrefix(line, "table "); ok {
		_, err := fmt.Fprintln(r.figures, row)
		return err
	}
	if !strings.HasPrefix(line, "figure ") {
		return nil
	}
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return fmt.Errorf("not a figure: %q", line)
	}
	value, err := strconv.ParseFloat(fields[2], 64)
	if err != nil {
		return fmt.Errorf("not a figure: %q", line)
	}
	r.measured[fields[1]] = value
	_, err = fmt.Fprintln(r.figures, line)
	return err
}

// end counts a test, and says how its package went as `go test` would.
func (r *report) end(id [2]string, e event) {
	if e.Test == "" {
		switch e.Action {
		case "pass":
			fmt.Fprintf(r.talk, "ok    %s\t%.1fs\n", e.Package, e.Elapsed)
		case "fail":
			fmt.Fprintf(r.talk, "FAIL  %s\t%.1fs\n%s", e.Package, e.Elapsed, r.output[id])
			r.failed = append(r.failed, id)
			r.unended(e.Package)
		}
		delete(r.output, id)
		return
	}
	name := e.Package + "." + e.Test
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed = append(r.failed, id)
		_, _ = r.talk.Write(r.output[id])
	case "skip":
		r.skipped = append(r.skipped, name)
		_, _ = r.talk.Write(r.output[id])
	}
	delete(r.output, id)
}

// unended prints what the tests of a package said that never came to an end: one panicked, or the time was up.
func (r *report) unended(pkg string) {
	for id, said := range r.output {
		if id[0] == pkg && id[1] != "" {
			_, _ = r.talk.Write(said)
			delete(r.output, id)
		}
	}
}

// verdict says what falls short, or nil.
func (r *report) verdict() error {
	var errs []error
	for _, id := range r.failed {
		errs = append(errs, fmt.Errorf("%s failed", strings.TrimSuffix(id[0]+"."+id[1], ".")))
	}
	for _, s := range r.skipped {
		errs = append(errs, fmt.Errorf("%s was skipped", s))
	}
	for _, b := range r.bounds {
		value, ok := r.measured[b.name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("the figure %s is missing", b.name))
		case !(value >= b.least && value <= b.most): // a NaN too
			errs = append(errs, fmt.Errorf("the figure %s is %g, and must be between %g and %g", b.name, value, b.least, b.most))
		}
	}
	return errors.Join(errs...)
}
