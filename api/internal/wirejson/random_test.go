package wirejson

import (
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maker makes wire formats of a message: good ones for the most part, whose fields come in any order, more than once, in parts, packed or
// not, with unknown fields between them.
type maker struct {
	r     *rand.Rand
	noAny bool
}

func newMaker(seed uint64) *maker { return &maker{r: rand.New(rand.NewPCG(seed, 1))} }

func (g *maker) one(n int) bool { return g.r.IntN(n) == 0 }

// message makes one with up to depth levels.
func (g *maker) message(md protoreflect.MessageDescriptor, depth int) []byte {
	fds := md.Fields()
	var fields [][]byte
	for i := range fds.Len() {
		if n := fds.Len(); n > 40 && !g.one(n/20) || n <= 40 && g.one(3) {
			continue
		}
		for range 1 + g.r.IntN(2)*g.r.IntN(3) {
			fields = append(fields, g.field(fds.Get(i), depth))
		}
	}
	if g.one(3) {
		g.r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	var out []byte
	for _, f := range fields {
		out = append(out, f...)
		if g.one(40) {
			out = append(out, g.unknown()...)
		}
	}
	return out
}

func (g *maker) unknown() []byte {
	num := protowire.Number(1 + g.r.IntN(20_000))
	switch g.r.IntN(5) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), g.r.Uint64())
	case 1:
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), []byte("\x08\x01"))
	case 2:
		return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), g.r.Uint32())
	case 3:
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), g.r.Uint64())
	default:
		b := protowire.AppendTag(nil, num, protowire.StartGroupType)
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 7)
		return protowire.AppendTag(b, num, protowire.EndGroupType)
	}
}

func (g *maker) field(fd protoreflect.FieldDescriptor, depth int) []byte {
	switch {
	case fd.IsMap():
		entry := g.value(fd.MapKey(), depth)
		if g.one(4) {
			entry = append(entry, g.value(fd.MapValue(), depth)...)
		}
		entry = append(entry, g.value(fd.MapValue(), depth)...)
		if g.one(20) {
			entry = entry[:0]
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, fd.Number(), protowire.BytesType), entry)
	case fd.IsList() && wireOf(fd.Kind()) != protowire.BytesType && fd.Message() == nil && g.one(2):
		var packed []byte
		for range g.r.IntN(4) {
			packed = g.number(packed, fd)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, fd.Number(), protowire.BytesType), packed)
	case fd.IsList():
		var out []byte
		for range 1 + g.r.IntN(3) {
			out = append(out, g.value(fd, depth)...)
		}
		return out
	default:
		return g.value(fd, depth)
	}
}

// value makes one value with its tag.
func (g *maker) value(fd protoreflect.FieldDescriptor, depth int) []byte {
	out := protowire.AppendTag(nil, fd.Number(), wireOf(fd.Kind()))
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(out, g.nested(fd.Message(), depth))
	case protoreflect.GroupKind:
		return protowire.AppendTag(append(out, g.nested(fd.Message(), depth)...), fd.Number(), protowire.EndGroupType)
	case protoreflect.StringKind, protoreflect.BytesKind:
		texts := []string{"", "a", "text", "with \"quotes\" and \\", "ä€😀", "line\nfeed", "\x00\x1f\x7f\u2028", "some text that is longer than sixteen bytes", "foo_bar,baz"}
		text := texts[g.r.IntN(len(texts))]
		if g.one(300) {
			text = "\xff"
		}
		return protowire.AppendString(out, text)
	default:
		return g.number(out, fd)
	}
}

func (g *maker) nested(md protoreflect.MessageDescriptor, depth int) []byte {
	switch {
	case md.FullName() == "google.protobuf.Any" && g.noAny:
		return nil
	case md.FullName() == "google.protobuf.Any" && !g.one(10):
		return g.any(depth)
	case md.FullName() == "google.protobuf.Timestamp" || md.FullName() == "google.protobuf.Duration":
		out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(g.r.IntN(4_000_000_000)))
		return protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), uint64(g.r.IntN(1000)*[]int{0, 1, 1_000, 1_000_000}[g.r.IntN(4)]))
	case md.FullName() == "google.protobuf.FieldMask":
		return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), []string{"a", "foo_bar.baz", "a_b1", "x.y_z"}[g.r.IntN(4)])
	case md.FullName() == "google.protobuf.Value" && depth <= 0:
		return protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "leaf")
	case depth <= 0 || g.one(6):
		return nil
	}
	return g.message(md, depth-1)
}

func (g *maker) any(depth int) []byte {
	all := subjects()
	md := all[g.r.IntN(len(all))].ProtoReflect().Descriptor()
	out := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/"+string(md.FullName()))
	return protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), g.nested(md, depth-1))
}

func (g *maker) number(out []byte, fd protoreflect.FieldDescriptor) []byte {
	v := []uint64{0, 1, 2, 127, 128, math.MaxInt32, 1 << 31, math.MaxUint32, math.MaxInt64, 1 << 63, math.MaxUint64, g.r.Uint64()}[g.r.IntN(12)]
	switch wireOf(fd.Kind()) {
	case protowire.Fixed32Type:
		if fd.Kind() == protoreflect.FloatKind && g.one(2) {
			v = uint64(math.Float32bits([]float32{0, 1.5, float32(math.Copysign(0, -1)), 1e-7, 1e21, float32(math.Inf(1)), float32(math.NaN())}[g.r.IntN(7)]))
		}
		return protowire.AppendFixed32(out, uint32(v))
	case protowire.Fixed64Type:
		if fd.Kind() == protoreflect.DoubleKind && g.one(2) || fd.ContainingMessage().FullName() == "google.protobuf.Value" {
			v = math.Float64bits([]float64{0, 1.5, math.Copysign(0, -1), 1e-7, 1e21, 123456789, 5e-324}[g.r.IntN(7)])
		}
		return protowire.AppendFixed64(out, v)
	default:
		if g.one(3) {
			v = uint64(g.r.IntN(3))
		}
		return protowire.AppendVarint(out, v)
	}
}

// spoiled is b with a byte changed, cut, or doubled.
func (g *maker) spoiled(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	out := append([]byte(nil), b...)
	i := g.r.IntN(len(out))
	switch g.r.IntN(4) {
	case 0:
		out[i] ^= byte(1 << g.r.IntN(8))
	case 1:
		return out[:i]
	case 2:
		out = append(out[:i], out[i+1:]...)
	default:
		out = append(out, out[i:]...)
	}
	return out
}
