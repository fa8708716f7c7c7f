package sale

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
)

// TestMoney compares sums with those of numbers that know no limit.
func TestMoney(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(0, 1_000_000), rapid.Int64Range(0, MaxMinor), rapid.Int64Min(0))
		pieces := rapid.OneOf(rapid.Int64Range(1, 10), rapid.Int64Range(1, 10_000), rapid.Int64Min(1))
		lines := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Line {
			return Line{
				Quantity: pieces.Draw(r, "pieces"),
				Unit:     Money{Currency: rapid.SampledFrom([]string{"USD", "USD", "USD", "USD", "EUR"}).Draw(r, "currency"), Minor: amount.Draw(r, "minor")},
			}
		}), 1, 5).Draw(r, "lines")

		exact, limit := new(big.Int), big.NewInt(MaxMinor)
		mixed, over := false, false
		for _, l := range lines {
			line := new(big.Int).Mul(big.NewInt(l.Unit.Minor), big.NewInt(l.Quantity))
			exact.Add(exact, line)
			mixed = mixed || l.Unit.Currency != lines[0].Unit.Currency
			over = over || exact.Cmp(limit) > 0
		}
		sum, err := SumOf(lines)
		why := ""
		if err != nil {
			why = problem.From(err).Reason
		}
		switch {
		case err != nil && problem.From(err).Code != codes.FailedPrecondition:
			r.Errorf("%v isn't a clear no", err)
		case why == ReasonCurrencyMismatch && mixed, why == ReasonTotalTooLarge && over:
		case mixed || over:
			r.Errorf("mixed %v, too large %v: %+v, %v", mixed, over, sum, err)
		case err != nil || sum.Currency != lines[0].Unit.Currency || big.NewInt(sum.Minor).Cmp(exact) != 0:
			r.Errorf("%+v (%v), want %s", sum, err, exact)
		}
	})
}

func TestNothingAddsToAnything(t *testing.T) {
	for _, m := range []Money{{}, {Currency: "USD"}, {Currency: "USD", Minor: 5}} {
		for _, pair := range [][2]Money{{m, {}}, {{}, m}} {
			if got, err := pair[0].Plus(pair[1]); err != nil || got != m {
				t.Errorf("%+v + %+v = %+v, %v", pair[0], pair[1], got, err)
			}
		}
	}
	for _, m := range []Money{{Currency: "USD", Minor: -1}, {Currency: "USD", Minor: MaxMinor + 1}} {
		if got, err := m.Times(1); err == nil {
			t.Errorf("%+v x 1 = %+v", m, got)
		}
		if got, err := m.Plus(Money{Currency: "USD"}); err == nil {
			t.Errorf("%+v + 0 = %+v", m, got)
		}
	}
}

func TestTokenHides(t *testing.T) {
	const secret = "tok_0123456789"
	token := NewToken(secret)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "request", struct{ Token Token }{token})
	asJSON, err := json.Marshal(struct{ Token Token }{token})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x", token, struct{ Token Token }{token}, struct{ Token Token }{token}, token, token, token) + log.String() + string(asJSON)
	if strings.Contains(all, secret) || strings.Contains(all, fmt.Sprintf("%x", secret)) {
		t.Errorf("the token shows in %s", all)
	}
	for _, err := range []error{
		problem.FailedPrecondition("NO", "no %s", secret), problem.FailedPrecondition("NO_"+secret, "no"),
		problem.Unavailable("GONE", "gone").Because(errors.New("POST /" + secret)), errors.New(secret),
	} {
		if p := token.Scrub(err); p.Code != problem.From(err).Code || strings.Contains(p.Error()+p.Reason, secret) {
			t.Errorf("%v became %v %s", err, p, p.Reason)
		}
	}
	if p := problem.NotFound("A", "b"); token.Scrub(p) != p {
		t.Error("an error without the token is another one")
	}
}
