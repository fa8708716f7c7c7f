// Package stream writes the messages of a stream in the form that a client asks for: Server-Sent Events, NDJSON, or a WebSocket. What it is
// given is JSON on one line; what the messages mean it doesn't know. docs/edge.md describes every frame.
//
// Nothing is kept: a message is with the connection when its method returns. A writer's deadline is the caller's to set.
package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Media types.
const (
	SSEType    = "text/event-stream"
	NDJSONType = "application/x-ndjson"
)

// retry is how long a browser waits before it opens a stream again that ended.
const retry = 2 * time.Second

// Form is one way to write a stream. Its methods are called by one goroutine.
type Form interface {
	// Open sends the headers.
	Open() error
	// Message sends one. id is what the stream can be resumed after; empty when it can't.
	Message(message []byte, id string) error
	// Gap says that messages may be lost, by a problem document; the stream goes on.
	Gap(document []byte) error
	// Beat shows that the stream is there.
	Beat() error
	// Problem is the last frame of a stream that failed, Drain of one that the gateway ends because it stops, End of one that came to its end.
	// The first two are given a problem document.
	Problem(document []byte)
	Drain(document []byte)
	End()
}

// SSE is Server-Sent Events, section 9.2 of the HTML standard.
type SSE struct{ W http.ResponseWriter }

// NDJSON is a line a message: https://github.com/ndjson/ndjson-spec.
type NDJSON struct{ W http.ResponseWriter }

var (
	_ Form = SSE{}
	_ Form = NDJSON{}
)

func send(w http.ResponseWriter, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// open sends the headers of an answer that no cache and no proxy may hold back.
func open(w http.ResponseWriter, media string) error {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush()
}

// Open implements Form.
func (s SSE) Open() error {
	if err := open(s.W, SSEType); err != nil {
		return err
	}
	return send(s.W, fmt.Appendf(nil, "retry: %d\n\n", retry.Milliseconds()))
}

// Message implements Form: an event of the type "message", which has no name on the wire.
func (s SSE) Message(message []byte, id string) error { return send(s.W, event("", id, message)) }

func event(name, id string, data []byte) []byte {
	var b bytes.Buffer
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", name)
	}
	fmt.Fprintf(&b, "data: %s\n\n", bytes.TrimSpace(data)) // JSON on one line
	return b.Bytes()
}

// Gap implements Form.
func (s SSE) Gap(document []byte) error { return send(s.W, event("gap", "", document)) }

// Beat implements Form: a comment.
func (s SSE) Beat() error { return send(s.W, []byte(":\n\n")) }

// Problem implements Form.
func (s SSE) Problem(document []byte) { _ = send(s.W, event("problem", "", document)) }

// Drain implements Form. Each client is told another time to come again, so that they don't come all at once.
func (s SSE) Drain(document []byte) {
	again := time.Duration(500+rand.IntN(4500)) * time.Millisecond //nolint:gosec // jitter
	_ = send(s.W, append(fmt.Appendf(nil, "retry: %d\n", again.Milliseconds()), event("drain", "", document)...))
}

// End implements Form: a browser would open the stream again if it weren't told to close it.
func (s SSE) End() { _ = send(s.W, event("end", "", []byte("{}"))) }

// Open implements Form.
func (n NDJSON) Open() error { return open(n.W, NDJSONType) }

// Message implements Form.
func (n NDJSON) Message(message []byte, _ string) error { return send(n.W, append(message, '\n')) }

// Gap implements Form.
func (n NDJSON) Gap(document []byte) error { return send(n.W, append(wrapped("gap", document), '\n')) }

// Beat implements Form: an empty line, which the format lets readers pass over.
func (n NDJSON) Beat() error { return send(n.W, []byte{'\n'}) }

// Problem implements Form.
func (n NDJSON) Problem(document []byte) { _ = send(n.W, append(wrapped("error", document), '\n')) }

// Drain implements Form.
func (n NDJSON) Drain(document []byte) { _ = send(n.W, append(wrapped("drain", document), '\n')) }

// End implements Form: the end of the body.
func (n NDJSON) End() {}

// wrapped is {"name":document}.
func wrapped(name string, document []byte) []byte {
	return append(fmt.Appendf(nil, "{%q:%s", name, bytes.TrimSpace(document)), '}')
}
