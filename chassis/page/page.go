// Package page makes the pages of lists: their size, and the tokens that lead from one to the next (AIP-158).
//
// A token holds what the last item of a page is sorted by. It is opaque to callers, but not secret: nothing in it is more than the page
// itself has shown. It belongs to one list, by its kind and its filters, and is refused by any other.
package page

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Sizes of a page.
const (
	DefaultSize = 50
	MaxSize     = 500
)

// ReasonTokenInvalid is the reason of the InvalidArgument for a token that isn't one of the list's own.
const ReasonTokenInvalid = "PAGE_TOKEN_INVALID"

// maxToken is the longest token that is looked at, in characters; contracts have the same limit.
const maxToken = 2048

// version is the first byte of a token: one of another version is refused, never misread.
const version = 1

// Size is what was asked for: DefaultSize for 0 or less, MaxSize at most.
func Size(asked int) int {
	if asked <= 0 {
		return DefaultSize
	}
	return min(asked, MaxSize)
}

// List is one list, named by what it lists and by how that is filtered.
type List struct{ id uint32 }

// Of returns the list of a kind under these filters.
func Of(kind string, filters ...string) List {
	h := fnv.New32a()
	for _, s := range append([]string{kind}, filters...) {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(s)))) // a hash never fails
		_, _ = h.Write([]byte(s))
	}
	return List{h.Sum32()}
}

// Token returns the token of the page after the item that is sorted by these keys.
func (l List) Token(last ...string) string {
	raw := binary.BigEndian.AppendUint32([]byte{version}, l.id)
	for _, key := range last {
		raw = binary.AppendUvarint(raw, uint64(len(key)))
		raw = append(raw, key...)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Parse returns the n keys that a token was made of, and none for the empty token, which is the first page's. It fails with
// PAGE_TOKEN_INVALID when the token isn't one that this list made. The keys are UTF-8 and hold no U+0000; what they mean is the caller's
// to check, for anybody can make a token.
func (l List) Parse(token string, n int) ([]string, error) {
	if token == "" {
		return nil, nil
	}
	keys, ok := l.parse(token)
	if !ok || len(keys) != n || l.Token(keys...) != token { // there is one spelling of each
		return nil, Invalid()
	}
	return keys, nil
}

func (l List) parse(token string) (keys []string, ok bool) {
	if len(token) > maxToken {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 5 || raw[0] != version || binary.BigEndian.Uint32(raw[1:]) != l.id {
		return nil, false
	}
	for raw = raw[5:]; len(raw) > 0; {
		size, width := binary.Uvarint(raw)
		if width <= 0 || size > uint64(len(raw)-width) { //nolint:gosec // width is at most len(raw)
			return nil, false
		}
		key := string(raw[width : width+int(size)]) //nolint:gosec // just compared
		if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
			return nil, false
		}
		keys, raw = append(keys, key), raw[width+int(size):] //nolint:gosec // just compared
	}
	return keys, true
}

// Invalid is the error for a token whose keys mean nothing.
func Invalid() error {
	return problem.InvalidArgument(ReasonTokenInvalid, "page_token is not one that this list gave, with this filter")
}
