package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestStreamsOfMessages(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		h := &shop{}
		c, _ := w.open(t, h)
		s := catalogv1.NewCatalogService("catalog", c)
		export := func(f func(context.Context, catalogv1.Catalog_ExportProductsStream) error) catalogv1.Catalog_ExportProductsService {
			t.Helper()
			h.export = nil
			if f != nil {
				h.export = func(ctx context.Context, _ *catalogv1.ExportProductsRequest, st catalogv1.Catalog_ExportProductsStream) error {
					return f(ctx, st)
				}
			}
			st, err := s.ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		all := func(st catalogv1.Catalog_ExportProductsService) (n int, err error) {
			for {
				if _, err = st.Recv(); err != nil {
					return n, err
				}
				n++
			}
		}
		if n, err := all(export(nil)); n != 3 || !errors.Is(err, io.EOF) {
			t.Errorf("%d messages, %v", n, err)
		}
		n, err := all(export(func(_ context.Context, st catalogv1.Catalog_ExportProductsStream) error {
			for range 1000 {
				if err := st.Send(valid("x")); err != nil {
					return err
				}
			}
			return problem.NotFound("NOTHING", "no more")
		}))
		wantProblem(t, err, codes.NotFound, "NOTHING")
		if n != 1000 {
			t.Errorf("%d messages before the error", n)
		}
		_, err = all(export(func(context.Context, catalogv1.Catalog_ExportProductsStream) error { panic("no") }))
		wantProblem(t, err, codes.Internal, "INTERNAL")
	})
}

// A sender waits for a receiver that doesn't read, and ends when that one goes away.
func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		var sent sync.WaitGroup
		var n int
		big := valid("x")
		big.Title = strings.Repeat("x", 64<<10)
		sent.Add(1)
		c, _ := w.open(t, &shop{export: func(_ context.Context, _ *catalogv1.ExportProductsRequest, st catalogv1.Catalog_ExportProductsStream) error {
			defer sent.Done()
			for n = range 10_000 { // 640 MB
				if err := st.Send(big); err != nil {
					return err
				}
			}
			return nil
		}})
		st, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		sent.Wait()
		if n > 200 {
			t.Errorf("%d messages were sent to nobody", n)
		}
		if _, err := st.Recv(); err == nil {
			_, err = st.Recv()
			t.Logf("a message was on its way; then %v", err)
		}
	})
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		started, finish := make(chan struct{}), make(chan struct{})
		c, s := w.open(t, &shop{get: func(_ context.Context, _ *catalogv1.GetProductRequest, out *catalogv1.Product) error {
			close(started)
			<-finish
			out.Id = "late"
			return nil
		}})
		got, done := make(chan error, 1), make(chan error, 1)
		go func() { got <- get(context.Background(), c, client.WithRequestTimeout(time.Minute)) }()
		<-started
		go func() { done <- s.Shutdown(context.Background()) }()
		eventually(t, "draining", s.draining.Load)
		select {
		case err := <-done:
			t.Fatalf("stopped with a call running: %v", err)
		default:
		}
		close(finish)
		if err := <-got; err != nil {
			t.Errorf("the running call got %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if p := problem.From(get(t.Context(), c)); p == nil || p.Code != codes.Unavailable {
			t.Errorf("after the end: %v", p)
		}
	})
}

func TestDrainCutsWhatRunsTooLong(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		started := make(chan struct{})
		c, s := w.open(t, &shop{create: func(ctx context.Context, _ *catalogv1.CreateProductRequest, _ *catalogv1.Product) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		}})
		got := make(chan error, 1)
		go func() { got <- create(context.Background(), c, client.WithRequestTimeout(time.Minute)) }()
		<-started
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-got; err == nil {
			t.Error("a call that was cut went well")
		}
	})
}
