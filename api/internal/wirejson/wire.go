package wirejson

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errWire  = errors.New("wirejson: the message is not protobuf's wire format")
	errDepth = errors.New("wirejson: messages are nested too deep")
	errSize  = errors.New("wirejson: the JSON is larger than allowed")
)

// readVarint reads the varint at b[i]; n is where it ends, or -1.
func readVarint(b []byte, i int) (v uint64, n int) {
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	v, size := protowire.ConsumeVarint(b[i:])
	if size < 0 {
		return 0, -1
	}
	return v, i + size
}

// readTag reads the tag at b[i]; n is where it ends, or -1.
func readTag(b []byte, i int) (num protowire.Number, t protowire.Type, n int) {
	if c := b[i]; c < 0x80 && c >= 8 {
		return protowire.Number(c >> 3), protowire.Type(c & 7), i + 1
	}
	num, t, size := protowire.ConsumeTag(b[i:])
	if size < 0 || num > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return num, t, i + size
}

// readBytes reads the bytes at b[i], after their length; n is where they end, or -1.
func readBytes(b []byte, i int) (v []byte, n int) {
	size, i := readVarint(b, i)
	if i < 0 || size > uint64(len(b)-i) { //nolint:gosec // not negative
		return nil, -1
	}
	n = i + int(size) //nolint:gosec // within b
	return b[i:n], n
}

// readGroup reads a group's fields at b[i]; n is where it ends, behind its end tag, or -1.
func readGroup(num protowire.Number, b []byte, i int) (v []byte, n int) {
	v, size := protowire.ConsumeGroup(num, b[i:])
	if size < 0 {
		return nil, -1
	}
	return v, i + size
}

// skip passes over the value at b[i] of a field that nobody knows.
func skip(num protowire.Number, t protowire.Type, b []byte, i int) int {
	size := protowire.ConsumeFieldValue(num, t, b[i:])
	if size < 0 {
		return -1
	}
	return i + size
}

// readNumber reads the value at b[i] of a number, a bool or an enum.
func (f *field) readNumber(b []byte, i int) (v uint64, n int) {
	switch f.wire {
	case protowire.Fixed32Type:
		if len(b)-i < 4 {
			return 0, -1
		}
		return f.number(uint64(binary.LittleEndian.Uint32(b[i:]))), i + 4
	case protowire.Fixed64Type:
		if len(b)-i < 8 {
			return 0, -1
		}
		return binary.LittleEndian.Uint64(b[i:]), i + 8
	default:
		v, n = readVarint(b, i)
		return f.number(v), n
	}
}

// readBlock reads the value at b[i] of a string, bytes, a message or a group.
func (f *field) readBlock(b []byte, i int) (v []byte, n int) {
	if f.wire == protowire.StartGroupType {
		return readGroup(f.num, b, i)
	}
	return readBytes(b, i)
}

// isBlock says whether readBlock reads the field's values.
func (f *field) isBlock() bool {
	return f.wire == protowire.BytesType || f.wire == protowire.StartGroupType
}

// takes says whether the field's values can have the wire type t. One that they can't have is of an unknown field.
func (f *field) takes(t protowire.Type) bool {
	switch f.shape {
	case mapping:
		return t == protowire.BytesType
	case list:
		return t == f.wire || f.packs && t == protowire.BytesType
	default:
		return t == f.wire
	}
}

func (f *field) wrong(what string) error {
	return fmt.Errorf("wirejson: %s: %s", f.desc.FullName(), what)
}
