package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"
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

	leaves  []leaf
	sources map[string]Source
	unknown []string
}

// Load reads flags, environment and file over the defaults.
func Load[T any](defaults T, o Options) (*Loaded[T], error) {
	return LoadKV(context.Background(), defaults, o, nil)
}

// LoadKV is Load with a store between file and defaults. open gets the settings of the other layers, where it finds how to reach the
// store, and returns nil when there is none to read. When it or the store fails, so does LoadKV, with that error in its chain; ctx
// bounds the reading of the store.
func LoadKV[T any](ctx context.Context, defaults T, o Options, open func(T) (KV, error)) (*Loaded[T], error) {
	leaves, err := leavesOf(&defaults)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	l := &loader{leaves: leaves, sources: map[string]Source{}, ko: koanf.New(".")}
	file, wrong := l.file(o.File)
	if wrong != nil {
		wrong = fmt.Errorf("config: %w", wrong)
	}
	layers := []layer{file, l.env(o.EnvPrefix, o.Environ), l.flags(o.Flags)}
	if open != nil && wrong == nil {
		kv, err := local(defaults, layers, open)
		if err != nil {
			return nil, err
		}
		if kv != nil {
			below, err := l.kv(ctx, kv)
			if err != nil {
				return nil, err
			}
			layers = slices.Insert(layers, 0, below)
		}
	}
	value := defaults
	if err := errors.Join(wrong, l.apply(&value, layers)); err != nil {
		return nil, err
	}
	out := &Loaded[T]{Value: value, leaves: leaves, sources: l.sources, unknown: l.unknown}
	err = out.validate()
	return out, err
}

// local opens the store with what the other layers say. Their mistakes are found here already, but for those Validate finds: the
// store may be what is missing.
func local[T any](defaults T, layers []layer, open func(T) (KV, error)) (KV, error) {
	leaves, err := leavesOf(&defaults)
	if err != nil {
		return nil, err
	}
	partial := defaults
	l := &loader{leaves: leaves, sources: map[string]Source{}, ko: koanf.New(".")}
	if err := l.apply(&partial, layers); err != nil {
		return nil, err
	}
	return open(partial)
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

// Setting is one setting, for people.
type Setting struct {
	Key string `json:"key"`
	// Value as text; of a secret only that it is set.
	Value string `json:"value"`
	// Source is where it came from, as Source.String says it.
	Source string `json:"source"`
}

// Settings lists every setting by key. It holds no secret.
func (l *Loaded[T]) Settings() []Setting {
	current, err := leavesOf(&l.Value)
	if err != nil { // Load took the type already
		return nil
	}
	out := make([]Setting, 0, len(current))
	for _, f := range current {
		out = append(out, Setting{Key: f.key, Value: f.show(), Source: l.Source(f.key).String()})
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
