package wirejson

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wellKnown reads one of protobuf's own messages.
func (d *decoder) wellKnown(m *message) error {
	switch m.known {
	case anyType:
		return d.any(m)
	case timestamp:
		return d.timestamp(m)
	case duration:
		return d.duration(m)
	case wrapper:
		_, err := d.scalar(m.fields[0], m.fields[0].tag, m.fields[0].implicit)
		return err
	case structType:
		return d.mapping(m.fields[0])
	case listValue:
		return d.list(m.fields[0])
	case valueType:
		return d.anyValue(m)
	case fieldMask:
		return d.mask(m)
	case ordinary, empty, refused:
	}
	return m.refusal()
}

// anyValue reads JSON of any kind.
func (d *decoder) anyValue(m *message) error {
	var f *field
	switch d.next() {
	case 'n':
		f = m.fields[0]
	case 't', 'f':
		f = m.fields[3]
	case '"':
		f = m.fields[2]
	case '{':
		return d.inner(m.fields[4])
	case '[':
		return d.inner(m.fields[5])
	default:
		f = m.fields[1]
	}
	_, err := d.scalar(f, f.tag, false)
	return err
}

// inner reads the object or the list of a google.protobuf.Value. It is no deeper than the value itself.
func (d *decoder) inner(f *field) error {
	if f.msg.known == refused {
		return f.msg.refusal()
	}
	d.out = append(d.out, f.tag...)
	o := d.begin()
	var err error
	if f.msg.known == structType {
		err = d.mapping(f.msg.fields[0])
	} else {
		err = d.list(f.msg.fields[0])
	}
	d.end(o)
	return err
}

// time writes the two fields of a Timestamp or a Duration.
func (d *decoder) time(m *message, seconds int64, nanos int32) {
	if seconds != 0 {
		d.out = m.fields[0].appendValue(append(d.out, m.fields[0].tag...), uint64(seconds)) //nolint:gosec // a varint's sign
	}
	if nanos != 0 {
		d.out = m.fields[1].appendValue(append(d.out, m.fields[1].tag...), uint64(int64(nanos))) //nolint:gosec // a varint's sign
	}
}

func (d *decoder) quoted() ([]byte, error) {
	if d.next() != '"' {
		return nil, d.unexpected()
	}
	return d.text()
}

func (d *decoder) timestamp(m *message) error {
	at := d.pos
	s, err := d.quoted()
	if err != nil {
		return err
	}
	seconds, nanos, ok := utc(s)
	if !ok {
		text := string(s)
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return d.fail(at, "%q is no time of RFC 3339", s)
		}
		// More than nine digits would be cut.
		if point, zone := strings.LastIndexByte(text, '.'), strings.LastIndexAny(text, "Z-+"); point >= 0 && zone-point > len(".999999999") {
			return d.fail(at, "%q has more than nine digits behind the point", s)
		}
		seconds, nanos = t.Unix(), int32(t.Nanosecond()) //nolint:gosec // less than 1e9
	}
	if seconds < minTimestamp || seconds > maxTimestamp {
		return d.fail(at, "%q is out of range", s)
	}
	d.time(m, seconds, nanos)
	return nil
}

// utc reads the form that most times have, 2006-01-02T15:04:05Z with up to nine digits behind a point. ok is false for any other.
func utc(s []byte) (seconds int64, nanos int32, ok bool) {
	const form = "0000-00-00T00:00:00"
	if len(s) <= len(form) || s[len(s)-1] != 'Z' {
		return 0, 0, false
	}
	for i := range len(form) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && s[i] != form[i] {
			return 0, 0, false
		}
	}
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	year, month, day, hour, minute, second := two(0)*100+two(2), two(5), two(8), two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false
	}
	if fraction := s[len(form) : len(s)-1]; len(fraction) > 0 {
		n := digits(fraction[1:])
		if fraction[0] != '.' || n == 0 || n > 9 || n != len(fraction)-1 {
			return 0, 0, false
		}
		nanos = fractionOf(fraction[1:])
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t.Unix(), nanos, t.Day() == day // else the month has no such day
}

// fractionOf is up to nine digits behind a point, in nanoseconds.
func fractionOf(s []byte) (nanos int32) {
	for i := range 9 {
		nanos *= 10
		if i < len(s) {
			nanos += int32(s[i] - '0')
		}
	}
	return nanos
}

func (d *decoder) duration(m *message) error {
	at := d.pos
	s, err := d.quoted()
	if err != nil {
		return err
	}
	seconds, nanos, ok := secondsOf(s)
	if !ok || seconds < -maxDuration || seconds > maxDuration {
		return d.fail(at, "%q is no duration", s)
	}
	d.time(m, seconds, nanos)
	return nil
}

// secondsOf reads a sign, seconds, up to nine digits behind a point, and "s". The seconds or the point may be missing: 1s, 1.s, .5s.
func secondsOf(s []byte) (seconds int64, nanos int32, ok bool) {
	if len(s) < 2 || s[len(s)-1] != 's' {
		return 0, 0, false
	}
	neg := s[0] == '-'
	if neg || s[0] == '+' {
		s = s[1:]
	}
	s = s[:len(s)-1]
	n := digits(s)
	if len(s) == 0 || n > 1 && s[0] == '0' || n == 0 && s[0] != '.' {
		return 0, 0, false
	}
	if n > 0 {
		var err error
		if seconds, err = strconv.ParseInt(string(s[:n]), 10, 64); err != nil {
			return 0, 0, false
		}
	}
	if s = s[n:]; len(s) > 0 {
		if s[0] != '.' || len(s) > 10 || digits(s[1:]) != len(s)-1 {
			return 0, 0, false
		}
		nanos = fractionOf(s[1:])
	}
	if neg {
		return -seconds, -nanos, true
	}
	return seconds, nanos, true
}

// mask reads paths in lowerCamelCase, with commas between them.
func (d *decoder) mask(m *message) error {
	at := d.pos
	s, err := d.quoted()
	if err != nil {
		return err
	}
	s = bytes.TrimSpace(s)
	if len(s) == 0 {
		return nil
	}
	tag := m.fields[0].tag
	for path := range bytes.SplitSeq(s, []byte{','}) {
		var snake []byte
		for _, c := range path {
			if c >= 'A' && c <= 'Z' {
				snake = append(snake, '_')
				c += 'a' - 'A'
			}
			snake = append(snake, c)
		}
		if bytes.IndexByte(path, '_') >= 0 || !protoreflect.FullName(snake).IsValid() {
			return d.fail(at, "%q is no path of fields", path)
		}
		d.out = protowire.AppendBytes(append(d.out, tag...), snake)
	}
	return nil
}
