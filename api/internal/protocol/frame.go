package protocol

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/chassis/problem"
)

// A frame is a byte of flags, the length of what follows in four bytes, and that: gRPC's length-prefixed message (PROTOCOL-HTTP2.md of gRPC),
// which gRPC-Web and Connect's streams have too.
const (
	flagCompressed = 0x01
	flagConnectEnd = 0x02 // Connect: the end of a stream, JSON
	flagWebTrailer = 0x80 // gRPC-Web: the trailers
	frameHead      = 5
)

// compressFrom is from which size on messages are worth compressing.
const compressFrom = 1 << 10

const (
	identity = "identity"
	gzipName = "gzip"
)

// readFrame reads a frame. io.EOF is a good end: between two frames. Memory grows with what comes, not with what is announced.
func readFrame(r io.Reader, limit int64) (flags byte, payload []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return 0, nil, io.EOF
		}
		return 0, nil, readError(err)
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	if size > limit {
		return 0, nil, tooLarge(limit)
	}
	var b bytes.Buffer
	b.Grow(int(min(size, 16<<10)))
	if n, err := b.ReadFrom(io.LimitReader(r, size)); err != nil {
		return 0, nil, readError(err)
	} else if n < size {
		return 0, nil, readError(io.ErrUnexpectedEOF)
	}
	return head[0], b.Bytes(), nil
}

// readMessage reads a frame that is a message. compressed says that messages may be.
func readMessage(r io.Reader, limit int64, compressed bool) ([]byte, error) {
	flags, b, err := readFrame(r, limit)
	switch {
	case err != nil:
		return nil, err
	case flags&^flagCompressed != 0:
		return nil, problem.InvalidArgument("BAD_FRAME", "a frame has the flags %#x", flags)
	case flags == 0:
		return b, nil
	case !compressed:
		return nil, problem.InvalidArgument("BAD_FRAME", "a frame is compressed, and no header said how")
	}
	return gunzip(b, limit)
}

// frame puts payload in a frame.
func frame(flags byte, payload []byte) ([]byte, error) {
	if len(payload) > math.MaxUint32-frameHead {
		return nil, problem.Internal(errors.New("protocol: a message of more than 4 GiB"))
	}
	out := make([]byte, frameHead, frameHead+len(payload))
	out[0] = flags
	binary.BigEndian.PutUint32(out[1:], uint32(len(payload))) //nolint:gosec // checked above
	return append(out, payload...), nil
}

// messageFrame puts a message in a frame, compressed when that is allowed and worth it.
func messageFrame(message []byte, compress bool) ([]byte, error) {
	if compress && len(message) >= compressFrom {
		return frame(flagCompressed, zip(message))
	}
	return frame(0, message)
}

func gunzip(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, problem.InvalidArgument("BAD_ENCODING", "the message is not gzip").Because(err)
	}
	out, err := readAll(z, limit)
	var p *problem.Error
	if err != nil && errors.As(err, &p) && p.Reason != "BODY_TOO_LARGE" {
		return nil, problem.InvalidArgument("BAD_ENCODING", "the message is not gzip to its end").Because(err)
	}
	return out, err
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil { // the level is one
		return b
	}
	_, _ = z.Write(b) // a buffer takes all
	_ = z.Close()
	return out.Bytes()
}

// encodings reads the header of how messages are compressed; wants says that the client takes gzip.
func encodings(sent, taken string) (compressed, wants bool, err error) {
	switch sent {
	case "", identity:
	case gzipName:
		compressed = true
	default:
		return false, false, problem.Unimplemented("UNSUPPORTED_CONTENT_ENCODING", "messages may be compressed with gzip, not with %.40q", sent)
	}
	return compressed, compress.Choose(taken, compress.Gzip) == compress.Gzip, nil
}
