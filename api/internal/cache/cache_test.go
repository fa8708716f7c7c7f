package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/api/internal/compress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c Config) *Cache {
	t.Helper()
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// counter answers with how often it was asked.
func counter() (Fetch, *atomic.Int32) {
	var n atomic.Int32
	return func(context.Context) (*Answer, error) { return NewAnswer("text/plain", fmt.Append(nil, n.Add(1))), nil }, &n
}

func second() Policy { return Policy{Fresh: time.Second, Stale: 2 * time.Second} }

func TestFreshThenStaleThenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Config{})
		fetch, n := counter()
		get := func(want string, how How, age time.Duration) {
			t.Helper()
			if _, ok := c.Fresh("k", second()); ok != (how == Hit) {
				t.Errorf("fresh without asking: %t before a %s", ok, how)
			}
			r, err := c.Get(t.Context(), "k", second(), fetch)
			if err != nil || string(r.Body) != want || r.How != how || r.Age != age || !r.Stored {
				t.Errorf("%s %s %v, %v; want %s %s %v", r.Body, r.How, r.Age, err, want, how, age)
			}
			synctest.Wait()
		}
		get("1", Miss, 0)
		<-time.After(999 * time.Millisecond)
		get("1", Hit, 999*time.Millisecond)
		<-time.After(time.Millisecond)
		get("1", Stale, time.Second)
		if n.Load() != 2 {
			t.Errorf("asked %d times", n.Load())
		}
		get("2", Hit, 0)
		<-time.After(3 * time.Second)
		get("3", Miss, 0)
		if r, err := c.Force(t.Context(), "k", fetch); err != nil || string(r.Body) != "4" || r.How != Forced {
			t.Error(r, err)
		}
		get("4", Hit, 0)
		if r, err := c.Get(t.Context(), "another", second(), fetch); err != nil || string(r.Body) != "5" {
			t.Error(r, err)
		}
	})
}

func TestManyAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Config{})
		let := make(chan struct{})
		var asked, collapsed atomic.Int32
		fetch := func(ctx context.Context) (*Answer, error) {
			asked.Add(1)
			select {
			case <-let:
				return NewAnswer("", []byte("x")), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		first, gone := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.Get(first, "k", second(), fetch); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				r, err := c.Get(t.Context(), "k", second(), fetch)
				if err != nil || string(r.Body) != "x" {
					t.Error(err)
				}
				if r.How == Collapsed {
					collapsed.Add(1)
				}
			})
		}
		synctest.Wait()
		gone() // who asked goes, and the others get their answer
		synctest.Wait()
		close(let)
		all.Wait()
		if asked.Load() != 1 || collapsed.Load() != 100 {
			t.Errorf("asked %d times for 101, %d collapsed", asked.Load(), collapsed.Load())
		}
	})
}

func TestNobodyWaitsAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, Config{})
		ended := make(chan error, 1)
		fetch := func(ctx context.Context) (*Answer, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, "k", second(), fetch); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		fetch2, _ := counter() // who comes then asks anew
		if r, err := c.Get(t.Context(), "k", second(), fetch2); err != nil || r.How != Miss {
			t.Error(r, err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestErrorsAreSharedAndNotKept(t *testing.T) {
	c := open(t, Config{})
	broken := errors.New("broken")
	for range 2 {
		if _, err := c.Get(t.Context(), "k", second(), func(context.Context) (*Answer, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
	if _, err := c.Get(t.Context(), "k", second(), func(context.Context) (*Answer, error) { panic("oh") }); err == nil || !strings.Contains(err.Error(), "oh") {
		t.Error(err)
	}
	if _, err := c.Force(t.Context(), "k", func(context.Context) (*Answer, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	fetch, _ := counter()
	if r, err := c.Get(t.Context(), "k", second(), fetch); err != nil || string(r.Body) != "1" {
		t.Error(r, err)
	}
}

func TestARefreshThatFailsLeavesWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []error
		c := open(t, Config{Refreshed: func(err error) { said = append(said, err) }})
		fetch, _ := counter()
		_, _ = c.Get(t.Context(), "k", second(), fetch)
		<-time.After(2 * time.Second)
		broken := errors.New("broken")
		for range 3 {
			r, err := c.Get(t.Context(), "k", second(), func(context.Context) (*Answer, error) { return nil, broken })
			if err != nil || string(r.Body) != "1" || r.How != Stale {
				t.Error(r, err)
			}
			synctest.Wait()
		}
		if len(said) != 3 || !errors.Is(said[0], broken) {
			t.Error(said)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	c := open(t, Config{MaxBytes: 1 << 20, MaxEntry: 10_000})
	for i := range 2000 {
		fetch := func(context.Context) (*Answer, error) { return NewAnswer("", bytes.Repeat([]byte("x"), 5000)), nil }
		if r, err := c.Get(t.Context(), fmt.Sprint(i), second(), fetch); err != nil || !r.Stored {
			t.Fatal(err)
		}
	}
	c.kept.CleanUp()
	if n := c.Bytes(); n > 1<<20 || n < 1<<19 {
		t.Errorf("%d bytes are kept", n)
	}
	big := func(context.Context) (*Answer, error) { return NewAnswer("", make([]byte, 10_001)), nil }
	for range 2 {
		if r, err := c.Get(t.Context(), "big", second(), big); err != nil || r.Stored || r.How != Miss {
			t.Error(r, err)
		}
	}
}

func TestAnOlderAnswerReplacesNoNewer(t *testing.T) {
	now := time.Now()
	c := open(t, Config{Now: func() time.Time { return now }})
	older, newer := NewAnswer("", []byte("older")), NewAnswer("", []byte("newer"))
	older.born, newer.born = now.Add(-time.Second), now
	c.keep("k", newer)
	c.keep("k", older)
	fetch, _ := counter()
	if r, err := c.Get(t.Context(), "k", second(), fetch); err != nil || string(r.Body) != "newer" {
		t.Error(r, err)
	}
}

func TestTags(t *testing.T) {
	a, b := NewAnswer("x/y", []byte("body")), NewAnswer("x/z", []byte("body"))
	if a.tag == b.tag || len(a.tag) != 22+len(`""`) {
		t.Error(a.tag, b.tag)
	}
	for header, want := range map[string]bool{
		"": false, "*": true, a.Tag(""): true, `"x", ` + a.Tag(""): true, "W/" + a.Tag(""): true, a.Tag(compress.Gzip): true, a.Tag(compress.Zstd): true,
		b.Tag(""): false, strings.Trim(a.tag, `"`): false, strings.TrimSuffix(a.tag, `"`) + `.br"`: false, `"`: false, `""`: false,
	} {
		if got := a.Matches(header); got != want {
			t.Errorf("%s: %t", header, got)
		}
	}
	var e compress.Encoder
	long := NewAnswer("", bytes.Repeat([]byte("long "), 1000))
	z, coding := long.In(compress.Gzip, &e)
	again, _ := long.In(compress.Gzip, &e)
	if coding != compress.Gzip || &z[0] != &again[0] {
		t.Error("it was compressed twice")
	}
	if body, coding := a.In(compress.Zstd, &e); coding != compress.Identity || string(body) != "body" {
		t.Error("a short one is compressed")
	}
}

func BenchmarkHit(b *testing.B) {
	c, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	fetch, _ := counter()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Get(b.Context(), "k", Policy{Fresh: time.Hour}, fetch); err != nil {
			b.Fatal(err)
		}
	}
}
