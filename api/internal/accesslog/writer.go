package accesslog

import (
	"io"
	"sync"
	"time"
)

const (
	flushAfter  = 100 * time.Millisecond
	maxBuffered = 1 << 20 // bytes
)

// writer gathers lines and writes many at once, from a goroutine of its own that is there only while there is something to write. It is never
// waited for: when the one behind it doesn't take more, lines are dropped, each as a whole.
type writer struct {
	to      io.Writer
	dropped func()

	writing sync.Mutex // held by who writes to

	mu    sync.Mutex
	buf   []byte
	spare []byte
	armed bool // a flush is on its way
}

// Write implements io.Writer; p is a line. It has no errors.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf)+len(p) > maxBuffered {
		w.dropped()
		return len(p), nil
	}
	w.buf = append(w.buf, p...)
	if !w.armed {
		w.armed = true
		time.AfterFunc(flushAfter, w.flush)
	}
	return len(p), nil
}

func (w *writer) flush() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	out := w.buf
	w.buf, w.spare, w.armed = w.spare[:0], nil, false
	w.mu.Unlock()
	if len(out) > 0 {
		_, _ = w.to.Write(out) // there is nobody to tell: the log itself is what fails
	}
	w.mu.Lock()
	w.spare = out[:0]
	w.mu.Unlock()
}
