package protocol

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Twirp, version 7 of its specification: https://twitchtv.github.io/twirp/docs/spec_v7.html. It has no deadline and no streams.
const twirpPrefix = "/twirp/"

func newTwirp(b base, media string) Call {
	c := &single{
		base: b, protocol: "twirp", path: "/" + strings.TrimPrefix(b.r.URL.Path, twirpPrefix), media: media,
		timeout: func(http.Header) (time.Duration, error) { return 0, nil }, failure: twirpFailure,
	}
	c.encoding = b.r.Header.Get("Content-Encoding")
	switch media {
	case "application/json":
		c.codec = JSON
	case "application/protobuf":
		c.codec = Proto
	default:
		c.refused = problem.Unimplemented(twirpBadRoute, "the content type must be application/json or application/protobuf")
	}
	if b.r.Method != http.MethodPost {
		c.refused = problem.Unimplemented(twirpBadRoute, "Twirp is POST only")
	}
	return c
}

// twirpBadRoute is the reason of what Twirp calls bad_route.
const twirpBadRoute = "BAD_ROUTE"

// twirpFailure is an error of Twirp: code, msg, and the reason and the wrong fields in meta.
func twirpFailure(p *problem.Error) (int, []byte) {
	code, status := connectCode(p.Code), problem.HTTPStatus(p.Code)
	switch p.Code {
	case codes.Canceled, codes.DeadlineExceeded:
		status = http.StatusRequestTimeout
	case codes.FailedPrecondition:
		status = http.StatusPreconditionFailed
	case codes.DataLoss:
		code = "dataloss"
	default: // as everywhere
	}
	switch p.Reason {
	case twirpBadRoute, ReasonNoSuchMethod:
		code, status = "bad_route", http.StatusNotFound
	case "BAD_JSON", "BAD_MESSAGE", "BAD_ENCODING":
		code, status = "malformed", http.StatusBadRequest
	}
	out := struct {
		Code string            `json:"code"`
		Msg  string            `json:"msg"`
		Meta map[string]string `json:"meta,omitempty"`
	}{code, p.Message, map[string]string{"reason": p.Reason}}
	for _, f := range p.Fields {
		out.Meta["field."+f.Path] = f.Message
	}
	b, err := json.Marshal(out)
	if err != nil { // texts only: it can't be
		b = []byte(`{"code":"internal","msg":""}`)
	}
	return status, b
}

// ReasonNoSuchMethod is the reason of a call of what isn't there.
const ReasonNoSuchMethod = "METHOD_NOT_FOUND"
