package kv

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	consulWait  = 5 * time.Minute // of one blocking query
	consulAgain = 500 * time.Millisecond
)

// Consul keeps documents in Consul's key/value store, each under a key.
type Consul struct {
	kv     *api.KV
	prefix string
}

var _ Store = (*Consul)(nil)

// NewConsul returns the documents under prefix, such as "cleave/gateway/policy". It does not speak to Consul yet.
func NewConsul(client *api.Client, prefix string) *Consul {
	return &Consul{kv: client.KV(), prefix: strings.Trim(prefix, "/") + "/"}
}

// Read implements Store.
func (c *Consul) Read(ctx context.Context) (map[string][]byte, error) {
	pairs, _, err := c.kv.List(c.prefix, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read %s from Consul: %w", c.prefix, err)
	}
	return c.documents(pairs), nil
}

func (c *Consul) documents(pairs api.KVPairs) map[string][]byte {
	out := make(map[string][]byte, len(pairs))
	for _, p := range pairs {
		if name := strings.TrimPrefix(p.Key, c.prefix); name != "" && !strings.HasSuffix(name, "/") { // a folder made in the UI
			out[name] = p.Value
		}
	}
	return out
}

// Put implements Store.
func (c *Consul) Put(ctx context.Context, name string, document []byte) error {
	if err := check(name, document); err != nil {
		return err
	}
	if _, err := c.kv.Put(&api.KVPair{Key: c.prefix + name, Value: document}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("write %s%s to Consul: %w", c.prefix, name, err)
	}
	return nil
}

// Delete implements Store.
func (c *Consul) Delete(ctx context.Context, name string) error {
	if _, err := c.kv.Delete(c.prefix+name, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("delete %s%s from Consul: %w", c.prefix, name, err)
	}
	return nil
}

// Watch implements Watcher, with blocking queries.
func (c *Consul) Watch(ctx context.Context, fn func(map[string][]byte)) error {
	var index uint64
	for ctx.Err() == nil {
		pairs, meta, err := c.kv.List(c.prefix, (&api.QueryOptions{WaitIndex: index, WaitTime: consulWait}).WithContext(ctx))
		if err != nil {
			_ = pause(ctx, consulAgain) // the loop looks at ctx
			continue
		}
		switch {
		case meta.LastIndex == index:
			continue
		case meta.LastIndex < index:
			// Another Consul, or one that lost its data: ask anew. https://developer.hashicorp.com/consul/api-docs/features/blocking
			index = 0
			continue
		}
		index = meta.LastIndex
		fn(c.documents(pairs))
	}
	return ctx.Err()
}
