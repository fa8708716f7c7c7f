package inbound

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/hook"
)

// Why a webhook is refused, besides the errors of chassis/hook.
var (
	// ErrSecret says that the gateway hasn't got a secret: the operator's mistake.
	ErrSecret = errors.New("the secret can't be read")
	// ErrKey says that the body has no idempotency key where it should be.
	ErrKey = errors.New("the body has no idempotency key")
)

const (
	minSecret  = 16      // bytes, of HMAC
	maxSecret  = 4 << 10 // bytes of a file
	maxKey     = 255     // characters of a key
	secretsFor = 10 * time.Second
)

// Secrets reads secrets where hooks say they are, and knows each for 10 s. The zero value is ready; it is safe for concurrent use.
type Secrets struct {
	mu   sync.Mutex
	read map[string]known
}

type known struct {
	text string
	err  error
	at   time.Time
}

func (s *Secrets) get(where string, now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.read[where]; ok && now.Sub(k.at) < secretsFor && !now.Before(k.at) {
		return k.text, k.err
	}
	if s.read == nil || len(s.read) > 1000 {
		s.read = map[string]known{}
	}
	text, err := load(where)
	s.read[where] = known{text, err, now}
	return text, err
}

func load(where string) (string, error) {
	kind, at, _ := strings.Cut(where, ":")
	if kind == "env" {
		if text := os.Getenv(at); text != "" {
			return text, nil
		}
		return "", fmt.Errorf("%w: %s is not in the environment", ErrSecret, at)
	}
	f, err := os.Open(at) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSecret, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if text := strings.TrimSpace(string(b)); err == nil && text != "" && len(b) <= maxSecret {
		return text, nil
	}
	return "", fmt.Errorf("%w: %s is empty or has more than %d bytes", ErrSecret, at, maxSecret)
}

// Verify returns the event's id, which is made of the idempotency key, when a webhook is signed. name is the hook's. The errors are [ErrSecret],
// [ErrKey], and those of chassis/hook, which are the sender's.
func (h Hook) Verify(name string, header http.Header, body []byte, secrets *Secrets, now time.Time) (id string, err error) {
	texts := make([]string, 0, len(h.Secrets))
	for _, where := range h.Secrets {
		text, err := secrets.get(where, now)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	if h.Scheme == HMAC {
		err = h.simple(header, body, texts)
	} else {
		err = standard(header, body, texts, now)
	}
	if err != nil {
		return "", err
	}
	key, err := h.key(header, body)
	if err != nil {
		return "", err
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("cleave:hook:"+name+":"+key)).String(), nil
}

func standard(header http.Header, body []byte, texts []string, now time.Time) error {
	for _, name := range []string{hook.HeaderID, hook.HeaderTimestamp, hook.HeaderSignature} {
		if len(header.Values(name)) > 1 {
			return hook.ErrHeaders
		}
	}
	v := hook.Verifier{Now: func() time.Time { return now }}
	for _, text := range texts {
		s, err := hook.ParseSecret(text)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSecret, err)
		}
		v.Secrets = append(v.Secrets, s)
	}
	return v.Verify(header.Get, body)
}

// simple verifies an HMAC-SHA256 of the body.
func (h Hook) simple(header http.Header, body []byte, texts []string) error {
	given := header.Values(h.Header)
	if len(given) != 1 {
		return hook.ErrHeaders
	}
	text := strings.TrimPrefix(strings.TrimSpace(given[0]), "sha256=")
	got, err := hex.DecodeString(text)
	if err != nil {
		if got, err = base64.StdEncoding.DecodeString(text); err != nil {
			return hook.ErrHeaders
		}
	}
	right := false
	for _, secret := range texts {
		if len(secret) < minSecret {
			return fmt.Errorf("%w: it has fewer than %d bytes", ErrSecret, minSecret)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(body) // a hash never fails
		if hmac.Equal(got, mac.Sum(nil)) {
			right = true
		}
	}
	if !right {
		return hook.ErrSignature
	}
	return nil
}

// key is what makes two webhooks one event. It is always something that is signed.
func (h Hook) key(header http.Header, body []byte) (string, error) {
	if h.KeyField == "" {
		if h.Scheme == Standard {
			return header.Get(hook.HeaderID), nil
		}
		sum := sha256.Sum256(body)
		return hex.EncodeToString(sum[:]), nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var at any
	if err := d.Decode(&at); err != nil {
		return "", ErrKey
	}
	for name := range strings.SplitSeq(h.KeyField, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", ErrKey
		}
		at = object[name]
	}
	var key string
	switch v := at.(type) {
	case string:
		key = v
	case json.Number:
		key = v.String()
	}
	if key == "" || len(key) > maxKey {
		return "", ErrKey
	}
	return key, nil
}
