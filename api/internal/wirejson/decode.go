package wirejson

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// decoder reads one JSON document and writes the message that it is.
type decoder struct {
	c       *Codec
	in      []byte
	pos     int
	depth   int
	partial bool // required fields need not be there

	// out is the message but for the lengths of 128 bytes and more of what is in it: each of those has a byte there, and is in lengths. join
	// puts them in. grown is by how many bytes that makes the message longer.
	out     []byte
	lengths []length
	grown   int

	// What is used as stacks, each by one function for its time.
	bits    []uint64
	keys    []key
	scratch []byte // of text
}

// length of what follows out[at].
type length struct{ at, n int }

func (d *decoder) reset() {
	if cap(d.out) > keptScratch {
		d.out = nil
	}
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
	if cap(d.lengths) > keptScratch/16 {
		d.lengths = nil
	}
	if cap(d.keys) > keptScratch/64 {
		d.keys = nil
	}
	clear(d.keys[:cap(d.keys)])
	d.in, d.grown = nil, 0
	d.out, d.lengths, d.bits, d.keys, d.scratch = d.out[:0], d.lengths[:0], d.bits[:0], d.keys[:0], d.scratch[:0]
}

// opened is what begin saw.
type opened struct{ at, lengths, grown int }

// begin begins what has a length before it.
func (d *decoder) begin() opened {
	o := opened{len(d.out), len(d.lengths), d.grown}
	d.out = append(d.out, 0)
	d.lengths = append(d.lengths, length{at: o.at})
	return o
}

// end sets the length. When that is small so is every one in it, and d.lengths has none of them.
func (d *decoder) end(o opened) {
	n := len(d.out) - o.at - 1 + d.grown - o.grown
	if n < 128 {
		d.out[o.at] = byte(n) //nolint:gosec // less than 128
		d.lengths = d.lengths[:o.lengths]
		return
	}
	d.lengths[o.lengths].n = n
	d.grown += protowire.SizeVarint(uint64(n)) - 1
}

// back takes back what was written since a moment before begin.
func (d *decoder) back(at int, o opened) {
	d.out, d.lengths, d.grown = d.out[:at], d.lengths[:o.lengths], o.grown
}

// join appends what was written from out[from] on to dst, with its lengths, which begin at lengths[first].
func (d *decoder) join(dst []byte, from, first int) []byte {
	more := 0
	for _, l := range d.lengths[first:] {
		more += protowire.SizeVarint(uint64(l.n)) - 1 //nolint:gosec // not negative
	}
	dst = slices.Grow(dst, len(d.out)-from+more)
	for _, l := range d.lengths[first:] {
		dst = append(dst, d.out[from:l.at]...)
		dst = protowire.AppendVarint(dst, uint64(l.n)) //nolint:gosec // not negative
		from = l.at + 1
	}
	return append(dst, d.out[from:]...)
}

func (d *decoder) document(m *message) error {
	if err := d.message(m, false); err != nil {
		return err
	}
	if d.next(); d.pos < len(d.in) {
		return d.unexpected()
	}
	return nil
}

// message reads the JSON of a message and writes its fields. held is true in a google.protobuf.Any, whose "@type" is none of them.
func (d *decoder) message(m *message, held bool) error {
	if d.depth--; d.depth < 0 {
		return errDepth
	}
	var err error
	if m.known == ordinary || m.known == empty {
		err = d.object(m, held)
	} else {
		err = d.wellKnown(m)
	}
	d.depth++
	return err
}

