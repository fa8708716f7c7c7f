package limit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTake(t *testing.T) {
	l, now := New(), time.Now()
	k := Key{"ada", "buy"}
	for i := range 10 {
		if v := l.Take(k, 10, time.Minute, now); !v.OK || v.Remaining != 9-i || v.Reset != time.Duration(i+1)*6*time.Second {
			t.Errorf("request %d: %+v", i, v)
		}
	}
	if v := l.Take(k, 10, time.Minute, now); v.OK || v.Remaining != 0 || v.Retry != 6*time.Second || v.Reset != time.Minute {
		t.Errorf("one too many: %+v", v)
	}
	if v := l.Take(Key{"bob", "buy"}, 10, time.Minute, now); !v.OK {
		t.Errorf("somebody else: %+v", v)
	}
	if v := l.Take(k, 10, time.Minute, now.Add(6*time.Second)); !v.OK || v.Remaining != 0 {
		t.Errorf("after a tenth of the time: %+v", v)
	}
	if v := l.Take(k, 10, time.Minute, now.Add(time.Hour)); !v.OK || v.Remaining != 9 {
		t.Errorf("after a rest: %+v", v)
	}
	l.Give(k, 10, time.Minute)
	l.Give(Key{"nobody", "buy"}, 10, time.Minute)
	if v := l.Take(k, 10, time.Minute, now.Add(time.Hour)); !v.OK || v.Remaining != 9 {
		t.Errorf("after one was given back: %+v", v)
	}
}

// Whatever comes when: in no window of the time do more than twice the requests pass, and who keeps to the pace is never refused.
func TestNeverMoreThanTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, start := New(), time.Unix(1_000_000, 0)
		n := rapid.IntRange(1, 20).Draw(t, "requests")
		per := time.Duration(rapid.IntRange(1, 100).Draw(t, "per")) * time.Second
		now := start
		var passed []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(per)/int64(n)*2).Draw(t, "pause")))
			v := l.Take(Key{}, n, per, now)
			if v.OK {
				passed = append(passed, now)
			} else if again := l.Take(Key{}, n, per, now.Add(v.Retry)); !again.OK {
				t.Fatalf("after the time to retry it is refused: %+v", again)
			} else {
				now = now.Add(v.Retry)
				passed = append(passed, now)
			}
		}
		for i := range passed {
			j := i
			for j < len(passed) && passed[j].Sub(passed[i]) < per {
				j++
			}
			if j-i > 2*n {
				t.Fatalf("%d passed in %v, of %d", j-i, per, n)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	l, now := New(), time.Now()
	for i := range shards*maxPer + 20_000 {
		l.Take(Key{fmt.Sprint(i), "x"}, 1, time.Hour, now)
	}
	n := 0
	for i := range l.shards {
		n += len(l.shards[i].full)
	}
	if n > shards*maxPer {
		t.Errorf("%d keys are kept", n)
	}
}
