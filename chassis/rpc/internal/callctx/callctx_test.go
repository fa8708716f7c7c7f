package callctx

import (
	"context"
	"errors"
	"testing"
	"time"

	"go-micro.dev/v4/metadata"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func begin(t *testing.T, parent context.Context, deadline time.Time, md metadata.Metadata) *Context {
	t.Helper()
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	c := &Context{}
	c.Init(parent, keys, deadline, trace.SpanFromContext(parent), md)
	t.Cleanup(c.Cancel)
	return c
}

type key struct{}

func TestItHoldsWhatCrossesAndNothingElse(t *testing.T) {
	parent := telemetry.Ensure(context.WithValue(t.Context(), key{}, "secret"))
	c := begin(t, parent, time.Time{}, metadata.Metadata{"Tenant": "t1"})
	md, ok := metadata.FromContext(c)
	if !ok || md["Tenant"] != "t1" || md["Traceparent"] != telemetry.Traceparent(parent) {
		t.Errorf("metadata %v", md)
	}
	mine, theirs := trace.SpanContextFromContext(c), trace.SpanContextFromContext(parent)
	if mine.TraceID() != theirs.TraceID() || mine.SpanID() == theirs.SpanID() || !mine.IsValid() {
		t.Errorf("span %v of %v", mine, theirs)
	}
	if v := c.Value(key{}); v != nil {
		t.Errorf("it tells %v", v)
	}
	if _, ok := c.Deadline(); ok || c.Err() != nil {
		t.Errorf("it ends: %v", c.Err())
	}
}

func TestItEnds(t *testing.T) {
	for _, waits := range []bool{false, true} { // asked once, or waited for
		for name, tc := range map[string]struct {
			end  func(c *Context, parent context.CancelFunc)
			at   time.Duration
			want error
		}{
			"with its parent": {func(_ *Context, parent context.CancelFunc) { parent() }, 0, context.Canceled},
			"by itself":       {func(c *Context, _ context.CancelFunc) { c.Cancel() }, 0, context.Canceled},
			"in time":         {func(*Context, context.CancelFunc) {}, -time.Second, context.DeadlineExceeded},
		} {
			parent, cancel := context.WithCancel(t.Context())
			var at time.Time
			if tc.at != 0 {
				at = time.Now().Add(tc.at)
			}
			c := begin(t, parent, at, nil)
			var child context.Context = c
			if waits {
				var stop context.CancelFunc
				child, stop = context.WithCancel(c)
				t.Cleanup(stop)
			}
			tc.end(c, cancel)
			if err := c.Err(); !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", name, err, tc.want)
			}
			<-c.Done()
			<-child.Done()
			if err := context.Cause(child); !errors.Is(err, tc.want) {
				t.Errorf("%s: a child has %v, want %v", name, err, tc.want)
			}
			cancel()
			if err := c.Err(); !errors.Is(err, tc.want) {
				t.Errorf("%s: the reason became %v", name, err)
			}
		}
	}
}

func TestTheEarlierDeadlineCounts(t *testing.T) {
	early, late := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	for _, ends := range [][2]time.Time{{early, late}, {late, early}} {
		parent, cancel := context.WithDeadline(t.Context(), ends[0])
		t.Cleanup(cancel)
		if at, _ := begin(t, parent, ends[1], nil).Deadline(); !at.Equal(early) {
			t.Errorf("%v, want %v", at, early)
		}
	}
}
