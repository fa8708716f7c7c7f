// Package protocol speaks the RPC protocols of the edge, from the server's side and for any method: gRPC, gRPC-Web, Connect, Twirp, and
// go-micro's RPC over HTTP. It knows frames, codecs' names, compression, deadlines and the form of errors; it knows no message and no route.
//
// A message is bytes here, protobuf or JSON. Those that a client sends have at most Max bytes, also after they are decompressed: gzip
// only. What is sent back is compressed when the client takes gzip, or zstd where the answer is one body, and the message has more than 1 KiB.
package protocol

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Codec is how a message is written.
type Codec string

// Codecs.
const (
	Proto Codec = "proto"
	JSON  Codec = "json"
)

// Shape is what a protocol has to carry.
type Shape struct {
	ClientStream, ServerStream bool
	// Safe says that the method has no side effects, so that a GET may call it.
	Safe bool
	// Plain says that what is sent must not be compressed.
	Plain bool
	// Encoder compresses answers that are one body; one of its own when nil.
	Encoder *compress.Encoder
}

func (s Shape) streams() bool { return s.ClientStream || s.ServerStream }

// Call is one call in one of the protocols. Recv and Send may be used at the same time, each by one goroutine.
type Call interface {
	// Protocol is its name: grpc, grpc-web, connect, twirp, go-micro.
	Protocol() string
	Codec() Codec
	// Path names the method: /package.Service/Method, or /registryname/Service.Method.
	Path() string
	// Begin is told what is called, before the first message. It refuses what the protocol, or this version of HTTP, can't carry.
	Begin(Shape) error
	// Timeout is what the client says that the call may take; 0 when it says nothing.
	Timeout() (time.Duration, error)
	// Recv returns the client's next message; io.EOF after the last one.
	Recv() ([]byte, error)
	// Send sends a message. What it returns is the connection's error: the client is gone, or too slow.
	Send(message []byte) error
	// End ends the call, well when err is nil. It may be called at any time, once. A unary call that was answered is ended already.
	End(err error)
}

// base is what all calls have.
type base struct {
	w     http.ResponseWriter
	r     *http.Request
	max   int64
	codec Codec
	shape Shape
}

func (b *base) Codec() Codec { return b.codec }

func (b *base) flush() error { return http.NewResponseController(b.w).Flush() }

// Of returns the call that a request is, when its headers alone say so; nil when they don't. Max is the size of a message in bytes.
func Of(w http.ResponseWriter, r *http.Request, limit int64) Call {
	b := base{w: w, r: r, max: limit, codec: Proto}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	family, codec, has := strings.Cut(media, "+")
	if has {
		b.codec = Codec(codec)
	}
	switch family {
	case "application/grpc":
		return &grpcCall{base: b}
	case "application/grpc-web":
		return &grpcCall{base: b, web: true}
	case "application/grpc-web-text":
		return &grpcCall{base: b, web: true, text: true}
	case "application/connect":
		return &connectStream{base: b}
	}
	switch {
	case strings.HasPrefix(r.URL.Path, twirpPrefix):
		return newTwirp(b, media)
	case r.URL.Path == "/" && r.Method == http.MethodPost && r.Header.Get(microEndpoint) != "":
		return newMicroTransport(b, media)
	}
	return nil
}

// readError is what a client is told of a body that can't be read.
func readError(err error) error {
	var p *problem.Error
	switch {
	case errors.As(err, &p):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.DeadlineExceeded("BODY_TOO_SLOW", "the body did not arrive in time").Because(err)
	case errors.Is(err, context.Canceled):
		return problem.From(err)
	}
	return problem.InvalidArgument("BODY_UNREADABLE", "the body can't be read to its end").Because(err)
}

func tooLarge(limit int64) error {
	return problem.ResourceExhausted("BODY_TOO_LARGE", "the message has more than %d bytes", limit)
}

// readAll reads r, which has at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, readError(err)
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func unsupportedCodec(c Codec) error {
	return problem.InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the messages are %.40q; they must be proto or json", string(c))
}

func noStreams(protocol string) error {
	return problem.Unimplemented("STREAM_NOT_SUPPORTED", "the method is a stream, which %s doesn't have", protocol)
}
