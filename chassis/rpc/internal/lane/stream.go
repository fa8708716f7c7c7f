package lane

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Stream is a stream of messages, on either side. One goroutine may send while another receives.
type Stream struct {
	c      *conn
	id     uint32
	client *Client // nil on the server
	ctx    context.Context
	from   uint64

	// With c.mu:
	queue    []byte // received, not yet taken: each message with its length before it
	waiting  int    // bytes of what was not yet read, as the window counts
	taken    int    // bytes that the sender was not yet told of
	credit   int    // what the peer still takes
	peerDone bool   // it sends nothing more
	sendDone bool
	err      error         // how it ended; io.EOF is well
	moved    chan struct{} // closed when any of this changes; nil when nobody waits

	// Of the goroutine that receives:
	mine   []byte // a former queue, from which it reads
	taking []byte // mine from its beginning, to be used again
	read   int    // bytes that it has read and not yet accounted for, as the window counts
}

// Open opens a stream. It ends with ctx, or when Recv has returned an error.
func (c *Client) Open(ctx context.Context, h *Head) (*Stream, error) {
	if h.size() > maxHead {
		return nil, problem.ResourceExhausted("METADATA_TOO_LARGE", "the metadata is larger than %d bytes", maxHead)
	}
	c.mu.Lock()
	id, err := c.begin(ctx)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	s := &Stream{c: c.conn, id: id, client: c, ctx: ctx, from: c.queued, credit: int(c.peer.window)} //nolint:gosec // checked
	start := c.put(openFrame, id)
	c.buf = h.append(c.buf)
	c.end(start)
	c.streams[id] = s
	c.flush(false)
	return s, nil
}

// note wakes those who wait, with c.mu held.
func (s *Stream) note() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

func (s *Stream) finish(err error) {
	if s.err == nil {
		s.err = err
	}
	s.note()
}

// wait waits, with c.mu held, for a change or for ctx's end.
func (s *Stream) wait() error {
	if s.moved == nil {
		s.moved = make(chan struct{})
	}
	moved := s.moved
	s.c.mu.Unlock()
	defer s.c.mu.Lock()
	select {
	case <-moved:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// Send sends a message. io.EOF says that the stream has ended: why is what Recv returns.
func (s *Stream) Send(m proto.Message) error {
	size := proto.Size(m)
	if uint64(size) > s.c.peer.maxMessage { //nolint:gosec // a size
		return problem.ResourceExhausted("MESSAGE_TOO_LARGE", "a message of %d bytes is larger than the %d that are allowed", size, s.c.peer.maxMessage)
	}
	var body []byte
	var err error
	if size > small {
		if body, err = encode(make([]byte, 0, size), m); err != nil {
			return problem.Internal(err)
		}
	}
	c := s.c
	c.mu.Lock()
	for s.err == nil && s.credit <= 0 && err == nil {
		err = s.wait()
	}
	if err == nil && s.err == nil {
		err = c.wait(s.ctx)
	}
	switch {
	case s.err != nil:
		err = io.EOF
	case err == nil && s.ctx.Err() != nil:
		err = s.ctx.Err()
	case err == nil && s.sendDone:
		err = problem.Internal(fmt.Errorf("lane: Send after the end"))
	}
	if err != nil {
		c.mu.Unlock()
		return err
	}
	start := c.put(dataFrame, s.id)
	if body != nil {
		c.buf = append(c.buf, body...)
	} else if body, err = encode(c.buf, m); err != nil {
		c.buf = c.buf[:start]
		c.mu.Unlock()
		return problem.Internal(err)
	} else {
		c.buf = body
	}
	s.credit -= size + overhead
	c.end(start)
	c.flush(false)
	return nil
}

// CloseSend says that nothing more will be sent.
func (s *Stream) CloseSend() {
	s.c.mu.Lock()
	if s.err == nil && !s.sendDone {
		s.sendDone = true
		s.c.control(endFrame, s.id, nil)
	}
	s.c.flush(false)
}

// Recv receives a message. io.EOF is a good end; another error is a *Broken, a *problem.Error, or ctx's.
func (s *Stream) Recv(m proto.Message) error {
	if len(s.mine) == 0 || s.read >= int(s.c.own.window)/2 { //nolint:gosec // our own
		if err := s.more(); err != nil {
			return err
		}
	}
	n := binary.NativeEndian.Uint32(s.mine)
	b := s.mine[4 : 4+n]
	s.mine = s.mine[4+n:]
	s.read += len(b) + overhead
	if err := proto.Unmarshal(b, m); err != nil {
		return problem.InvalidArgument("BAD_MESSAGE", "the message is not what the contract says").Because(err)
	}
	return nil
}

// more accounts for what was read, tells the sender when that is half of the window, and takes what came in the meantime when there is
// nothing left to read: it waits for that.
func (s *Stream) more() error {
	c := s.c
	c.mu.Lock()
	s.waiting -= s.read
	s.taken += s.read
	s.read = 0
	if s.taken >= int(c.own.window)/2 && s.err == nil { //nolint:gosec // our own
		c.control(windowFrame, s.id, binary.AppendUvarint(nil, uint64(s.taken))) //nolint:gosec // positive
		s.taken = 0
		c.flush(false)
		c.mu.Lock()
	}
	if len(s.mine) > 0 {
		c.mu.Unlock()
		return nil
	}
	for len(s.queue) == 0 {
		if err := s.err; err != nil {
			c.mu.Unlock()
			return err
		}
		if s.peerDone {
			c.mu.Unlock()
			return io.EOF
		}
		if err := s.wait(); err != nil {
			c.mu.Unlock()
			s.Cancel()
			return err
		}
	}
	spare := s.taking[:0]
	if cap(spare) > int(c.own.window) { //nolint:gosec // our own
		spare = nil
	}
	s.mine, s.taking, s.queue = s.queue, s.queue, spare
	c.mu.Unlock()
	return nil
}

// Cancel ends the stream from the client's side.
func (s *Stream) Cancel() {
	if s.client == nil {
		return
	}
	c := s.client
	c.mu.Lock()
	if c.streams[s.id] == s {
		delete(c.streams, s.id)
		c.control(cancelFrame, s.id, nil)
		err := s.ctx.Err()
		if err == nil {
			err = context.Canceled
		}
		s.finish(err)
		c.ended()
	}
	c.flush(false)
}

// streamFrame takes a DATA, END or WINDOW frame for s, which may have ended; with c.mu held.
func (c *conn) streamFrame(s *Stream, f frame) error {
	if s == nil {
		return nil
	}
	switch f.kind {
	case dataFrame:
		if s.waiting+s.taken > int(c.own.window) || s.peerDone { //nolint:gosec // our own
			return broken("it sends more than the window")
		}
		s.queue = binary.NativeEndian.AppendUint32(s.queue, uint32(len(f.payload))) //nolint:gosec // at most maxPayload
		s.queue = append(s.queue, f.payload...)
		s.waiting += len(f.payload) + overhead
	case endFrame:
		s.peerDone = true
	case windowFrame:
		r := &scan{b: f.payload}
		n := r.uvarint()
		if r.bad || n > maxPayload || s.credit+int(n) > int(c.peer.window) { //nolint:gosec // bounded
			return broken("it opens the window by %d", n)
		}
		s.credit += int(n)
	default:
	}
	s.note()
	return nil
}
