package password

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// The reference implementation's own test, https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c
const reference = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func hasher(t *testing.T, p Params, slots int) *Hasher {
	t.Helper()
	h, err := New(p, slots)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheReference(t *testing.T) {
	h := hasher(t, Params{Memory: 256, Time: 2, Threads: 1}, 1)
	for password, want := range map[string]bool{"password": true, "Password": false, "": false, "password\x00": false} {
		if ok, outdated, err := h.Verify(t.Context(), password, reference); ok != want || outdated || err != nil {
			t.Errorf("%q: %v, %v, %v", password, ok, outdated, err)
		}
	}
}

func TestHashes(t *testing.T) {
	ctx := t.Context()
	h := hasher(t, Params{Memory: 64, Time: 1, Threads: 1}, 2)
	one, err := h.Hash(ctx, "caf\u00e9 au lait")
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(ctx, "caf\u00e9 au lait")
	if err != nil || one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("%s, %s, %v", one, two, err)
	}
	// However the keyboard writes it.
	if ok, _, err := h.Verify(ctx, "cafe\u0301 au lait", one); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	// What has become too cheap is told; what is dearer is not.
	for _, c := range []struct {
		p    Params
		want bool
	}{{Params{128, 1, 1}, true}, {Params{64, 2, 1}, true}, {Params{32, 1, 1}, false}, {Params{64, 1, 2}, false}} {
		if ok, outdated, err := hasher(t, c.p, 1).Verify(ctx, "caf\u00e9 au lait", one); !ok || outdated != c.want || err != nil {
			t.Errorf("%+v: %v, %v, %v", c.p, ok, outdated, err)
		}
	}
}

func TestNobodyMatchesNothing(t *testing.T) {
	h := hasher(t, Params{Memory: 64, Time: 1, Threads: 1}, 1)
	for _, password := range []string{"", "password"} {
		if ok, _, err := h.Verify(t.Context(), password, ""); ok || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
}

// An account that isn't there is looked up as long as one that is. The fastest of several is compared, taken in turn: what is slower is the
// machine's.
func TestTheSameTimeForNobody(t *testing.T) {
	h := hasher(t, Params{Memory: 4 << 10, Time: 2, Threads: 1}, 1)
	there, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	took := func(encoded string) time.Duration {
		begin := time.Now()
		if ok, _, err := h.Verify(t.Context(), "wrong", encoded); ok || err != nil {
			t.Fatal(ok, err)
		}
		return time.Since(begin)
	}
	someone, nobody := time.Hour, time.Hour
	for n := range 100 {
		someone, nobody = min(someone, took(there)), min(nobody, took(""))
		if n > 10 && someone < nobody*5/4 && nobody < someone*5/4 {
			return
		}
	}
	t.Errorf("%v for someone, %v for nobody", someone, nobody)
}

func TestWhatIsNoHash(t *testing.T) {
	h := hasher(t, Params{Memory: 64, Time: 1, Threads: 1}, 1)
	for _, bad := range []string{
		"x", "$argon2i" + reference[9:], strings.Replace(reference, "v=19", "v=16", 1), strings.Replace(reference, "m=256", "m=4294967295", 1),
		strings.Replace(reference, "m=256", "m=2147483648", 1), strings.Replace(reference, "t=2", "t=1000000", 1),
		strings.Replace(reference, "p=1", "p=0", 1), strings.Replace(reference, "p=1", "p=1,x=2", 1), strings.Replace(reference, "c29tZXNhbHQ", "c29", 1),
		reference[:len(reference)-1], reference + "A", reference + "$", strings.Replace(reference, "nf65", "nf6*", 1), strings.Replace(reference, "m=256", "m=0256", 1),
	} {
		if ok, _, err := h.Verify(t.Context(), "password", bad); ok || err == nil || strings.Contains(err.Error(), "c29t") {
			t.Errorf("%s: %v, %v", bad, ok, err)
		}
	}
}

// When every slot is taken a call waits for two seconds, or as long as its caller does.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, Params{Memory: 64, Time: 1, Threads: 1}, 2)
		h.slots <- struct{}{}
		h.slots <- struct{}{}
		begin := time.Now()
		_, err := h.Hash(t.Context(), "password")
		if p := problem.From(err); p == nil || p.Code != codes.Unavailable || p.Reason != ReasonBusy || time.Since(begin) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := h.Verify(ctx, "password", reference); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := h.Hash(t.Context(), "password"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		<-h.slots
		all.Wait()
		if len(h.slots) != 1 {
			t.Errorf("%d slots are taken", len(h.slots))
		}
	})
}

func TestParamsAreChecked(t *testing.T) {
	for _, p := range []Params{{}, {7, 1, 1}, {64, 0, 1}, {64, 1, 0}, {1<<20 + 1, 1, 1}, {64, 101, 1}} {
		if _, err := New(p, 1); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if _, err := New(Recommended(), 0); err == nil {
		t.Error("no slot was taken")
	}
}
