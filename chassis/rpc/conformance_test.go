package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/telemetry"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// way is one way for a call to reach its handler. Every one passes the same cases.
type way struct {
	name   string
	server func(*ServerConfig, *Local)
	client func(*ClientConfig, *Local)
	tls    bool
}

func ways() []way {
	a := newAuthority()
	called := func(c *ClientConfig, _ *Local) { c.TLS, c.TLSOnly = a.client("a caller"), true }
	return []way{
		{"grpc", func(c *ServerConfig, _ *Local) { c.NoLane = true }, func(*ClientConfig, *Local) {}, false},
		{"lane", func(*ServerConfig, *Local) {}, func(*ClientConfig, *Local) {}, false},
		{"grpc_tls", func(c *ServerConfig, _ *Local) { c.NoLane, c.TLS = true, a.server("catalog") }, called, true},
		{"lane_tls", func(c *ServerConfig, _ *Local) { c.TLS = a.server("catalog") }, called, true},
		{"direct", func(c *ServerConfig, l *Local) { c.Local = l }, func(c *ClientConfig, l *Local) { c.Local = l }, false},
		{"direct_shared", func(c *ServerConfig, l *Local) { c.Local, c.SharesMemory = l, true }, func(c *ClientConfig, l *Local) { c.Local = l }, false},
	}
}

// open starts a catalogue and a client that reaches it this way only.
func (w way) open(t *testing.T, h *shop, opts ...server.Option) (*Client, *Server) {
	t.Helper()
	l, reg := &Local{}, registry.NewMemoryRegistry()
	sc := ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: time.Millisecond,
	}
	w.server(&sc, l)
	s := startServer(t, sc, h, opts...)
	cc := ClientConfig{Registry: reg, Log: quiet()}
	w.client(&cc, l)
	return newClient(t, cc), s
}

// each runs f once for each way.
func each(t *testing.T, f func(t *testing.T, w way)) {
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

func product(id string) *catalogv1.GetProductRequest {
	return &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: id}}
}

func TestAnswersAndErrors(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		c, _ := w.open(t, &shop{})
		s := catalogv1.NewCatalogService("catalog", c)
		got, err := s.GetProduct(t.Context(), product(anID))
		if err != nil || got.GetId() != anID || got.GetTitle() != "A thing" {
			t.Errorf("got %v, %v", got, err)
		}
		// The response is what the handler made, and nothing that was in it before.
		out := &catalogv1.Product{Vendor: "left over"}
		if err := c.Call(t.Context(), c.NewRequest("catalog", "Catalog.GetProduct", product(anID)), out); err != nil || out.GetVendor() != "" {
			t.Errorf("got %v, %v", out, err)
		}
		_, err = s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: -1})
		fields := wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		if len(fields) != 1 || fields[0].Path != "page_size" {
			t.Errorf("fields %+v", fields)
		}
		_, err = s.SearchProducts(t.Context(), &catalogv1.SearchProductsRequest{Query: "x"})
		wantProblem(t, err, codes.Internal, "INTERNAL")
		_, err = s.GetVariant(t.Context(), &catalogv1.GetVariantRequest{Sku: "S"})
		wantProblem(t, err, codes.NotFound, "VARIANT_NOT_FOUND")
		_, err = s.UpdateProduct(t.Context(), &catalogv1.UpdateProductRequest{Product: valid("x")})
		wantProblem(t, err, codes.Internal, "INTERNAL")
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("an internal error's text reached the caller: %v", err)
		}
		err = c.Call(t.Context(), c.NewRequest("catalog", "Catalog.Nope", product(anID)), out)
		wantProblem(t, err, codes.Unimplemented, "NO_SUCH_METHOD")
	})
}

func TestAnErrorWithoutAReasonGetsOne(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		c, _ := w.open(t, &shop{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
			return &problem.Error{Code: codes.Aborted, Message: "again", Fields: []problem.Field{{Path: "a", Message: "b"}}}
		}})
		if f := wantProblem(t, get(t.Context(), c), codes.Aborted, "ABORTED"); len(f) != 1 || f[0].Path != "a" {
			t.Errorf("fields %v", f)
		}
	})
}

type hidden struct{}

func TestWhatCrosses(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		var md metadata.Metadata
		var trace string
		var secret any
		var header map[string]string
		var left time.Duration
		c, _ := w.open(t, &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
			md, _ = metadata.FromContext(ctx)
			trace = telemetry.TraceID(ctx)
			secret = ctx.Value(hidden{})
			at, _ := ctx.Deadline()
			left = time.Until(at)
			md["Changed"] = "by the handler"
			return nil
		}}, server.WrapHandler(func(next server.HandlerFunc) server.HandlerFunc {
			return func(ctx context.Context, req server.Request, rsp any) error {
				header = req.Header()
				if req.Service() != "catalog" || req.Endpoint() != "Catalog.GetProduct" || req.Body() == nil || req.Stream() {
					t.Errorf("the wrapper saw %+v", req)
				}
				return next(ctx, req, rsp)
			}
		}))
		mine := metadata.Metadata{"tenant-Id": "t1", "Micro-Service": "x", "Content-Type": "y", "Grpc-Timeout": "1n"}
		ctx := telemetry.Ensure(metadata.NewContext(context.WithValue(t.Context(), hidden{}, "secret"), mine))
		if err := get(ctx, c, client.WithRequestTimeout(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if md["Tenant-Id"] != "t1" || header["Tenant-Id"] != "t1" || trace != telemetry.TraceID(ctx) || md["Traceparent"] != telemetry.Traceparent(ctx) {
			t.Errorf("metadata %v, header %v, trace %s of %s", md, header, trace, telemetry.TraceID(ctx))
		}
		for _, k := range []string{"Micro-Service", "Content-Type", "Grpc-Timeout"} {
			if v, ok := md[k]; ok && v == mine[k] {
				t.Errorf("%s crossed", k)
			}
		}
		if secret != nil || len(mine) != 4 {
			t.Errorf("the handler saw %v; the caller's metadata is %v", secret, mine)
		}
		if left > time.Minute || left < 50*time.Second {
			t.Errorf("%v are left of a minute", left)
		}
	})
}

