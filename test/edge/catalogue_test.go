package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/chassis/discovery"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// catalogue is another instance of the catalogue, whose contract has one more route.
type catalogue struct {
	n      int
	server *rpc.Server
	reg    io.Closer
	calls  atomic.Int64
}

func startCatalogue(consul string, n int) (*catalogue, error) {
	log := slog.New(slog.DiscardHandler)
	reg, err := discovery.NewConsul(discovery.ConsulConfig{Address: consul, Log: log})
	if err != nil {
		return nil, err
	}
	c := &catalogue{n: n, reg: reg}
	contract, err := widened(n)
	if err != nil {
		return nil, errors.Join(err, reg.Close())
	}
	c.server, err = rpc.NewServer(rpc.ServerConfig{Name: "catalog", Contract: contract, Registry: reg, Log: log, Metadata: map[string]string{"host": c.host()}})
	if err == nil {
		err = catalogv1.RegisterCatalogHandler(c.server, &oneProduct{calls: &c.calls})
	}
	if err == nil {
		err = c.server.Start()
	}
	if err != nil {
		return nil, errors.Join(err, reg.Close())
	}
	return c, nil
}

// host is by which the topology knows it.
func (c *catalogue) host() string { return fmt.Sprintf("probe-%d", c.n) }

func (c *catalogue) path(id string) string { return fmt.Sprintf("/v1/probe-%d/%s", c.n, id) }

func (c *catalogue) stop() error { return errors.Join(c.server.Stop(), c.reg.Close()) }

// isCalled says whether calls reach it now.
func (c *catalogue) isCalled(ctx context.Context) bool {
	before := c.calls.Load()
	select { // it is what happens in this time that says so
	case <-ctx.Done():
	case <-time.After(300 * time.Millisecond):
	}
	return c.calls.Load() > before
}

// widened is the contract of the catalogue with another route to a product.
func widened(n int) (protoreflect.FileDescriptor, error) {
	fd := protodesc.ToFileDescriptorProto(catalogv1.File_shop_catalog_v1_catalog_proto)
	for _, m := range fd.GetService()[0].GetMethod() {
		if m.GetName() != "GetProduct" {
			continue
		}
		options, _ := proto.Clone(m.GetOptions()).(*descriptorpb.MethodOptions)
		rule, _ := proto.Clone(proto.GetExtension(options, annotations.E_Http).(proto.Message)).(*annotations.HttpRule)
		rule.AdditionalBindings = append(rule.AdditionalBindings, &annotations.HttpRule{
			Pattern: &annotations.HttpRule_Get{Get: fmt.Sprintf("/v1/probe-%d/{id}", n)},
		})
		proto.SetExtension(options, annotations.E_Http, rule)
		m.Options = options
	}
	return protodesc.NewFile(fd, protoregistry.GlobalFiles)
}

// oneProduct answers for the only method that is called.
type oneProduct struct {
	catalogv1.CatalogHandler // the rest is not called

	calls *atomic.Int64
}

func (o *oneProduct) GetProduct(_ context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	o.calls.Add(1)
	out.Id, out.Title = in.GetId(), "A thing"
	return nil
}
