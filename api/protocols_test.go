package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/api/internal/prototest"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/problem"
)

type text = wrapperspb.StringValue

// parrot is a service with a method of every kind.
type parrot struct {
	seen atomic.Pointer[metadata.Metadata]
	left atomic.Int32  // streams whose context ended
	hold chan struct{} // Count waits for it before its last message, when it isn't nil
}

// Echo is the name that go-micro gives the handler.
type Echo struct{ *parrot }

func (p *parrot) Say(ctx context.Context, in, out *text) error {
	md, _ := metadata.FromContext(ctx)
	p.seen.Store(&md)
	switch in.GetValue() {
	case "refuse":
		p := problem.FailedPrecondition("NOT_TODAY", "100 %% no: ü")
		p.Fields = []problem.Field{{Path: "value", Message: "is refused"}}
		return p
	case "secret":
		return errors.New("hunter2")
	case "wait":
		<-ctx.Done()
		p.left.Add(1)
		return ctx.Err()
	}
	out.Value = in.GetValue()
	return nil
}

func (p *parrot) Read(ctx context.Context, in, out *text) error { return p.Say(ctx, in, out) }

// Count sends each letter of what it is told.
func (p *parrot) Count(ctx context.Context, s server.Stream) error {
	in := &text{}
	if err := s.Recv(in); err != nil {
		return err
	}
	if in.GetValue() == "refuse" {
		return problem.FailedPrecondition("NOT_TODAY", "no")
	}
	for i, letter := range in.GetValue() {
		if i == len(in.GetValue())-1 && p.hold != nil {
			select {
			case <-p.hold:
			case <-ctx.Done():
				p.left.Add(1)
				return ctx.Err()
			}
		}
		if letter == '!' {
			return problem.Unavailable("BROKE", "half way")
		}
		if err := s.Send(wrapperspb.String(string(letter))); err != nil {
			return err
		}
	}
	return nil
}

// Gather joins what it is told.
func (p *parrot) Gather(_ context.Context, s server.Stream) error {
	var all []string
	for {
		in := &text{}
		err := s.Recv(in)
		if errors.Is(err, io.EOF) {
			return s.Send(wrapperspb.String(strings.Join(all, "+")))
		}
		if err != nil {
			return err
		}
		all = append(all, in.GetValue())
	}
}

// Talk answers each message at once.
func (p *parrot) Talk(ctx context.Context, s server.Stream) error {
	for {
		in := &text{}
		err := s.Recv(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			p.left.Add(1)
			return err
		}
		if in.GetValue() == "refuse" {
			return problem.FailedPrecondition("NOT_TODAY", "no")
		}
		if err := s.Send(wrapperspb.String("<" + in.GetValue() + ">")); err != nil {
			return err
		}
	}
}

func echoContract(t *testing.T) protoreflect.FileDescriptor {
	const str = "google.protobuf.StringValue"
	return prototest.New(t).Service("Echo",
		`Say `+str+` `+str,
		`Read `+str+` `+str+` idempotency_level:NO_SIDE_EFFECTS`,
		`Count `+str+` stream:`+str+` [google.api.http]{get:"/v1/count/{value}" additional_bindings{post:"/v1/count" body:"*"}}`,
		`Gather stream:`+str+` `+str+` [google.api.http]{post:"/v1/gather" body:"*"}`,
		`Talk stream:`+str+` stream:`+str+` [google.api.http]{get:"/v1/talk"}`,
	).Build()
}

// echoes starts a gateway with a parrot behind it, all of whose methods are offered.
func echoes(t *testing.T, p *parrot, with ...func(*api.Config)) *edge {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	fd := echoContract(t)
	serve(t, reg, "parrot", "1", fd, func(s server.Server) error { return s.Handle(s.NewHandler(&Echo{p})) })
	offered := func(c *api.Config) {
		c.Overrides = kv.Static{"test.v1.Echo/*": []byte(`{"expose": true, "public": true}`)}
	}
	return start(t, reg, append([]func(*api.Config){offered}, with...)...)
}

