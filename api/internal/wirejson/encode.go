package wirejson

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// errOrder says that the fast path does not do: the fields are not in their order, or one is there more than once.
var errOrder = errors.New("wirejson: out of order")

// encoder writes one message as JSON.
type encoder struct {
	c       *Codec
	out     []byte
	start   int // of the document in out
	depth   int
	partial bool // required fields need not be there
	exactly bool // the fast path was left
	again   int  // bytes that were read once more, because their message is there in parts

	// What is used as stacks, each by one function for its time.
	seen    []occurrence
	chains  []chain
	entries []entry
	joined  []byte
}

func (e *encoder) reset() {
	if cap(e.joined) > keptScratch {
		e.joined = nil
	}
	clear(e.seen[:cap(e.seen)]) // they refer to the message
	clear(e.entries[:cap(e.entries)])
	e.again = 0
	e.out, e.seen, e.chains, e.entries, e.joined = nil, e.seen[:0], e.chains[:0], e.entries[:0], e.joined[:0]
	if cap(e.seen) > keptScratch/64 {
		e.seen = nil
	}
	if cap(e.entries) > keptScratch/64 {
		e.entries = nil
	}
}

// message writes the message whose wire format is b. typeURL is given for what a google.protobuf.Any holds.
func (e *encoder) message(m *message, b []byte, typeURL string) error {
	if e.depth--; e.depth < 0 {
		return errDepth
	}
	var err error
	switch m.known {
	case ordinary, empty:
		err = e.object(m, b, typeURL)
	default:
		err = e.wellKnown(m, b)
	}
	e.depth++
	return err
}

// object writes each field behind a comma, and makes the first comma the brace.
func (e *encoder) object(m *message, b []byte, typeURL string) error {
	open := len(e.out)
	if typeURL != "" {
		e.out = append(e.out, `,"@type":`...)
		var ok bool
		if e.out, ok = appendString(e.out, []byte(typeURL)); !ok {
			return errUTF8
		}
	}
	var err error
	if m.exact || e.exactly {
		err = e.exact(m, b)
	} else {
		err = e.ordered(m, b)
	}
	if err != nil {
		return err
	}
	e.close(open, '{', '}')
	if len(e.out)-e.start > e.c.o.MaxJSON {
		return errSize
	}
	return nil
}

// close ends an object or a list whose members were written behind a comma each, from out[open].
func (e *encoder) close(open int, left, right byte) {
	if len(e.out) == open {
		e.out = append(e.out, left, right)
		return
	}
	e.out[open] = left
	e.out = append(e.out, right)
}

// ordered writes the fields as they come, as long as they come in their order, each once.
func (e *encoder) ordered(m *message, b []byte) error {
	next := 0
	var oneofs uint64
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		if at < 0 {
			return errWire
		}
		f := m.byNumber(num)
		if f == nil || !f.takes(t) {
			if i = skip(num, t, b, at); i < 0 {
				return errWire
			}
			continue
		}
		if f.index < next {
			return errOrder
		}
		if f.oneof >= 0 {
			if oneofs&(1<<f.oneof) != 0 {
				return errOrder
			}
			oneofs |= 1 << f.oneof
		}
		for ; next < f.index; next++ {
			e.out = append(e.out, m.fields[next].absent...)
		}
		next++
		var err error
		switch f.shape {
		case single:
			i, err = e.one(f, b, at)
		case list:
			i, err = e.run(f, b, i, at, t)
		case mapping:
			i, err = e.entriesOf(f, b, i, at)
		}
		if err != nil {
			return err
		}
	}
	for ; next < len(m.fields); next++ {
		e.out = append(e.out, m.fields[next].absent...)
	}
	return nil
}

// one writes a single field, whose value is at b[i], and says where the value ends.
func (e *encoder) one(f *field, b []byte, i int) (int, error) {
	if !f.isBlock() {
		v, n := f.readNumber(b, i)
		if n < 0 {
			return 0, errWire
		}
		if v == 0 && f.implicit {
			e.out = append(e.out, f.absent...)
			return n, nil
		}
		e.out = f.appendNumber(append(e.out, f.key...), v)
		return n, nil
	}
	v, n := f.readBlock(b, i)
	if n < 0 {
		return 0, errWire
	}
	if len(v) == 0 && f.implicit {
		e.out = append(e.out, f.absent...)
		return n, nil
	}
	e.out = append(e.out, f.key...)
	return n, e.block(f, v)
}

// block writes a string, bytes, a message or a group.
func (e *encoder) block(f *field, v []byte) error {
	switch f.kind {
	case protoreflect.StringKind:
		var ok bool
		if e.out, ok = appendString(e.out, v); !ok {
			return f.wrong("a string is not UTF-8")
		}
		return nil
	case protoreflect.BytesKind:
		e.out = append(e.out, '"')
		e.out = base64.StdEncoding.AppendEncode(e.out, v)
		e.out = append(e.out, '"')
		return nil
	default:
		return e.message(f.msg, v, "")
	}
}

// run writes a list whose first element's tag is at b[start] and value at b[i], with all that follow it in the same form.
func (e *encoder) run(f *field, b []byte, start, i int, t protowire.Type) (int, error) {
	tag := b[start:i]
	before := len(e.out)
	e.out = append(e.out, f.key...)
	open := len(e.out)
	for {
		n, err := e.element(f, b, i, t)
		if err != nil {
			return 0, err
		}
		i = n + len(tag)
		if i > len(b) || !bytes.Equal(b[n:i], tag) {
			e.closeList(f, before, open)
			return n, nil
		}
	}
}

// closeList ends a list that was begun at out[before]; one without elements isn't set.
func (e *encoder) closeList(f *field, before, open int) {
	if len(e.out) == open {
		e.out = append(e.out[:before], f.absent...)
		return
	}
	e.close(open, '[', ']')
}

// element writes one element of a list, or several that are packed, each behind a comma.
func (e *encoder) element(f *field, b []byte, i int, t protowire.Type) (int, error) {
	if f.isBlock() {
		v, n := f.readBlock(b, i)
		if n < 0 {
			return 0, errWire
		}
		e.out = append(e.out, ',')
		return n, e.block(f, v)
	}
	if t != protowire.BytesType {
		v, n := f.readNumber(b, i)
		if n < 0 {
			return 0, errWire
		}
		e.out = f.appendNumber(append(e.out, ','), v)
		return n, nil
	}
	all, n := readBytes(b, i)
	if n < 0 {
		return 0, errWire
	}
	for j := 0; j < len(all); {
		var v uint64
		if v, j = f.readNumber(all, j); j < 0 {
			return 0, errWire
		}
		e.out = f.appendNumber(append(e.out, ','), v)
	}
	return n, nil
}

// validText says that v may be a value of f in a message.
func (f *field) validText(v []byte) bool { return !f.utf8 || utf8.Valid(v) }
