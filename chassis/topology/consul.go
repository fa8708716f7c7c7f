package topology

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// DefaultPrefix is where rules are in Consul's key/value store: PREFIX/MODULE/current, and PREFIX/MODULE/history/VERSION.
const DefaultPrefix = "cleave/topology"

// Consul keeps rules in Consul's key/value store.
type Consul struct {
	kv     *api.KV
	prefix string
	now    func() time.Time
	log    *slog.Logger
}

var _ Store = (*Consul)(nil)

// NewConsul returns a store under prefix. It does not speak to Consul yet. now is the clock. log may be nil; Watch says there when it loses
// Consul, when Consul is back, and what Consul had lost.
func NewConsul(client *api.Client, prefix string, now func() time.Time, log *slog.Logger) *Consul {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Consul{kv: client.KV(), prefix: strings.Trim(prefix, "/") + "/", now: now, log: log}
}

func (c *Consul) current(module string) string { return c.prefix + module + "/current" }

func (c *Consul) past(module string, version int64) string {
	return fmt.Sprintf("%s%s/history/%09d", c.prefix, module, version)
}

// Rules implements Store.
func (c *Consul) Rules(ctx context.Context) (map[string]Rule, error) {
	pairs, _, err := c.kv.List(c.prefix, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the topology from Consul: %w", err)
	}
	return c.decode(pairs)
}

// decode reads the current rules. Its error names those that can't be read; the others are there.
func (c *Consul) decode(pairs api.KVPairs) (map[string]Rule, error) {
	out := map[string]Rule{}
	var errs []error
	for _, p := range pairs {
		module, ok := strings.CutSuffix(strings.TrimPrefix(p.Key, c.prefix), "/current")
		if !ok || strings.Contains(module, "/") {
			continue
		}
		r, err := decodeRule(p.Value)
		if err == nil && r.Module != module {
			err = fmt.Errorf("it is about %q", r.Module)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrInvalid, p.Key, err))
			continue
		}
		out[module] = r
	}
	return out, errors.Join(errs...)
}

func decodeRule(b []byte) (Rule, error) {
	var r Rule
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&r)
	return r, err
}

// History implements Store.
func (c *Consul) History(ctx context.Context, module string) ([]Rule, error) {
	pairs, _, err := c.kv.List(c.prefix+module+"/history/", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the topology's history from Consul: %w", err)
	}
	var out []Rule
	for _, p := range pairs {
		r, err := decodeRule(p.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
		out = append(out, r)
	}
	slices.Reverse(out) // Consul sorts keys
	return out, nil
}

// Put implements Store: the current rule and its history change in one transaction.
func (c *Consul) Put(ctx context.Context, r Rule) (Rule, error) {
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	opts := (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
	pair, _, err := c.kv.Get(c.current(r.Module), opts)
	if err != nil {
		return Rule{}, fmt.Errorf("change the topology in Consul: %w", err)
	}
	var index uint64
	var now Rule
	if pair != nil {
		index = pair.ModifyIndex
		if now, err = decodeRule(pair.Value); err != nil {
			return Rule{}, fmt.Errorf("change the topology in Consul: what is there: %w: %w", ErrInvalid, err)
		}
	}
	if conflicts(r.Version, now.Version) {
		return Rule{}, fmt.Errorf("change the topology of %s from version %d: %w: %d", r.Module, r.Version, ErrConflict, now.Version)
	}
	r.Version, r.Time = r.Version+1, c.now().UTC()
	ok, rsp, err := c.write(r, index, opts)
	if err != nil {
		return Rule{}, fmt.Errorf("change the topology in Consul: %w", err)
	}
	if !ok {
		return Rule{}, fmt.Errorf("change the topology of %s from version %d: %w%s", r.Module, now.Version, ErrConflict, why(rsp))
	}
	return r, nil
}

// write makes r, as it is, the current rule and puts it into the history, when the current one has this index still; 0 for none.
func (c *Consul) write(r Rule, index uint64, opts *api.QueryOptions) (bool, *api.KVTxnResponse, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return false, nil, err
	}
	ops := api.KVTxnOps{
		{Verb: api.KVCAS, Key: c.current(r.Module), Value: value, Index: index},
		{Verb: api.KVSet, Key: c.past(r.Module, r.Version), Value: value},
	}
	if old := r.Version - HistoryLimit; old > 0 {
		ops = append(ops, &api.KVTxnOp{Verb: api.KVDelete, Key: c.past(r.Module, old)})
	}
	ok, rsp, _, err := c.kv.Txn(ops, opts)
	return ok, rsp, err
}

func why(rsp *api.KVTxnResponse) string {
	var b strings.Builder
	for _, e := range rsp.Errors {
		b.WriteString("; " + e.What)
	}
	return b.String()
}
