package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/cleavehq/cleave/chassis/problem"
)

// newSecret makes a token of 256 random bits, and the hash of it that is kept. It needs no salt and no slow hash: nobody can guess it.
func newSecret() (token, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: https://pkg.go.dev/crypto/rand#Read
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, hashOf(token)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Email is an address in the one form in which it is kept and compared: lower case. The contract takes ASCII only. That the part before the
// @ may tell case apart (RFC 5321, 2.4) is used by nobody, and typed wrong by many.
func Email(address string) string { return strings.ToLower(address) }

// checkPassword refuses what the contract can't: its length it has checked.
func checkPassword(field, password, email string) error {
	if Email(password) == email {
		return problem.Invalid(problem.Field{Path: field, Message: "must not be the e-mail address"})
	}
	return nil
}
