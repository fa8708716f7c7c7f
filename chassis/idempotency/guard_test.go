package idempotency_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestARepeatGetsTheFirstAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		h := s.handler(t, idempotency.Config{})
		first, err := call(t.Context(), h, "k1", "tea")
		if err != nil || first.GetProductCount() != 1 || first.GetSlug() != "tea" {
			t.Fatalf("%v, %v", first, err)
		}
		if _, err := call(t.Context(), h, "k2", "coffee"); err != nil {
			t.Fatal(err)
		}
		// In another process too: nothing that it needs is in memory.
		for _, h := range []func() (*catalogv1.Category, error){
			func() (*catalogv1.Category, error) { return call(t.Context(), h, "k1", "tea") },
			func() (*catalogv1.Category, error) {
				return call(t.Context(), s.handler(t, idempotency.Config{}), "k1", "tea")
			},
		} {
			if again, err := h(); err != nil || !proto.Equal(again, first) {
				t.Errorf("the repeat got %v, %v, the first time it was %v", again, err, first)
			}
		}
		if s.ran.Load() != 2 || s.count(t, "shelves") != 2 {
			t.Errorf("ran %d times, %d shelves", s.ran.Load(), s.count(t, "shelves"))
		}
	})
}

func TestAnotherRequestUnderTheKeyIsRefusedAndWithoutAKeyNothingIsKept(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		h := s.handler(t, idempotency.Config{})
		for range 2 {
			if _, err := call(t.Context(), h, "", "tea"); err != nil {
				t.Fatal(err)
			}
		}
		if s.count(t, "shelves") != 2 || s.count(t, "idempotency_keys") != 0 {
			t.Errorf("%d shelves, %d keys", s.count(t, "shelves"), s.count(t, "idempotency_keys"))
		}
		if _, err := call(t.Context(), h, "k", "tea"); err != nil {
			t.Fatal(err)
		}
		_, err := call(t.Context(), h, "k", "coffee")
		is(t, err, codes.FailedPrecondition, idempotency.ReasonReused)
		if s.count(t, "shelves") != 3 {
			t.Error("it was done nevertheless")
		}
	})
}

func TestSubjectsAreApart(t *testing.T) {
	type who struct{}
	each(t, func(t *testing.T, s *shelf) {
		h := s.handler(t, idempotency.Config{Subject: func(ctx context.Context) string {
			name, _ := ctx.Value(who{}).(string)
			return name
		}})
		for _, name := range []string{"ada", "bob", "ada"} {
			if _, err := call(context.WithValue(t.Context(), who{}, name), h, "k", "tea"); err != nil {
				t.Fatal(err)
			}
		}
		if s.ran.Load() != 2 {
			t.Errorf("ran %d times for two callers, one of whom asked twice", s.ran.Load())
		}
	})
}

// A refused command has written nothing, and its key is used.
func TestARefusalIsKept(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		for i, refusal := range []*problem.Error{
			problem.FailedPrecondition("OUT_OF_STOCK", "there are none"),
			problem.Invalid(problem.Field{Path: "category.slug", Message: "is bad"}),
			problem.NotFound("NO_SUCH", "it isn't there").Because(errors.New("secret")),
			problem.AlreadyExists("SLUG_TAKEN", "it is there"),
		} {
			key := refusal.Reason
			s.after = func(context.Context, *catalogv1.CreateCategoryRequest) error { return refusal }
			h := s.handler(t, idempotency.Config{})
			_, err := call(t.Context(), h, key, "tea")
			is(t, err, refusal.Code, refusal.Reason)
			if s.count(t, "shelves") != 0 || s.count(t, "idempotency_keys") != int64(i+1) {
				t.Errorf("%s: %d shelves, %d keys", key, s.count(t, "shelves"), s.count(t, "idempotency_keys"))
			}
			s.after = nil // by now it could be done
			_, err = call(t.Context(), h, key, "tea")
			is(t, err, refusal.Code, refusal.Reason)
			var p *problem.Error
			if errors.As(err, &p) && (p.Message != refusal.Message || len(p.Fields) != len(refusal.Fields) || strings.Contains(p.Error(), "secret")) {
				t.Errorf("the repeat got %+v, the first time it was %+v", p, refusal)
			}
			if s.ran.Load() != int64(i+1) {
				t.Errorf("%s: ran %d times", key, s.ran.Load())
			}
		}
	})
}

