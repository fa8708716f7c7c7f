package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of a webhook.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// version of the signature: a symmetric one.
const version = "v1,"

// Tolerance is how far the timestamp of a webhook may be from the receiver's clock, unless a Verifier says otherwise.
const Tolerance = 5 * time.Minute

// maxSignatures bounds the work that a stranger's header can make.
const maxSignatures = 20

// Why a webhook is refused.
var (
	// ErrHeaders says that a header is missing or makes no sense.
	ErrHeaders = errors.New("the webhook's headers are incomplete")
	// ErrTimestamp says that the webhook is too old, as a recorded one would be, or from the future.
	ErrTimestamp = errors.New("the webhook's timestamp is too far from now")
	// ErrSignature says that none of the signatures is right: it is from somebody else, or was changed on its way.
	ErrSignature = errors.New("the webhook's signature is not right")
)

// Headers returns the headers of a webhook that is sent at this moment, signed with each of the secrets. id has no full stop in it, or a
// signature could be moved to another id.
func Headers(id string, at time.Time, body []byte, secrets ...Secret) (map[string]string, error) {
	if id == "" || strings.Contains(id, ".") {
		return nil, fmt.Errorf("sign a webhook: id %q is empty or has a full stop", id)
	}
	if len(secrets) == 0 || len(secrets) > maxSignatures {
		return nil, fmt.Errorf("sign a webhook: %d secrets; 1 to %d are taken", len(secrets), maxSignatures)
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = version + base64.StdEncoding.EncodeToString(mac(s, id, timestamp, body))
	}
	return map[string]string{HeaderID: id, HeaderTimestamp: timestamp, HeaderSignature: strings.Join(signatures, " ")}, nil
}

// Verifier is the receiver's side.
type Verifier struct {
	// Secrets, one of which signs: two while one takes the other's place.
	Secrets []Secret
	// Tolerance default is the constant of that name.
	Tolerance time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Verify returns nil when a webhook is from who has a secret, unchanged and not stale. get reads a header by its name, http.Header.Get say;
// body is what came over the wire, byte for byte. The errors are [ErrHeaders], [ErrTimestamp] and [ErrSignature].
//
// A webhook may come twice: whoever must not act twice remembers the webhook-id.
func (v Verifier) Verify(get func(name string) string, body []byte) error {
	id, timestamp := get(HeaderID), get(HeaderTimestamp)
	signatures := strings.Fields(get(HeaderSignature))
	second, err := strconv.ParseInt(timestamp, 10, 64)
	// One spelling of a second: "+5" or "05" would be signed as something else.
	if err != nil || strconv.FormatInt(second, 10) != timestamp || id == "" || strings.Contains(id, ".") ||
		len(signatures) == 0 || len(signatures) > maxSignatures {
		return ErrHeaders
	}
	now, tolerance := time.Now, v.Tolerance
	if v.Now != nil {
		now = v.Now
	}
	if tolerance <= 0 {
		tolerance = Tolerance
	}
	if at := now(); time.Unix(second, 0).Before(at.Add(-tolerance)) || time.Unix(second, 0).After(at.Add(tolerance)) {
		return ErrTimestamp
	}
	right := false
	for _, s := range v.Secrets {
		want := mac(s, id, timestamp, body)
		for _, given := range signatures {
			text, ours := strings.CutPrefix(given, version)
			if !ours {
				continue // v1a, or what a later version brings
			}
			if got, err := base64.StdEncoding.DecodeString(text); err == nil && hmac.Equal(got, want) {
				right = true
			}
		}
	}
	if !right {
		return ErrSignature
	}
	return nil
}

func mac(s Secret, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(s.key))
	for _, part := range [][]byte{[]byte(id), {'.'}, []byte(timestamp), {'.'}, body} {
		_, _ = h.Write(part) // a hash never fails
	}
	return h.Sum(nil)
}
