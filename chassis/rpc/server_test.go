package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	microclient "go-micro.dev/v4/client"
	microerrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/chassis/telemetry"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

// plain connects with grpc-go alone: what the rest of the world does.
func plain(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestGRPCNamesOfAMethod(t *testing.T) {
	s := serve(t, registry.NewMemoryRegistry(), "1", &shop{})
	conn := plain(t, s.Address())
	for _, path := range []string{
		"/shop.catalog.v1.Catalog/GetProduct", "/Catalog/GetProduct", "/catalog.Catalog/GetProduct",
	} {
		var out catalogv1.Product
		if err := conn.Invoke(t.Context(), path, &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}, &out); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if out.GetId() != anID {
			t.Errorf("%s: got %v", path, &out)
		}
	}
	err := conn.Invoke(t.Context(), "/shop.catalog.v1.Catalog/Nope", &catalogv1.GetProductRequest{}, &catalogv1.Product{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("unknown method: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	s := serve(t, registry.NewMemoryRegistry(), "1", &shop{})
	conn := plain(t, s.Address())
	for _, name := range []string{"", "shop.catalog.v1.Catalog"} {
		r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", name, r, err)
		}
	}
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, n := range list.GetListServicesResponse().GetService() {
		names = append(names, n.GetName())
	}
	want := "grpc.health.v1.Health grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection shop.catalog.v1.Catalog"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("services %q, want %q", got, want)
	}
	file := ask(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "shop.catalog.v1.Catalog"},
	})
	var fd descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(file.GetFileDescriptorResponse().GetFileDescriptorProto()[0], &fd); err != nil {
		t.Fatal(err)
	}
	if fd.GetPackage() != "shop.catalog.v1" {
		t.Errorf("reflection gave %q", fd.GetName())
	}
}

// stock is go-micro's own client, as the go-micro CLI has it.
func stock(reg registry.Registry) microclient.Client {
	return microclient.NewClient(microclient.Selector(selector.NewSelector(selector.Registry(reg))), microclient.Registry(reg), microclient.Retries(0),
		microclient.ContentType("application/protobuf"))
}

// stockCall calls with go-micro's own client. Under the race detector and much load that one gives up with 408 about once in a hundred runs
// of a test, and why isn't known: a second try tells that from a wrong answer.
func stockCall(t *testing.T, c microclient.Client, req microclient.Request, rsp any) error {
	t.Helper()
	err := c.Call(t.Context(), req, rsp)
	if err != nil && microerrors.FromError(err).Code == 408 {
		t.Log("once more after:", err)
		err = c.Call(t.Context(), req, rsp)
	}
	return err
}

func TestStockClientOverBothContentTypes(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	serve(t, reg, "1", &shop{})
	c := stock(reg)

	var out catalogv1.Product
	req := c.NewRequest("catalog", "Catalog.GetProduct", &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}})
	if err := stockCall(t, c, req, &out); err != nil || out.GetId() != anID {
		t.Errorf("protobuf: %v, %v", &out, err)
	}

	var body map[string]any
	in := map[string]any{"handle": "shirt"}
	req = c.NewRequest("catalog", "Catalog.GetProduct", in, microclient.WithContentType("application/json"))
	if err := stockCall(t, c, req, &body); err != nil || body["status"] != "PRODUCT_STATUS_ACTIVE" {
		t.Errorf("JSON: %v, %v", body, err)
	}

	for _, tc := range []struct {
		endpoint string
		in       any
		code     int32
		reason   string
	}{
		{"Catalog.GetProduct", map[string]any{"nope": 1}, 400, "BAD_JSON"},
		{"Catalog.ListProducts", map[string]any{"page_size": -1}, 400, "INVALID_FIELDS"},
		{"Catalog.GetVariant", map[string]any{"sku": "S"}, 404, "VARIANT_NOT_FOUND"},
		{"Catalog.SearchProducts", map[string]any{"query": "x"}, 500, "INTERNAL"},
	} {
		req := c.NewRequest("catalog", tc.endpoint, tc.in, microclient.WithContentType("application/json"))
		err := stockCall(t, c, req, &body)
		got := microerrors.FromError(err)
		if err == nil || got.Code != tc.code || got.Status != tc.reason {
			t.Errorf("%s(%v): %v, want %d %s", tc.endpoint, tc.in, err, tc.code, tc.reason)
		}
	}
}

func TestStockClientStreams(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	serve(t, reg, "1", &shop{})
	stream, err := catalogv1.NewCatalogService("catalog", stock(reg)).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	var ids string
	for range 3 {
		p, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		ids += p.GetId()
	}
	if ids != "abc" {
		t.Errorf("got %q", ids)
	}
}

func TestErrorsOfTheChain(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	serve(t, reg, "1", &shop{})
	c := catalogv1.NewCatalogService("catalog", dial(t, reg))

	_, err := c.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: -1})
	fields := wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELDS")
	if len(fields) != 1 || fields[0].Path != "page_size" || fields[0].Message == "" {
		t.Errorf("fields %+v", fields)
	}
	_, err = c.SearchProducts(t.Context(), &catalogv1.SearchProductsRequest{Query: "x"})
	wantProblem(t, err, codes.Internal, "INTERNAL")
	_, err = c.GetVariant(t.Context(), &catalogv1.GetVariantRequest{Sku: "S"})
	wantProblem(t, err, codes.NotFound, "VARIANT_NOT_FOUND")

	_, err = c.UpdateProduct(t.Context(), &catalogv1.UpdateProductRequest{Product: valid("x")})
	wantProblem(t, err, codes.Internal, "INTERNAL")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an internal error's text reached the caller: %v", err)
	}
}

