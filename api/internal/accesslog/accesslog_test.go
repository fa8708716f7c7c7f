package accesslog_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/api/internal/accesslog"
)

func TestLine(t *testing.T) {
	var out bytes.Buffer
	l := accesslog.New(accesslog.Config{To: &out, Share: 1})
	e := accesslog.Entry{
		End: time.Unix(1_760_000_000, 0), Took: 1500 * time.Microsecond, Method: "GET", Protocol: "HTTP/1.1", Route: "/v1/orders/{order_id}", Status: 403, Problem: 403,
		Reason: "SCOPE_MISSING", Bytes: 120, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", RequestID: "r-1", Kind: "token", Caller: "ada@example.com",
	}
	l.Write(&e)
	l.Write(&e)
	l.Flush()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || lines[0] != lines[1] || strings.Contains(out.String(), "ada") {
		t.Fatalf("%q", lines)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	hash, _ := got["caller"].(string)
	if got["route"] != e.Route || got["ms"] != 1.5 || got["status"] != 403.0 || got["reason"] != e.Reason || len(hash) != 16 || got["caller_kind"] != "token" {
		t.Errorf("%v", got)
	}
}

func TestWants(t *testing.T) {
	now := time.Unix(1_760_000_000, 0)
	for name, c := range map[string]struct {
		share           float64
		status, problem int
		took            time.Duration
		stream, want    bool
	}{
		"good, of none":           {0, 200, 0, 0, false, false},
		"good, of all":            {1, 200, 0, 0, false, true},
		"failed":                  {0, 503, 503, 0, false, true},
		"refused":                 {0, 404, 404, 0, false, true},
		"failed over gRPC":        {0, 200, 500, 0, false, true},
		"slow":                    {0, 200, 0, 2 * time.Second, false, true},
		"a stream that went long": {0, 200, 0, 2 * time.Hour, true, false},
	} {
		l := accesslog.New(accesslog.Config{To: io.Discard, Share: c.share, Slow: time.Second})
		if got := l.Wants(now, c.status, c.problem, c.took, c.stream); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (*accesslog.Log)(nil).Wants(now, 500, 500, 0, false) {
		t.Error("no log wants a line")
	}
}

// TestRefusedHaveALimit: who sends nonsense doesn't fill the disk; what fails here is told of, however often.
func TestRefusedHaveALimit(t *testing.T) {
	l := accesslog.New(accesslog.Config{To: io.Discard})
	count := func(now time.Time, status int) (n int) {
		for range 1000 {
			if l.Wants(now, status, status, 0, false) {
				n++
			}
		}
		return n
	}
	now := time.Unix(1_760_000_000, 0)
	if first, failed, later := count(now, 404), count(now, 500), count(now.Add(time.Second), 404); first != accesslog.MaxRefused || failed != 1000 || later != first {
		t.Errorf("%d, %d, %d", first, failed, later)
	}
}

// stuck takes nothing until it is let go.
type stuck struct {
	free chan struct{}
	mu   sync.Mutex
	got  int
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// TestNobodyWaits: behind a pipe that nobody reads lines are dropped and counted, and no request waits.
func TestNobodyWaits(t *testing.T) {
	to, dropped := &stuck{free: make(chan struct{})}, 0
	l := accesslog.New(accesslog.Config{To: to, Share: 1, Dropped: func() { dropped++ }})
	const lines = 20_000 // some 4 MB
	for range lines {
		l.Write(&accesslog.Entry{Method: "GET", Route: "/v1/products/{id}", Status: 200, TraceID: strings.Repeat("a", 32)})
	}
	close(to.free)
	l.Flush()
	l.Flush() // what came while the first was under way
	to.mu.Lock()
	defer to.mu.Unlock()
	if dropped == 0 || to.got+dropped != lines {
		t.Errorf("%d lines, %d dropped, of %d", to.got, dropped, lines)
	}
}

// BenchmarkLine is what a line costs, and Benchmark of those that have none.
func BenchmarkLine(b *testing.B) {
	for name, share := range map[string]float64{"all": 1, "one of a hundred": 0.01} {
		b.Run(name, func(b *testing.B) {
			l := accesslog.New(accesslog.Config{To: io.Discard, Share: share, Slow: time.Second})
			now := time.Unix(1_760_000_000, 0)
			b.ReportAllocs()
			for b.Loop() {
				if l.Wants(now, 200, 0, time.Millisecond, false) {
					l.Write(&accesslog.Entry{
						End: now, Took: time.Millisecond, Method: "GET", Protocol: "HTTP/1.1", Route: "/v1/products/{id}", Status: 200, Bytes: 120,
						TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", RequestID: "0192f5a0-0000-7000-8000-000000000001",
					})
				}
			}
		})
	}
}
