package config

import (
	"errors"
	"maps"
	"path/filepath"
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
	return out, out.validate()
}

// settle builds with what is good of the store: where one of its values is wrong, the one of good is taken, or none. Only the settings that may
// says can be given up so; any other mistake is an error.
func (in input[T]) settle(good map[string]string, may func(leaf) bool) (*Loaded[T], error) {
	leaves, err := leavesOf(&in.defaults)
	if err != nil {
		return nil, err
	}
	try := maps.Clone(in.values)
	var refused []Refusal
	for {
		out, err := in.build(try)
		if err == nil {
			out.refused, out.taken = refused, try
			return out, nil
		}
		wrong := map[string]*Error{}
		mistakes(err, func(e *Error) { wrong[e.Key] = e })
		again := false
		for _, f := range leaves {
			e := wrong[f.key]
			if e == nil || e.Source.Layer != Store || !may(f) {
				continue
			}
			path := f.path()
			now, there := try[path]
			last, had := good[path]
			switch {
			case !there:
				continue
			case had && last != now:
				try[path] = last
			default:
				delete(try, path)
			}
			if now == in.values[path] {
				refused = append(refused, Refusal{Key: f.key, Source: e.Source.String(), Reason: e.Problem, value: now})
			}
			again = true
		}
		if !again {
			return nil, err
		}
	}
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
