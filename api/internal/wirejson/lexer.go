package wirejson

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// fail says what is wrong at a place of the document, in lines and characters from 1.
func (d *decoder) fail(at int, format string, args ...any) error {
	at = min(at, len(d.in))
	before := d.in[:at]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Errorf("wirejson: line %d:%d: %s", line, column, fmt.Sprintf(format, args...))
}

func (d *decoder) unexpected() error {
	if d.pos >= len(d.in) {
		return d.fail(d.pos, "the document ends too early")
	}
	return d.fail(d.pos, "unexpected %q", d.in[d.pos])
}

// next passes over spaces and returns the byte that is there; 0 at the end. A zero byte is not JSON either.
func (d *decoder) next() byte {
	for ; d.pos < len(d.in); d.pos++ {
		switch c := d.in[d.pos]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// expect passes over one byte.
func (d *decoder) expect(c byte) error {
	if d.next() != c {
		return d.unexpected()
	}
	d.pos++
	return nil
}

// more goes to the next member of an object or a list: over a comma, if it is not the first. It is false at the end, which it passes over.
func (d *decoder) more(first bool, end byte) (bool, error) {
	switch c := d.next(); {
	case c == end:
		d.pos++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		d.pos++
		if d.next() == end {
			return false, d.unexpected()
		}
		return true, nil
	default:
		return false, d.unexpected()
	}
}

// name reads a name and its colon. What it returns is good until the next string is read.
func (d *decoder) name() ([]byte, error) {
	if d.next() != '"' {
		return nil, d.unexpected()
	}
	s, err := d.text()
	if err != nil {
		return nil, err
	}
	return s, d.expect(':')
}

// text reads the string that begins at d.pos. What it returns is good until the next string is read.
func (d *decoder) text() ([]byte, error) {
	start := d.pos + 1
	n := plain(d.in[start:])
	if end := start + n; end < len(d.in) && d.in[end] == '"' {
		d.pos = end + 1
		return d.in[start:end], nil
	}
	if s, end, ok := d.unescapedText(start, n); ok {
		d.pos = end + 1
		return s, nil
	}
	d.scratch = d.scratch[:0]
	var err error
	d.scratch, err = d.appendText(d.scratch)
	return d.scratch, err
}

// unescapedText is a string without escapes, whose first n bytes are plain.
func (d *decoder) unescapedText(start, n int) (s []byte, end int, ok bool) {
	end = start + n
	end += unescaped(d.in[end:])
	if end >= len(d.in) || d.in[end] != '"' || !utf8.Valid(d.in[start+n:end]) {
		return nil, 0, false
	}
	return d.in[start:end], end, true
}

// appendText appends the string that begins at d.pos.
func (d *decoder) appendText(out []byte) ([]byte, error) {
	d.pos++
	for {
		n := unescaped(d.in[d.pos:])
		run := d.in[d.pos : d.pos+n]
		if !utf8.Valid(run) {
			return out, d.fail(d.pos, "a string is not UTF-8")
		}
		out = append(out, run...)
		d.pos += n
		if d.pos >= len(d.in) {
			return out, d.unexpected()
		}
		switch c := d.in[d.pos]; c {
		case '"':
			d.pos++
			return out, nil
		case '\\':
			var err error
			if out, err = d.escape(out); err != nil {
				return out, err
			}
		default:
			return out, d.fail(d.pos, "a string has a control character")
		}
	}
}

// escape reads one escape (RFC 8259, 7). Half of a surrogate pair is an error.
func (d *decoder) escape(out []byte) ([]byte, error) {
	at := d.pos
	if d.pos+1 >= len(d.in) {
		return out, d.fail(len(d.in), "the document ends in a string")
	}
	c := d.in[d.pos+1]
	d.pos += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c), nil
	case 'b':
		return append(out, '\b'), nil
	case 'f':
		return append(out, '\f'), nil
	case 'n':
		return append(out, '\n'), nil
	case 'r':
		return append(out, '\r'), nil
	case 't':
		return append(out, '\t'), nil
	case 'u':
	default:
		return out, d.fail(at, "a string has an escape that JSON has not")
	}
	r, ok := d.hex(d.pos)
	d.pos += 4
	if ok && utf16.IsSurrogate(r) {
		low := rune(0)
		if d.pos+2 <= len(d.in) && d.in[d.pos] == '\\' && d.in[d.pos+1] == 'u' {
			low, ok = d.hex(d.pos + 2)
		}
		r = utf16.DecodeRune(r, low)
		ok = ok && r != utf8.RuneError
		d.pos += 6
	}
	if !ok {
		return out, d.fail(at, "a string has an escape that is no character")
	}
	return utf8.AppendRune(out, r), nil
}

func (d *decoder) hex(at int) (rune, bool) {
	if at+4 > len(d.in) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(d.in[at:at+4]), 16, 16)
	return rune(v), err == nil
}

// word passes over null, true or false, if that is what is there.
func (d *decoder) word(w string) bool {
	end := d.pos + len(w)
	if end > len(d.in) || string(d.in[d.pos:end]) != w || end < len(d.in) && inWord(d.in[end]) {
		return false
	}
	d.pos = end
	return true
}

// inWord says whether c can't stand behind a word or a number.
func inWord(c byte) bool {
	return c == '-' || c == '+' || c == '.' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// number reads a number's text.
func (d *decoder) number() ([]byte, error) {
	n := numberLen(d.in[d.pos:])
	if n == 0 {
		return nil, d.unexpected()
	}
	text := d.in[d.pos : d.pos+n]
	d.pos += n
	return text, nil
}

// skipValue passes over a value of any kind. limit is how deep objects and lists in it may be nested.
func (d *decoder) skipValue(limit int) error {
	switch c := d.next(); c {
	case '{', '[':
		if limit < 1 {
			return errDepth
		}
		d.pos++
		for first := true; ; first = false {
			ok, err := d.more(first, c+2) // the closing brackets stand so in ASCII
			if err != nil || !ok {
				return err
			}
			if c == '{' {
				if _, err := d.name(); err != nil {
					return err
				}
			}
			if err := d.skipValue(limit - 1); err != nil {
				return err
			}
		}
	case '"':
		_, err := d.text()
		return err
	case 'n', 't', 'f':
		if d.word("null") || d.word("true") || d.word("false") {
			return nil
		}
		return d.unexpected()
	default:
		_, err := d.number()
		return err
	}
}
