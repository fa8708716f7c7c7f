package wirejson

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The ranges that the comments of duration.proto and timestamp.proto give, in seconds.
const (
	maxDuration  = 315_576_000_000
	maxTimestamp = 253_402_300_799
	minTimestamp = -62_135_596_800
	maxNanos     = 999_999_999
)

// wellKnown writes one of protobuf's own messages.
func (e *encoder) wellKnown(m *message, b []byte) error {
	switch m.known {
	case anyType:
		return e.any(m, b)
	case timestamp, duration:
		return e.time(m, b)
	case wrapper:
		return e.wrapper(m.fields[0], b)
	case structType, listValue:
		return e.structure(m, b)
	case valueType:
		return e.value(m, b)
	case fieldMask:
		return e.mask(m, b)
	default:
		return m.refusal()
	}
}

// any writes what a google.protobuf.Any holds, with its type. Required fields need not be there in it.
func (e *encoder) any(m *message, b []byte) error {
	var url, value []byte
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		switch {
		case at < 0:
			return errWire
		case num == 1 && t == protowire.BytesType:
			if url, i = readBytes(b, at); i >= 0 && !m.fields[0].validText(url) {
				return errUTF8
			}
		case num == 2 && t == protowire.BytesType:
			value, i = readBytes(b, at)
		default:
			i = skip(num, t, b, at)
		}
		if i < 0 {
			return errWire
		}
	}
	if len(url) == 0 {
		if len(value) > 0 {
			return errors.New("wirejson: a google.protobuf.Any has a value and no type")
		}
		e.out = append(e.out, "{}"...)
		return nil
	}
	t, err := e.c.o.Resolver.FindMessageByURL(string(url))
	if err != nil {
		return fmt.Errorf("wirejson: the type of a google.protobuf.Any, %q: %w", url, err)
	}
	held := e.c.message(t.Descriptor())
	partial := e.partial
	e.partial = true
	defer func() { e.partial = partial }()
	if held.known == ordinary || held.known == empty {
		return e.message(held, value, string(url))
	}
	e.out = append(e.out, `{"@type":`...)
	var ok bool
	if e.out, ok = appendString(e.out, url); !ok {
		return errUTF8
	}
	e.out = append(e.out, `,"value":`...)
	if err := e.message(held, value, ""); err != nil {
		return err
	}
	e.out = append(e.out, '}')
	return nil
}

// time writes a Timestamp as RFC 3339 has it, or a Duration as seconds: with 0, 3, 6 or 9 digits behind the point.
func (e *encoder) time(m *message, b []byte) error {
	var seconds, nanos int64
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		if at < 0 {
			return errWire
		}
		if num > 2 || t != protowire.VarintType {
			i = skip(num, t, b, at)
		} else {
			var v uint64
			if v, i = readVarint(b, at); num == 1 {
				seconds = int64(v) //nolint:gosec // an int64's varint
			} else {
				nanos = int64(int32(v)) //nolint:gosec // an int32's varint
			}
		}
		if i < 0 {
			return errWire
		}
	}
	if m.known == duration {
		return e.duration(seconds, nanos)
	}
	if seconds < minTimestamp || seconds > maxTimestamp || nanos < 0 || nanos > maxNanos {
		return errors.New("wirejson: a google.protobuf.Timestamp is out of its range")
	}
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	e.out = append(e.out, '"', digit(year/1000), digit(year/100), digit(year/10), digit(year),
		'-', digit(int(month)/10), digit(int(month)), '-', digit(day/10), digit(day),
		'T', digit(hour/10), digit(hour), ':', digit(minute/10), digit(minute), ':', digit(second/10), digit(second))
	e.out = append(appendFraction(e.out, nanos), 'Z', '"')
	return nil
}

func digit(n int) byte { return '0' + byte(n%10) } //nolint:gosec // one digit

func (e *encoder) duration(seconds, nanos int64) error {
	if seconds < -maxDuration || seconds > maxDuration || nanos < -maxNanos || nanos > maxNanos || seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return errors.New("wirejson: a google.protobuf.Duration is out of its range")
	}
	e.out = append(e.out, '"')
	if seconds < 0 || nanos < 0 {
		e.out = append(e.out, '-')
		seconds, nanos = -seconds, -nanos
	}
	e.out = append(appendFraction(strconv.AppendInt(e.out, seconds, 10), nanos), 's', '"')
	return nil
}

