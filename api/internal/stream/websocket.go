package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Protocol is the subprotocol of a WebSocket, for clients that ask for one.
const Protocol = "cleave.v1"

const (
	pongTime  = 30 * time.Second // for the answer to a ping
	closeTime = 2 * time.Second  // for the last frame
)

// WebSocket is a stream over a WebSocket (RFC 6455): a text message each way is a message's JSON. An empty text message of the client says that
// it sends no more. Close codes: 1000 a good end, 1001 the gateway stops, 1008 the client's fault, 1011 ours, 1003 a binary message.
type WebSocket struct {
	conn    *websocket.Conn
	write   time.Duration
	ctx     context.Context
	lost    context.CancelCauseFunc
	pings   sync.WaitGroup
	waiting atomic.Bool // what was received is not taken yet: nobody reads pongs
	closed  atomic.Bool
}

var _ Form = (*WebSocket)(nil)

// Upgrade makes a WebSocket of a request. A client's message has at most limit bytes; one write takes at most write. When it fails it has
// answered. Who may open one is to be decided before.
func Upgrade(w http.ResponseWriter, r *http.Request, limit int64, write time.Duration) (*WebSocket, error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled, Subprotocols: []string{Protocol},
	})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(limit)
	ws := &WebSocket{conn: c, write: write}
	ws.ctx, ws.lost = context.WithCancelCause(context.WithoutCancel(r.Context()))
	return ws, nil
}

// Context ends when the client is gone.
func (s *WebSocket) Context() context.Context { return s.ctx }

// Watch reads what the client says when it has nothing to say: that it is there, or that it goes.
func (s *WebSocket) Watch() {
	gone := s.conn.CloseRead(s.ctx)
	context.AfterFunc(gone, func() { s.lost(context.Canceled) })
}

// Recv returns the client's next message; io.EOF when it says that it sends no more.
func (s *WebSocket) Recv() ([]byte, error) {
	s.waiting.Store(false)
	kind, b, err := s.conn.Read(s.ctx)
	s.waiting.Store(true)
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, problem.ResourceExhausted("BODY_TOO_LARGE", "the message is too large")
	case err != nil:
		s.lost(context.Canceled)
		return nil, problem.From(context.Canceled)
	case kind != websocket.MessageText:
		s.shut(websocket.StatusUnsupportedData, "messages are text: JSON")
		return nil, problem.InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "messages are text: JSON")
	case len(b) == 0:
		return nil, io.EOF
	}
	return b, nil
}

// Open implements Form: it is open.
func (s *WebSocket) Open() error { return nil }

// Message implements Form.
func (s *WebSocket) Message(message []byte, _ string) error { return s.text(message, s.write) }

// Gap implements Form.
func (s *WebSocket) Gap(document []byte) error { return s.text(wrapped("gap", document), s.write) }

func (s *WebSocket) text(b []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, b)
}

// Beat implements Form: a ping. A client that doesn't answer it for 30 s is gone.
func (s *WebSocket) Beat() error {
	s.pings.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, pongTime)
		defer cancel()
		if err := s.conn.Ping(ctx); err != nil && !s.waiting.Load() {
			s.lost(context.Canceled)
		}
	})
	return nil
}

// Problem implements Form: {"error": document}, and a close.
func (s *WebSocket) Problem(document []byte) {
	_ = s.text(wrapped("error", document), closeTime)
	s.shut(websocket.StatusInternalError, "error")
}

// Refuse is Problem for what the client did wrong.
func (s *WebSocket) Refuse(document []byte) {
	_ = s.text(wrapped("error", document), closeTime)
	s.shut(websocket.StatusPolicyViolation, "refused")
}

// Drain implements Form.
func (s *WebSocket) Drain([]byte) { s.shut(websocket.StatusGoingAway, "the gateway stops: come again") }

// End implements Form.
func (s *WebSocket) End() { s.shut(websocket.StatusNormalClosure, "") }

func (s *WebSocket) shut(code websocket.StatusCode, reason string) {
	if s.closed.CompareAndSwap(false, true) {
		_ = s.conn.Close(code, reason) // waits some seconds for the client's
	}
}

// Close ends what is left, and waits for it.
func (s *WebSocket) Close() {
	_ = s.conn.CloseNow()
	s.lost(context.Canceled)
	s.pings.Wait()
}
