package lane

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"go-micro.dev/v4/metadata"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Head is what goes before the message of a call.
type Head struct {
	Path    string        // "/package.Service/Method"
	Timeout time.Duration // 0 for none; on the wire in microseconds, rounded up
	Span    trace.SpanContext
	Meta    metadata.Metadata
}

func (h *Head) size() int {
	n := len(h.Path) + 64
	for k, v := range h.Meta {
		n += len(k) + len(v) + 10
	}
	return n
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (h *Head) append(b []byte) []byte {
	b = appendString(b, h.Path)
	us := uint64(0)
	if h.Timeout > 0 {
		us = uint64((h.Timeout + time.Microsecond - 1) / time.Microsecond)
	}
	b = binary.AppendUvarint(b, us)
	if h.Span.IsValid() {
		tid, sid := h.Span.TraceID(), h.Span.SpanID()
		b = append(b, 1)
		b = append(b, tid[:]...)
		b = append(b, sid[:]...)
		b = append(b, byte(h.Span.TraceFlags()))
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(h.Meta)))
	for k, v := range h.Meta {
		b = appendString(appendString(b, k), v)
	}
	return b
}

// scan reads a payload from its beginning. After a mistake it stays bad.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) uvarint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.bad, s.b = true, nil
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.bad, s.b = true, nil
		return nil
	}
	out := s.b[:n]
	s.b = s.b[n:]
	return out
}

func (s *scan) bytes() []byte { return s.take(s.uvarint()) }

func (s *scan) byte() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return 0
}

// readHead reads a head. path is a part of b; the rest is what follows the head.
func readHead(b []byte) (h Head, path, rest []byte, err error) {
	s := &scan{b: b}
	path = s.bytes()
	us := s.uvarint()
	h.Timeout = time.Duration(min(us, math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond
	switch s.byte() {
	case 0:
	case 1:
		var c trace.SpanContextConfig
		copy(c.TraceID[:], s.take(16))
		copy(c.SpanID[:], s.take(8))
		c.TraceFlags = trace.TraceFlags(s.byte())
		if sc := trace.NewSpanContext(c); sc.IsValid() { // as with a bad traceparent: no trace rather than half of one
			h.Span = sc
		}
	default:
		s.bad = true
	}
	n := s.uvarint()
	if n > uint64(len(s.b))/2 {
		s.bad = true
	}
	if n > 0 && !s.bad {
		h.Meta = make(metadata.Metadata, n+1)
		for ; n > 0 && !s.bad; n-- {
			k := string(s.bytes())
			h.Meta[k] = string(s.bytes())
		}
	}
	if s.bad || len(b)-len(s.b) > maxHead {
		return Head{}, nil, nil, broken("the head of a call is damaged")
	}
	return h, path, s.b, nil
}

// appendStatus writes an error; nil is no byte. refused says that nothing was done.
func appendStatus(b []byte, e *problem.Error, refused bool) []byte {
	if e == nil {
		return b
	}
	b = binary.AppendUvarint(b, uint64(e.Code))
	flags := byte(0)
	if refused {
		flags = 1
	}
	b = append(b, flags)
	// What doesn't fit is cut: an error is for people, and its code and reason are short.
	room := maxHead - 1<<10
	text := func(s string) string {
		if len(s) > room {
			s = strings.ToValidUTF8(s[:room], "")
		}
		room -= len(s)
		return s
	}
	b = appendString(b, text(e.Reason))
	b = appendString(b, text(e.Message))
	n := 0
	for left := room; n < len(e.Fields); n++ {
		if left -= len(e.Fields[n].Path) + len(e.Fields[n].Message) + 10; left < 0 {
			break
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, f := range e.Fields[:n] {
		b = appendString(appendString(b, f.Path), f.Message)
	}
	return b
}

// readStatus is the inverse of appendStatus.
func readStatus(b []byte) (e *problem.Error, refused bool, err error) {
	if len(b) == 0 {
		return nil, false, nil
	}
	s := &scan{b: b}
	code := s.uvarint()
	flags := s.byte()
	e = &problem.Error{Reason: string(s.bytes()), Message: string(s.bytes())}
	n := s.uvarint()
	for ; n > 0 && !s.bad; n-- {
		e.Fields = append(e.Fields, problem.Field{Path: string(s.bytes()), Message: string(s.bytes())})
	}
	if s.bad || len(s.b) > 0 || code == 0 {
		return nil, false, broken("a status is damaged")
	}
	e.Code = codes.Unknown
	if code <= uint64(codes.Unauthenticated) {
		e.Code = codes.Code(code)
	}
	return e, flags&1 != 0, nil
}

// settings are what a side tells of itself when the connection begins.
type settings struct {
	maxMessage, maxCalls, window uint64
}

func (s settings) append(b []byte) []byte {
	b = append(b, version)
	b = binary.AppendUvarint(b, s.maxMessage)
	b = binary.AppendUvarint(b, s.maxCalls)
	return binary.AppendUvarint(b, s.window)
}

// readSettings reads those of any version: a later one only adds to the end.
func readSettings(b []byte) (settings, error) {
	s := &scan{b: b}
	v := s.byte()
	out := settings{s.uvarint(), s.uvarint(), s.uvarint()}
	if s.bad || v < version || out.maxCalls == 0 || out.window == 0 || out.window > math.MaxInt32 || out.maxMessage > maxPayload {
		return settings{}, broken("the settings are damaged")
	}
	out.maxMessage = min(out.maxMessage, MaxMessage) // with its head it fits into a frame
	return out, nil
}