func valid(id string) *catalogv1.Product {
	return &catalogv1.Product{Id: id, Handle: "h", Title: "T", Variants: []*catalogv1.Variant{{Sku: "S", Price: &typev1.Money{Currency: "EUR"}}}}
}

func TestTraceAndMetadataGoOn(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	var trace, tenant, traceparent string
	serve(t, reg, "1", &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		trace = telemetry.TraceID(ctx)
		tenant, _ = metadata.Get(ctx, "Tenant")
		_, hop := metadata.Get(ctx, "Grpc-Timeout")
		if hop {
			traceparent = "grpc-timeout is in the metadata"
		}
		return nil
	}})
	ctx := telemetry.Ensure(metadata.NewContext(t.Context(), metadata.Metadata{"Tenant": "t1"}))
	_, err := catalogv1.NewCatalogService("catalog", dial(t, reg)).GetProduct(ctx, &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}})
	if err != nil {
		t.Fatal(err)
	}
	if trace != telemetry.TraceID(ctx) || tenant != "t1" || traceparent != "" {
		t.Errorf("trace %s, tenant %q, %s; want trace %s", trace, tenant, traceparent, telemetry.TraceID(ctx))
	}
}

func TestHandlerWrappersRunOnBothWires(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	var seen []string
	serve(t, reg, "1", &shop{}, server.WrapHandler(func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			seen = append(seen, req.Endpoint())
			return next(ctx, req, rsp)
		}
	}))
	for _, c := range []microclient.Client{dial(t, reg), stock(reg)} {
		if _, err := catalogv1.NewCatalogService("catalog", c).ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[0] != "Catalog.ListCategories" || seen[1] != seen[0] {
		t.Errorf("the wrapper saw %v", seen)
	}
}

func TestRegistration(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	s := serve(t, reg, "7", &shop{})
	list, err := reg.GetService("catalog")
	if err != nil {
		t.Fatal(err)
	}
	n := list[0].Nodes[0]
	if n.Id != "catalog-7" || n.Address != s.Address() || list[0].Version != "1.2.3" || len(list[0].Endpoints) != 11 {
		t.Errorf("registered %+v with %d endpoints", n, len(list[0].Endpoints))
	}
	for k, want := range map[string]string{
		"version": "1.2.3", "module": "catalog", "host": "h1", "protocol": "grpc,micro",
		"schema": SchemaHash(catalogv1.File_shop_catalog_v1_catalog_proto),
	} {
		if n.Metadata[k] != want {
			t.Errorf("metadata %s is %q, want %q", k, n.Metadata[k], want)
		}
	}
}

// deaf is a registry that fails until it is cured.
type deaf struct {
	registry.Registry
	cured chan struct{}
	tried chan struct{}
}

func (d *deaf) Register(s *registry.Service, o ...registry.RegisterOption) error {
	select {
	case <-d.cured:
		return d.Registry.Register(s, o...)
	default:
		select {
		case d.tried <- struct{}{}:
		default:
		}
		return errors.New("no answer")
	}
}

func TestRegistersWhenTheRegistryIsBack(t *testing.T) {
	reg := &deaf{Registry: registry.NewMemoryRegistry(), cured: make(chan struct{}), tried: make(chan struct{}, 1)}
	serve(t, reg, "1", &shop{})
	<-reg.tried
	close(reg.cured)
	eventually(t, "registered", func() bool {
		_, err := reg.GetService("catalog")
		return err == nil
	})
}

func TestLimits(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	s := serve(t, reg, "1", &shop{})
	huge := strings.Repeat("x", 5<<20)

	err := plain(t, s.Address()).Invoke(t.Context(), "/Catalog/GetCategory", &catalogv1.GetCategoryRequest{Slug: huge}, &catalogv1.Category{})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB over gRPC: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Address()+"/", strings.NewReader(huge))
	if err != nil {
		t.Fatal(err)
	}
	if rsp, err := http.DefaultClient.Do(req); err == nil {
		_ = rsp.Body.Close()
		if rsp.StatusCode < 400 {
			t.Errorf("5 MiB over go-micro's RPC: %s", rsp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	// It lives.
	if _, err := catalogv1.NewCatalogService("catalog", dial(t, reg)).ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil {
		t.Error(err)
	}
}

func TestGarbageOnTheWire(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	s := serve(t, reg, "1", &shop{})
	for _, garbage := range []string{"x", "PRI ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"} {
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(garbage)); err != nil {
			t.Errorf("%q: %v", garbage, err)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		if _, err := io.Copy(&bytes.Buffer{}, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", garbage, err)
		}
		_ = conn.Close()
	}
	if _, err := catalogv1.NewCatalogService("catalog", dial(t, reg)).ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil {
		t.Error(err)
	}
}
