package cache

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/cleavehq/cleave/api/internal/compress"
)

// Answer is a body and what there is to say of it. It is not changed, but for its compressed forms, which are made when they are asked for first.
type Answer struct {
	Media string
	Body  []byte

	tag  string // with quotes
	born time.Time

	mu    sync.Mutex
	forms map[compress.Coding][]byte // nil when a form isn't worth it
}

// NewAnswer makes an Answer with a strong entity tag: the first 128 bits of the SHA-256 of its media type and its body.
func NewAnswer(media string, body []byte) *Answer {
	h := sha256.New()
	_, _ = h.Write([]byte(media)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(body)
	var sum [sha256.Size]byte
	return &Answer{Media: media, Body: body, tag: `"` + base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:16]) + `"`}
}

// Tag is the entity tag of the body in a coding: another coding is another representation (RFC 9110, 8.8.3.3).
func (a *Answer) Tag(c compress.Coding) string {
	if c == compress.Identity {
		return a.tag
	}
	return a.tag[:len(a.tag)-1] + "." + string(c) + `"`
}

// Matches says whether an If-None-Match header (RFC 9110, 13.1.2) names this answer, in whatever coding the client has it.
func (a *Answer) Matches(header string) bool {
	if header == "" {
		return false
	}
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimSpace(t)
		if t == "*" {
			return true
		}
		t = strings.TrimPrefix(t, "W/") // it is compared weakly
		if len(t) < 2 || t[0] != '"' || t[len(t)-1] != '"' {
			continue
		}
		name, coding, _ := strings.Cut(t[1:len(t)-1], ".")
		switch compress.Coding(coding) {
		case compress.Identity, compress.Gzip, compress.Zstd:
			if name == a.tag[1:len(a.tag)-1] {
				return true
			}
		}
	}
	return false
}

// In returns the body in a coding, and in which it is. A form is made once. All forms together have no more bytes than the body; what is more is
// made anew each time.
func (a *Answer) In(c compress.Coding, e *compress.Encoder) ([]byte, compress.Coding) {
	if c == compress.Identity || len(a.Body) < compress.From {
		return a.Body, compress.Identity
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	form, made := a.forms[c]
	if !made {
		if out, ok := e.Encode(c, a.Body); ok {
			form = out
		}
		room := len(a.Body)
		for _, f := range a.forms {
			room -= len(f)
		}
		if len(form) <= room {
			if a.forms == nil {
				a.forms = map[compress.Coding][]byte{}
			}
			a.forms[c] = form
		}
	}
	if form == nil {
		return a.Body, compress.Identity
	}
	return form, c
}
