package config

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
)

// ConsulKV reads settings from Consul's key/value store.
type ConsulKV struct {
	kv     *api.KV
	prefix string
}

var _ KV = (*ConsulKV)(nil)

// NewConsulKV returns the settings under prefix, such as "cleave/config". It does not speak to Consul yet.
func NewConsulKV(client *api.Client, prefix string) *ConsulKV {
	return &ConsulKV{kv: client.KV(), prefix: strings.Trim(prefix, "/") + "/"}
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
