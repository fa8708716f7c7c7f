package sale

import (
	"log/slog"
	"strings"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Token is the payment provider's token. It prints as "[token]" everywhere; only Secret shows it.
type Token struct{ secret string }

var _ slog.LogValuer = Token{}

// NewToken wraps a token.
func NewToken(secret string) Token { return Token{secret: secret} }

const hidden = "[token]"

// Secret returns the token itself: for the payment module, and nobody else.
func (t Token) Secret() string { return t.secret }

// String hides the token from fmt.
func (t Token) String() string { return hidden }

// GoString hides the token from %#v.
func (t Token) GoString() string { return hidden }

// LogValue hides the token from slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// Scrub gives err its code and makes sure that a provider that repeats the token in its answer doesn't get it into our log or
// our database.
func (t Token) Scrub(err error) *problem.Error {
	p := problem.From(err)
	if t.secret == "" || !strings.Contains(err.Error()+p.Error()+p.Reason, t.secret) {
		return p
	}
	return problem.New(p.Code, strings.ReplaceAll(p.Reason, t.secret, hidden), "%s", strings.ReplaceAll(p.Message, t.secret, hidden))
}
