package wirejson

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar reads a value of a field that holds no messages, and writes it behind tag. noZero leaves a zero out. set is false when it is an enum's
// name that is passed over.
func (d *decoder) scalar(f *field, tag []byte, noZero bool) (set bool, err error) {
	if f.kind == protoreflect.StringKind {
		return true, d.stringValue(tag, noZero)
	}
	if f.kind == protoreflect.BytesKind {
		return true, d.bytesValue(f, tag, noZero)
	}
	at := d.pos
	v, set, ok, err := d.value(f)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, d.fail(at, "invalid value for field %q", f.text)
	}
	if set && (v != 0 || !noZero) {
		d.out = f.appendValue(append(d.out, tag...), v)
	}
	return set, nil
}

// value reads a number, a bool or an enum. ok is false for what the field can't hold.
func (d *decoder) value(f *field) (v uint64, set, ok bool, err error) {
	switch f.kind {
	case protoreflect.BoolKind:
		switch d.next(); {
		case d.word("true"):
			return 1, true, true, nil
		case d.word("false"):
			return 0, true, true, nil
		}
		return 0, false, false, nil
	case protoreflect.EnumKind:
		return d.enumValue(f)
	case protoreflect.FloatKind:
		x, ok, err := d.float(32)
		return uint64(math.Float32bits(float32(x))), true, ok, err
	case protoreflect.DoubleKind:
		x, ok, err := d.float(64)
		return math.Float64bits(x), true, ok, err
	default:
		return d.integer(f)
	}
}

func (d *decoder) integer(f *field) (v uint64, set, ok bool, err error) {
	text, err := d.numberText()
	if err != nil || text == nil {
		return 0, false, false, err
	}
	abs, neg, ok := integer(text)
	if !ok {
		return 0, false, false, nil
	}
	v, ok = f.fitted(abs, neg)
	return v, true, ok, nil
}

// fitted holds a whole number to what the field's kind can be.
func (f *field) fitted(abs uint64, neg bool) (uint64, bool) {
	most := uint64(math.MaxInt64)
	switch f.kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return abs, !neg && abs <= math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return abs, !neg
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.EnumKind:
		most = math.MaxInt32
	default:
	}
	if neg {
		return -abs, abs <= most+1
	}
	return abs, abs <= most
}

// numberText reads a number, or a string that is one. It is nil when the string is not.
func (d *decoder) numberText() ([]byte, error) {
	if d.next() != '"' {
		return d.number()
	}
	s, err := d.text()
	if err != nil || len(s) == 0 || numberLen(s) != len(s) {
		return nil, err
	}
	return s, nil
}

func (d *decoder) float(size int) (x float64, ok bool, err error) {
	var text []byte
	if d.next() != '"' {
		text, err = d.number()
	} else if text, err = d.text(); err == nil {
		switch string(text) {
		case "NaN":
			return math.NaN(), true, nil
		case "Infinity":
			return math.Inf(1), true, nil
		case "-Infinity":
			return math.Inf(-1), true, nil
		}
		if len(text) == 0 || numberLen(text) != len(text) {
			return 0, false, nil
		}
	}
	if err != nil {
		return 0, false, err
	}
	x, bad := strconv.ParseFloat(string(text), size)
	return x, bad == nil, nil
}

func (d *decoder) enumValue(f *field) (v uint64, set, ok bool, err error) {
	switch d.next() {
	case '"':
		name, err := d.text()
		if err != nil {
			return 0, false, false, err
		}
		n, ok := f.enum.byName[string(name)]
		return uint64(int64(n)), ok, ok || d.c.o.DiscardUnknown, nil //nolint:gosec // a varint's sign
	case 'n':
		return 0, true, f.null && d.word("null"), nil
	}
	text, err := d.number()
	if err != nil {
		return 0, false, false, err
	}
	abs, neg, ok := integer(text)
	if ok {
		v, ok = f.fitted(abs, neg)
	}
	return v, true, ok, nil
}

func (d *decoder) stringValue(tag []byte, noZero bool) error {
	if d.next() != '"' {
		return d.unexpected()
	}
	s, err := d.text()
	if err != nil || len(s) == 0 && noZero {
		return err
	}
	d.out = protowire.AppendBytes(append(d.out, tag...), s)
	return nil
}

func (d *decoder) bytesValue(f *field, tag []byte, noZero bool) error {
	at := d.pos
	if d.next() != '"' {
		return d.unexpected()
	}
	s, err := d.text()
	if err != nil || len(s) == 0 && noZero {
		return err
	}
	start := len(d.out)
	d.out = append(d.out, tag...)
	o := d.begin()
	enc := encodingOf(s)
	from := len(d.out)
	d.out = slices.Grow(d.out, enc.DecodedLen(len(s)))
	n, err := enc.Decode(d.out[from:cap(d.out)], s)
	if err != nil {
		return d.fail(at, "invalid base64 for field %q", f.text)
	}
	if n == 0 && noZero {
		d.back(start, o)
		return nil
	}
	d.out = d.out[:from+n]
	d.end(o)
	return nil
}

// encodingOf says which of the four forms of base64 (RFC 4648, 4 and 5) a text has.
func encodingOf(s []byte) *base64.Encoding {
	switch url := bytes.ContainsAny(s, "-_"); {
	case url && len(s)%4 == 0:
		return base64.URLEncoding
	case url:
		return base64.RawURLEncoding
	case len(s)%4 == 0:
		return base64.StdEncoding
	default:
		return base64.RawStdEncoding
	}
}

// appendValue writes what value read.
func (f *field) appendValue(out []byte, v uint64) []byte {
	if f.kind == protoreflect.Sint32Kind || f.kind == protoreflect.Sint64Kind {
		return protowire.AppendVarint(out, protowire.EncodeZigZag(int64(v))) //nolint:gosec // fitted made it one
	}
	switch f.wire {
	case protowire.Fixed32Type:
		return binary.LittleEndian.AppendUint32(out, uint32(v)) //nolint:gosec // fitted made it one
	case protowire.Fixed64Type:
		return binary.LittleEndian.AppendUint64(out, v)
	default:
		return protowire.AppendVarint(out, v)
	}
}
