package protocol

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/api/internal/compress"
	"github.com/cleavehq/cleave/chassis/problem"
)

// single is a call that is one body each way: Connect's unary calls, Twirp, go-micro.
type single struct {
	base
	protocol string
	path     string
	media    string          // of the answer
	message  []byte          // that stood in the address; nil for the body
	refused  error           // what Begin says, when the request is none of this protocol
	encoding string          // of the body
	coding   compress.Coding // of the answer, when it is worth it
	timeout  func(http.Header) (time.Duration, error)
	failure  func(*problem.Error) (status int, body []byte)
	header   func(http.Header) // of an answer
	read     bool
	answered bool
}

func (c *single) Protocol() string { return c.protocol }
func (c *single) Path() string     { return c.path }

func (c *single) Begin(s Shape) error {
	c.shape = s
	if !s.Plain {
		c.coding = compress.Choose(c.r.Header.Get("Accept-Encoding"), compress.Zstd, compress.Gzip)
	}
	switch {
	case c.refused != nil:
		return c.refused
	case s.streams():
		return noStreams(c.protocol)
	case c.codec != Proto && c.codec != JSON:
		return unsupportedCodec(c.codec)
	case c.r.Method == http.MethodGet && !s.Safe:
		c.w.Header().Set("Allow", http.MethodPost)
		return problem.Unimplemented("METHOD_NOT_ALLOWED", "the method may have side effects: it is POST only")
	}
	return nil
}

func (c *single) Timeout() (time.Duration, error) { return c.timeout(c.r.Header) }

func (c *single) Recv() ([]byte, error) {
	if c.read {
		return nil, io.EOF
	}
	c.read = true
	compressed, _, err := encodings(c.encoding, "")
	if err != nil {
		return nil, err
	}
	b := c.message
	if b == nil {
		if b, err = readAll(c.r.Body, c.max); err != nil {
			return nil, err
		}
	}
	if compressed && len(b) > 0 {
		return gunzip(b, c.max)
	}
	return b, nil
}

func (c *single) Send(message []byte) error {
	c.answered = true
	h := c.w.Header()
	if c.coding != compress.Identity && len(message) >= compress.From {
		encoder := c.shape.Encoder
		if encoder == nil {
			encoder = &compress.Encoder{}
		}
		if short, ok := encoder.Encode(c.coding, message); ok {
			message = short
			h.Set("Content-Encoding", string(c.coding))
		}
	}
	if c.header != nil {
		c.header(h)
	}
	h.Set("Content-Type", c.media)
	h.Set("Content-Length", strconv.Itoa(len(message)))
	c.w.WriteHeader(http.StatusOK)
	_, err := c.w.Write(message)
	return err
}

func (c *single) End(err error) {
	if c.answered {
		return
	}
	if err == nil {
		err = problem.Internal(io.ErrUnexpectedEOF)
	}
	status, body := c.failure(problem.From(err))
	if len(body) > 0 {
		body = append(bytes.TrimSpace(body), '\n')
	}
	h := c.w.Header()
	if c.header != nil {
		c.header(h)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client may be gone
}
