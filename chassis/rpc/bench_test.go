//go:build unix

package rpc

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/telemetry"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// cpu begins a measurement, and the result ends it: processor time of this process for each operation, whatever else the machine does.
func cpu(b *testing.B) func() {
	spent := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := spent()
	return func() { b.ReportMetric(float64((spent()-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

// "bare" has the caller's messages and no metrics; "full" has copies, a goroutine, a trace, metrics and a deadline.
func BenchmarkDirect(b *testing.B) {
	for _, v := range []struct {
		name    string
		shares  bool
		metrics prometheus.Registerer
	}{{"bare", true, nil}, {"shared", true, prometheus.NewRegistry()}, {"full", false, prometheus.NewRegistry()}} {
		b.Run(v.name, func(b *testing.B) {
			l, reg := &Local{}, registry.NewMemoryRegistry()
			startServer(b, ServerConfig{
				Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), Local: l, SharesMemory: v.shares,
				DrainWait: 1,
			}, &shop{})
			s := catalogv1.NewCatalogService("catalog", newClient(b, ClientConfig{Registry: reg, Log: quiet(), Local: l, Metrics: v.metrics}))
			ctx := telemetry.Ensure(context.Background())
			in := &catalogv1.GetCategoryRequest{Slug: "tea"}
			defer cpu(b)()
			for b.Loop() {
				if _, err := s.GetCategory(ctx, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Small messages on one stream, each way of a call.
func BenchmarkStream(b *testing.B) {
	for _, w := range ways() {
		b.Run(w.name, func(b *testing.B) {
			l, reg := &Local{}, registry.NewMemoryRegistry()
			sc := ServerConfig{Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1}
			w.server(&sc, l)
			n := b.N
			startServer(b, sc, &shop{export: func(_ context.Context, _ *catalogv1.ExportProductsRequest, st catalogv1.Catalog_ExportProductsStream) error {
				p := &catalogv1.Product{Id: anID, Title: "A thing"}
				for range n {
					if err := st.Send(p); err != nil {
						return err
					}
				}
				return nil
			}})
			cc := ClientConfig{Registry: reg, Log: quiet()}
			w.client(&cc, l)
			s := catalogv1.NewCatalogService("catalog", newClient(b, cc))
			defer cpu(b)()
			st, err := s.ExportProducts(context.Background(), &catalogv1.ExportProductsRequest{})
			if err != nil {
				b.Fatal(err)
			}
			got := 0
			for ; ; got++ {
				if _, err = st.Recv(); err != nil {
					break
				}
			}
			if !errors.Is(err, io.EOF) || got != n {
				b.Fatalf("%d of %d messages, %v", got, n, err)
			}
		})
	}
}

// Small unary calls, 128 at once, each way of a call.
func BenchmarkCalls(b *testing.B) {
	for _, w := range ways() {
		b.Run(w.name, func(b *testing.B) {
			l, reg := &Local{}, registry.NewMemoryRegistry()
			sc := ServerConfig{Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1}
			w.server(&sc, l)
			startServer(b, sc, &shop{})
			cc := ClientConfig{Registry: reg, Log: quiet()}
			w.client(&cc, l)
			s := catalogv1.NewCatalogService("catalog", newClient(b, cc))
			in := &catalogv1.GetCategoryRequest{Slug: "tea"}
			call := func() error {
				_, err := s.GetCategory(context.Background(), in, client.WithRequestTimeout(time.Minute))
				return err
			}
			if err := call(); err != nil { // connects
				b.Fatal(err)
			}
			defer cpu(b)()
			var left atomic.Int64
			left.Store(int64(b.N))
			failed := make(chan error, 128)
			for range cap(failed) {
				go func() {
					for left.Add(-1) >= 0 {
						if err := call(); err != nil {
							failed <- err
							return
						}
					}
					failed <- nil
				}()
			}
			for range cap(failed) {
				if err := <-failed; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