// What isn't a definite answer leaves nothing behind: the repeat is the first try.
func TestAFailureIsNotKept(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		for i, failure := range []error{
			problem.Unavailable("AWAY", "the disk is away"), problem.Aborted("RACE", "someone was quicker"), errors.New("boom"),
			context.DeadlineExceeded, problem.ResourceExhausted("LIMIT", "too many"), problem.PermissionDenied("NO", "not you"),
		} {
			s.after = func(context.Context, *catalogv1.CreateCategoryRequest) error { return failure }
			h, key, had := s.handler(t, idempotency.Config{}), strconv.Itoa(i), int64(i)
			if _, err := call(t.Context(), h, key, "tea"); !errors.Is(err, failure) {
				t.Errorf("got %v, want %v", err, failure)
			}
			if s.count(t, "shelves") != had || s.count(t, "idempotency_keys") != had {
				t.Errorf("%v: %d shelves, %d keys", failure, s.count(t, "shelves"), s.count(t, "idempotency_keys"))
			}
			s.after = nil
			if out, err := call(t.Context(), h, key, "tea"); err != nil || out.GetProductCount() != had+1 {
				t.Errorf("%v: then %v, %v", failure, out, err)
			}
		}
	})
}

func TestAPanicLeavesNothing(t *testing.T) {
	var errs []error
	each(t, func(t *testing.T, s *shelf) {
		s.after = func(context.Context, *catalogv1.CreateCategoryRequest) error {
			return errs[s.ran.Load()] // it has none
		}
		h := s.handler(t, idempotency.Config{})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it didn't panic")
				}
			}()
			_, _ = call(t.Context(), h, "k", "tea")
		}()
		s.after = nil
		if out, err := call(t.Context(), h, "k", "tea"); err != nil || out.GetProductCount() != 1 {
			t.Errorf("%v, %v", out, err)
		}
	})
}

func TestKeysExpire(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		var now clock
		h := s.handler(t, idempotency.Config{Now: now.now, Keep: time.Hour})
		first := func(key string, count int64) {
			t.Helper()
			if out, err := call(t.Context(), h, key, "tea"); err != nil || out.GetProductCount() != count {
				t.Errorf("%s: %v, %v, want %d", key, out, err, count)
			}
		}
		first("k1", 1)
		first("k2", 2)
		now.advance(59 * time.Minute)
		first("k1", 1)
		now.advance(time.Minute)
		first("k1", 3) // free again, and swept, as k2 is
		if n := s.count(t, "idempotency_keys"); n != 1 {
			t.Errorf("%d keys are left, want 1", n)
		}
		// In another process the sweep isn't due, and yet an expired key doesn't count.
		now.advance(59*time.Minute + 30*time.Second)
		first("k3", 4)
		now.advance(30 * time.Second)
		first("k1", 5)
		if n := s.count(t, "idempotency_keys"); n != 2 {
			t.Errorf("%d keys are left, want 2", n)
		}
	})
}

func TestTheSweepKeepsUp(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		if _, err := s.db.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
			INSERT INTO idempotency_keys (scope, client_key, fingerprint, outcome, body, created_at, expires_at)
			SELECT 's', 'k' || i, '', 1, '', 0, i FROM n`); err != nil {
			t.Fatal(err)
		}
		h := s.handler(t, idempotency.Config{})
		for i, left := range []int64{701, 202, 3} {
			if _, err := call(t.Context(), h, string(rune('a'+i)), "tea"); err != nil {
				t.Fatal(err)
			}
			if n := s.count(t, "idempotency_keys"); n != left {
				t.Errorf("after %d commands %d keys, want %d", i+1, n, left)
			}
		}
	})
}
