package protocol

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cleavehq/cleave/chassis/problem"
)

// The Connect protocol: https://connectrpc.com/docs/protocol.
const connectVersion = "1"

// ConnectUnary makes a unary call of a POST whose body is the message, or of a GET that has it in its address. media is the request's media
// type.
func ConnectUnary(w http.ResponseWriter, r *http.Request, limit int64, media string) Call {
	c := &single{base: base{w: w, r: r, max: limit}, protocol: "connect", path: r.URL.Path, timeout: connectTimeout, failure: connectFailure}
	c.encoding = r.Header.Get("Content-Encoding")
	switch {
	case r.Method == http.MethodGet:
		c.get(r.URL.Query())
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		c.refused = problem.Unimplemented("METHOD_NOT_ALLOWED", "Connect is POST, or GET for what has no side effects")
	default:
		c.codec = Codec(strings.TrimPrefix(media, "application/"))
		c.refused = connectVersionOf(r.Header.Get("Connect-Protocol-Version"))
	}
	c.media = "application/" + string(c.codec)
	return c
}

// get takes the message out of the address.
func (c *single) get(query url.Values) {
	c.codec = Codec(query.Get("encoding"))
	c.encoding = query.Get("compression")
	text := query.Get("message")
	c.message = []byte(text)
	if query.Get("base64") == "1" {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			c.refused = problem.InvalidArgument("BAD_ENCODING", "the message is not URL-safe base64").Because(err)
		}
		c.message = append([]byte{}, b...)
	}
	if v, ok := strings.CutPrefix(query.Get("connect"), "v"); ok || v != "" {
		if err := connectVersionOf(v); err != nil {
			c.refused = err
		}
	}
	c.w.Header().Add("Vary", "Accept-Encoding")
}

func connectVersionOf(v string) error {
	if v != "" && v != connectVersion {
		return problem.InvalidArgument("BAD_PROTOCOL_VERSION", "the version of Connect is %.20q; it must be %s", v, connectVersion)
	}
	return nil
}

// connectTimeout reads Connect-Timeout-Ms: at most ten digits.
func connectTimeout(h http.Header) (time.Duration, error) {
	text := h.Get("Connect-Timeout-Ms")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(text) > 10 {
		return 0, problem.InvalidArgument("BAD_TIMEOUT", "Connect-Timeout-Ms is not a number of milliseconds")
	}
	return capped(n, time.Millisecond), nil
}

// connectStream is a stream of Connect, in both directions frames; the last one says how it ended.
type connectStream struct {
	base
	compressed, compress bool
	begun                bool
}

func (c *connectStream) Protocol() string { return "connect" }
func (c *connectStream) Path() string     { return c.r.URL.Path }

func (c *connectStream) Begin(s Shape) (err error) {
	c.shape = s
	switch {
	case c.r.Method != http.MethodPost:
		return problem.InvalidArgument("METHOD_NOT_ALLOWED", "a stream of Connect is POST only")
	case !s.streams():
		return problem.InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the method is no stream: send application/%s", c.codec)
	case s.ClientStream && s.ServerStream && c.r.ProtoMajor < 2:
		return problem.Unimplemented("HTTP2_REQUIRED", "a stream in both directions needs HTTP/2")
	case c.codec != Proto && c.codec != JSON:
		return unsupportedCodec(c.codec)
	}
	if err := connectVersionOf(c.r.Header.Get("Connect-Protocol-Version")); err != nil {
		return err
	}
	if c.r.ProtoMajor < 2 && s.ClientStream {
		c.w.Header().Set("Connection", "close") // what the client hasn't sent when the call ends would be the next request
	}
	c.compressed, c.compress, err = encodings(c.r.Header.Get("Connect-Content-Encoding"), c.r.Header.Get("Connect-Accept-Encoding"))
	c.compress = c.compress && !s.Plain
	return err
}

func (c *connectStream) Timeout() (time.Duration, error) { return connectTimeout(c.r.Header) }

func (c *connectStream) Recv() ([]byte, error) { return readMessage(c.r.Body, c.max, c.compressed) }

func (c *connectStream) begin() {
	if c.begun {
		return
	}
	c.begun = true
	h := c.w.Header()
	h.Set("Content-Type", "application/connect+"+string(c.codec))
	h.Set("Connect-Accept-Encoding", gzipName)
	if c.compress {
		h.Set("Connect-Content-Encoding", gzipName)
	}
}

func (c *connectStream) Send(message []byte) error {
	c.begin()
	f, err := messageFrame(message, c.compress)
	if err != nil {
		return err
	}
	if _, err := c.w.Write(f); err != nil {
		return err
	}
	return c.flush()
}

func (c *connectStream) End(err error) {
	c.begin()
	var end struct {
		Error *connectError `json:"error,omitempty"`
	}
	if err != nil {
		end.Error = connectErrorOf(problem.From(err))
	}
	b, err := json.Marshal(end)
	if err != nil { // texts only: it can't be
		b = []byte(`{"error":{"code":"internal"}}`)
	}
	if f, err := frame(flagConnectEnd, b); err == nil {
		_, _ = c.w.Write(f) // the client may be gone
	}
}

type connectError struct {
	Code    string          `json:"code"`
	Message string          `json:"message,omitempty"`
	Details []connectDetail `json:"details,omitempty"`
}

type connectDetail struct {
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

func connectErrorOf(p *problem.Error) *connectError {
	s := p.GRPCStatus().Proto()
	out := &connectError{Code: connectCode(p.Code), Message: s.GetMessage()}
	for _, d := range s.GetDetails() {
		detail := connectDetail{Type: string(d.MessageName()), Value: base64.RawStdEncoding.EncodeToString(d.GetValue())}
		if m, err := d.UnmarshalNew(); err == nil {
			detail.Debug, _ = protojson.Marshal(m) // for people: without it the value is enough
		}
		out.Details = append(out.Details, detail)
	}
	return out
}

func connectFailure(p *problem.Error) (int, []byte) {
	b, err := json.Marshal(connectErrorOf(p))
	if err != nil { // texts only: it can't be
		b = []byte(`{"code":"internal"}`)
	}
	switch p.Reason {
	case "UNSUPPORTED_MEDIA_TYPE", "UNSUPPORTED_CONTENT_ENCODING":
		return http.StatusUnsupportedMediaType, b
	case "METHOD_NOT_ALLOWED":
		return http.StatusMethodNotAllowed, b
	}
	if p.Code == codes.FailedPrecondition {
		return http.StatusBadRequest, b // Connect's own table
	}
	return problem.HTTPStatus(p.Code), b
}

// connectCode is the name of a code in Connect and in Twirp.
func connectCode(c codes.Code) string {
	names := [...]string{
		"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
		"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
		"unauthenticated",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}
