package protocol

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Headers of go-micro's RPC (go-micro v4: client/rpc_client.go, util/..., server/rpc_codec.go).
const (
	microService  = "Micro-Service"
	microEndpoint = "Micro-Endpoint"
	microID       = "Micro-Id"
	microError    = "Micro-Error"
)

// Micro makes a call of a request that go-micro's api would take (its api/handler/rpc): the message is the body, JSON unless the media type is
// one of its protobuf ones. message is instead of the body when it isn't nil. Errors are go-micro's: id, code, detail, status.
func Micro(w http.ResponseWriter, r *http.Request, limit int64, path, media string, message []byte) Call {
	return newMicro(base{w: w, r: r, max: limit}, path, media, message)
}

func newMicro(b base, path, media string, message []byte) *single {
	b.codec = microCodec(media)
	if media == "" || message != nil {
		media = "application/json"
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return &single{
		base: b, protocol: "go-micro", path: path, media: media, message: message, encoding: b.r.Header.Get("Content-Encoding"),
		timeout: microTimeout,
		failure: func(p *problem.Error) (int, []byte) { return problem.HTTPStatus(p.Code), microErrorOf(p, service) },
	}
}

func microCodec(media string) Codec {
	switch media {
	case "", "application/json", "application/grpc+json":
		return JSON
	case "application/proto", "application/protobuf":
		return Proto
	}
	return Codec(media) // which Begin refuses
}

func microErrorOf(p *problem.Error, service string) []byte {
	b, err := json.Marshal(p.Micro(service))
	if err != nil { // texts only: it can't be
		b = []byte(`{"code":500}`)
	}
	return b
}

// microTimeout reads Timeout, nanoseconds: what go-micro's client sends.
func microTimeout(h http.Header) (time.Duration, error) {
	text := h.Get("Timeout")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, problem.InvalidArgument("BAD_TIMEOUT", "Timeout is not a number of nanoseconds")
	}
	return capped(n, time.Nanosecond), nil
}

// newMicroTransport makes a call of what go-micro's own client sends to a server, or to a proxy that stands before many: POST / with the
// names in headers. An error is a header of an answer that is 200.
func newMicroTransport(b base, media string) Call {
	h := b.r.Header
	service := h.Get(microService)
	c := newMicro(b, "/"+service+"/"+h.Get(microEndpoint), media, nil)
	c.header = func(out http.Header) {
		out.Set(microID, h.Get(microID))
		out.Set(microService, service)
		out.Set(microEndpoint, h.Get(microEndpoint))
	}
	c.failure = func(p *problem.Error) (int, []byte) {
		c.w.Header().Set(microError, string(microErrorOf(p, service)))
		return http.StatusOK, nil
	}
	return c
}
