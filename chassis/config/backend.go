package config

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HistoryLimit is how many changes a store remembers; the oldest are forgotten.
const HistoryLimit = 100

// ErrConflict says that somebody else changed the same thing at the same time, again and again.
var ErrConflict = errors.New("somebody else changes settings at the same time")

// Change is one change of a setting in a store.
type Change struct {
	// Version counts the changes of a store from 1; the store sets it, Old and Time.
	Version int64  `json:"version"`
	Key     string `json:"key"` // "log.level"
	// Old and New value; nil when there was none, or is none any more.
	Old    *string   `json:"old"`
	New    *string   `json:"new"`
	Author string    `json:"author"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// check says what of a change isn't fit to be written.
func (c Change) check() error {
	const maxText, maxValue = 500, 64 << 10
	switch {
	case c.Key == "":
		return errors.New("a change needs a key")
	case c.Author == "" || c.Reason == "":
		return errors.New("a change needs an author and a reason")
	case len(c.Author) > maxText || len(c.Reason) > maxText:
		return fmt.Errorf("the author or the reason has more than %d bytes", maxText)
	case c.New != nil && len(*c.New) > maxValue:
		return fmt.Errorf("the value has more than %d bytes", maxValue)
	}
	return nil
}

// Backend is a KV that people write. It checks no value: Preview does.
type Backend interface {
	KV
	// Watch calls fn with all values, once they can be read and again after each change, until ctx ends.
	Watch(ctx context.Context, fn func(map[string]string)) error
	// Change writes a value and its place in the history, both or none. ErrConflict when others do so all the time.
	Change(ctx context.Context, c Change) (Change, error)
	// History lists the last HistoryLimit changes, the newest first.
	History(ctx context.Context) ([]Change, error)
}

// Preview says what l would be with a change of the store, and fails with all that is wrong with it. A key that is no setting, that no store may
// give, or that holds a secret, is an *Error.
func (l *Loaded[T]) Preview(c Change) (*Loaded[T], error) {
	leaves, err := leavesOf(&l.in.defaults)
	if err != nil {
		return nil, err
	}
	f, ok := find(leaves, c.Key)
	switch {
	case !ok:
		return nil, Invalid(c.Key, "there is no such setting%s", near(leaves, c.Key))
	case f.local:
		return nil, Invalid(c.Key, "this setting is each process's own: give it by flag, environment or file")
	case f.secret == "true", f.secret == "url" && c.New != nil && hidePassword(*c.New) != *c.New:
		return nil, Invalid(c.Key, "secrets don't belong into a store that all may read: give it by %s or its file, in the environment of the process", f.env("..."))
	}
	values := map[string]string{}
	for k, v := range l.in.values {
		values[k] = v
	}
	delete(values, f.path())
	if c.New != nil {
		values[f.path()] = *c.New
	}
	in := l.in
	in.values = values
	if in.where == nil {
		in.where = func(key string) string { return "store:" + key }
	}
	// What is wrong already is no reason to refuse a change.
	out, err := in.settle(l.taken, func(leaf) bool { return true })
	if err != nil {
		return nil, err
	}
	for _, r := range out.refused {
		if r.Key == f.key {
			return nil, Invalid(r.Key, "%s", r.Reason)
		}
	}
	return out, in.alone(f, c)
}

// alone checks the type of a value that a layer above hides for now.
func (in input[T]) alone(f leaf, c Change) error {
	if c.New == nil {
		return nil
	}
	bare := input[T]{defaults: in.defaults, where: in.where}
	_, err := bare.decode(map[string]string{f.path(): *c.New})
	return err
}

func find(leaves []leaf, key string) (leaf, bool) {
	for _, f := range leaves {
		if f.key == key {
			return f, true
		}
	}
	return leaf{}, false
}

func near(leaves []leaf, key string) string {
	p := &parser{keys: map[string]bool{}}
	for _, f := range leaves {
		p.keys[f.key] = true
	}
	return p.near(key)
}
