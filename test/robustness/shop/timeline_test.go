package shop

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// timeline is what was done to a world, and when: what a person reads first when a law is broken.
type timeline struct {
	begin time.Time
	mu    sync.Mutex
	lines []string
}

func (l *timeline) notef(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, l.at(time.Now())+strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// at is a moment in the world's own time, and by the clock that the logs have.
func (l *timeline) at(when time.Time) string {
	return fmt.Sprintf("%9.3f s  %s  ", when.Sub(l.begin).Seconds(), when.Format("15:04:05.000"))
}

// shown is how much of a timeline is printed.
const shown = 200

// String is the end of it.
func (l *timeline) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, more := l.lines, ""
	if n := len(lines) - shown; n > 0 {
		lines, more = lines[n:], fmt.Sprintf("  ... %d before\n", n)
	}
	return more + "  " + strings.Join(lines, "\n  ")
}
