package wirejson

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// entry is one entry of a map on the wire.
type entry struct {
	text  []byte // the key, when it is a string
	num   uint64 // else
	value []byte // a block
	scal  uint64 // else
}

// entriesOf writes a map whose first entry's tag is at b[start] and value at b[i], with all that follow it.
func (e *encoder) entriesOf(f *field, b []byte, start, i int) (int, error) {
	tag := b[start:i]
	base := len(e.entries)
	for {
		v, n := readBytes(b, i)
		if n < 0 {
			return 0, errWire
		}
		if err := e.gather(f, v); err != nil {
			return 0, err
		}
		i = n + len(tag)
		if i > len(b) || !bytes.Equal(b[n:i], tag) {
			e.out = append(e.out, f.key...)
			return n, e.emit(f, base)
		}
	}
}

// gather reads one entry. A key or a value that isn't there is the default one; of several the last counts, of messages all.
func (e *encoder) gather(f *field, b []byte) error {
	if e.depth < 1 { // an entry is a message, too
		return errDepth
	}
	e.depth--
	defer func() { e.depth++ }()
	key, val := f.mapKey, f.mapValue
	var got entry
	parts := 0
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		if at < 0 {
			return errWire
		}
		switch {
		case num == 1 && t == key.wire && key.isBlock():
			got.text, i = readBytes(b, at)
			if i >= 0 && !key.validText(got.text) {
				return f.wrong("a key is not UTF-8")
			}
		case num == 1 && t == key.wire:
			got.num, i = key.readNumber(b, at)
		case num == 2 && t == val.wire && val.isBlock():
			var part []byte
			if part, i = readBytes(b, at); i < 0 {
				return errWire
			}
			parts++
			if err := e.part(val, &got, part, parts); err != nil {
				return err
			}
		case num == 2 && t == val.wire:
			got.scal, i = val.readNumber(b, at)
		default:
			i = skip(num, t, b, at)
		}
		if i < 0 {
			return errWire
		}
	}
	e.entries = append(e.entries, got)
	return nil
}

// part takes one more block for the value of an entry.
func (e *encoder) part(f *field, got *entry, part []byte, parts int) error {
	if f.msg == nil {
		got.value = part
		if !f.validText(part) {
			return f.wrong("a string is not UTF-8")
		}
		return nil
	}
	if parts == 1 {
		got.value = part
		return nil
	}
	if parts == 2 {
		if err := e.reread(f, got.value); err != nil {
			return err
		}
	}
	if err := e.reread(f, part); err != nil {
		return err
	}
	got.value = append(slices.Clip(got.value), part...)
	return nil
}

// checkGathered says whether an entry that is not written is good. Its text was looked at when it was gathered.
func (e *encoder) checkGathered(f *field, g entry) error {
	if f.mapValue.msg == nil {
		return nil
	}
	e.depth--
	err := e.checkMessage(f.mapValue.msg, g.value)
	e.depth++
	return err
}

// emit writes e.entries[base:] by their keys; of those with the same key the last.
func (e *encoder) emit(f *field, base int) error {
	all := e.entries[base:]
	if len(all) > 1 {
		slices.SortStableFunc(all, func(a, b entry) int { return f.mapKey.compare(a, b) })
	}
	err := e.mapOf(f, base)
	e.entries = e.entries[:base]
	return err
}

func (e *encoder) mapOf(f *field, base int) error {
	open := len(e.out)
	e.depth-- // as gather
	for i := base; i < len(e.entries); i++ {
		g := e.entries[i]
		if i+1 < len(e.entries) && f.mapKey.compare(g, e.entries[i+1]) == 0 {
			e.depth++
			if err := e.checkGathered(f, g); err != nil {
				return err
			}
			e.depth--
			continue
		}
		if err := e.entry(f, g); err != nil {
			return err
		}
	}
	e.depth++
	e.close(open, '{', '}')
	return nil
}

func (e *encoder) entry(f *field, g entry) error {
	e.out = append(e.out, ',')
	switch f.mapKey.kind {
	case protoreflect.StringKind:
		var ok bool
		if e.out, ok = appendString(e.out, g.text); !ok {
			return f.wrong("a key is not UTF-8")
		}
	case protoreflect.BoolKind:
		e.out = append(strconv.AppendBool(append(e.out, '"'), g.num != 0), '"')
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		e.out = append(strconv.AppendUint(append(e.out, '"'), g.num, 10), '"')
	default:
		e.out = append(strconv.AppendInt(append(e.out, '"'), int64(g.num), 10), '"') //nolint:gosec // number made it one
	}
	e.out = append(e.out, ':')
	if f.mapValue.wire == protowire.BytesType {
		return e.block(f.mapValue, g.value)
	}
	e.out = f.mapValue.appendNumber(e.out, g.scal)
	return nil
}

// compare orders the keys of a map.
func (f *field) compare(a, b entry) int {
	switch f.kind {
	case protoreflect.StringKind:
		return bytes.Compare(a.text, b.text)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return cmp.Compare(int64(a.num), int64(b.num)) //nolint:gosec // number made them so
	default:
		return cmp.Compare(a.num, b.num)
	}
}
