package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/mesh/meshtest"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/test/harness"
)

// rotation is how fast certificates change, for how long, and how many calls go on meanwhile.
type rotation struct {
	every, lasts, ttl time.Duration
	perSecond         int // by each wire
}

func form() rotation {
	if os.Getenv("CLEAVE_PROVE_RESILIENCE") == "full" {
		return rotation{every: 10 * time.Second, lasts: 2 * time.Minute, ttl: 30 * time.Second, perSecond: 200}
	}
	return rotation{every: 500 * time.Millisecond, lasts: 6 * time.Second, ttl: 4 * time.Second, perSecond: 100}
}

// shop answers.
type shop struct{ catalogv1.CatalogHandler }

func (shop) GetProduct(_ context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	out.Id = in.GetId()
	return nil
}

// ExportProducts streams for longer than a certificate is in use.
func (shop) ExportProducts(ctx context.Context, _ *catalogv1.ExportProductsRequest, s catalogv1.Catalog_ExportProductsStream) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 15 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.Send(&catalogv1.Product{}); err != nil {
			return err
		}
	}
	return nil
}

// Every certificate is replaced again and again, the root every second time, by more calls than a busy shop makes, and streams that outlive
// their certificates. No call may fail of it: calls without a second try count.
func TestCertificatesRotateUnderLoad(t *testing.T) {
	f := form()
	authority := meshtest.New(t, "shop.consul", f.ttl)
	authority.Intend(mesh.Intention{Source: "order", Destination: "catalog", Allow: true})
	reg := registry.NewMemoryRegistry()
	// Each of them is a process of its own as far as certificates go: what one has heard of, another may not have.
	for i := range 2 {
		serve(t, authority, reg, fmt.Sprint(i))
	}
	var loads []*harness.Load
	for _, noLane := range []bool{false, true} {
		c := caller(t, authority, reg, noLane)
		loads = append(
			loads,
			harness.StartLoad(t, f.perSecond, func(ctx context.Context) error { return get(ctx, c) }),
			harness.StartLoad(t, 4, func(ctx context.Context) error { return export(ctx, c) }),
		)
	}
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	rotations := int(f.lasts / f.every)
	for i := range rotations {
		<-tick.C
		if i%2 == 0 {
			authority.Reissue()
		} else {
			authority.Rotate()
		}
	}
	var sent, failed int64
	for _, l := range loads {
		l.Stop()
		sent += l.Sent.Load()
		failed += l.Failed.Load()
		t.Log(l.Report())
	}
	harness.Figure(t, "mesh_rotations", float64(rotations), 1e9, "rotations")
	harness.Figure(t, "mesh_rotation_calls_sent", float64(sent), 1e9, "calls")
	harness.Figure(t, "mesh_rotation_calls_failed", float64(failed), 0, "calls")
	if least := 0.5 * f.lasts.Seconds() * float64(2*f.perSecond); float64(sent) < least {
		t.Errorf("%d calls were sent, and %g are the least to tell", sent, least)
	}
}

func identity(t *testing.T, a *meshtest.Authority, name string) *mesh.Identity {
	t.Helper()
	m, err := mesh.New(mesh.Config{Source: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	i, err := m.Identity(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func serve(t *testing.T, a *meshtest.Authority, reg registry.Registry, id string) {
	t.Helper()
	conf := rpc.ServerConfig{
		Name: "catalog", ID: id, Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: slog.New(slog.DiscardHandler), DrainWait: 1,
	}
	identity(t, a, "catalog").Server(&conf)
	s, err := rpc.NewServer(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(catalogv1.RegisterCatalogHandler(s, shop{}), s.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
}

func caller(t *testing.T, a *meshtest.Authority, reg registry.Registry, noLane bool) *rpc.Client {
	t.Helper()
	conf := rpc.ClientConfig{Registry: reg, Log: slog.New(slog.DiscardHandler), NoLane: noLane}
	order := identity(t, a, "order")
	order.Client(&conf)
	c, err := rpc.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	stop := order.Renew(c)
	t.Cleanup(func() { stop(); _ = c.Close() })
	return c
}

func get(ctx context.Context, c *rpc.Client) error {
	_, err := catalogv1.NewCatalogService("catalog", c).GetProduct(ctx,
		&catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: "01890a5d-ac96-774b-bcce-b302099a8057"}},
		client.WithRequestTimeout(time.Minute), client.WithRetries(0))
	return err
}

func export(ctx context.Context, c *rpc.Client) error {
	s, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(ctx, &catalogv1.ExportProductsRequest{}, client.WithRetries(0))
	if err != nil {
		return err
	}
	n := 0
	for ; ; n++ {
		if _, err = s.Recv(); err != nil {
			break
		}
	}
	if !errors.Is(err, io.EOF) || n != 15 {
		return fmt.Errorf("after %d messages: %w", n, err)
	}
	return nil
}
