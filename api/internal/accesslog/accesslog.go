// Package accesslog writes a JSON line for some of the requests: each that failed or was slow, and a share of the others.
//
// A line never holds what a client wrote: not its address, its parameters, its headers or its body. The route is the template's text, the
// caller a keyed hash that is the same for one caller as long as the process runs, and tells nobody who he is.
//
// Whoever serves requests never waits for the log: lines are gathered for 100 ms, up to 1 MiB, and what doesn't fit is dropped and counted.
package accesslog

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	random "math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// MaxRefused is how many lines a second are written of requests that were refused (4xx) as if they were errors; further ones count as good ones,
// so that who sends nonsense doesn't fill a disk.
const MaxRefused = 100

// Log writes lines. A nil Log writes none.
type Log struct {
	share   float64
	slow    time.Duration
	handler slog.Handler
	out     *writer
	key     []byte

	mu      sync.Mutex
	second  int64 // in which refused were counted
	refused int
}

// Config of a Log.
type Config struct {
	// To is where the lines go.
	To io.Writer
	// Share of the requests that are neither failed nor slow, 0 to 1.
	Share float64
	// Slow is how long a request takes at least that is slow; 0 is none.
	Slow time.Duration
	// Dropped is called for each line that didn't fit.
	Dropped func()
}

// New makes a log.
func New(c Config) *Log {
	if c.Dropped == nil {
		c.Dropped = func() {}
	}
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails: crypto/rand says so
	out := &writer{to: c.To, dropped: c.Dropped}
	return &Log{share: c.Share, slow: c.Slow, handler: slog.NewJSONHandler(out, nil), out: out, key: key}
}

// Entry is what is told of a request.
type Entry struct {
	End       time.Time
	Took      time.Duration
	Method    string // of HTTP
	Protocol  string // "HTTP/1.1"
	Route     string // template, or the method's name
	Status    int    // of HTTP, as it was sent
	Problem   int    // HTTP's status of the error, whatever the protocol sent; 0 when all went well
	Reason    string // of the error
	Bytes     int64  // of the answer's body
	TraceID   string
	RequestID string
	Stream    bool   // it may take as long as it likes
	Kind      string // of the caller; empty for nobody
	Caller    string // who it is: hashed
}

// Wants says whether a line of the request is to be written. It is asked first, since most requests have none.
func (l *Log) Wants(end time.Time, status, problem int, took time.Duration, stream bool) bool {
	if l == nil {
		return false
	}
	switch worst := max(status, problem); {
	case worst >= http.StatusInternalServerError, !stream && l.slow > 0 && took >= l.slow:
		return true
	case worst >= http.StatusBadRequest && l.budget(end):
		return true
	case l.share <= 0:
		return false
	}
	return l.share >= 1 || random.Float64() < l.share //nolint:gosec // which ones is no secret
}

// budget takes one of the second's lines of refused requests.
func (l *Log) budget(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := now.Unix(); s != l.second {
		l.second, l.refused = s, 0
	}
	l.refused++
	return l.refused <= MaxRefused
}

// Write writes a line.
func (l *Log) Write(e *Entry) {
	r := slog.NewRecord(e.End, slog.LevelInfo, "request", 0)
	r.AddAttrs(
		slog.String("method", e.Method), slog.String("route", e.Route), slog.String("protocol", e.Protocol), slog.Int("status", e.Status),
		slog.Int64("bytes", e.Bytes), slog.Float64("ms", float64(e.Took.Microseconds())/1e3), slog.String("trace_id", e.TraceID),
		slog.String("request_id", e.RequestID),
	)
	if e.Reason != "" {
		r.AddAttrs(slog.String("reason", e.Reason))
	}
	if e.Stream {
		r.AddAttrs(slog.Bool("stream", true))
	}
	if e.Kind != "" {
		r.AddAttrs(slog.String("caller_kind", e.Kind), slog.String("caller", l.hash(e.Kind, e.Caller)))
	}
	_ = l.handler.Handle(context.Background(), r) // writer has no errors
}

// hash is the same for a caller as long as the process runs.
func (l *Log) hash(kind, who string) string {
	h := hmac.New(sha256.New, l.key)
	_, _ = io.WriteString(h, kind+"\x00"+who)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Flush writes what was gathered.
func (l *Log) Flush() {
	if l != nil {
		l.out.flush()
	}
}
