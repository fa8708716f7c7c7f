package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const maxOverride = 4 << 10 // bytes of one

// Overrides are what operators say. The zero value says nothing. They are not changed after they were made.
type Overrides struct {
	layers map[string]layer
	raw    map[string]string
}

// Next makes the overrides that documents say: by "shop.order.v1.Order/CancelOrder", or "shop.order.v1.Order/*" for the whole service, or
// "shop.order.v1.OrderPaid" for an event's topic, a JSON object with the fields expose, public, scopes, timeout ("2s"), rate ({"requests": 10,
// "per": "1s", "scope": "caller"}, or a list of them), cache ({"max_age": "5s", "stale_while_revalidate": "30s"}) and mirror ({"version": "v2",
// "percent": 5}). A document that is wrong leaves its key as it was in o, and is in bad, with the reason.
func (o Overrides) Next(documents map[string][]byte) (next Overrides, bad map[string]error) {
	next, bad = Overrides{map[string]layer{}, map[string]string{}}, map[string]error{}
	for key, b := range documents {
		l, err := parse(key, b)
		if err == nil {
			next.layers[key], next.raw[key] = l, string(b)
			continue
		}
		bad[key] = err
		if old, ok := o.layers[key]; ok {
			next.layers[key], next.raw[key] = old, o.raw[key]
		}
	}
	return next, bad
}

// Same reports whether two say the same.
func (o Overrides) Same(other Overrides) bool { return maps.Equal(o.raw, other.raw) }

// Keys that are overridden, sorted.
func (o Overrides) Keys() []string { return slices.Sorted(maps.Keys(o.layers)) }

// Check says what is wrong with an override, or nil.
func Check(key string, document []byte) error {
	_, err := parse(key, document)
	return err
}

func parse(key string, b []byte) (layer, error) {
	var l layer
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*(/([A-Za-z_][A-Za-z0-9_]*|\*)|\.[A-Za-z0-9_]+)$`).MatchString(key) {
		return l, errors.New("the key is not package.Service/Method, package.Service/* or the package.Message of an event")
	}
	if len(b) > maxOverride {
		return l, fmt.Errorf("it has %d bytes, more than %d", len(b), maxOverride)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, fmt.Errorf("it is not what it should be: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return l, errors.New("something follows the JSON object")
	}
	if err := l.validate(); err != nil {
		return l, fmt.Errorf("it says %w", err)
	}
	if strings.TrimSpace(string(b)) == "null" {
		return l, errors.New("it is null")
	}
	if !strings.Contains(key, "/") {
		if err := l.ofTopic(); err != nil {
			return l, fmt.Errorf("it says %w", err)
		}
	}
	return l, nil
}
