package rpc

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// method is one endpoint: a method of a handler and what the contract says of it.
type method struct {
	s        *Server
	name     string // "Catalog.GetProduct"
	desc     protoreflect.MethodDescriptor
	fn       reflect.Value // of func(context.Context, *Req, *Rsp) error, or func(context.Context, server.Stream) error
	in, out  reflect.Type  // Req and Rsp; nil for a stream
	inPtr    reflect.Type  // *Req
	outPtr   reflect.Type  // *Rsp
	streamed bool
	unary    unary              // fn without reflection; nil when it doesn't go without
	receiver unsafe.Pointer     // of unary
	run      server.HandlerFunc // fn behind the chain
	direct   server.HandlerFunc // the same, and uncounted
	plain    bool               // nothing is wrapped around it, and it goes without reflection: see plainly
	ruled    bool               // its request has rules to be validated

	inBounds, outBounds *bounds // of Req and Rsp; nil for a stream
}

// newMessage makes an empty one: t is a generated type, methodsOf has seen to that.
func newMessage(t reflect.Type) proto.Message {
	m, _ := reflect.New(t).Interface().(proto.Message)
	return m
}

func nameOf(h server.Handler) protoreflect.Name { return protoreflect.Name(h.Name()) }

// methodsOf finds in h the methods of its contract.
func methodsOf(sd protoreflect.ServiceDescriptor, h server.Handler) ([]*method, error) {
	v, known := reflect.ValueOf(h.Handler()), map[reflect.Type]*bounds{}
	var out []*method
	for i := range sd.Methods().Len() {
		md := sd.Methods().Get(i)
		m := &method{
			name: h.Name() + "." + string(md.Name()), desc: md, fn: v.MethodByName(string(md.Name())),
			streamed: md.IsStreamingClient() || md.IsStreamingServer(),
		}
		if !m.fn.IsValid() {
			return nil, fmt.Errorf("rpc: handler %s lacks the method %s of its contract", h.Name(), md.Name())
		}
		t := m.fn.Type()
		switch {
		case m.streamed && t.NumIn() == 2:
		case !m.streamed && t.NumIn() == 3:
			m.inPtr, m.outPtr = t.In(1), t.In(2)
			if message := reflect.TypeFor[proto.Message](); !m.inPtr.Implements(message) || !m.outPtr.Implements(message) {
				return nil, fmt.Errorf("rpc: method %s takes no proto messages: %s", m.name, t)
			}
			m.in, m.out = m.inPtr.Elem(), m.outPtr.Elem()
			m.inBounds, m.outBounds = boundsOf(m.in, known), boundsOf(m.out, known)
			m.bind(h.Handler(), string(md.Name()))
		default:
			return nil, fmt.Errorf("rpc: method %s has the wrong shape: %s", m.name, t)
		}
		out = append(out, m)
	}
	return out, nil
}

// newGRPC makes the gRPC server with every handler that has a contract, health and reflection.
func (s *Server) newGRPC() (*grpc.Server, error) {
	creds := insecure.NewCredentials()
	if s.tls != nil {
		creds = handshaken{credentials.NewTLS(s.tls)}
	}
	g := grpc.NewServer(
		grpc.Creds(creds), s.authorization(),
		grpc.MaxRecvMsgSize(s.c.MaxMessage), grpc.MaxSendMsgSize(s.c.MaxMessage), grpc.MaxHeaderListSize(maxHeaderList),
		grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(sniffTimeout), grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			path, _ := grpc.MethodFromServerStream(stream)
			m, ok := s.methods[alias(path)]
			if !ok {
				return problem.Unimplemented("NO_SUCH_METHOD", "there is no method %s here", path)
			}
			return s.serveStream(m, stream)
		}),
	)
	for _, h := range s.handlers {
		sd := s.c.Contract.Services().ByName(nameOf(h))
		if sd == nil {
			continue
		}
		list, err := methodsOf(sd, h)
		if err != nil {
			return nil, err
		}
		desc := grpc.ServiceDesc{ServiceName: string(sd.FullName()), HandlerType: (*any)(nil), Metadata: sd.ParentFile().Path()}
		for _, m := range list {
			m.s = s
			m.direct = s.chain(m.call)
			m.run = s.counted(m.direct)
			m.plain = m.unary != nil && len(s.opts.HdlrWrappers) == 0
			m.ruled = hasRules(m.desc.Input())
			s.methods[h.Name()+"/"+string(m.desc.Name())] = m // the names that go-micro's own client uses
			s.methods["/"+string(sd.FullName())+"/"+string(m.desc.Name())] = m
			if m.streamed {
				desc.Streams = append(desc.Streams, grpc.StreamDesc{
					StreamName: string(m.desc.Name()), ServerStreams: m.desc.IsStreamingServer(), ClientStreams: m.desc.IsStreamingClient(),
					Handler: func(_ any, stream grpc.ServerStream) error { return s.serveStream(m, stream) },
				})
				continue
			}
			desc.Methods = append(desc.Methods, grpc.MethodDesc{
				MethodName: string(m.desc.Name()),
				Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
					return s.serveUnary(ctx, m, decode)
				},
			})
		}
		g.RegisterService(&desc, h.Handler())
		s.health.SetServingStatus(desc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(g, s.health)
	res, err := newResolver(s.c.Contract, s.c.Comments)
	if err != nil {
		return nil, fmt.Errorf("rpc: contract of %s: %w", s.c.Name, err)
	}
	g.RegisterService(s.statsDesc(), nil)
	ropts := reflection.ServerOptions{Services: described{g}, DescriptorResolver: res}
	reflectionv1.RegisterServerReflectionServer(g, reflection.NewServerV1(ropts))
	reflectionv1alpha.RegisterServerReflectionServer(g, reflection.NewServer(ropts))
	return g, nil
}

