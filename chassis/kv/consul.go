package kv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	_, err := c.kv.Delete(c.prefix+name, (&api.WriteOptions{}).WithContext(ctx))
	if forbidden(err) {
		return fmt.Errorf("delete %s%s from Consul: %w", c.prefix, name, ErrForbidden)
	}
	if err != nil {
		return fmt.Errorf("delete %s%s from Consul: %w", c.prefix, name, err)
	}
	return nil
}

// Watch implements Watcher, with blocking queries. While Consul doesn't answer, what fn was given last stays good. When Consul comes back
// without its data, what it had is put back, as the registry puts back instances: its index counts from the beginning then, so that what
// somebody took away stays away, also while this process was cut off. Until it is put back, fn is told nothing. When Consul has written more by
// then than it had before it lost its data, the loss can't be told from deletions, and is taken for them.
func (c *Consul) Watch(ctx context.Context, fn func(map[string][]byte)) error {
	var ask, last uint64 // where to wait from, and the highest index that was seen
	var known map[string][]byte
	for ctx.Err() == nil {
		pairs, meta, err := c.kv.List(c.prefix, (&api.QueryOptions{WaitIndex: ask, WaitTime: consulWait}).WithContext(ctx))
		switch {
		case err != nil:
			ask = 0 // who answers next may count from elsewhere
			_ = pause(ctx, consulAgain)
			continue
		case meta.LastIndex < last:
			// Another Consul, or one that lost its data: ask anew. https://developer.hashicorp.com/consul/api-docs/features/blocking
			ask = 0
			lost, err := c.lost(ctx, last)
			if err == nil && lost {
				err = c.restore(ctx, known)
			}
			if err != nil && !forbidden(err) { // who may only read takes what there is
				_ = pause(ctx, consulAgain)
				continue
			}
			last = 0
			continue
		case ask != 0 && meta.LastIndex == last:
			continue
		}
		ask, last = meta.LastIndex, meta.LastIndex
		known = c.documents(pairs)
		fn(known)
	}
	return ctx.Err()
}

// lost says that Consul knows nothing as new as an index that it had. The index of a list doesn't say so: it is that of the newest document, or of a
// deletion, which Consul forgets after 15 minutes (its tombstones). That of a document which isn't there is of the last write to the whole store.
func (c *Consul) lost(ctx context.Context, last uint64) (bool, error) {
	_, meta, err := c.kv.Get(c.prefix+"-", (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("ask Consul how far it is: %w", err)
	}
	return meta.LastIndex < last, nil
}

// restore writes those documents that aren't there. Every process that watches does so; the first one does it. What was written since stays.
func (c *Consul) restore(ctx context.Context, known map[string][]byte) error {
	for name, document := range known {
		if _, _, err := c.kv.CAS(&api.KVPair{Key: c.prefix + name, Value: document}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("put back %s%s: %w", c.prefix, name, err)
		}
	}
	return nil
}

// ErrForbidden says that Consul answered, and that who asked may not.
var ErrForbidden = errors.New("it may not be done with this token")

// forbidden says that Consul answered, and that this process may not write.
func forbidden(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusForbidden
}
