package config

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"
)

// input is all that settings are made of.
type input[T any] struct {
	defaults T
	o        Options
	file     []byte            // of o.File
	values   map[string]string // of the store
	where    func(string) string
}

// Refusal is a value that was not taken.
type Refusal struct {
	// Key of the setting; empty when a combination of settings was refused.
	Key string `json:"key,omitempty"`
	// Source of the value.
	Source string `json:"source,omitempty"`
	// Reason says what is wrong. It holds no secret.
	Reason string `json:"reason"`
	// Time is when it was first seen.
	Time time.Time `json:"time"`

	value string // in the store
}

// decode puts the layers together, with values as the store's.
func (in input[T]) decode(values map[string]string) (*Loaded[T], error) {
	value := in.defaults
	leaves, err := leavesOf(&value)
	if err != nil {
		return nil, err
	}
	l := &loader{leaves: leaves, sources: map[string]Source{}, ko: koanf.New(".")}
	var layers []layer
	if values != nil {
		layers = append(layers, l.store(values, in.where))
	}
	file, wrong := l.parse(filepath.Base(in.o.File), in.file)
	layers = append(layers, file, l.env(in.o.EnvPrefix, in.o.Environ), l.flags(in.o.Flags))
	if err := errors.Join(wrong, l.apply(&value, layers)); err != nil {
		return nil, err
	}
	return &Loaded[T]{Value: value, in: in, sources: l.sources, unknown: l.unknown}, nil
}

// build is decode, and checks the whole.
func (in input[T]) build(values map[string]string) (*Loaded[T], error) {
	out, err := in.decode(values)
	if err != nil {
		return nil, err
	}
	err = out.validate()
	return out, err
}

// settle builds with what is good of the store: a value that is wrong is given up for the one of good, or for none. When one is wrong that was
// good before, or that the store doesn't give, what has changed made it so, and is given up together. Only settings that may says are given up;
// any other mistake is an error.
func (in input[T]) settle(good map[string]string, may func(leaf) bool) (*Loaded[T], error) {
	leaves, err := leavesOf(&in.defaults)
	if err != nil {
		return nil, err
	}
	t := trial{leaves: slices.DeleteFunc(leaves, func(f leaf) bool { return f.local || !may(f) }), good: good, values: maps.Clone(in.values)}
	for {
		out, err := in.build(t.values)
		if err == nil {
			out.refused, out.taken = t.refused, t.values
			return out, nil
		}
		if !t.giveUp(err, in.where) {
			return nil, err
		}
	}
}

// trial are values of the store that may be wrong.
type trial struct {
	leaves  []leaf // that may be given up
	good    map[string]string
	values  map[string]string
	refused []Refusal
}

// giveUp takes back what err is about. It says whether that was anything.
func (t *trial) giveUp(err error, where func(string) string) bool {
	wrong := map[string]*Error{}
	mistakes(err, func(e *Error) { wrong[e.Key] = e })
	some := false
	for _, f := range t.leaves {
		if e := wrong[f.key]; e != nil && e.Source.Layer == Store && t.changed(f) {
			t.back(f, e.Problem, where)
			some = true
		}
	}
	if some {
		return true
	}
	for _, f := range t.leaves {
		if t.changed(f) {
			t.back(f, oneLine(err), where)
			some = true
		}
	}
	if some {
		return true
	}
	for _, f := range t.leaves { // a layer above has changed
		if e := wrong[f.key]; e != nil && e.Source.Layer == Store {
			t.note(f, e.Problem, where)
			delete(t.values, f.path())
			some = true
		}
	}
	return some
}

// changed says whether a value isn't the one of good.
func (t *trial) changed(f leaf) bool {
	now, there := t.values[f.path()]
	last, had := t.good[f.path()]
	return there != had || now != last
}

// back gives a value up for the one of good.
func (t *trial) back(f leaf, reason string, where func(string) string) {
	t.note(f, reason, where)
	if last, had := t.good[f.path()]; had {
		t.values[f.path()] = last
	} else {
		delete(t.values, f.path())
	}
}

func (t *trial) note(f leaf, reason string, where func(string) string) {
	t.refused = append(t.refused, Refusal{Key: f.key, Source: where(f.path()), Reason: reason, value: t.values[f.path()]})
}

// mistakes calls fn with every *Error in err.
func mistakes(err error, fn func(*Error)) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			mistakes(e, fn)
		}
		return
	}
	var e *Error
	if errors.As(err, &e) {
		fn(e)
	}
}

// oneLine makes an error fit for a line of a table.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
