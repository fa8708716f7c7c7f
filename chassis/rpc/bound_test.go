package rpc

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func atMost(m proto.Message) int64 {
	return boundsOf(reflect.TypeOf(m).Elem(), map[reflect.Type]*bounds{}).atMost(word(m))
}

func TestNoMessageIsLargerThanItsBound(t *testing.T) {
	r, told := rand.New(rand.NewPCG(1, 2)), 0
	messages := []proto.Message{
		&catalogv1.Product{}, &catalogv1.GetCategoryRequest{}, &catalogv1.CreateProductRequest{}, &catalogv1.ListProductsRequest{},
		&catalogv1.ListProductsResponse{}, &descriptorpb.FileDescriptorProto{}, &descriptorpb.FieldOptions{}, &structpb.Value{}, &structpb.Struct{},
	}
	for range 500 {
		for _, empty := range messages {
			m := empty.ProtoReflect().New()
			fill(r, m, 4)
			size, bound := int64(proto.Size(m.Interface())), atMost(m.Interface())
			if bound < size {
				t.Fatalf("a %s of %d bytes is told to be of at most %d: %v", m.Descriptor().FullName(), size, bound, m)
			}
			if bound < unknownSize {
				told++
			}
		}
	}
	if told < 1000 {
		t.Errorf("of %d messages only %d have a bound", 500*len(messages), told)
	}
}

func TestBoundsSeeWhatIsLong(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, m := range map[string]proto.Message{
		"a string":              &catalogv1.Product{Title: long},
		"a list":                &catalogv1.Product{Tags: []string{"a", long}},
		"a message in a list":   &catalogv1.Product{Variants: []*catalogv1.Variant{{}, {Sku: long}}},
		"a pointer to a string": &descriptorpb.FileDescriptorProto{Name: &long},
		"numbers":               &descriptorpb.SourceCodeInfo_Location{Path: make([]int32, 1000)},
	} {
		if n := atMost(m); n < 1000 || n >= unknownSize {
			t.Errorf("%s: at most %d", name, n)
		}
	}
	unknown := &catalogv1.Product{}
	unknown.ProtoReflect().SetUnknown(make([]byte, 1000))
	if n := atMost(unknown); n < 1000 || n >= unknownSize {
		t.Errorf("unknown fields: at most %d", n)
	}
	if n := atMost(structpb.NewStringValue(long)); n < unknownSize {
		t.Errorf("a oneof: at most %d", n)
	}
	if n := atMost(dynamicpb.NewMessage(unknown.ProtoReflect().Descriptor())); n < unknownSize {
		t.Errorf("a dynamic message: at most %d", n)
	}
	if n := atMost((*catalogv1.Product)(nil)); n != 0 {
		t.Errorf("none: at most %d", n)
	}
}

// fill sets some fields of m, with the largest numbers there are, depth messages deep.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.IntN(3) > 0 || f.Message() != nil && depth == 0 {
			continue
		}
		switch {
		case f.IsMap():
			v := m.Mutable(f).Map()
			key := value(r, f.MapKey()).MapKey()
			if f.MapValue().Message() != nil {
				fill(r, v.Mutable(key).Message(), depth-1)
			} else {
				v.Set(key, value(r, f.MapValue()))
			}
		case f.IsList():
			for l := m.Mutable(f).List(); l.Len() < 3; {
				if f.Message() != nil {
					fill(r, l.AppendMutable().Message(), depth-1)
				} else {
					l.Append(value(r, f))
				}
			}
		case f.Message() != nil:
			fill(r, m.Mutable(f).Message(), depth-1)
		default:
			m.Set(f, value(r, f))
		}
	}
	if r.IntN(4) == 0 {
		m.SetUnknown(protoreflect.RawFields(strings.Repeat("\x08\x01", r.IntN(9))))
	}
}

func value(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(-1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(math.MinInt32)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(math.MaxUint32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(math.MinInt64)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(math.MaxUint64)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.MaxFloat32)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.MaxFloat64)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, r.IntN(40)))
	default:
		return protoreflect.ValueOfString(strings.Repeat("s", r.IntN(40)))
	}
}
