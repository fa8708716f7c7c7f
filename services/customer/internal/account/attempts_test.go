package account

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whoever tries as fast as they are let, and whenever they begin: in a day no more gets through than the limit says.
func TestTheLimitLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limit limit
		most  int
	}{
		// 5 for nothing; 1 s, 2 s ... 512 s: ten more within 1023 s; one each 15 minutes for the rest of the day.
		"login": {loginPerEmail(), 5 + 10 + 94},
		// 3; 1, 2, 4 ... 32 minutes: six more within 63 minutes; one an hour.
		"mail": {mailPerEmail(), 3 + 6 + 22},
	} {
		t.Run(name, func(t *testing.T) {
			reached := 0
			rapid.Check(t, func(t *rapid.T) {
				begin := time.Unix(1_800_000_000, 0)
				var a Attempts
				passed := 0
				for now := begin; now.Sub(begin) < 24*time.Hour; {
					if a.Until.After(now) {
						now = a.Until.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "late")))
						continue
					}
					a = c.limit.after(a, now)
					passed++
				}
				if passed > c.most {
					t.Fatalf("%d got through", passed)
				}
				reached = max(reached, passed)
			})
			if reached < c.most-5 {
				t.Errorf("%d got through at most; the test is lax", reached)
			}
		})
	}
}

func TestWaits(t *testing.T) {
	for _, l := range []limit{loginPerEmail(), loginPerSource(), mailPerEmail(), mailPerSource()} {
		for count := range int64(200) {
			if got := l.wait(count); got < l.wait(count-1) || got > l.Most || (got == 0) != (count < l.Free) {
				t.Errorf("%+v: %v after %d", l, got, count)
			}
		}
	}
	l := limit{Free: 2, First: time.Second, Most: time.Minute}
	for count, want := range map[int64]time.Duration{
		1: 0, 2: time.Second, 3: 2 * time.Second, 7: 32 * time.Second, 8: time.Minute, 9: time.Minute, 40: time.Minute, 1 << 40: time.Minute,
	} {
		if got := l.wait(count); got != want {
			t.Errorf("after %d: %v, want %v", count, got, want)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	a := l.after(Attempts{Count: 30, Last: now.Add(-forgetTime)}, now)
	if a.Count != 1 || !a.Until.IsZero() {
		t.Errorf("a day later: %+v", a)
	}
}

func TestSecretsAreFresh(t *testing.T) {
	one, hash := newSecret()
	two, _ := newSecret()
	if one == two || len(one) != 43 || hash != hashOf(one) || hash == hashOf(two) {
		t.Errorf("%s, %s, %s", one, two, hash)
	}
}
