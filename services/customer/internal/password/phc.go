package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// hash is a PHC string in parts.
// https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md
type hash struct {
	Params
	salt, key []byte
}

// String returns the PHC string.
func (h hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.Memory, h.Time, h.Threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// check refuses what argon2 can't do, and what would take a minute or all of the memory: a row could say anything.
func (p Params) check() error {
	if p.Threads < 1 || p.Time < 1 || p.Time > 100 || p.Memory < 8*uint32(p.Threads) || p.Memory > 1<<20 {
		return fmt.Errorf("password: argon2id with m=%d, t=%d, p=%d", p.Memory, p.Time, p.Threads)
	}
	return nil
}

// parse reads a PHC string. Its errors hold nothing of it.
func parse(encoded string) (hash, error) {
	var h hash
	var version int
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, errors.New("password: the hash is no argon2id")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, errors.New("password: the hash has another version of argon2id")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.Memory, &h.Time, &h.Threads); err != nil {
		return h, errors.New("password: the hash's parameters can't be read")
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(h.salt) < 8 || len(h.key) != keySize || h.String() != encoded {
		return h, errors.New("password: the hash's salt or key can't be read")
	}
	return h, h.check()
}