// alias turns "/catalog.Catalog/GetProduct" and "/Catalog/GetProduct" into "Catalog/GetProduct".
func alias(path string) string {
	service, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return service[strings.LastIndexByte(service, '.')+1:] + "/" + name
}

func (s *Server) serveUnary(ctx context.Context, m *method, decode func(any) error) (out any, err error) {
	if s.c.Admit == nil {
		return s.serveAdmitted(ctx, m, decode)
	}
	leave, err := s.admit(ctx, m, priorityOf(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { leave(err) }()
	return s.serveAdmitted(ctx, m, decode)
}

func (s *Server) serveAdmitted(ctx context.Context, m *method, decode func(any) error) (any, error) {
	in := reflect.New(m.in).Interface()
	if err := decode(in); err != nil {
		return nil, badRequest(m, err)
	}
	ctx, header := incoming(ctx)
	out := reflect.New(m.out).Interface()
	if err := m.run(ctx, &request{service: s.c.Name, endpoint: m.name, header: header, body: in}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// serveStream serves a stream, and a unary method under one of its other names.
func (s *Server) serveStream(m *method, stream grpc.ServerStream) error {
	if !m.streamed {
		out, err := s.serveUnary(stream.Context(), m, stream.RecvMsg)
		if err != nil {
			return err
		}
		return stream.SendMsg(out)
	}
	ctx, header := incoming(stream.Context())
	req := &request{service: s.c.Name, endpoint: m.name, header: header, stream: true}
	return m.run(ctx, req, &serverStream{wire: stream, ctx: ctx, req: req})
}

// request is a server.Request.
type request struct {
	service, endpoint string
	call              *callctx.Context  // nil over gRPC
	header            map[string]string // nil where call is not
	body              any
	stream            bool
}

func (r *request) Service() string     { return r.service }
func (r *request) Method() string      { return r.endpoint }
func (r *request) Endpoint() string    { return r.endpoint }
func (r *request) ContentType() string { return contentType }
func (r *request) Header() map[string]string {
	if r.call != nil {
		return maps.Clone(r.call.Metadata())
	}
	return r.header
}
func (r *request) Body() any { return r.body }
func (r *request) Read() ([]byte, error) {
	return nil, fmt.Errorf("rpc: %s is decoded: use Body", r.endpoint)
}
func (r *request) Codec() codec.Reader { return nil }
func (r *request) Stream() bool        { return r.stream }

// messages is what a stream is made of, on any wire: grpc.ServerStream is one.
type messages interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// serverStream is a server.Stream.
type serverStream struct {
	wire messages
	ctx  context.Context
	req  *request
	err  error
}

func (s *serverStream) Context() context.Context { return s.ctx }
func (s *serverStream) Request() server.Request  { return s.req }
func (s *serverStream) Error() error             { return s.err }
func (s *serverStream) Close() error             { return nil } // it ends when the handler returns

func (s *serverStream) Send(m any) error {
	s.err = s.wire.SendMsg(m)
	return s.err
}

func (s *serverStream) Recv(m any) error {
	s.err = s.wire.RecvMsg(m)
	return s.err
}