// h2c is a client that speaks HTTP/2 in the clear.
func h2c(t *testing.T) *http.Client {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func echoClient(c *http.Client, base, method string, opts ...connect.ClientOption) *connect.Client[text, text] {
	return connect.NewClient[text, text](c, base+"/test.v1.Echo/"+method, opts...)
}

// TestConnectGo runs connect-go's client: every protocol and codec that it has, over both versions of HTTP.
func TestConnectGo(t *testing.T) {
	p := &parrot{}
	e := echoes(t, p)
	two := h2c(t)
	long := strings.Repeat("x", 100_000) // is compressed
	for name, opts := range map[string][]connect.ClientOption{
		"connect": nil, "grpc": {connect.WithGRPC()}, "grpcweb": {connect.WithGRPCWeb()},
		"connect-json": {connect.WithProtoJSON()}, "grpc-json": {connect.WithGRPC(), connect.WithProtoJSON()},
		"grpcweb-json": {connect.WithGRPCWeb(), connect.WithProtoJSON()}, "connect-gzip": {connect.WithSendGzip()},
		"grpc-gzip": {connect.WithGRPC(), connect.WithSendGzip()}, "connect-get": {connect.WithHTTPGet(), connect.WithProtoJSON(), connect.WithSendGzip()},
	} {
		clients := map[string]*http.Client{"h2": two, "h1": e.http}
		if strings.HasPrefix(name, "grpc-") || name == "grpc" {
			delete(clients, "h1")
		}
		for version, hc := range clients {
			t.Run(name+"/"+version, func(t *testing.T) {
				unaryByConnect(t, p, e, hc, opts, long)
				streamsByConnect(t, e, hc, opts, version == "h2", strings.HasPrefix(name, "grpcweb"))
			})
		}
	}
}

func unaryByConnect(t *testing.T, p *parrot, e *edge, hc *http.Client, opts []connect.ClientOption, long string) {
	say := echoClient(hc, e.base, "Say", opts...)
	for _, s := range []string{"", "hello", long} {
		out, err := say.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(s)))
		if err != nil || out.Msg.GetValue() != s {
			t.Fatalf("%d bytes: %v", len(s), err)
		}
		if out.Header().Get("X-Request-Id") == "" {
			t.Error("no request id")
		}
	}
	read := echoClient(hc, e.base, "Read", append(opts, connect.WithIdempotency(connect.IdempotencyNoSideEffects))...)
	if out, err := read.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("a/ü?"))); err != nil || out.Msg.GetValue() != "a/ü?" {
		t.Fatal(err)
	}
	_, err := say.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("refuse")))
	var ce *connect.Error
	if !errors.As(err, &ce) || ce.Code() != connect.CodeFailedPrecondition || ce.Message() != "100 % no: ü" {
		t.Fatalf("refused: %v", err)
	}
	seen := map[string]bool{}
	for _, d := range ce.Details() {
		m, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *errdetails.ErrorInfo:
			seen[m.GetReason()] = true
		case *errdetails.BadRequest:
			seen[m.GetFieldViolations()[0].GetField()] = true
		}
	}
	if !seen["NOT_TODAY"] || !seen["value"] {
		t.Errorf("details %v", seen)
	}
	if _, err = say.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("secret"))); connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an internal error: %v", err)
	}
	if _, err = echoClient(hc, e.base, "Nothing", opts...).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(""))); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("a method that isn't there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	before := p.left.Load()
	if _, err = say.CallUnary(ctx, connect.NewRequest(wrapperspb.String("wait"))); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("too late: %v", err)
	}
	e.eventually("ended upstream", func() bool { return p.left.Load() > before })
}

