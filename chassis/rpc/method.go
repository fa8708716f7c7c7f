package rpc

import (
	"context"
	"io"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/chassis/problem"
)

type methodKey struct{}

// WithMethod tells the client which method is called. It needs to be told when the request is a dynamic message, or one that is declared
// in another package than its service; else it finds the method by itself.
func WithMethod(md protoreflect.MethodDescriptor) client.CallOption {
	return func(o *client.CallOptions) {
		if o.Context == nil {
			o.Context = context.Background()
		}
		o.Context = context.WithValue(o.Context, methodKey{}, md)
	}
}

// methodInfo is what the client needs to know of a method.
type methodInfo struct {
	path         string // of gRPC
	idempotent   bool   // may be sent twice
	clientStream bool
	direct       atomic.Pointer[directly]
	target       atomic.Pointer[target] // where it is called over a wire; nil before
	ok           prometheus.Observer    // of calls that went well; nil when there is one for each service
}

// over is what Send returns when the server has ended the stream. Generated code sends the only request of a method by itself, and returns that
// error to a caller who then has no stream to Recv from: so there is none, as there is none in grpc-go.
func (m *methodInfo) over() error {
	if m.clientStream {
		return io.EOF
	}
	return nil
}

// directly is where a method was found in this process, as long as the table is the same.
type directly struct {
	table *map[string]*Server
	s     *Server
	m     *method
}

// methodID is under what the client remembers a method.
type methodID struct {
	service, endpoint string
	message           protoreflect.FullName
}

// method finds out what it can about the endpoint of req.
func (c *Client) method(req client.Request, o *client.CallOptions) (*methodInfo, error) {
	if o.Context != nil {
		if md, ok := o.Context.Value(methodKey{}).(protoreflect.MethodDescriptor); ok {
			return infoOf(md), nil
		}
	}
	return c.recently(req)
}

// lookUp is method for one that was not called recently.
func (c *Client) lookUp(req client.Request) (*methodInfo, error) {
	var file protoreflect.FileDescriptor
	id := methodID{service: req.Service(), endpoint: req.Endpoint()}
	if m, ok := req.Body().(proto.Message); ok {
		d := m.ProtoReflect().Descriptor()
		file = d.ParentFile()
		id.message = d.FullName()
	}
	if known, ok := (*c.methods.Load())[id]; ok {
		return known, nil
	}
	service, name, ok := strings.Cut(req.Endpoint(), ".")
	if !ok || service == "" || name == "" || strings.ContainsAny(req.Endpoint(), "/ ") || strings.Contains(name, ".") {
		return nil, problem.InvalidArgument("BAD_ENDPOINT", "endpoint %q is not of the form Service.Method", req.Endpoint())
	}
	info := &methodInfo{path: "/" + service + "/" + name, clientStream: true}
	if file != nil {
		if sd := serviceOf(file, protoreflect.Name(service)); sd != nil {
			md := sd.Methods().ByName(protoreflect.Name(name))
			if md == nil {
				return nil, problem.Unimplemented("NO_SUCH_METHOD", "%s has no method %s", sd.FullName(), name)
			}
			info = infoOf(md)
		}
	}
	info.ok = c.metrics.calls.WithLabelValues(req.Service(), req.Endpoint(), codes.OK.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	next := maps.Clone(*c.methods.Load())
	next[id] = info
	c.methods.Store(&next)
	return info, nil
}

// serviceOf finds a service in the file of a request, or in another one of its package that this program knows.
func serviceOf(file protoreflect.FileDescriptor, name protoreflect.Name) protoreflect.ServiceDescriptor {
	if sd := file.Services().ByName(name); sd != nil {
		return sd
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(file.Package().Append(name))
	if err != nil {
		return nil
	}
	sd, _ := d.(protoreflect.ServiceDescriptor)
	return sd
}

func infoOf(md protoreflect.MethodDescriptor) *methodInfo {
	info := &methodInfo{path: "/" + string(md.Parent().FullName()) + "/" + string(md.Name()), clientStream: md.IsStreamingClient()}
	if o, ok := md.Options().(*descriptorpb.MethodOptions); ok {
		info.idempotent = o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	}
	return info
}
