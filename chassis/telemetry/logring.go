package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	maxLines     = 2000
	maxLineBytes = 1 << 20
	maxLine      = 16 << 10
	followQueue  = 512 // lines that wait for one reader; then it misses some
	maxFollowers = 16
	followWrite  = 10 * time.Second
	followAlive  = 15 * time.Second
)

// LogRing keeps the last lines of the log, each a JSON object: 2,000 at most, and 1 MiB. The zero LogRing is ready; it is safe for concurrent
// use.
type LogRing struct {
	mu        sync.Mutex
	lines     [][]byte
	size      int
	followers map[*follower]struct{}
}

type follower struct {
	lines  chan []byte
	missed int // with LogRing.mu
}

var _ io.Writer = (*LogRing)(nil)

// Write takes one line. A longer one than 16 KiB is replaced by one that says so.
func (l *LogRing) Write(line []byte) (int, error) {
	n := len(line)
	if n > maxLine {
		line = fmt.Appendf(nil, `{"time":%q,"level":"WARN","msg":"a line of %d bytes is not kept here"}`+"\n", time.Now().Format(time.RFC3339Nano), n)
	}
	line = bytes.Clone(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.size += len(line)
	drop := 0
	for len(l.lines)-drop > maxLines || l.size > maxLineBytes {
		l.size -= len(l.lines[drop])
		l.lines[drop] = nil
		drop++
	}
	l.lines = l.lines[drop:]
	for f := range l.followers {
		select {
		case f.lines <- line:
		default:
			f.missed++
		}
	}
	return n, nil
}

// follow returns the lines so far, and, when it is wanted, a follower for those that come; nil when there are too many followers.
func (l *LogRing) follow(wanted bool) (so [][]byte, f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	so = append(so, l.lines...)
	if !wanted || len(l.followers) >= maxFollowers {
		return so, nil
	}
	f = &follower{lines: make(chan []byte, followQueue)}
	if l.followers == nil {
		l.followers = map[*follower]struct{}{}
	}
	l.followers[f] = struct{}{}
	return so, f
}

func (l *LogRing) leave(f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, f)
}

// missed returns how many lines f has missed since it was asked.
func (l *LogRing) missed(f *follower) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := f.missed
	f.missed = 0
	return n
}

// lineFilter is what the page's parameters ask for.
type lineFilter struct {
	module string
	level  slog.Level
	any    bool // of any module and level
}

func (q lineFilter) takes(line []byte) bool {
	if q.any {
		return true
	}
	var l struct {
		Module string     `json:"module"`
		Level  slog.Level `json:"level"`
	}
	if json.Unmarshal(line, &l) != nil {
		return false
	}
	return l.Level >= q.level && (q.module == "" || l.Module == q.module)
}

// ServeHTTP is the page GET /logs?module=order&level=warn&limit=100&follow=1: the last lines as JSON lines, 100 unless limit says more, and
// with follow those that come, until whoever asked goes away. A reader that is too slow is told how many lines it missed.
func (l *LogRing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := number(q.Get("limit"), 100, maxLines)
	if err != nil {
		http.Error(w, "limit is a number from 1 to 2000", http.StatusBadRequest)
		return
	}
	want := lineFilter{module: q.Get("module"), level: slog.LevelDebug - 100}
	if text := q.Get("level"); text != "" && want.level.UnmarshalText([]byte(text)) != nil {
		http.Error(w, "level is one of debug, info, warn, error", http.StatusBadRequest)
		return
	}
	want.any = want.module == "" && q.Get("level") == ""
	follow := q.Get("follow") != "" && q.Get("follow") != "0"
	lines, f := l.follow(follow)
	if follow {
		if f == nil {
			http.Error(w, "16 readers follow the log already", http.StatusServiceUnavailable)
			return
		}
		defer l.leave(f)
	}
	var last [][]byte
	for _, line := range lines {
		if want.takes(line) {
			last = append(last, line)
		}
	}
	last = last[max(0, len(last)-limit):]
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, err = w.Write(bytes.Join(last, nil))
	if err == nil && follow {
		l.stream(w, r, f, want)
	}
}

// stream sends what comes, and now and then an empty line, so that a reader that has gone is noticed.
func (l *LogRing) stream(w http.ResponseWriter, r *http.Request, f *follower, want lineFilter) {
	out := http.NewResponseController(w)
	alive := time.NewTicker(followAlive)
	defer alive.Stop()
	send := func(b []byte) bool {
		_ = out.SetWriteDeadline(time.Now().Add(followWrite)) // a test's writer has none
		_, err := w.Write(b)
		return err == nil && out.Flush() == nil
	}
	for ok := send(nil); ok; {
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			ok = send([]byte("\n"))
		case line := <-f.lines:
			if want.takes(line) {
				ok = send(line)
			}
			if n := l.missed(f); n > 0 && ok {
				ok = send(fmt.Appendf(nil, `{"level":"WARN","msg":"lines were missed","lines":%d}`+"\n", n))
			}
		}
	}
}