func (d *decoder) object(m *message, held bool) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	base := len(d.bits)
	words := (2*len(m.fields) + m.oneofs + 63) / 64
	d.bits = slices.Grow(d.bits, words)[:base+words]
	clear(d.bits[base:])
	var extras []*field
	guess := 0
	for first := true; ; first = false {
		ok, err := d.more(first, '}')
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		at := d.pos
		name, err := d.name()
		if err != nil {
			return err
		}
		var f *field
		switch {
		case held && string(name) == "@type":
			if err := d.skipValue(d.depth); err != nil {
				return err
			}
			continue
		case guess < len(m.fields) && m.fields[guess].text == string(name) && m.fields[guess].plain:
			f = m.fields[guess]
		default:
			if f, err = d.find(m, name, at); err != nil {
				return err
			}
		}
		if f == nil {
			if !d.c.o.DiscardUnknown {
				return d.fail(at, "unknown field %q", name)
			}
			if err := d.skipValue(d.depth); err != nil {
				return err
			}
			continue
		}
		var twice bool
		if f.index < 0 {
			twice = slices.Contains(extras, f)
			extras = append(extras, f)
		} else {
			guess = f.index + 1
			twice = d.mark(base, f.index)
		}
		if twice {
			return d.fail(at, "duplicate field %q", f.text)
		}
		if d.next() == 'n' && !f.takeNull && d.word("null") {
			continue
		}
		if f.oneof >= 0 && d.mark(base, 2*len(m.fields)+f.oneof) {
			return d.fail(at, "field %q: another one of its oneof is there", f.text)
		}
		set, err := d.field(f)
		if err != nil {
			return err
		}
		if set && f.required {
			d.mark(base, len(m.fields)+f.index)
		}
	}
	if m.required && !d.partial {
		for _, f := range m.fields {
			if f.required && !d.mark(base, len(m.fields)+f.index) {
				return f.wrong("a required field is not set")
			}
		}
	}
	d.bits = d.bits[:base]
	return nil
}

// mark sets a bit and says whether it was set.
func (d *decoder) mark(base, i int) bool {
	word, bit := base+i/64, uint64(1)<<(i%64)
	was := d.bits[word]&bit != 0
	d.bits[word] |= bit
	return was
}

// find finds the field of a name; nil for none.
func (d *decoder) find(m *message, name []byte, at int) (*field, error) {
	if len(name) == 0 || name[0] != '[' || name[len(name)-1] != ']' || m.known == empty {
		return m.byName[string(name)], nil
	}
	t, err := d.c.o.Resolver.FindExtensionByName(protoreflect.FullName(name[1 : len(name)-1]))
	switch {
	case errors.Is(err, protoregistry.NotFound):
		return nil, nil // the caller decides what becomes of an unknown field
	case err != nil:
		return nil, d.fail(at, "unknown field %q", name)
	}
	if fd := t.TypeDescriptor(); !m.desc.ExtensionRanges().Has(fd.Number()) || fd.ContainingMessage().FullName() != m.name {
		return nil, d.fail(at, "%q does not extend %s", name, m.name)
	}
	return d.c.extension(t), nil
}

// field reads a field's value. set is false when it was passed over.
func (d *decoder) field(f *field) (set bool, err error) {
	switch {
	case f.shape == mapping:
		return true, d.mapping(f)
	case f.shape == list:
		return true, d.list(f)
	case f.msg != nil:
		return true, d.nested(f)
	default:
		return d.scalar(f, f.tag, f.implicit)
	}
}

// nested reads a message and writes it with its tag.
func (d *decoder) nested(f *field) error {
	d.out = append(d.out, f.tag...)
	if f.end != nil {
		if err := d.message(f.msg, false); err != nil {
			return err
		}
		d.out = append(d.out, f.end...)
		return nil
	}
	o := d.begin()
	if err := d.message(f.msg, false); err != nil {
		return err
	}
	d.end(o)
	return nil
}

func (d *decoder) list(f *field) error {
	if err := d.expect('['); err != nil {
		return err
	}
	start, tag := len(d.out), f.tag
	var o opened
	if f.packed {
		d.out = append(d.out, f.tag...)
		o, tag = d.begin(), nil
	}
	from := len(d.out)
	for first := true; ; first = false {
		ok, err := d.more(first, ']')
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if f.msg != nil {
			err = d.nested(f)
		} else {
			_, err = d.scalar(f, tag, false)
		}
		if err != nil {
			return err
		}
	}
	if f.packed {
		if len(d.out) == from {
			d.back(start, o)
		} else {
			d.end(o)
		}
	}
	return nil
}
