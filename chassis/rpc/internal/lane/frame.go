package lane

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Magic is how every lane connection begins. No HTTP method does, and no HTTP/2 preface.
const Magic = "\x00CLV"

const (
	version    = 1
	headerSize = 8
	maxHead    = 64 << 10     // of a CALL or OPEN beside its message, and of a STATUS
	maxPayload = 1<<24 - 1    // what the length can say
	readBuffer = 64 << 10     // frames up to this size are decoded where they lie
	maxPending = 1 << 20      // bytes that wait to be written; then senders wait
	overhead   = 16           // what a message costs of a window, beside its bytes
	lastStream = 1<<31 - 1024 // then another connection is made
)

// MaxMessage is the largest message that a frame can hold.
const MaxMessage = maxPayload - maxHead

// kind is the type of a frame: docs/lane.md.
type kind byte

const (
	settingsFrame kind = iota + 1
	callFrame
	openFrame
	dataFrame
	endFrame
	replyFrame
	statusFrame
	cancelFrame
	windowFrame
	pingFrame
	pongFrame
	goAwayFrame
)

var errProtocol = errors.New("lane: the peer breaks the protocol")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// frame is one that was read. Its payload is good until the next is read.
type frame struct {
	kind    kind
	id      uint32
	payload []byte
}

// appendHeader begins a frame; finish sets its length.
func appendHeader(b []byte, k kind, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, byte(k)), id)
}

// finish sets the length of the frame that begins at start and ends b.
func finish(b []byte, start int) {
	n := uint32(len(b) - start - headerSize) //nolint:gosec // no frame is longer than maxPayload
	binary.BigEndian.PutUint32(b[start:], n<<8|uint32(b[start+3]))
}

// reader reads frames.
type reader struct {
	r     *bufio.Reader
	limit int       // of a payload
	skip  int       // of the last frame, which still lies in r
	at    time.Time // when the end of the last frame had come
}

func newReader(r io.Reader, limit int) *reader {
	return &reader{r: bufio.NewReaderSize(r, readBuffer), limit: limit}
}

// next reads a frame. io.EOF is an end between two frames.
func (r *reader) next() (frame, error) {
	if r.skip > 0 {
		if _, err := r.r.Discard(r.skip); err != nil {
			return frame{}, err
		}
		r.skip = 0
	}
	had := r.r.Buffered()
	h, err := r.r.Peek(headerSize)
	if err != nil {
		if len(h) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	n := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	f := frame{kind: kind(h[3]), id: binary.BigEndian.Uint32(h[4:])}
	if n > r.limit {
		return f, broken("a frame of %d bytes", n)
	}
	if headerSize+n <= readBuffer {
		b, err := r.r.Peek(headerSize + n)
		if err != nil {
			return f, noEOF(err)
		}
		f.payload, r.skip = b[headerSize:], headerSize+n
		if had < headerSize+n { // else it came with the one before
			r.at = time.Now()
		}
		return f, nil
	}
	if _, err := r.r.Discard(headerSize); err != nil {
		return f, err
	}
	f.payload, err = readAll(r.r, n)
	r.at = time.Now()
	return f, noEOF(err)
}

// readAll reads n bytes. It grows as they come: a length alone takes no memory.
func readAll(r io.Reader, n int) ([]byte, error) {
	const step = 256 << 10
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		have := len(b)
		want := min(n-have, max(step, have))
		b = append(b, make([]byte, want)...)
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
