// Package apikey knows callers by keys that an operator gave them: 256 random bits of which only the SHA-256 is kept, so that who reads the
// store can't call. A key has a name, scopes, an end, and an id that stands in its text, by which it is found; the rest is compared in
// constant time. One name may have two keys at once: that is how a key is changed without a gap.
//
// The text of a key is clv_ID_SECRET: ID is 16 hexadecimal digits, SECRET the 256 bits in base64url without padding.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	prefix    = "clv_"
	idBytes   = 8
	keyBytes  = 32
	textBytes = len(prefix) + 2*idBytes + 1 + 43

	// MaxPerName is how many living keys a name may have.
	MaxPerName = 2
	maxScopes  = 100
	maxTenant  = 255
)

// Key is what is kept of a key.
type Key struct {
	ID string `json:"id"`
	// Name of who has it, for logs and for the services: 1 to 63 of a-z, 0-9, "_", "." and "-".
	Name string `json:"name"`
	// Hash is the SHA-256 of the whole text, in hexadecimal digits.
	Hash string `json:"hash"`
	// Scopes that it was granted: names, "catalog.*", or "*" for all.
	Scopes []string `json:"scopes,omitempty"`
	// Tenant is whom its owner belongs to, so that a rate may be for all of them together; empty for none. At most 255 bytes.
	Tenant string `json:"tenant,omitempty"`
	// Priority of its calls under overload, instead of their method's: sheddable, normal or critical; empty for the method's.
	Priority string    `json:"priority,omitempty"`
	Created  time.Time `json:"created"`
	// Expires is when it ends by itself; the zero time for never.
	Expires time.Time `json:"expires,omitzero"`
	// Revoked is when it was ended; the zero time for not.
	Revoked time.Time `json:"revoked,omitzero"`
}

// New makes a key, and its text, which is shown once and kept nowhere. expires may be zero.
func New(name string, scopes []string, now, expires time.Time) (k Key, text string, err error) {
	var b [idBytes + keyBytes]byte
	_, _ = rand.Read(b[:]) // it never fails
	id := hex.EncodeToString(b[:idBytes])
	text = prefix + id + "_" + base64.RawURLEncoding.EncodeToString(b[idBytes:])
	k = Key{ID: id, Name: name, Hash: hash(text), Scopes: scopes, Created: now.UTC().Truncate(time.Second), Expires: expires}
	return k, text, k.Validate()
}

// Validate says what is wrong with a key, or nil.
func (k Key) Validate() error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`).MatchString(k.Name):
		return fmt.Errorf("the key's name %q has other than a-z, 0-9 and _.-, or more than 63 of them", k.Name)
	case !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(k.ID) || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(k.Hash):
		return fmt.Errorf("the key %q has no id or no hash", k.Name)
	case len(k.Scopes) > maxScopes:
		return fmt.Errorf("the key %q has more than %d scopes", k.Name, maxScopes)
	case len(k.Tenant) > maxTenant:
		return fmt.Errorf("the key %q has a tenant of more than %d bytes", k.Name, maxTenant)
	case !slices.Contains([]string{"", "sheddable", "normal", "critical"}, k.Priority):
		return fmt.Errorf("the key %q has the priority %.20q, which is none of sheddable, normal, critical", k.Name, k.Priority)
	case !k.Expires.IsZero() && !k.Expires.After(k.Created):
		return fmt.Errorf("the key %q ends before it begins", k.Name)
	}
	for _, s := range k.Scopes {
		if !regexp.MustCompile(`^(\*|[A-Za-z0-9_:/-]+(\.[A-Za-z0-9_:/-]+)*(\.\*)?)$`).MatchString(s) || len(s) > 128 {
			return fmt.Errorf("the key %q has the scope %q, which is no name, and neither * nor name.*", k.Name, s)
		}
	}
	return nil
}

// Alive reports whether the key is good at a moment.
func (k Key) Alive(now time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || now.Before(k.Expires))
}

// Is reports whether a text looks like a key: such a text must never be passed on.
func Is(text string) bool { return strings.HasPrefix(text, prefix) }

func hash(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// Parse reads a document of the store.
func Parse(document []byte) (Key, error) {
	var k Key
	if err := json.Unmarshal(document, &k); err != nil {
		return Key{}, fmt.Errorf("read a key: %w", err)
	}
	return k, k.Validate()
}

// Errors of Find.
var (
	// ErrUnknown: no such key, or it has ended. Which of them is for nobody to know.
	ErrUnknown = errors.New("the key is not known")
	// ErrNotReady: the keys were not read yet.
	ErrNotReady = errors.New("the keys were not read yet")
)

// Ring finds keys. The zero Ring has read none yet. It is safe for concurrent use.
type Ring struct {
	keys atomic.Pointer[map[string]Key]
}

// Replace takes the documents of a store, by the id of the key. A store that was emptied, or lost its data, changes nothing: the last keys are
// ended by revoking them, which leaves their documents. One that can't be read keeps its key as it was, and is in bad.
func (r *Ring) Replace(documents map[string][]byte) (bad map[string]error) {
	old := r.keys.Load()
	if len(documents) == 0 && old != nil && len(*old) > 0 {
		return nil
	}
	next, bad := map[string]Key{}, map[string]error{}
	for id, b := range documents {
		k, err := Parse(b)
		if err == nil && k.ID != id {
			err = fmt.Errorf("it is the key %.20q", k.ID)
		}
		if err == nil {
			next[id] = k
			continue
		}
		bad[id] = err
		if old != nil {
			if was, ok := (*old)[id]; ok {
				next[id] = was
			}
		}
	}
	r.keys.Store(&next)
	return bad
}

// Find returns the key that a text is, when it is good now. Its errors are ErrUnknown and ErrNotReady.
func (r *Ring) Find(text string, now time.Time) (Key, error) {
	keys := r.keys.Load()
	if keys == nil {
		return Key{}, ErrNotReady
	}
	id := ""
	if Is(text) && len(text) == textBytes {
		id = text[len(prefix) : len(prefix)+2*idBytes]
	}
	k, ok := (*keys)[id]
	same := subtle.ConstantTimeCompare([]byte(hash(text)), []byte(k.Hash)) == 1
	if !ok || !same || !k.Alive(now) {
		return Key{}, ErrUnknown
	}
	return k, nil
}

// Keys of documents, by name and then by age; what can't be read is left out.
func Keys(documents map[string][]byte) []Key {
	var out []Key
	for _, id := range slices.Sorted(maps.Keys(documents)) {
		if k, err := Parse(documents[id]); err == nil {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b Key) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Created.Compare(b.Created)
	})
	return out
}
