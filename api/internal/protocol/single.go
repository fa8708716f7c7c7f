package protocol

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// single is a call that is one body each way: Connect's unary calls, Twirp, go-micro.
type single struct {
	base
	protocol string
	path     string
	media    string // of the answer
	message  []byte // that stood in the address; nil for the body
	refused  error  // what Begin says, when the request is none of this protocol
	encoding string // of the body
	compress bool
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
	if c.compress && len(message) >= compressFrom {
		message = zip(message)
		h.Set("Content-Encoding", gzipName)
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

// listed says whether a header that is a list has a name in it, and not with q=0.
func listed(header, name string) bool {
	for part := range strings.SplitSeq(header, ",") {
		item, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(item), name) {
			params = strings.ReplaceAll(params, " ", "")
			return params != "q=0" && params != "q=0.0" && params != "q=0.00" && params != "q=0.000"
		}
	}
	return false
}
