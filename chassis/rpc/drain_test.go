package rpc

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	microclient "go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestShutdownFinishesWhatRuns(t *testing.T) {
	for _, wire := range []string{"grpc", "micro"} {
		t.Run(wire, func(t *testing.T) {
			reg := registry.NewMemoryRegistry()
			started, finish := make(chan struct{}), make(chan struct{})
			s := serve(t, reg, "1", &shop{get: func(_ context.Context, _ *catalogv1.GetProductRequest, out *catalogv1.Product) error {
				close(started)
				<-finish
				out.Id = "late"
				return nil
			}})
			var c microclient.Client = dial(t, reg)
			if wire == "micro" {
				c = stock(reg)
			}
			type answer struct {
				p   *catalogv1.Product
				err error
			}
			got, done := make(chan answer, 1), make(chan error, 1)
			go func() {
				p, err := catalogv1.NewCatalogService("catalog", c).GetProduct(context.Background(),
					&catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}, microclient.WithRequestTimeout(time.Minute))
				got <- answer{p, err}
			}()
			<-started
			go func() { done <- s.Shutdown(context.Background()) }()
			eventually(t, "left the registry", func() bool {
				_, err := reg.GetService("catalog")
				return errors.Is(err, registry.ErrNotFound)
			})
			select {
			case err := <-done:
				t.Fatalf("stopped with a call running: %v", err)
			default:
			}
			close(finish)
			if a := <-got; a.err != nil || a.p.GetId() != "late" {
				t.Errorf("the running call got %v, %v", a.p, a.err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if conn, err := net.Dial("tcp", s.Address()); err == nil {
				_ = conn.Close()
				t.Error("it still listens")
			}
		})
	}
}

func TestShutdownCutsWhatRunsTooLong(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	started := make(chan struct{})
	s := serve(t, reg, "1", &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}})
	go func() {
		_ = plain(t, s.Address()).Invoke(context.Background(), "/Catalog/GetProduct", &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: anID}}, &catalogv1.Product{})
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
