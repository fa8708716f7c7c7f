package wirejson

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

func product(variants int) *catalogv1.Product {
	p := &catalogv1.Product{
		Id: "019a9d5e-6c1f-7b1e-9a55-3f2b8a7c1d00", Handle: "enamel-mug", Title: "Enamel mug", DescriptionHtml: "<p>A mug for the \"outdoors\", 350 ml.</p>",
		Vendor: "Nordwerk", Category: "kitchen", Tags: []string{"mug", "outdoor"}, Status: catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		CreateTime: &timestamppb.Timestamp{Seconds: 1_760_000_000, Nanos: 123_456_000}, UpdateTime: &timestamppb.Timestamp{Seconds: 1_763_000_000},
		Etag: "8f14e45fceea167a",
	}
	for i := range variants {
		p.Variants = append(p.Variants, &catalogv1.Variant{
			Sku: fmt.Sprintf("MUG-%d", i), Title: "Blue / 350 ml", Price: &typev1.Money{Currency: "EUR", Minor: 1490},
			Options: []*catalogv1.Option{{Name: "Colour", Value: "Blue"}, {Name: "Size", Value: "350 ml"}}, Grams: 320,
		})
	}
	return p
}

// page is one of n products.
func page(n int) *catalogv1.ListProductsResponse {
	out := &catalogv1.ListProductsResponse{NextPageToken: "bXVnLTEwMA"}
	for range n {
		out.Products = append(out.Products, product(3))
	}
	return out
}

func sizes() []struct {
	name string
	m    proto.Message
} {
	return []struct {
		name string
		m    proto.Message
	}{{"small", product(1)}, {"medium", product(20)}, {"large", page(100)}}
}

// spent is how much of a processor the process has had: beside others, that says more than the clock does.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkToJSON compares ways from the wire format to JSON, as the gateway writes it.
func BenchmarkToJSON(b *testing.B) {
	o := protojson.MarshalOptions{EmitDefaultValues: true}
	for _, s := range sizes() {
		wire, err := proto.Marshal(s.m)
		if err != nil {
			b.Fatal(err)
		}
		md := s.m.ProtoReflect().Descriptor()
		m := New(Options{EmitDefaultValues: true}).Message(md)
		dynamic := dynamicpb.NewMessageType(md)
		run := func(name string, f func() ([]byte, error)) {
			b.Run(s.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(wire)))
				before := spent(b)
				for b.Loop() {
					if _, err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(spent(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
		through := func(in proto.Message) ([]byte, error) {
			if err := proto.Unmarshal(wire, in); err != nil {
				return nil, err
			}
			return o.Marshal(in)
		}
		run("wirejson", func() ([]byte, error) { return m.JSON(wire) })
		run("dynamicpb", func() ([]byte, error) { return through(dynamic.New().Interface()) })
		run("generated", func() ([]byte, error) { return through(s.m.ProtoReflect().New().Interface()) })
	}
}

// BenchmarkToWire compares ways from JSON to the wire format.
func BenchmarkToWire(b *testing.B) {
	for _, s := range sizes() {
		doc, err := protojson.Marshal(s.m)
		if err != nil {
			b.Fatal(err)
		}
		md := s.m.ProtoReflect().Descriptor()
		m := New(Options{}).Message(md)
		dynamic := dynamicpb.NewMessageType(md)
		run := func(name string, f func() ([]byte, error)) {
			b.Run(s.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(doc)))
				before := spent(b)
				for b.Loop() {
					if _, err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(spent(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
		through := func(in proto.Message) ([]byte, error) {
			if err := protojson.Unmarshal(doc, in); err != nil {
				return nil, err
			}
			return proto.Marshal(in)
		}
		run("wirejson", func() ([]byte, error) { return m.AppendWire(nil, doc) })
		run("dynamicpb", func() ([]byte, error) { return through(dynamic.New().Interface()) })
		run("generated", func() ([]byte, error) { return through(s.m.ProtoReflect().New().Interface()) })
	}
}
