package wirejson

import (
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// occurrence is one value of a field on the wire.
type occurrence struct {
	b    []byte // begins with the value; a block is the value
	t    protowire.Type
	next int // of the same field, in encoder.seen from 1; 0 for none
}

// chain are the occurrences of a field, or in a oneof the field that is set; from 1, 0 for none.
type chain struct{ first, last int }

// extra is an occurrence of an extension.
type extra struct {
	f  *field
	at occurrence
}

// index finds where the fields of a message are. The chains of the fields are at e.chains[base:], those of the oneofs after them. Give
// what it took back with drop.
func (e *encoder) index(m *message, b []byte) (mark mark, extras []extra, err error) {
	mark.seen, mark.chains = len(e.seen), len(e.chains)
	n := len(m.fields) + m.oneofs
	e.chains = slices.Grow(e.chains, n)[:mark.chains+n]
	clear(e.chains[mark.chains:])
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		if at < 0 {
			return mark, nil, errWire
		}
		f := m.byNumber(num)
		if f == nil && m.extends {
			if f, err = e.extension(m, num); err != nil {
				return mark, nil, err
			}
		}
		if f == nil || !f.takes(t) {
			if i = skip(num, t, b, at); i < 0 {
				return mark, nil, errWire
			}
			continue
		}
		o := occurrence{t: t}
		switch {
		case f.shape == mapping || t == protowire.BytesType:
			o.b, i = readBytes(b, at)
		case t == protowire.StartGroupType:
			o.b, i = readGroup(num, b, at)
		default:
			o.b = b[at:]
			_, i = f.readNumber(b, at)
		}
		if i < 0 {
			return mark, nil, errWire
		}
		if f.index < 0 {
			extras = append(extras, extra{f, o})
			continue
		}
		if err := e.enter(m, f, mark, o); err != nil {
			return mark, nil, err
		}
	}
	return mark, extras, nil
}

// enter puts an occurrence into its chain. The last member of a oneof drops the one before it, which has to be good all the same.
func (e *encoder) enter(m *message, f *field, mark mark, o occurrence) error {
	if f.oneof >= 0 {
		set := &e.chains[mark.chains+len(m.fields)+f.oneof]
		if set.first != 0 && set.first != f.index+1 {
			dropped := m.fields[set.first-1]
			for k := e.chains[mark.chains+dropped.index].first; k != 0; k = e.seen[k-1].next {
				if err := e.check(dropped, e.seen[k-1].b); err != nil {
					return err
				}
			}
			e.chains[mark.chains+dropped.index] = chain{}
		}
		set.first = f.index + 1
	}
	e.seen = append(e.seen, o)
	c := &e.chains[mark.chains+f.index]
	if c.first == 0 {
		c.first = len(e.seen)
	} else {
		e.seen[c.last-1].next = len(e.seen)
	}
	c.last = len(e.seen)
	return nil
}

type mark struct{ seen, chains int }

func (e *encoder) drop(m mark) { e.seen, e.chains = e.seen[:m.seen], e.chains[:m.chains] }

// extension finds the extension with a number; nil when there is none.
func (e *encoder) extension(m *message, num protowire.Number) (*field, error) {
	if !m.desc.ExtensionRanges().Has(num) {
		return nil, nil //nolint:nilnil // an unknown field is no error
	}
	t, err := e.c.o.Resolver.FindExtensionByNumber(m.name, num)
	if err != nil {
		if errors.Is(err, protoregistry.NotFound) {
			return nil, nil //nolint:nilnil // likewise
		}
		return nil, err
	}
	return e.c.extension(t), nil
}

// exact writes the fields in whatever order they come, and as often.
func (e *encoder) exact(m *message, b []byte) error {
	mark, extras, err := e.index(m, b)
	if err != nil {
		return err
	}
	for _, f := range m.fields {
		c := e.chains[mark.chains+f.index]
		if c.first == 0 {
			if f.required && !e.partial {
				return f.wrong("a required field is not set")
			}
			e.out = append(e.out, f.absent...)
			continue
		}
		if err := e.member(f, c); err != nil {
			return err
		}
	}
	e.drop(mark)
	return e.extras(extras)
}

