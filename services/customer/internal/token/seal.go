package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minSecret is the shortest secret, in characters.
const minSecret = 32

// Forms of a private key in the database.
const (
	plain  = "plain:"  // base64 of the seed
	sealed = "aesgcm:" // base64 of the nonce and the sealed seed
)

// sealer seals private keys with AES-256-GCM, under a key that HKDF-SHA-256 (RFC 5869) makes of the secret. The key's id is authenticated
// with it: a row can't pass for another.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret string) (sealer, error) {
	if secret == "" {
		return sealer{}, nil
	}
	if len(secret) < minSecret {
		return sealer{}, fmt.Errorf("token: the secret has fewer than %d characters", minSecret)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "cleave customer signing key", 32)
	if err != nil {
		return sealer{}, fmt.Errorf("token: derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("token: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("token: %w", err)
	}
	return sealer{aead}, nil
}

func (s sealer) seal(id string, key ed25519.PrivateKey) (string, error) {
	if len(key) != ed25519.PrivateKeySize {
		return "", errors.New("this is no private key")
	}
	if s.aead == nil {
		return plain + base64.RawStdEncoding.EncodeToString(key.Seed()), nil
	}
	box := s.aead.Seal(nil, nil, key.Seed(), []byte(id)) //nolint:gosec // this AEAD makes a random nonce itself
	return sealed + base64.RawStdEncoding.EncodeToString(box), nil
}

// open takes both forms, so that a secret can be given to a system that had none: keys that are made from then on are sealed.
func (s sealer) open(id, text string) (ed25519.PrivateKey, error) {
	form, body, _ := strings.Cut(text, ":")
	seed, err := base64.RawStdEncoding.DecodeString(body)
	switch {
	case err != nil:
		return nil, errors.New("it can't be read")
	case form+":" == plain:
	case form+":" != sealed:
		return nil, errors.New("its form is unknown")
	case s.aead == nil:
		return nil, errors.New("it is sealed, and no secret is given")
	default:
		if seed, err = s.aead.Open(nil, nil, seed, []byte(id)); err != nil {
			return nil, errors.New("the secret is another than the one that sealed it")
		}
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("it has the wrong length")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
