package wirejson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/api/internal/prototest/conformance"
	"github.com/cleavehq/cleave/api/internal/prototest/conformance/editions"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
)

// subjects are the messages that both libraries are compared on.
func subjects() []proto.Message {
	return []proto.Message{
		&conformance.TestAllTypesProto3{}, &conformance.TestAllTypesProto2{}, &editions.TestAllTypesEdition2023{},
		&conformance.TestAllRequiredTypesProto2{}, &structpb.Struct{}, &structpb.Value{}, &structpb.ListValue{}, &anypb.Any{},
		&timestamppb.Timestamp{}, &durationpb.Duration{}, &fieldmaskpb.FieldMask{}, &emptypb.Empty{}, &wrapperspb.StringValue{},
		&wrapperspb.DoubleValue{}, &wrapperspb.BytesValue{}, &wrapperspb.Int64Value{},
		&catalogv1.Product{}, &catalogv1.ListProductsResponse{}, &cartv1.ShoppingCart{}, &orderv1.PlacedOrder{}, &pricingv1.Quote{}, &pricingv1.Coupon{},
	}
}

// pair is a subject, compiled under some options, and the same options for protojson.
type pair struct {
	subject proto.Message
	m       *Message
	o       Options
}

func pairs(o Options) []pair {
	c := New(o)
	var out []pair
	for _, s := range subjects() {
		out = append(out, pair{s, c.Message(s.ProtoReflect().Descriptor()), o})
	}
	return out
}

// both are a generated and a dynamic message of the subject's type.
func (p pair) both() []proto.Message {
	return []proto.Message{p.subject.ProtoReflect().New().Interface(), dynamicpb.NewMessage(p.subject.ProtoReflect().Descriptor())}
}

// toJSON is what proto and protojson make of a wire format. proto.Unmarshal panics for a dynamic message with a map entry whose key is there
// twice, the second time with another wire type.
func (p pair) toJSON(m proto.Message, wire []byte) (doc []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if err := (proto.UnmarshalOptions{RecursionLimit: p.o.Depth}).Unmarshal(wire, m); err != nil {
		return nil, err
	}
	raw, err := protojson.MarshalOptions{EmitDefaultValues: p.o.EmitDefaultValues, EmitUnpopulated: p.o.EmitUnpopulated}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}

// encode compares the JSON of a wire format. Where the library takes it for a generated message and not for a dynamic one, which is so for message
// sets that are not written, one of the two has to be met.
func (p pair) encode(t testing.TB, wire []byte) {
	t.Helper()
	got, err := p.m.AppendJSON([]byte("before"), wire)
	met, all := 0, p.both()
	said := ""
	refused := 0
	for _, m := range all {
		want, wrong := p.toJSON(m, wire)
		if wrong != nil {
			refused++
		}
		if (err == nil) == (wrong == nil) && (err != nil || string(got) == "before"+string(want)) {
			met++
		}
		said += fmt.Sprintf("\n%T: %s, %v", m, want, wrong)
	}
	if met != len(all) && (met == 0 || refused != 1) {
		t.Fatalf("%s %+v %x: %s, %v; proto and protojson:%s", p.subject.ProtoReflect().Descriptor().FullName(), p.o, wire, got, err, said)
	}
}

// decode compares the message of a document.
func (p pair) decode(t testing.TB, doc []byte) {
	t.Helper()
	wire, err := p.m.AppendWire([]byte("before"), doc)
	for _, m := range p.both() {
		wrong := protojson.UnmarshalOptions{DiscardUnknown: p.o.DiscardUnknown, RecursionLimit: p.o.Depth}.Unmarshal(doc, m)
		name := fmt.Sprintf("%T %s %+v %q", m, m.ProtoReflect().Descriptor().FullName(), p.o, doc)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("error %v, protojson has %v: %s", err, wrong, name)
		}
		if err != nil {
			continue
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(wire[len("before"):], got); err != nil {
			t.Fatalf("%s: made %x: %v", name, wire, err)
		}
		if a, b := canonical(t, got), canonical(t, m); !bytes.Equal(a, b) {
			t.Fatalf("%s:\n got %x\nwant %x", name, a, b)
		}
		if size := proto.Size(m); size != len(wire)-len("before") {
			t.Fatalf("%s: %d bytes where %d do", name, len(wire)-len("before"), size)
		}
	}
}

func canonical(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyOption has each combination of the options that change the JSON.
func everyOption() []Options {
	return []Options{{}, {EmitDefaultValues: true}, {EmitUnpopulated: true}, {DiscardUnknown: true}, {Depth: 5}, {Depth: 3, DiscardUnknown: true}}
}
