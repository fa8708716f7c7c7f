// Package hook signs webhooks, and verifies them, as Standard Webhooks 1.0.0 says: https://www.standardwebhooks.com.
//
// The sender puts three headers beside a body: webhook-id, which stays the same when the webhook is sent again; webhook-timestamp, the
// second of this attempt; and webhook-signature, a list of "v1," and the base64 of an HMAC-SHA256 over "id.timestamp.body", one for each
// secret that is valid. A receiver has a [Verifier].
package hook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Sizes of a secret in bytes.
const (
	MinSecret = 24
	MaxSecret = 64
	newSecret = 32
)

const prefix = "whsec_"

// Secret is what sender and receiver share. It prints as whsec_*** wherever it is printed; Reveal shows it.
type Secret struct{ key string }

// NewSecret makes a random secret of 32 bytes.
func NewSecret() Secret {
	key := make([]byte, newSecret)
	_, _ = rand.Read(key) // never fails: https://pkg.go.dev/crypto/rand#Read
	return Secret{string(key)}
}

// ParseSecret reads "whsec_" and base64, or the base64 alone, of 24 to 64 bytes. The error doesn't hold the text.
func ParseSecret(text string) (Secret, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, prefix))
	if err != nil {
		return Secret{}, errors.New("a webhook secret is whsec_ and base64") // err would show a part of it
	}
	if len(key) < MinSecret || len(key) > MaxSecret {
		return Secret{}, fmt.Errorf("a webhook secret has %d to %d bytes, not %d", MinSecret, MaxSecret, len(key))
	}
	return Secret{string(key)}, nil
}

// Reveal returns the secret as ParseSecret reads it: for the receiver, and for the database.
func (s Secret) Reveal() string { return prefix + base64.StdEncoding.EncodeToString([]byte(s.key)) }

// String implements fmt.Stringer, and hides the secret.
func (Secret) String() string { return prefix + "***" }

// GoString implements fmt.GoStringer, and hides the secret.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter, and hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements slog.LogValuer, and hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, and hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
