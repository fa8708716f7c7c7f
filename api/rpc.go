package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/api/internal/protocol"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/problem"
)

// named serves a request that names a method instead of a route. It says whether it was one.
func (x *exchange) named(t *table) bool {
	path := x.r.URL.Path
	if x.rpc != nil {
		path = x.rpc.Path()
	}
	e, ok := t.method(path)
	switch {
	case !ok && x.rpc == nil:
		return false
	case !ok:
		x.fail(problem.Unimplemented(protocol.ReasonNoSuchMethod, "there is no method %.200s", path))
		return true
	}
	x.route = e.path()
	if x.preflight([]string{http.MethodGet, http.MethodPost}) {
		return true
	}
	if x.rpc == nil && isUpgrade(x.r) {
		if x.admitted(e) {
			x.socket(e, nil)
		}
		return true
	}
	if x.rpc == nil {
		if err := x.recognise(e, path); err != nil {
			x.fail(err)
			return true
		}
	}
	if x.admitted(e) {
		x.answer(e)
	}
	return true
}

// recognise tells the protocols apart that headers alone don't: a method's name in its contract is Connect's, its name in the registry
// go-micro's.
func (x *exchange) recognise(e *endpoint, path string) error {
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if path == e.path() {
		x.rpc = protocol.ConnectUnary(x.w, x.r, x.g.maxBody(), media)
		return nil
	}
	var message []byte
	if x.r.Method == http.MethodGet && x.r.URL.RawQuery != "" {
		var err error
		if message, err = asMessage(e, x.r.URL.RawQuery); err != nil {
			return err
		}
	}
	x.rpc = protocol.Micro(x.w, x.r, x.g.maxBody(), "/"+e.service+"/"+e.name, media, message)
	return nil
}

// asMessage is the JSON of the message that the parameters make.
func asMessage(e *endpoint, raw string) ([]byte, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem.InvalidArgument("BAD_QUERY", "the query is not percent-encoded as it should be")
	}
	b, err := transcode.NewBinding(e.desc, nil, "", "", false, e.binding.Types)
	if err != nil {
		return nil, problem.Internal(err)
	}
	m, err := b.Request(nil, query, nil)
	if err != nil {
		return nil, err
	}
	echo := transcode.Binding{Input: e.desc.Input(), Output: e.desc.Input(), Types: e.binding.Types}
	return echo.Response(m)
}

// answer serves a call.
func (x *exchange) answer(e *endpoint) {
	o, _ := e.desc.Options().(*descriptorpb.MethodOptions)
	shape := protocol.Shape{
		ClientStream: e.desc.IsStreamingClient(), ServerStream: e.desc.IsStreamingServer(),
		Safe:  o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
		Plain: !x.mayCompress(e), Encoder: &x.g.encoder,
	}
	err := x.rpc.Begin(shape)
	var timeout time.Duration
	if err == nil {
		timeout, err = x.rpc.Timeout()
	}
	var ctx context.Context
	if err == nil {
		ctx, err = x.keyed(e)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.in(ctx)
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	c := codecOf(x.rpc.Codec(), e)
	if shape.ClientStream || shape.ServerStream {
		x.streamed(ctx, e, c)
		return
	}
	in, err := x.only(c)
	if err != nil {
		x.fail(err)
		return
	}
	x.once(ctx, e, in, c)
}

// only reads the only message of a client that sends one.
func (x *exchange) only(c codec) (proto.Message, error) {
	b, err := x.rpc.Recv()
	if errors.Is(err, io.EOF) {
		return nil, problem.InvalidArgument("NO_MESSAGE", "the request has no message")
	}
	if err != nil {
		return nil, err
	}
	if _, err := x.rpc.Recv(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = problem.InvalidArgument("MORE_MESSAGES", "the method takes one message")
		}
		return nil, err
	}
	return c.decode(b)
}

// once makes a unary call.
func (x *exchange) once(ctx context.Context, e *endpoint, in proto.Message, k codec) {
	encoded := func(ctx context.Context) ([]byte, error) {
		out := k.empty()
		var b []byte
		err := x.ask(ctx, e, x.who, in, out, func() (err error) {
			if b, _, err = k.encode(out); err != nil {
				return problem.Internal(err)
			}
			return nil
		})
		return b, err
	}
	if x.rpc.Protocol() == "connect" && x.keeps(e) {
		codec := string(x.rpc.Codec())
		x.kept(ctx, e, "connect "+codec, "application/"+codec, in, encoded)
		return
	}
	b, err := encoded(ctx)
	if err != nil {
		x.fail(x.upstream(err))
		return
	}
	if err := x.rpc.Send(b); err == nil { // else the client is gone
		x.rpc.End(nil)
	}
}

// streamed serves a stream.
func (x *exchange) streamed(ctx context.Context, e *endpoint, c codec) {
	done, err := x.long()
	if err != nil {
		x.fail(err)
		return
	}
	defer done()
	var first proto.Message
	if !e.desc.IsStreamingClient() {
		if first, err = x.only(c); err != nil {
			x.fail(err)
			return
		}
	}
	nothing := func() error { return nil }
	x.converse(ctx, e, first, &listener{
		codec: c, recv: x.rpc.Recv, open: nothing, beat: nothing,
		unblock: func() { _ = http.NewResponseController(x.w).SetReadDeadline(time.Now()) },
		message: func(b []byte, _ string) error { return x.rpc.Send(b) },
		end: func(err error) {
			if err != nil {
				x.fail(err)
				return
			}
			x.rpc.End(nil)
		},
	})
}

// isUpgrade says whether a request wants to be a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
