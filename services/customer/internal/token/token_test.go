package token

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/problem"
)

// shelf is a Store in memory; that of the module is tested with the module.
type shelf struct {
	mu   sync.Mutex
	keys []Record
}

func (s *shelf) Keys(context.Context) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), nil
}

func (s *shelf) ChangeKeys(_ context.Context, fn func([]Record) ([]Record, []string, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	add, drop, err := fn(slices.Clone(s.keys))
	if err != nil {
		return err
	}
	s.keys = slices.DeleteFunc(append(s.keys, add...), func(r Record) bool { return slices.Contains(drop, r.ID) })
	slices.SortFunc(s.keys, func(a, b Record) int {
		if c := b.From.Compare(a.From); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

func issuer(t testing.TB, s Store, now func() time.Time, secret string) *Issuer {
	t.Helper()
	i, err := New(Config{Store: s, Issuer: "cleave", Audience: "shop", Secret: secret, Now: now, NewID: newID})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// Several instances sign, tend and rotate as time goes by, each in its own order and with its own idea of the time: at every moment every
// token that lives is verified with the keys that are public at that moment, and the set stays small.
func TestEveryLivingTokenHasItsKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx, s := t.Context(), &shelf{}
		var ahead atomic.Int64 // the verifier reads the clock in the background, too
		now := func() time.Time { return time.Unix(1_800_000_000, ahead.Load()) }
		var instances []*Issuer
		for n := range 3 {
			skew := time.Duration(n) * 5 * time.Second
			instances = append(instances, issuer(t, s, func() time.Time { return now().Add(-skew) }, ""))
		}
		v, err := authn.New(authn.Config{Issuer: "cleave", Audience: "shop", Interval: 1, Now: now,
			Keys: authn.KeySourceFunc(func(ctx context.Context) ([]authn.Key, error) {
				list, err := instances[0].Public(ctx)
				var out []authn.Key
				for _, k := range list {
					out = append(out, authn.Key{ID: k.ID, Public: k.Public})
				}
				return out, err
			})})
		if err != nil {
			rt.Fatal(err)
		}
		type issued struct {
			token string
			until time.Time
		}
		var tokens []issued
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			i := rapid.SampledFrom(instances).Draw(rt, "instance")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				if err := i.Rotate(ctx); err != nil && problem.From(err).Reason != ReasonTooManyKeys {
					rt.Fatal(err)
				}
			case 1:
				if err := i.Tend(ctx); err != nil {
					rt.Fatal(err)
				}
			case 2:
				ahead.Add(rapid.Int64Range(0, int64(40*24*time.Hour)).Draw(rt, "long"))
			default:
				ahead.Add(rapid.Int64Range(0, int64(10*time.Minute)).Draw(rt, "short"))
				sign, err := i.Signer(ctx)
				if err != nil {
					rt.Fatal(err)
				}
				token, until, err := sign("c1", []string{"customer"})
				if err != nil {
					rt.Fatal(err)
				}
				tokens = append(tokens, issued{token, until})
			}
			tokens = slices.DeleteFunc(tokens, func(x issued) bool { return !now().Before(x.until) })
			for _, x := range tokens {
				if _, err := v.Verify(ctx, x.token); err != nil {
					rt.Fatalf("a token that lives for %v is refused: %v", x.until.Sub(now()), err)
				}
				ahead.Add(1) // the verifier may ask again
			}
			if n := len(s.keys); n > MaxKeys+1 {
				rt.Fatalf("%d keys", n)
			}
		}
	})
}

func TestAKeyIsShownBeforeItSigns(t *testing.T) {
	ctx, now, s := t.Context(), time.Unix(1_800_000_000, 0), &shelf{}
	i := issuer(t, s, func() time.Time { return now }, "")
	public := func() []string {
		list, err := i.Public(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, k := range list {
			ids = append(ids, k.ID)
		}
		return ids
	}
	tend := func(later time.Duration) []string {
		now = now.Add(later)
		if err := i.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		return public()
	}
	first := tend(0)
	if len(first) != 1 || !slices.Equal(tend(RotateEvery-Ahead-time.Second), first) {
		t.Fatalf("%v, %v", first, public())
	}
	ahead := tend(time.Second)
	if len(ahead) != 2 || ahead[0] != first[0] || !slices.Equal(tend(Ahead-time.Second), ahead) {
		t.Fatalf("%v, %v", ahead, public())
	}
	if took := tend(time.Second); took[0] != ahead[1] || took[1] != first[0] {
		t.Errorf("%v", took)
	}
	if kept := tend(Keep); len(kept) != 2 {
		t.Errorf("%v", kept)
	}
	if left := tend(time.Second); len(left) != 1 || left[0] != ahead[1] || len(s.keys) != 1 {
		t.Errorf("%v", left)
	}
	for range MaxKeys - 1 {
		if err := i.Rotate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	err := i.Rotate(ctx)
	if p := problem.From(err); p == nil || p.Code != codes.ResourceExhausted || p.Reason != ReasonTooManyKeys {
		t.Error(err)
	}
}

func TestSealing(t *testing.T) {
	ctx, now, s := t.Context(), time.Now, &shelf{}
	secret := strings.Repeat("s", 32)
	if _, err := issuer(t, s, now, secret).Signer(ctx); err != nil {
		t.Fatal(err)
	}
	key := s.keys[0]
	opened, err := issuer(t, s, now, secret).seal.open(key.ID, key.Sealed)
	if err != nil || !key.Public.Equal(opened.Public()) {
		t.Fatal(err)
	}
	if strings.Contains(key.Sealed, base64.RawStdEncoding.EncodeToString(opened.Seed())) || !strings.HasPrefix(key.Sealed, sealed) {
		t.Errorf("it is not sealed: %s", key.Sealed[:10])
	}
	for name, other := range map[string]string{"no": "", "another": strings.Repeat("t", 32)} {
		if _, err := issuer(t, s, now, other).Signer(ctx); err == nil {
			t.Errorf("opened with %s secret", name)
		}
	}
	// One row's key in another's place, and one that was changed.
	if _, err := issuer(t, s, now, secret).seal.open("another", key.Sealed); err == nil {
		t.Error("a key passes for another")
	}
	for _, bad := range []string{"", "plain:", "plain:AA", "aesgcm:", "aesgcm:AA", "rot13:AA", "plain:*", key.Sealed[:len(key.Sealed)-4] + "AAAA"} {
		if _, err := issuer(t, s, now, secret).seal.open(key.ID, bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
	if _, err := New(Config{Store: s, Issuer: "i", Audience: "a", Secret: secret[1:], Now: now, NewID: newID}); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no Config was taken")
	}
}
