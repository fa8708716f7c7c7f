package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Options say where settings come from. The zero value reads nothing: the result is the defaults.
type Options struct {
	// Flags that were given override all else. Flags that no setting is named after are left alone. May be nil.
	Flags *pflag.FlagSet
	// EnvPrefix of variables, such as "CLEAVE_"; empty reads no environment.
	EnvPrefix string
	// Environ are the variables as NAME=value; nil is os.Environ().
	Environ []string
	// File is a YAML file of at most 1 MiB; empty reads none. One that can't be read is an error.
	File string
	// Lenient leaves out every setting that is wrong in the store, as LoadKV does with live ones: for the one who comes to mend it.
	Lenient bool
}

// KV is a store of settings, such as Consul's.
type KV interface {
	// Values returns what is stored, by key in the form "consul/addr".
	Values(ctx context.Context) (map[string]string, error)
	// Where names the place of a key, for people.
	Where(key string) string
}

// Validator is a settings struct that checks itself after all layers were read. It returns Invalid for each wrong key, joined by
// errors.Join; Load adds where the value came from.
type Validator interface{ Validate() error }

// Loaded is the result of Load.
type Loaded[T any] struct {
	// Value holds the settings.
	Value T

	in      input[T]
	sources map[string]Source
	unknown []string
	refused []Refusal
	taken   map[string]string // of the store
}

// Load reads flags, environment and file over the defaults.
func Load[T any](defaults T, o Options) (*Loaded[T], error) {
	return LoadKV(context.Background(), defaults, o, nil)
}

// LoadKV is Load with a store between file and defaults. A live setting that is wrong in the store is left out, so that no process that starts
// falls over a value which those that run have refused; Refused names it. Any other mistake is an error.
// open gets the settings of the other layers, where it finds how to reach the
// store, and returns nil when there is none to read. When it or the store fails, so does LoadKV, with that error in its chain; ctx
// bounds the reading of the store.
func LoadKV[T any](ctx context.Context, defaults T, o Options, open func(T) (KV, error)) (*Loaded[T], error) {
	if _, err := leavesOf(&defaults); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	in := input[T]{defaults: defaults, o: o}
	file, wrong := readFile(o.File)
	in.file = file
	if open != nil && wrong == nil {
		kv, err := local(in, open)
		if err != nil {
			return nil, err
		}
		if kv != nil {
			in.where = kv.Where
			if in.values, err = kv.Values(ctx); err != nil {
				return nil, err
			}
		}
	}
	if wrong != nil { // the other mistakes are told with it
		_, err := in.build(nil)
		return nil, errors.Join(fmt.Errorf("config: %w", wrong), err)
	}
	return in.settle(nil, func(f leaf) bool { return f.live || o.Lenient })
}

// local opens the store with what the other layers say. Their mistakes are found here already, but for those Validate finds: the
// store may be what is missing.
func local[T any](in input[T], open func(T) (KV, error)) (KV, error) {
	partial, err := in.decode(nil)
	if err != nil {
		return nil, err
	}
	return open(partial.Value)
}

// validate runs the settings' own checks.
func (l *Loaded[T]) validate() error {
	v, ok := any(&l.Value).(Validator)
	if !ok {
		return nil
	}
	return l.locate(v.Validate())
}

// locate adds to every *Error in err where the value came from.
func (l *Loaded[T]) locate(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, l.locate(e))
		}
		return errors.Join(errs...)
	}
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Source = l.Source(e.Key)
	return &at
}

// Source says where the value of a key came from.
func (l *Loaded[T]) Source(key string) Source {
	return l.sources[key] // the zero Source is Default
}

// Unknown lists names in the environment and in the store that look like settings and are none, sorted.
func (l *Loaded[T]) Unknown() []string { return slices.Clone(l.unknown) }

// Refused are the live settings of the store that were left out because they were wrong.
func (l *Loaded[T]) Refused() []Refusal { return slices.Clone(l.refused) }

// Setting is one setting, for people.
type Setting struct {
	Key string `json:"key"`
	// Value as text; of a secret only that it is set.
	Value string `json:"value"`
	// Source is where it came from, as Source.String says it.
	Source string `json:"source"`
	// Live says that it changes while a process runs; any other is read when one starts.
	Live bool `json:"live"`
}

// Settings lists every setting by key. It holds no secret.
func (l *Loaded[T]) Settings() []Setting {
	current, err := leavesOf(&l.Value)
	if err != nil { // Load took the type already
		return nil
	}
	out := make([]Setting, 0, len(current))
	for _, f := range current {
		out = append(out, Setting{Key: f.key, Value: f.show(), Source: l.Source(f.key).String(), Live: f.live})
	}
	slices.SortFunc(out, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// String lists the settings, one a line. It holds no secret.
func (l *Loaded[T]) String() string {
	var b strings.Builder
	for _, s := range l.Settings() {
		fmt.Fprintf(&b, "%s = %s  (%s)\n", s.Key, s.Value, s.Source)
	}
	return b.String()
}
