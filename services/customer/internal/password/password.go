// Package password hashes passwords with argon2id (RFC 9106), never more of them at once than the memory is meant for.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/cleavehq/cleave/chassis/problem"
)

// ReasonBusy is the reason of the Unavailable when too many passwords are being hashed already.
const ReasonBusy = "PASSWORD_BUSY"

const (
	saltSize = 16
	keySize  = 32
	// queueTime is how long a call waits for its turn.
	queueTime = 2 * time.Second
)

// Params of argon2id.
type Params struct {
	// Memory in KiB, Time in passes, Threads in lanes.
	Memory, Time uint32
	Threads      uint8
}

// Recommended returns what OWASP recommends at least: 19 MiB, two passes, one lane.
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
func Recommended() Params { return Params{Memory: 19 << 10, Time: 2, Threads: 1} }

// weaker reports whether p costs an attacker less than q in any way.
func (p Params) weaker(q Params) bool { return p.Memory < q.Memory || p.Time < q.Time }

// Hasher hashes and verifies. It is safe for concurrent use.
type Hasher struct {
	params Params
	slots  chan struct{}
	decoy  hash
}

// New makes a Hasher that works on at most slots passwords at once: its memory is slots x p.Memory.
func New(p Params, slots int) (*Hasher, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if slots < 1 {
		return nil, errors.New("password: at least one slot is needed")
	}
	h := &Hasher{params: p, slots: make(chan struct{}, slots), decoy: hash{Params: p}}
	h.decoy.salt, h.decoy.key = random(saltSize), random(keySize)
	return h, nil
}

// Hash returns the hash of a password as a PHC string, $argon2id$v=19$m=...,t=...,p=...$SALT$KEY. UNAVAILABLE with PASSWORD_BUSY when it
// isn't its turn within two seconds.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	out := hash{Params: h.params, salt: random(saltSize)}
	var err error
	if out.key, err = h.derive(ctx, password, out); err != nil {
		return "", err
	}
	return out.String(), nil
}

// Verify reports whether encoded is a hash of password, and whether it should be made anew because the parameters have grown. With an
// empty encoded the answer is no, after the same time as any other. UNAVAILABLE with PASSWORD_BUSY as for Hash; any other error means that
// encoded is none of ours.
func (h *Hasher) Verify(ctx context.Context, password, encoded string) (ok, outdated bool, err error) {
	want := h.decoy
	if encoded != "" {
		if want, err = parse(encoded); err != nil {
			return false, false, err
		}
	}
	got, err := h.derive(ctx, password, want)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(got, want.key) == 1
	return same && encoded != "", want.weaker(h.params), nil
}

// derive hashes a password with the salt and the parameters of like, when it is its turn. Letters that look alike are made alike first, as
// RFC 8265, 4.2 has it (NFC): the same password comes from every keyboard.
func (h *Hasher) derive(ctx context.Context, password string, like hash) ([]byte, error) {
	turn := time.NewTimer(queueTime)
	defer turn.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-turn.C:
		return nil, problem.Unavailable(ReasonBusy, "too many logins at once; try again")
	}
	defer func() { <-h.slots }()
	return argon2.IDKey(norm.NFC.Bytes([]byte(password)), like.salt, like.Time, like.Memory, like.Threads, keySize), nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: https://pkg.go.dev/crypto/rand#Read
	return b
}