// extras writes the extensions by their names.
func (e *encoder) extras(all []extra) error {
	slices.SortStableFunc(all, func(a, b extra) int { return strings.Compare(string(a.f.desc.FullName()), string(b.f.desc.FullName())) })
	for len(all) > 0 {
		f, first := all[0].f, len(e.seen)
		for len(all) > 0 && all[0].f == f {
			if len(e.seen) > first {
				e.seen[len(e.seen)-1].next = len(e.seen) + 1
			}
			e.seen = append(e.seen, all[0].at)
			all = all[1:]
		}
		if err := e.member(f, chain{first + 1, len(e.seen)}); err != nil {
			return err
		}
		e.seen = e.seen[:first]
	}
	return nil
}

// member writes a field that occurs.
func (e *encoder) member(f *field, c chain) error {
	switch {
	case f.shape == list:
		before := len(e.out)
		e.out = append(e.out, f.key...)
		open := len(e.out)
		for k := c.first; k != 0; k = e.seen[k-1].next {
			if err := e.occurring(f, e.seen[k-1]); err != nil {
				return err
			}
		}
		e.closeList(f, before, open)
		return nil
	case f.shape == mapping:
		base := len(e.entries)
		for k := c.first; k != 0; k = e.seen[k-1].next {
			if err := e.gather(f, e.seen[k-1].b); err != nil {
				return err
			}
		}
		e.out = append(e.out, f.key...)
		return e.emit(f, base)
	case f.msg != nil:
		whole, err := e.merged(f, c)
		if err != nil {
			return err
		}
		e.out = append(e.out, f.key...)
		return e.message(f.msg, whole, "")
	case f.isBlock():
		for k := c.first; k != c.last; k = e.seen[k-1].next {
			if !f.validText(e.seen[k-1].b) {
				return f.wrong("a string is not UTF-8")
			}
		}
		v := e.seen[c.last-1].b
		if len(v) == 0 && f.implicit {
			e.out = append(e.out, f.absent...)
			return nil
		}
		e.out = append(e.out, f.key...)
		return e.block(f, v)
	default:
		_, err := e.one(f, e.seen[c.last-1].b, 0)
		return err
	}
}

// occurring writes the elements of a list that one occurrence holds.
func (e *encoder) occurring(f *field, o occurrence) error {
	if f.isBlock() {
		e.out = append(e.out, ',')
		return e.block(f, o.b)
	}
	if o.t != protowire.BytesType {
		_, err := e.element(f, o.b, 0, o.t)
		return err
	}
	for j := 0; j < len(o.b); {
		var v uint64
		if v, j = f.readNumber(o.b, j); j < 0 {
			return errWire
		}
		e.out = f.appendNumber(append(e.out, ','), v)
	}
	return nil
}

// merged is a single message that is there in parts: their concatenation means the merged message. Each part has to be good by itself.
func (e *encoder) merged(f *field, c chain) ([]byte, error) {
	if c.first == c.last {
		return e.seen[c.first-1].b, nil
	}
	from := len(e.joined)
	for k := c.first; k != 0; k = e.seen[k-1].next {
		if err := e.reread(f, e.seen[k-1].b); err != nil {
			return nil, err
		}
		e.joined = append(e.joined, e.seen[k-1].b...)
	}
	return e.joined[from:], nil
}

// reread checks a part of a message that is read again as a part of the whole. How much is so read is limited: parts in parts in parts would
// be read as often as they are deep.
func (e *encoder) reread(f *field, v []byte) error {
	if e.again += len(v); e.again > e.c.o.MaxJSON {
		return errSize
	}
	return e.check(f, v)
}

// check says whether a value that is not written is good.
func (e *encoder) check(f *field, v []byte) error {
	switch {
	case f.kind == protoreflect.StringKind && !f.validText(v):
		return f.wrong("a string is not UTF-8")
	case f.msg == nil:
		return nil
	default:
		return e.checkMessage(f.msg, v)
	}
}
