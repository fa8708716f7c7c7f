package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/schema"
)

const (
	lookTime   = 5 * time.Second
	maxRequest = 4 << 20
)

// session is a command that speaks to services.
type session struct {
	parts
	s   settings
	reg registry.Registry
	log *slog.Logger
	as  *mesh.Identity // made by identity
}

func (a *app) session(c *cobra.Command) (*session, error) {
	s, log, err := a.settings(c)
	if err != nil {
		return nil, err
	}
	if !c.Flags().Changed("log-level") && s.Log.Level == "info" {
		log = slog.New(slog.DiscardHandler) // the answer is what is wanted
	}
	se := &session{s: s, log: log}
	se.reg, err = se.registry(s, log)
	return se, err
}

// find returns the instances of a service.
func (se *session) find(name string) ([]*registry.Service, error) {
	list, err := se.reg.GetService(name)
	if errors.Is(err, registry.ErrNotFound) || err == nil && len(list) == 0 {
		return nil, problem.Unavailable(rpc.ReasonNotInRegistry, "no instance of %s is in the registry", name)
	}
	if err != nil {
		return nil, &codedError{exitUnreachable, fmt.Errorf("ask the registry: %w", err)}
	}
	return list, nil
}

// contract asks an instance what the service offers.
func (se *session) contract(ctx context.Context, name string) (*schema.Contract, error) {
	list, err := se.find(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	dial, err := se.dial(ctx, name)
	if err != nil {
		return nil, err
	}
	err = problem.Unavailable(rpc.ReasonUnreachable, "%s has no instance that speaks gRPC", name)
	for _, v := range list {
		for _, n := range v.Nodes {
			if !strings.Contains(n.Metadata["protocol"], "grpc") {
				continue
			}
			got, ferr := schema.Fetch(ctx, n.Address, dial...)
			if ferr == nil {
				return got, nil
			}
			err = problem.Unavailable(rpc.ReasonUnreachable, "%s doesn't say what it offers: %v", name, ferr)
		}
	}
	return nil, err
}

// method finds an endpoint, "Catalog.GetProduct".
func (se *session) method(ctx context.Context, service, endpoint string) (protoreflect.MethodDescriptor, *schema.Contract, error) {
	c, err := se.contract(ctx, service)
	if err != nil {
		return nil, nil, err
	}
	names := endpoints(c)
	for _, sd := range c.Services {
		for i := range sd.Methods().Len() {
			if md := sd.Methods().Get(i); endpointOf(md) == endpoint {
				return md, c, nil
			}
		}
	}
	return nil, nil, &codedError{exitFailed, fmt.Errorf("%s has no endpoint %q; it has %s", service, endpoint, strings.Join(names, ", "))}
}

func endpointOf(md protoreflect.MethodDescriptor) string {
	return string(md.Parent().Name()) + "." + string(md.Name())
}

func endpoints(c *schema.Contract) []string {
	var names []string
	for _, sd := range c.Services {
		for i := range sd.Methods().Len() {
			names = append(names, endpointOf(sd.Methods().Get(i)))
		}
	}
	slices.Sort(names)
	return names
}

func (a *app) call() *cobra.Command {
	timeout, traced := 5*time.Second, false
	c := &cobra.Command{
		Use: "call SERVICE ENDPOINT [JSON]", Short: "Call an endpoint of a service", GroupID: "speak", Args: exactly(cobra.RangeArgs(2, 3)),
		Long: "call sends one request and prints the answer as JSON. The request is JSON, @FILE, or - for stdin; {} when it is left out.",
		Example: `  cleave call catalog Catalog.GetProduct '{"handle": "stoneware-mug"}'
  cleave call catalog Catalog.ListProducts @request.json`,
		ValidArgsFunction: a.completeEndpoints,
		RunE: func(c *cobra.Command, args []string) error {
			return a.speak(c, args, func(ctx context.Context, cl *rpc.Client, md protoreflect.MethodDescriptor, ct *schema.Contract, in *dynamicpb.Message) error {
				if md.IsStreamingClient() || md.IsStreamingServer() {
					return usagef("%s is a stream: use cleave stream", args[1])
				}
				if traced {
					return a.callTraced(ctx, cl, tracedCall{c, args, md, ct, in, timeout})
				}
				out := dynamicpb.NewMessage(md.Output())
				if err := cl.Call(ctx, cl.NewRequest(args[0], args[1], in), out, rpc.WithMethod(md), client.WithRequestTimeout(timeout)); err != nil {
					return err
				}
				return a.print(out, ct, true)
			})
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for the answer")
	c.Flags().BoolVar(&traced, "trace", false, "show what the call did, where, and how long it took")
	return c
}

func (a *app) stream() *cobra.Command {
	return &cobra.Command{
		Use: "stream [server|bidi] SERVICE ENDPOINT [JSON]", Short: "Print a stream of a service, a line a message", GroupID: "speak",
		Args:              exactly(cobra.RangeArgs(2, 4)),
		Example:           `  cleave stream catalog Catalog.ExportProducts '{}'`,
		ValidArgsFunction: a.completeEndpoints,
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "server" || args[0] == "bidi" { // as the go-micro CLI has it
				args = args[1:]
			}
			if len(args) < 2 || len(args) > 3 {
				return usagef("Usage: %s", c.UseLine())
			}
			return a.speak(c, args, func(ctx context.Context, cl *rpc.Client, md protoreflect.MethodDescriptor, ct *schema.Contract, in *dynamicpb.Message) error {
				if !md.IsStreamingServer() {
					return usagef("%s is no stream: use cleave call", args[1])
				}
				return a.receive(ctx, cl, args, md, ct, in)
			})
		},
	}
}

func (a *app) receive(ctx context.Context, cl *rpc.Client, args []string, md protoreflect.MethodDescriptor, ct *schema.Contract, in *dynamicpb.Message) error {
	st, err := cl.Stream(ctx, cl.NewRequest(args[0], args[1], in, client.StreamingRequest()), rpc.WithMethod(md))
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	if err := st.Send(in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if md.IsStreamingClient() {
		if err := st.CloseSend(); err != nil {
			return err
		}
	}
	for {
		out := dynamicpb.NewMessage(md.Output())
		err := st.Recv(out)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = a.print(out, ct, false)
		}
		if err != nil {
			return err
		}
	}
}

// speak reads the request and hands it to fn.
func (a *app) speak(
	c *cobra.Command, args []string,
	fn func(context.Context, *rpc.Client, protoreflect.MethodDescriptor, *schema.Contract, *dynamicpb.Message) error,
) (err error) {
	body, err := a.request(args[2:])
	if err != nil {
		return err
	}
	se, err := a.session(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, se.Close()) }()
	md, ct, err := se.method(c.Context(), args[0], args[1])
	if err != nil {
		return err
	}
	in := dynamicpb.NewMessage(md.Input())
	if err := (protojson.UnmarshalOptions{Resolver: ct.Types}).Unmarshal(body, in); err != nil {
		return usagef("the request is not the JSON of %s: %w", md.Input().FullName(), err)
	}
	as, err := se.identity(c.Context())
	if err != nil {
		return err
	}
	cl, err := se.client(rpc.ClientConfig{Registry: se.reg, Log: se.log}, as)
	if err != nil {
		return err
	}
	return fn(c.Context(), cl, md, ct, in)
}

// request reads JSON from the argument, a file or stdin.
func (a *app) request(args []string) ([]byte, error) {
	if len(args) == 0 || strings.TrimSpace(args[0]) == "" {
		return []byte("{}"), nil
	}
	switch name, isFile := strings.CutPrefix(args[0], "@"); {
	case isFile:
		f, err := os.Open(name) //nolint:gosec // the file that the user names
		if err != nil {
			return nil, usagef("read the request: %w", err)
		}
		defer func() { _ = f.Close() }()
		return atMost(f)
	case args[0] == "-":
		return atMost(a.env.Stdin)
	}
	return []byte(args[0]), nil
}

func atMost(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxRequest+1))
	if err == nil && len(b) > maxRequest {
		err = fmt.Errorf("it has more than %d bytes", maxRequest)
	}
	if err != nil {
		return nil, usagef("read the request: %w", err)
	}
	return b, nil
}

// print writes a message as JSON, on many lines or on one.
func (a *app) print(m *dynamicpb.Message, ct *schema.Contract, pretty bool) error {
	b, err := protojson.MarshalOptions{EmitDefaultValues: true, Resolver: ct.Types}.Marshal(m)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if pretty {
		err = json.Indent(&out, b, "", "  ")
	} else {
		err = json.Compact(&out, b)
	}
	if err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err = a.env.Stdout.Write(out.Bytes())
	return err
}

// completeEndpoints completes a service, then one of its endpoints.
func (a *app) completeEndpoints(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	se, err := a.session(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = se.Close() }()
	switch len(args) {
	case 0:
		names, _ := se.names()
		return names, cobra.ShellCompDirectiveNoFileComp
	case 1:
		if ct, err := se.contract(c.Context(), args[0]); err == nil {
			return endpoints(ct), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