func streamsByConnect(t *testing.T, e *edge, hc *http.Client, opts []connect.ClientOption, two, web bool) {
	count := echoClient(hc, e.base, "Count", opts...)
	letters := func(s string) (string, error) {
		st, err := count.CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String(s)))
		if err != nil {
			return "", err
		}
		defer func() { _ = st.Close() }()
		var all string
		for st.Receive() {
			all += st.Msg().GetValue()
		}
		return all, st.Err()
	}
	if got, err := letters("abc"); err != nil || got != "abc" {
		t.Errorf("server stream: %q %v", got, err)
	}
	if got, err := letters(""); err != nil || got != "" {
		t.Errorf("empty server stream: %q %v", got, err)
	}
	if got, err := letters("ab!"); connect.CodeOf(err) != connect.CodeUnavailable || got != "ab" {
		t.Errorf("a server stream that breaks: %q %v", got, err)
	}
	if _, err := letters("refuse"); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a server stream that is refused: %v", err)
	}
	if web && !two {
		return
	}
	up := echoClient(hc, e.base, "Gather", opts...).CallClientStream(t.Context())
	for _, s := range []string{"a", "b", "c"} {
		if err := up.Send(wrapperspb.String(s)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := up.CloseAndReceive(); err != nil || out.Msg.GetValue() != "a+b+c" {
		t.Errorf("client stream: %v", err)
	}
	if !two {
		return
	}
	talk := echoClient(hc, e.base, "Talk", opts...).CallBidiStream(t.Context())
	for _, s := range []string{"a", "b"} {
		if err := talk.Send(wrapperspb.String(s)); err != nil {
			t.Fatal(err)
		}
		if m, err := talk.Receive(); err != nil || m.GetValue() != "<"+s+">" {
			t.Fatalf("talk: %v %v", m, err)
		}
	}
	if err := talk.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	if _, err := talk.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the end of a talk: %v", err)
	}
	_ = talk.CloseResponse()
	refused := echoClient(hc, e.base, "Talk", opts...).CallBidiStream(t.Context())
	_ = refused.Send(wrapperspb.String("refuse"))
	if _, err := refused.Receive(); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a talk that is refused while the client goes on: %v", err)
	}
	_ = refused.CloseRequest()
	_ = refused.CloseResponse()
}

// TestGRPCGo runs grpc-go's client, in the clear and over TLS.
func TestGRPCGo(t *testing.T) {
	p := &parrot{}
	e := echoes(t, p)
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(e.base, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	out := &text{}
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		for _, path := range []string{"/test.v1.Echo/Say", "/parrot.Echo/Say"} {
			long := strings.Repeat("x", 50_000)
			if err := conn.Invoke(t.Context(), path, wrapperspb.String(long), out, opts...); err != nil || out.GetValue() != long {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	md := *p.seen.Load()
	if md["X-Request-Id"] == "" || md["Idempotency-Key"] == "" {
		t.Errorf("upstream %v", md)
	}
	err = conn.Invoke(t.Context(), "/test.v1.Echo/Say", wrapperspb.String("refuse"), out)
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "100 % no: ü" || problem.From(err).Reason != "NOT_TODAY" {
		t.Errorf("refused: %v", err)
	}
	for path, want := range map[string]codes.Code{"/test.v1.Echo/Nothing": codes.Unimplemented, "/nobody.Here/At": codes.Unimplemented} {
		if err := conn.Invoke(t.Context(), path, wrapperspb.String(""), out); status.Code(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := conn.Invoke(t.Context(), "/test.v1.Echo/Say", wrapperspb.String(strings.Repeat("x", 5<<20)), out); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	st, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Echo/Talk")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := st.SendMsg(wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(out); err != nil || out.GetValue() != "<x>" {
			t.Fatalf("%v %v", out, err)
		}
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := st.RecvMsg(out); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	st, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Echo/Talk")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.SendMsg(wrapperspb.String("x")), st.RecvMsg(out)); err != nil {
		t.Fatal(err)
	}
	cancel()
	e.eventually("ended upstream", func() bool { return p.left.Load() > 0 })
}

func TestProtocolsOverTLS(t *testing.T) {
	made := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate
	cert := made.TLS.Certificates[0]
	made.Close()
	e := echoes(t, &parrot{}, func(c *api.Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	})
	for version, opts := range map[string][]connect.ClientOption{"HTTP/2.0": {connect.WithGRPC()}, "HTTP/1.1": {connect.WithGRPCWeb()}} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: version == "HTTP/2.0"}
		defer tr.CloseIdleConnections()
		hc := &http.Client{Transport: tr}
		out, err := echoClient(hc, e.base, "Say", opts...).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("x")))
		if err != nil || out.Msg.GetValue() != "x" {
			t.Errorf("%s: %v", version, err)
		}
		rsp, err := hc.Get(e.base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		if rsp.Proto != version {
			t.Errorf("%s, want %s", rsp.Proto, version)
		}
	}
}