func appendFraction(out []byte, nanos int64) []byte {
	if nanos == 0 {
		return out
	}
	width := 9
	for nanos%1000 == 0 {
		nanos /= 1000
		width -= 3
	}
	var text [9]byte
	for i := width - 1; i >= 0; i-- {
		text[i] = '0' + byte(nanos%10) //nolint:gosec // one digit
		nanos /= 10
	}
	return append(append(out, '.'), text[:width]...)
}

// wrapper writes the only field, whose last value counts.
func (e *encoder) wrapper(f *field, b []byte) error {
	var number uint64
	var block []byte
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		switch {
		case at < 0:
			return errWire
		case num != f.num || t != f.wire:
			i = skip(num, t, b, at)
		case f.isBlock():
			if block, i = readBytes(b, at); i >= 0 && !f.validText(block) {
				return errUTF8
			}
		default:
			number, i = f.readNumber(b, at)
		}
		if i < 0 {
			return errWire
		}
	}
	if f.isBlock() {
		return e.block(f, block)
	}
	e.out = f.appendNumber(e.out, number)
	return nil
}

// structure writes the only field of a Struct or a ListValue.
func (e *encoder) structure(m *message, b []byte) error {
	mark, _, err := e.index(m, b)
	if err != nil {
		return err
	}
	f, open := m.fields[0], len(e.out)
	k := e.chains[mark.chains].first
	if m.known == listValue {
		for ; k != 0; k = e.seen[k-1].next {
			if err := e.occurring(f, e.seen[k-1]); err != nil {
				return err
			}
		}
		e.close(open, '[', ']')
	} else {
		base := len(e.entries)
		for ; k != 0; k = e.seen[k-1].next {
			if err := e.gather(f, e.seen[k-1].b); err != nil {
				return err
			}
		}
		if err := e.emit(f, base); err != nil {
			return err
		}
	}
	e.drop(mark)
	if len(e.out)-e.start > e.c.o.MaxJSON {
		return errSize
	}
	return nil
}

// value writes the field that is set.
func (e *encoder) value(m *message, b []byte) error {
	mark, _, err := e.index(m, b)
	if err != nil {
		return err
	}
	set := e.chains[mark.chains+len(m.fields)].first
	if set == 0 {
		return errors.New("wirejson: a google.protobuf.Value has none")
	}
	f := m.fields[set-1]
	c := e.chains[mark.chains+f.index]
	switch {
	case f.msg != nil:
		var whole []byte
		if whole, err = e.merged(f, c); err == nil {
			err = e.message(f.msg, whole, "")
		}
	case f.isBlock():
		for k := c.first; k != c.last && err == nil; k = e.seen[k-1].next {
			err = e.check(f, e.seen[k-1].b)
		}
		if err == nil {
			err = e.block(f, e.seen[c.last-1].b)
		}
	default:
		v, _ := f.readNumber(e.seen[c.last-1].b, 0)
		if x := math.Float64frombits(v); f.kind == protoreflect.DoubleKind && (math.IsNaN(x) || math.IsInf(x, 0)) {
			return errors.New("wirejson: a google.protobuf.Value is no number that JSON has")
		}
		e.out = f.appendNumber(e.out, v)
	}
	e.drop(mark)
	return err
}

// mask writes the paths of a FieldMask in lowerCamelCase, those that come back the same from there.
func (e *encoder) mask(m *message, b []byte) error {
	mark, _, err := e.index(m, b)
	if err != nil {
		return err
	}
	e.out = append(e.out, '"')
	for k := e.chains[mark.chains].first; k != 0; k = e.seen[k-1].next {
		path := e.seen[k-1].b
		if !isPath(path) {
			return errors.New("wirejson: a google.protobuf.FieldMask has a path that JSON can't have")
		}
		if k != e.chains[mark.chains].first {
			e.out = append(e.out, ',')
		}
		for i := 0; i < len(path); i++ {
			c := path[i]
			if c == '_' {
				i++ // isPath has seen a letter there
				c = path[i] - 'a' + 'A'
			}
			e.out = append(e.out, c)
		}
	}
	e.out = append(e.out, '"')
	e.drop(mark)
	return nil
}

// isPath says whether a path is of identifiers with dots between them, in lower case, and each '_' in it has a letter behind it.
func isPath(path []byte) bool {
	begin := true
	for i, c := range path {
		switch {
		case c == '_':
			if i+1 == len(path) || path[i+1] < 'a' || path[i+1] > 'z' {
				return false
			}
		case c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9' && !begin:
		case c == '.' && !begin:
			begin = true
			continue
		default:
			return false
		}
		begin = false
	}
	return !begin
}
