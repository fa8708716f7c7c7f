package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Header is the key's name in metadata and in HTTP.
const Header = "Idempotency-Key"

// The reasons of refusals.
const (
	ReasonBadKey = "IDEMPOTENCY_KEY_INVALID"
	ReasonReused = "IDEMPOTENCY_KEY_REUSED"
	ReasonInUse  = "IDEMPOTENCY_KEY_IN_USE"
)

// MaxKey is the length of the longest key.
const MaxKey = 255

// Valid says whether a key is one: 1 to 255 visible ASCII characters, no space.
func Valid(key string) bool {
	if key == "" || len(key) > MaxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// BadKey is the refusal of a key that is none: INVALID_ARGUMENT.
func BadKey() error {
	return problem.InvalidArgument(ReasonBadKey, "%s must be 1 to %d visible ASCII characters, given once", Header, MaxKey)
}

// Key returns the key that the caller gave, "" for none, and BadKey for one that isn't valid. A handler that has a natural key, such as a
// request_id, takes this one when the request leaves it empty.
func Key(ctx context.Context) (string, error) {
	key, ok := metadata.Get(ctx, Header)
	if !ok {
		return "", nil
	}
	if !Valid(key) {
		return "", BadKey()
	}
	return key, nil
}

// WithKey returns ctx with a key for the calls that are made with it.
func WithKey(ctx context.Context, key string) context.Context { return metadata.Set(ctx, Header, key) }

// fingerprint is what a repeat has to have in common with the first request.
func fingerprint(method string, in proto.Message) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write([]byte(method))
	h.Write([]byte{0}) // no method has it in its name
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)), nil
}
