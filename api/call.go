package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/stream"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// Media types.
const jsonType = "application/json"

// call serves one request on its route.
func (x *exchange) call(e *endpoint, values []string) {
	if !x.admitted(e) {
		return
	}
	answer := jsonType
	var form stream.Form
	switch {
	case isUpgrade(x.r) && (e.desc.IsStreamingServer() || e.desc.IsStreamingClient()):
		x.socket(e, values)
		return
	case e.desc.IsStreamingClient():
		x.needsSocket()
		return
	case e.desc.IsStreamingServer():
		form, answer = x.form(), stream.NDJSONType+" or "+stream.SSEType
	}
	if form == nil && quality(x.r.Header.Values("Accept"), answer) == 0 {
		x.failWith(http.StatusNotAcceptable, problem.InvalidArgument("NOT_ACCEPTABLE", "the answer is %s, which Accept excludes", answer))
		return
	}
	body, status, err := x.body(e)
	if err != nil {
		x.failWith(status, err)
		return
	}
	query := url.Values{}
	if x.r.URL.RawQuery != "" {
		query, err = url.ParseQuery(x.r.URL.RawQuery)
	}
	if err != nil || !utf8.ValidString(x.r.URL.RawQuery) {
		x.fail(problem.InvalidArgument("BAD_QUERY", "the query is not percent-encoded as it should be"))
		return
	}
	if form != nil {
		x.resumed(e, query)
	}
	var in proto.Message
	if e.binding.IsRaw() {
		in, err = e.binding.RawRequest(values, query, x.raw(body))
	} else {
		in, err = e.binding.Encode(values, query, body)
	}
	if err != nil {
		x.fail(err)
		return
	}
	ctx, err := x.keyed(e)
	if err != nil {
		x.fail(err)
		return
	}
	x.in(ctx)
	if form != nil {
		x.stream(e, in, form)
		return
	}
	x.unary(e, in)
}

func (x *exchange) unary(e *endpoint, in proto.Message) {
	if x.keeps(e) {
		x.kept(x.r.Context(), e, "rest", jsonType, in, func(ctx context.Context) ([]byte, error) { return x.json(ctx, e, in) })
		return
	}
	b, err := x.json(x.r.Context(), e, in)
	if err != nil {
		x.fail(x.upstream(err))
		return
	}
	x.sendJSON(e, b)
}

// json makes a unary call, and writes its answer.
func (x *exchange) json(ctx context.Context, e *endpoint, in proto.Message) ([]byte, error) {
	out := e.binding.Answer()
	var b []byte
	err := x.ask(ctx, e, x.who, in, out, func() (err error) {
		if b, err = e.binding.JSON(out); err != nil {
			return problem.Internal(err)
		}
		return nil
	})
	return append(b, '\n'), err
}

// callOptions tell the client which method is called, and which instances have it. When it knows of none that has, because the routes are
// a moment older than what it knows, any will do.
func (e *endpoint) callOptions() []client.CallOption {
	opts := append(make([]client.CallOption, 0, 3), rpc.WithMethod(e.desc)) // and what ask says
	if e.only == nil {
		return opts
	}
	return append(opts, client.WithSelectOption(selector.WithFilter(func(all []*registry.Service) []*registry.Service {
		var out []*registry.Service
		for _, s := range all {
			some := *s
			some.Nodes = nil
			for _, n := range s.Nodes {
				if e.only[hashOf(n)] {
					some.Nodes = append(some.Nodes, n)
				}
			}
			if len(some.Nodes) > 0 {
				out = append(out, &some)
			}
		}
		if len(out) == 0 {
			return all
		}
		return out
	})))
}

// upstream is what a client is told of an error of a call.
func (x *exchange) upstream(err error) error {
	p := problem.From(err)
	switch {
	case p.Reason == "NO_SUCH_METHOD": // the instance has an older contract than the route
		return problem.Unavailable("NO_SUCH_METHOD", "%s", p.Message).Because(err)
	case p.Code == codes.ResourceExhausted && strings.HasPrefix(p.Message, "grpc: received message larger"):
		return problem.New(codes.Internal, "ANSWER_TOO_LARGE", "the answer is larger than the gateway takes: ask for less").Because(err)
	case p.Code == codes.Internal, p.Code == codes.Unknown, p.Code == codes.DataLoss:
		return problem.Internal(err) // a service that isn't ours may have said too much
	case p.Code == codes.Canceled && x.r.Context().Err() == nil:
		return problem.Unavailable("CANCELED", "the service gave up").Because(err)
	}
	return err
}

// read reads the body of a request, of at most so many bytes, which is not encoded. status goes with err.
func (x *exchange) read(limit int64) (_ []byte, status int, err error) {
	if x.r.Body == http.NoBody {
		return nil, 0, nil
	}
	tooLarge := problem.InvalidArgument("BODY_TOO_LARGE", "the body has more than %d bytes", limit)
	if x.r.ContentLength > limit { // it need not be read
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, problem.DeadlineExceeded("BODY_TOO_SLOW", "the body did not arrive in time").Because(err)
	case err != nil:
		return nil, http.StatusBadRequest, problem.InvalidArgument("BODY_UNREADABLE", "the body can't be read to its end").Because(err)
	}
	return b, 0, nil
}

// body reads the body of a request. status goes with err.
func (x *exchange) body(e *endpoint) (_ []byte, status int, err error) {
	b, status, err := x.read(x.g.maxBody())
	switch {
	case err != nil:
		return nil, status, err
	case len(b) == 0:
		return nil, 0, nil
	case !e.binding.HasBody():
		return nil, http.StatusBadRequest, problem.InvalidArgument("BODY_NOT_ALLOWED", "%s takes no body", x.route)
	}
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, http.StatusUnsupportedMediaType, problem.InvalidArgument("UNSUPPORTED_CONTENT_ENCODING", "the body must not be encoded")
	}
	if e.binding.IsRaw() {
		return b, 0, nil
	}
	if !isJSON(x.r.Header.Values("Content-Type")) {
		return nil, http.StatusUnsupportedMediaType, problem.InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the body must be %s, and Content-Type say so", jsonType)
	}
	if !utf8.Valid(b) {
		return nil, http.StatusBadRequest, problem.InvalidArgument("BAD_JSON", "the body is not UTF-8")
	}
	return b, 0, nil
}

// raw is a body that isn't looked at, with the headers that may sign it: all but those that say who the caller is.
func (x *exchange) raw(body []byte) transcode.Raw {
	r := transcode.Raw{ContentType: x.r.Header.Get("Content-Type"), Data: body, Header: make(map[string]string, len(x.r.Header))}
	for name, values := range x.r.Header {
		if !reserved(name) {
			r.Header[name] = strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
		}
	}
	return r
}

func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	t, params, err := mime.ParseMediaType(contentType[0])
	charset, has := params["charset"]
	return err == nil && t == jsonType && (!has || strings.EqualFold(charset, "utf-8"))
}

// quality is how much the Accept headers want a media type, from 0 to 1: what is said of it most closely decides (RFC 9110 section 12.5.1).
// No header, or nonsense, lets all through.
func quality(accept []string, media string) float64 {
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == media) {
		return 1
	}
	kind, _, _ := strings.Cut(media, "/")
	closest, best, some := 0, 0.0, false
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		some = true
		closeness := 1 + slices.Index([]string{"*/*", kind + "/*", media}, t)
		if closeness == 0 || closeness < closest {
			continue
		}
		q, err := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64)
		if err != nil {
			q = 1
		}
		if closeness > closest {
			best = 0
		}
		best, closest = max(best, q), closeness
	}
	if !some {
		return 1
	}
	return best
}
