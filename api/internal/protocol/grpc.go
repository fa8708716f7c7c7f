package protocol

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

// grpcCall is gRPC over HTTP/2 (PROTOCOL-HTTP2.md of gRPC), and gRPC-Web over any HTTP (PROTOCOL-WEB.md), whose trailers are a frame of the
// body, and whose body may be base64.
type grpcCall struct {
	base
	web, text  bool
	in         io.Reader
	compressed bool // what the client sends
	compress   bool // what it gets
	begun      bool
}

func (c *grpcCall) Protocol() string {
	if c.web {
		return "grpc-web"
	}
	return "grpc"
}

func (c *grpcCall) Path() string { return c.r.URL.Path }

func (c *grpcCall) Begin(s Shape) (err error) {
	c.shape, c.in = s, c.r.Body
	if c.text {
		c.in = &base64Reader{r: c.r.Body}
	}
	switch {
	case c.r.Method != http.MethodPost:
		return problem.InvalidArgument("METHOD_NOT_ALLOWED", "%s is POST only", c.Protocol())
	case !c.web && c.r.ProtoMajor < 2:
		return problem.Unimplemented("HTTP2_REQUIRED", "gRPC needs HTTP/2; gRPC-Web and Connect don't")
	case c.web && s.ClientStream && c.r.ProtoMajor < 2:
		return problem.Unimplemented("HTTP2_REQUIRED", "a client's stream over gRPC-Web needs HTTP/2")
	case c.codec != Proto && c.codec != JSON:
		return unsupportedCodec(c.codec)
	}
	c.compressed, c.compress, err = encodings(c.r.Header.Get("Grpc-Encoding"), c.r.Header.Get("Grpc-Accept-Encoding"))
	c.compress = c.compress && !s.Plain
	return err
}

// Timeout reads grpc-timeout: at most eight digits, and a unit.
func (c *grpcCall) Timeout() (time.Duration, error) {
	text := c.r.Header.Get("Grpc-Timeout")
	if text == "" {
		return 0, nil
	}
	unit, known := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil || len(text) > 9 {
		return 0, problem.InvalidArgument("BAD_TIMEOUT", "grpc-timeout is not a number and a unit")
	}
	return capped(n, unit), nil
}

// capped is n units, at least a nanosecond: 0 says that there is no limit.
func capped(n uint64, unit time.Duration) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	if n > uint64(most/unit) { //nolint:gosec // both are positive
		return most
	}
	return max(time.Duration(n)*unit, 1) //nolint:gosec // not more than most
}

func (c *grpcCall) Recv() ([]byte, error) { return readMessage(c.in, c.max, c.compressed) }

func (c *grpcCall) begin() {
	if c.begun {
		return
	}
	c.begun = true
	h := c.w.Header()
	h.Set("Content-Type", c.r.Header.Get("Content-Type"))
	h.Set("Grpc-Accept-Encoding", gzipName)
	if c.compress {
		h.Set("Grpc-Encoding", gzipName)
	}
}

func (c *grpcCall) Send(message []byte) error {
	c.begin()
	f, err := messageFrame(message, c.compress)
	if err != nil {
		return err
	}
	if err := c.write(f); err != nil || !c.shape.streams() {
		return err
	}
	return c.flush()
}

func (c *grpcCall) write(b []byte) error {
	if c.text {
		b = base64.StdEncoding.AppendEncode(nil, b) // padded: each write can be decoded alone
	}
	_, err := c.w.Write(b)
	return err
}

// End sends the status: in the trailers, or when nothing was sent in the headers; over gRPC-Web always in the last frame.
func (c *grpcCall) End(err error) {
	prefix, begun := http.TrailerPrefix, c.begun
	c.begin()
	if !begun && !c.web {
		prefix = ""
	}
	status := grpcStatus(err)
	if !c.web {
		for _, kv := range status {
			c.w.Header().Set(prefix+kv[0], kv[1])
		}
		if !begun {
			c.w.WriteHeader(http.StatusOK)
		}
		return
	}
	var b bytes.Buffer
	for _, kv := range status {
		fmt.Fprintf(&b, "%s: %s\r\n", strings.ToLower(kv[0]), kv[1])
	}
	if f, err := frame(flagWebTrailer, b.Bytes()); err == nil {
		_ = c.write(f) // the client may be gone
	}
}

// grpcStatus is the status of a call as trailers.
func grpcStatus(err error) [][2]string {
	if err == nil {
		return [][2]string{{"Grpc-Status", "0"}}
	}
	s := problem.From(err).GRPCStatus()
	out := [][2]string{{"Grpc-Status", strconv.Itoa(int(s.Code()))}, {"Grpc-Message", percent(s.Message())}}
	if b, err := proto.Marshal(s.Proto()); err == nil {
		out = append(out, [2]string{"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b)})
	}
	return out
}

// percent encodes a status message: all that isn't a printable ASCII character, and the percent sign.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// base64Reader decodes base64 that may be padded in its middle, where one frame ends and the next begins.
type base64Reader struct {
	r    io.Reader
	buf  [1024]byte // a multiple of four
	out  [768]byte
	left []byte
}

// Read implements io.Reader. It waits for no more than one group of four.
func (d *base64Reader) Read(p []byte) (int, error) {
	for len(d.left) == 0 {
		n, err := io.ReadAtLeast(d.r, d.buf[:], 4)
		if n == 0 {
			return 0, err
		}
		if rest := n % 4; rest != 0 {
			if _, err := io.ReadFull(d.r, d.buf[n:n+4-rest]); err != nil {
				return 0, io.ErrUnexpectedEOF
			}
			n += 4 - rest
		}
		d.left = d.out[:0]
		for i := 0; i < n; i += 4 {
			var three [3]byte
			k, err := base64.StdEncoding.Decode(three[:], d.buf[i:i+4])
			if err != nil {
				return 0, problem.InvalidArgument("BAD_ENCODING", "the body is not base64").Because(err)
			}
			d.left = append(d.left, three[:k]...)
		}
	}
	n := copy(p, d.left)
	d.left = d.left[n:]
	return n, nil
}
