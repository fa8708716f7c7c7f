// Package schema learns what a service offers from the service itself, by gRPC server reflection.
package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate" // so that its options are understood
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Limits of what an instance may send.
const (
	maxMessage  = 16 << 20
	maxFiles    = 1024
	maxServices = 256
)

// Contract is what a service offers. It is not changed after Fetch.
type Contract struct {
	Services []protoreflect.ServiceDescriptor
	// Events are the messages that the services say they publish, by name.
	Events []protoreflect.MessageDescriptor
	// Types finds the messages of the contract by name, for google.protobuf.Any.
	Types *dynamicpb.Types
}

// Fetch asks the instance at address, host:port, in the clear unless opts have credentials. ctx bounds the whole conversation.
func Fetch(ctx context.Context, address string, opts ...grpc.DialOption) (*Contract, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("reflect on %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("reflect on %s: %w", address, err)
	}
	c, err := (&fetcher{stream: stream, files: map[string]*descriptorpb.FileDescriptorProto{}}).fetch()
	if err != nil {
		return nil, fmt.Errorf("reflect on %s: %w", address, err)
	}
	return c, nil
}

type fetcher struct {
	stream reflectionpb.ServerReflection_ServerReflectionInfoClient
	files  map[string]*descriptorpb.FileDescriptorProto
}

func (f *fetcher) fetch() (*Contract, error) {
	list, err := f.ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range list.GetListServicesResponse().GetService() {
		if !strings.HasPrefix(s.GetName(), "grpc.") { // health and reflection itself
			names = append(names, s.GetName())
		}
	}
	if len(names) > maxServices {
		return nil, fmt.Errorf("it has %d services, more than %d", len(names), maxServices)
	}
	slices.Sort(names)
	for _, n := range names {
		if err := f.add(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: n},
		}); err != nil {
			return nil, err
		}
	}
	if err := f.imports(); err != nil {
		return nil, err
	}
	events, err := f.events()
	if err != nil {
		return nil, err
	}
	files, err := f.link()
	if err != nil {
		return nil, err
	}
	c := &Contract{Types: dynamicpb.NewTypes(files)}
	for _, n := range events {
		d, err := files.FindDescriptorByName(n)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", n, err)
		}
		if md, ok := d.(protoreflect.MessageDescriptor); ok {
			c.Events = append(c.Events, md)
		}
	}
	for _, n := range names {
		d, err := files.FindDescriptorByName(protoreflect.FullName(n))
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", n, err)
		}
		if sd, ok := d.(protoreflect.ServiceDescriptor); ok {
			c.Services = append(c.Services, sd)
		}
	}
	return c, nil
}

// imports asks for what files import and a server has not sent by itself.
func (f *fetcher) imports() error {
	for again := true; again; {
		again = false
		for _, name := range f.missing() {
			if err := f.add(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: name},
			}); err != nil {
				return err
			}
			again = true
		}
	}
	return nil
}

func (f *fetcher) missing() []string {
	var out []string
	for _, fd := range f.files {
		for _, dep := range fd.GetDependency() {
			if f.files[dep] == nil && !slices.Contains(out, dep) {
				out = append(out, dep)
			}
		}
	}
	return out
}

func (f *fetcher) link() (*protoregistry.Files, error) {
	set := &descriptorpb.FileDescriptorSet{}
	for _, fd := range f.files {
		set.File = append(set.File, fd)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("link the descriptors: %w", err)
	}
	return files, nil
}

// add takes the files of an answer.
func (f *fetcher) add(req *reflectionpb.ServerReflectionRequest) error {
	rsp, err := f.ask(req)
	if err != nil {
		return err
	}
	list := rsp.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(list) == 0 {
		return errors.New("it sent no descriptors")
	}
	for _, b := range list {
		fd := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(b, fd); err != nil {
			return fmt.Errorf("read a descriptor: %w", err)
		}
		f.files[fd.GetName()] = fd
	}
	if len(f.files) > maxFiles {
		return fmt.Errorf("it sent more than %d files", maxFiles)
	}
	return nil
}

func (f *fetcher) ask(req *reflectionpb.ServerReflectionRequest) (*reflectionpb.ServerReflectionResponse, error) {
	if err := f.stream.Send(req); err != nil {
		_, err = f.stream.Recv() // why it was closed
		return nil, err
	}
	rsp, err := f.stream.Recv()
	if err != nil {
		return nil, err
	}
	if e := rsp.GetErrorResponse(); e != nil {
		return nil, fmt.Errorf("it answers %d: %s", e.GetErrorCode(), e.GetErrorMessage())
	}
	return rsp, nil
}

// Rules returns the google.api.http rules of a method, the additional bindings among them.
func Rules(md protoreflect.MethodDescriptor) []*annotations.HttpRule {
	rule, ok := proto.GetExtension(md.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	return append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
}