// A handler can neither see nor keep what is the caller's. Those who share memory have said that they don't try.
func TestMemoryIsNotShared(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		if w.name == "direct_shared" {
			return
		}
		var kept *catalogv1.Product
		ours := valid("x")
		c, _ := w.open(t, &shop{create: func(_ context.Context, in *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
			kept = in.GetProduct()
			in.Product.Variants[0].Sku = "changed"
			proto.Merge(out, ours)
			out.Variants = ours.GetVariants()
			return nil
		}})
		mine := valid("mine")
		got, err := catalogv1.NewCatalogService("catalog", c).CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: mine})
		if err != nil {
			t.Fatal(err)
		}
		mine.Variants[0].Price.Currency = "USD"
		got.Variants[0].Sku = "also changed"
		if mine.GetVariants()[0].GetSku() != "S" || kept.GetVariants()[0].GetPrice().GetCurrency() != "EUR" || ours.GetVariants()[0].GetSku() != "S" {
			t.Errorf("shared: %v, %v, %v", mine, kept, ours)
		}
	})
}

func TestDeadlineAndCancelReachTheHandler(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		started, ended := make(chan struct{}, 1), make(chan error, 1)
		c, _ := w.open(t, &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
			started <- struct{}{}
			child, cancel := context.WithCancel(ctx) // as database/sql does
			defer cancel()
			<-child.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}})
		warm(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		wantProblem(t, get(ctx, c), codes.DeadlineExceeded, "DEADLINE_EXCEEDED")
		<-started
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		wantProblem(t, get(ctx, c), codes.Canceled, "CANCELED")
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		wantProblem(t, get(ctx, c), codes.Canceled, "CANCELED") // already
	})
}

// warm connects, so that what follows is not about how long that takes.
func warm(t *testing.T, c *Client) {
	t.Helper()
	if _, err := catalogv1.NewCatalogService("catalog", c).ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil {
		t.Fatal(err)
	}
}

func TestACallerGoesWhenItsTimeIsUp(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		if w.name == "direct_shared" {
			return // has said that it returns soon
		}
		release := make(chan struct{})
		c, _ := w.open(t, &shop{get: func(context.Context, *catalogv1.GetProductRequest, *catalogv1.Product) error {
			<-release // whatever its context says
			return nil
		}})
		warm(t, c)
		wantProblem(t, get(t.Context(), c, client.WithRequestTimeout(50*time.Millisecond)), codes.DeadlineExceeded, "DEADLINE_EXCEEDED")
		close(release)
	})
}

func TestAHandlersContextEndsWithTheCall(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		kept := make(chan context.Context, 1)
		c, _ := w.open(t, &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
			kept <- ctx
			return nil
		}})
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		<-(<-kept).Done()
	})
}

func TestLimitOfAMessage(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		c, _ := w.open(t, &shop{get: func(_ context.Context, _ *catalogv1.GetProductRequest, out *catalogv1.Product) error {
			out.Title = strings.Repeat("x", 5<<20)
			return nil
		}})
		s := catalogv1.NewCatalogService("catalog", c)
		_, err := s.GetCategory(t.Context(), &catalogv1.GetCategoryRequest{Slug: strings.Repeat("x", 5<<20)})
		if p := problem.From(err); p == nil || p.Code != codes.ResourceExhausted {
			t.Errorf("5 MiB there: %v", err)
		}
		_, err = s.GetProduct(t.Context(), product(anID))
		if p := problem.From(err); p == nil || p.Code != codes.ResourceExhausted {
			t.Errorf("5 MiB back: %v", err)
		}
		if _, err := s.ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestDynamicMessagesCross(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		c, _ := w.open(t, &shop{})
		md := catalogv1.File_shop_catalog_v1_catalog_proto.Services().ByName("Catalog").Methods().ByName("GetProduct")
		in, out := dynamicpb.NewMessage(md.Input()), dynamicpb.NewMessage(md.Output())
		in.Set(md.Input().Fields().ByName("id"), protoreflect.ValueOfString(anID))
		if err := c.Call(t.Context(), c.NewRequest("catalog", "Catalog.GetProduct", in), out, WithMethod(md)); err != nil {
			t.Fatal(err)
		}
		if got := out.Get(md.Output().Fields().ByName("title")).String(); got != "A thing" {
			t.Errorf("title %q", got)
		}
	})
}

func TestCallWrappersRun(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		c, s := w.open(t, &shop{})
		var seen []string
		wrap := func(name string) client.CallWrapper {
			return func(next client.CallFunc) client.CallFunc {
				return func(ctx context.Context, n *registry.Node, req client.Request, rsp any, o client.CallOptions) error {
					seen = append(seen, name+" "+n.Address)
					return next(ctx, n, req, rsp, o)
				}
			}
		}
		if err := get(t.Context(), c, client.WithCallWrapper(wrap("a"), wrap("b"))); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a " + s.Address(), "b " + s.Address()}; !slices.Equal(seen, want) {
			t.Errorf("saw %q, want %q", seen, want)
		}
	})
}
