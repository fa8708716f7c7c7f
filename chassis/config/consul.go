package config

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/kv"
)

const changeAttempts = 5

// ConsulKV keeps settings in Consul's key/value store: PREFIX/log/level, and their history as PREFIX-history/000000001.
type ConsulKV struct {
	kv      *api.KV
	watched *kv.Consul
	prefix  string // with a slash
	history string // with a slash
}

var _ Backend = (*ConsulKV)(nil)

// NewConsulKV returns the settings under prefix, such as "cleave/config". It does not speak to Consul yet.
func NewConsulKV(client *api.Client, prefix string) *ConsulKV {
	prefix = strings.Trim(prefix, "/")
	return &ConsulKV{kv: client.KV(), watched: kv.NewConsul(client, prefix), prefix: prefix + "/", history: prefix + "-history/"}
}

// Values reads all keys under the prefix, from any of Consul's servers: settings may be as old as a follower is behind. The error
// holds Consul's: an api.StatusError when Consul answered, 403 for a token that may not read there.
func (c *ConsulKV) Values(ctx context.Context) (map[string]string, error) {
	pairs, _, err := c.kv.List(c.prefix, (&api.QueryOptions{AllowStale: true}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read settings from Consul under %s: %w", c.prefix, err)
	}
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		key := strings.TrimPrefix(p.Key, c.prefix)
		if key == "" || strings.HasSuffix(key, "/") { // a folder made in the UI
			continue
		}
		out[key] = string(p.Value)
	}
	return out, nil
}

// Where is the key's full name in Consul.
func (c *ConsulKV) Where(key string) string { return "consul:" + c.prefix + key }

// Watch implements Backend, by blocking queries. A Consul that lost its data gets the values back, but no history.
func (c *ConsulKV) Watch(ctx context.Context, fn func(map[string]string)) error {
	return c.watched.Watch(ctx, func(documents map[string][]byte) { fn(texts(documents)) })
}

func texts(documents map[string][]byte) map[string]string {
	out := make(map[string]string, len(documents))
	for k, v := range documents {
		out[k] = string(v)
	}
	return out
}

// Change implements Backend, in one transaction.
func (c *ConsulKV) Change(ctx context.Context, change Change) (Change, error) {
	if err := change.check(); err != nil {
		return Change{}, err
	}
	for range changeAttempts {
		done, ok, err := c.try(ctx, change)
		if err != nil {
			return Change{}, fmt.Errorf("change %s in Consul: %w", change.Key, err)
		}
		if ok {
			return done, nil
		}
	}
	return Change{}, ErrConflict
}

func (c *ConsulKV) try(ctx context.Context, change Change) (Change, bool, error) {
	opts := (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
	past, _, err := c.kv.Keys(c.history, "", opts)
	if err != nil {
		return Change{}, false, err
	}
	change.Version = 1
	if n := len(past); n > 0 { // Consul sorts keys
		if _, err := fmt.Sscanf(strings.TrimPrefix(past[n-1], c.history), "%d", &change.Version); err != nil {
			return Change{}, false, fmt.Errorf("the history holds %s: %w", past[n-1], err)
		}
		change.Version++
	}
	key := c.prefix + leaf{key: change.Key}.path()
	pair, _, err := c.kv.Get(key, opts)
	if err != nil {
		return Change{}, false, err
	}
	op := &api.KVTxnOp{Verb: api.KVCAS, Key: key}
	change.Old = nil
	if pair != nil {
		old := string(pair.Value)
		change.Old, op.Index = &old, pair.ModifyIndex
	}
	switch {
	case change.New != nil:
		op.Value = []byte(*change.New)
	case pair == nil:
		op = &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: key}
	default:
		op.Verb = api.KVDeleteCAS
	}
	change.Time = time.Now().UTC()
	text, err := json.Marshal(change)
	if err != nil {
		return Change{}, false, err
	}
	ops := api.KVTxnOps{op, {Verb: api.KVCAS, Key: fmt.Sprintf("%s%09d", c.history, change.Version), Value: text}}
	for i := 0; i <= len(past)-HistoryLimit; i++ {
		ops = append(ops, &api.KVTxnOp{Verb: api.KVDelete, Key: past[i]})
	}
	ok, _, _, err := c.kv.Txn(ops, opts)
	return change, ok, err
}

// History implements Backend.
func (c *ConsulKV) History(ctx context.Context) ([]Change, error) {
	pairs, _, err := c.kv.List(c.history, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the history of the settings from Consul: %w", err)
	}
	out := make([]Change, 0, len(pairs))
	for _, p := range pairs {
		var change Change
		if err := json.Unmarshal(p.Value, &change); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
		out = append(out, change)
	}
	slices.Reverse(out)
	return out, nil
}
