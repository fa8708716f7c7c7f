package wirejson

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var errUTF8 = errors.New("wirejson: a string is not UTF-8")

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// plain says how many of the first bytes are ASCII that stands in a JSON string as it is.
func plain(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		// The lowest flag is a true one: a subtraction borrows upwards only, and only from a byte that is flagged.
		if hit := (x | (x - ' '*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// unescaped says how many of the first bytes are neither a quote, a backslash nor a control character; they need not be UTF-8.
func unescaped(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		if hit := ((x - ' '*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) &^ x & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// appendString appends s as a JSON string. ok is false when it is not UTF-8.
func appendString(out, s []byte) (_ []byte, ok bool) {
	out = append(out, '"')
	n := plain(s)
	out = append(out, s[:n]...)
	if n == len(s) {
		return append(out, '"'), true
	}
	s = s[n:]
	if !utf8.Valid(s) {
		return out, false
	}
	for {
		n := unescaped(s)
		out = append(out, s[:n]...)
		if n == len(s) {
			return append(out, '"'), true
		}
		out = appendEscape(out, s[n])
		s = s[n+1:]
	}
}

func appendEscape(out []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(out, '\\', c)
	case '\b':
		return append(out, '\\', 'b')
	case '\f':
		return append(out, '\\', 'f')
	case '\n':
		return append(out, '\\', 'n')
	case '\r':
		return append(out, '\\', 'r')
	case '\t':
		return append(out, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendFloat writes a number as ECMAScript does (ECMA-262, 6.1.6.1.20), with "NaN" and the infinities as protobuf JSON has them.
func appendFloat(out []byte, x float64, size int) []byte {
	switch {
	case math.IsNaN(x):
		return append(out, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(out, `"-Infinity"`...)
	}
	abs, format := math.Abs(x), byte('f')
	if abs != 0 && (size == 64 && (abs < 1e-6 || abs >= 1e21) || size == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		format = 'e'
	}
	out = strconv.AppendFloat(out, x, format, -1, size)
	if n := len(out); format == 'e' && n >= 4 && out[n-4] == 'e' && out[n-3] == '-' && out[n-2] == '0' { // e-09 is e-9
		out[n-2] = out[n-1]
		out = out[:n-1]
	}
	return out
}

// number makes a field's value of what is on the wire: a signed kind's is an int64, a float's its bits.
func (f *field) number(v uint64) uint64 {
	switch f.kind {
	case protoreflect.BoolKind:
		return min(v, 1)
	case protoreflect.Int32Kind, protoreflect.EnumKind, protoreflect.Sfixed32Kind:
		return uint64(int64(int32(v))) //nolint:gosec // a varint is cut to its kind
	case protoreflect.Uint32Kind:
		return uint64(uint32(v)) //nolint:gosec // likewise
	case protoreflect.Sint32Kind:
		return uint64(int64(int32(protowire.DecodeZigZag(v & math.MaxUint32)))) //nolint:gosec // likewise
	case protoreflect.Sint64Kind:
		return uint64(protowire.DecodeZigZag(v)) //nolint:gosec // likewise
	default:
		return v
	}
}

// appendNumber writes what number made: of any kind but strings, bytes and messages.
func (f *field) appendNumber(out []byte, v uint64) []byte {
	switch f.kind {
	case protoreflect.BoolKind:
		return strconv.AppendBool(out, v != 0)
	case protoreflect.EnumKind:
		n := protoreflect.EnumNumber(int32(v)) //nolint:gosec // number made it one
		if f.null {
			return append(out, "null"...)
		}
		if q := f.enum.quoted(n); q != nil {
			return append(out, q...)
		}
		return strconv.AppendInt(out, int64(n), 10)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(out, int64(v), 10) //nolint:gosec // number made it one
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(out, v, 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return append(strconv.AppendInt(append(out, '"'), int64(v), 10), '"') //nolint:gosec // number made it one
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return append(strconv.AppendUint(append(out, '"'), v, 10), '"')
	case protoreflect.FloatKind:
		return appendFloat(out, float64(math.Float32frombits(uint32(v))), 32) //nolint:gosec // its bits
	case protoreflect.DoubleKind:
		return appendFloat(out, math.Float64frombits(v), 64)
	default:
		return out
	}
}
