// Package inbound knows what an operator says about a webhook that comes in and becomes an event: who signs it and how, what its idempotency key
// is, and what may be in it. Secrets are never in what the operator writes: it names where they are.
package inbound

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cleavehq/cleave/api/internal/policy"
)

// Limits and defaults of a hook.
const (
	maxDocument = 4 << 10   // bytes of what an operator says
	maxSecrets  = 4         // of which each may sign: two while one takes the other's place
	defaultBody = 64 << 10  // bytes
	maxBody     = 900 << 10 // bytes; an event has at most 1 MiB with its headers
	defaultRate = 100       // requests a second of one address
	maxRate     = 1_000_000
)

// The signatures that are understood.
const (
	// Standard is Standard Webhooks 1.0.0 (package chassis/hook): id, timestamp and body are signed.
	Standard = "standard"
	// HMAC is an HMAC-SHA256 of the body in a header, in hex or base64, perhaps after "sha256=", as GitHub and many others do. Nothing but the body
	// is signed, so that a recorded one may come again; it is the same event then.
	HMAC = "hmac-sha256"
)

// Hook is what an operator says about a webhook.
type Hook struct {
	// Topic is the full name of the event that it becomes; a service that is there declares it (cleave.v1.events).
	Topic string `json:"topic"`
	// Secrets say where the secrets are: "env:NAME" of the gateway's environment, or "file:/path". One of them signs.
	Secrets []string `json:"secrets"`
	// Scheme is Standard or HMAC; default Standard.
	Scheme string `json:"scheme,omitempty"`
	// Header has the signature, of HMAC only; default X-Signature-256.
	Header string `json:"header,omitempty"`
	// KeyField is where the idempotency key is in the body, such as "id" or "data.id": a string or a number. Default the webhook-id of Standard, and of
	// HMAC the body itself: only what is signed can be a key.
	KeyField string `json:"key_field,omitempty"`
	// IgnoreUnknown lets fields pass that the event doesn't have; default they are refused.
	IgnoreUnknown bool `json:"ignore_unknown,omitempty"`
	// MaxBody in bytes; default 64 KiB, at most 900 KiB.
	MaxBody int64 `json:"max_body,omitempty"`
	// Rate of one address; default 100 in 1 s.
	Rate policy.Rate `json:"rate,omitzero"`
}

// matches says that a text is what a pattern says; hooks are read rarely.
func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

const (
	namePattern   = `^[a-z0-9][a-z0-9_-]{0,62}$`
	topicPattern  = `^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`
	envPattern    = `^[A-Za-z_][A-Za-z0-9_]*$`
	headerPattern = `^[A-Za-z0-9-]{1,64}$`
)

// Parse reads what an operator wrote, and says what is wrong with it.
func Parse(name string, document []byte) (Hook, error) {
	h := Hook{Scheme: Standard, MaxBody: defaultBody, Rate: policy.Rate{Requests: defaultRate, Per: policy.Duration(time.Second)}}
	if !matches(namePattern, name) {
		return h, errors.New("the name is not 1 to 63 of a-z, 0-9, _ and -")
	}
	if len(document) > maxDocument {
		return h, fmt.Errorf("it has %d bytes, more than %d", len(document), maxDocument)
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("it is not what it should be: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return h, errors.New("something follows the JSON object")
	}
	if h.Scheme == HMAC && h.Header == "" {
		h.Header = "X-Signature-256"
	}
	return h, h.validate()
}

func (h Hook) validate() error {
	switch {
	case !matches(topicPattern, h.Topic) || len(h.Topic) > 200:
		return fmt.Errorf("the topic %q is no name of an event, such as shop.order.v1.OrderPaid", h.Topic)
	case h.Scheme != Standard && h.Scheme != HMAC:
		return fmt.Errorf("the scheme %q is neither %s nor %s", h.Scheme, Standard, HMAC)
	case h.Scheme == Standard && h.Header != "":
		return fmt.Errorf("header is for %s only", HMAC)
	case h.Header != "" && !matches(headerPattern, h.Header):
		return fmt.Errorf("%q is no name of a header", h.Header)
	case len(h.KeyField) > 200 || strings.HasPrefix(h.KeyField, ".") || strings.HasSuffix(h.KeyField, ".") || strings.Contains(h.KeyField, ".."):
		return fmt.Errorf("the key_field %q is no path, such as data.id", h.KeyField)
	case h.MaxBody < 1 || h.MaxBody > maxBody:
		return fmt.Errorf("a max_body of %d, which is none from 1 to %d", h.MaxBody, maxBody)
	case h.Rate.Requests < 1 || h.Rate.Requests > maxRate || time.Duration(h.Rate.Per) < time.Second || time.Duration(h.Rate.Per) > 24*time.Hour:
		return fmt.Errorf("a rate of %d in %v, which is none of 1 to %d in 1s to 24h", h.Rate.Requests, time.Duration(h.Rate.Per), maxRate)
	case len(h.Secrets) < 1 || len(h.Secrets) > maxSecrets:
		return fmt.Errorf("%d secrets; 1 to %d are taken", len(h.Secrets), maxSecrets)
	}
	for _, s := range h.Secrets {
		kind, at, _ := strings.Cut(s, ":")
		if named := kind == "env" && matches(envPattern, at) || kind == "file" && filepath.IsAbs(at); !named {
			return errors.New("a secret says where it is, env:NAME or file:/path, and is never here itself") // and is not shown, should it be one
		}
	}
	return nil
}
