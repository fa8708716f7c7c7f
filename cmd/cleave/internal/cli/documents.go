package cli

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/kv"
)

// storeWait bounds what a command does with a store.
const storeWait = 10 * time.Second

// documents are what operators write for processes that run, a kind of them.
type documents struct {
	open func(settings) (kv.Store, error)
	// check says what is wrong with one; nil where a command makes them itself.
	check func(name string, document []byte) error
}

// documentStore is under a prefix in Consul, when that is the registry, else in a file beside the data.
func documentStore(s settings, prefix, file string) (kv.Store, error) {
	if s.Registry != registryConsul {
		return kv.NewFile(filepath.Join(s.Data.Dir, file)), nil
	}
	c, err := consulClient(s)
	if err != nil {
		return nil, err
	}
	return kv.NewConsul(c, prefix), nil
}

// with opens their store, for storeWait at most.
func (a *app) with(c *cobra.Command, d documents, fn func(context.Context, settings, kv.Store) error) error {
	s, _, err := a.settings(c)
	if err != nil {
		return err
	}
	store, err := d.open(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), storeWait)
	defer cancel()
	return fn(ctx, s, reached{store})
}

// set completes a command that writes one: NAME JSON.
func (a *app) set(d documents, c *cobra.Command) *cobra.Command {
	c.Args = exactly(cobra.ExactArgs(2))
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := d.check(args[0], []byte(args[1])); err != nil {
			return usagef("%s: %w", args[0], err)
		}
		return a.with(c, d, func(ctx context.Context, _ settings, store kv.Store) error {
			return store.Put(ctx, args[0], []byte(args[1]))
		})
	}
	return c
}

// unset is a command that takes one away.
func (a *app) unset(d documents, use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: exactly(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, d, func(ctx context.Context, _ settings, store kv.Store) error { return store.Delete(ctx, args[0]) })
		},
	}
}

// reached gives the errors of a store their exit code.
type reached struct{ kv.Store }

func (r reached) Read(ctx context.Context) (map[string][]byte, error) {
	all, err := r.Store.Read(ctx)
	return all, unreachable(err)
}

func (r reached) Put(ctx context.Context, name string, document []byte) error {
	return unreachable(r.Store.Put(ctx, name, document))
}

func (r reached) Delete(ctx context.Context, name string) error {
	return unreachable(r.Store.Delete(ctx, name))
}

// unreachable is err of something that was asked, with the exit code for that.
func unreachable(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{exitUnreachable, err}
}
