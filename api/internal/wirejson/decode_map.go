package wirejson

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// key is a key of the map that is being read.
type key struct {
	num    uint64
	at, n  int    // of a string, in decoder.out
	copied []byte // a string whose entry was passed over
	order  int
	set    bool
}

func (d *decoder) mapping(f *field) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	base := len(d.keys)
	for first := true; ; first = false {
		ok, err := d.more(first, '}')
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := d.entry(f, base); err != nil {
			return err
		}
	}
	err := d.unique(base)
	d.keys = d.keys[:base]
	return err
}

// entry reads one entry of a map. One whose value is passed over is no entry.
func (d *decoder) entry(f *field, base int) error {
	start := len(d.out)
	d.out = append(d.out, f.tag...)
	o := d.begin()
	k, err := d.key(f.mapKey)
	if err != nil {
		return err
	}
	k.order, k.set = len(d.keys)-base, true
	if f.mapValue.msg != nil {
		err = d.nested(f.mapValue)
	} else {
		k.set, err = d.scalar(f.mapValue, f.mapValue.tag, false)
	}
	if err != nil {
		return err
	}
	if !k.set {
		k.copied = bytes.Clone(d.out[k.at : k.at+k.n])
		d.back(start, o)
	} else {
		d.end(o)
	}
	d.keys = append(d.keys, k)
	return nil
}

// key reads a key and writes it.
func (d *decoder) key(f *field) (key, error) {
	at := d.pos
	name, err := d.name()
	if err != nil {
		return key{}, err
	}
	var k key
	switch f.kind {
	case protoreflect.StringKind:
		d.out = protowire.AppendBytes(append(d.out, f.tag...), name)
		return key{at: len(d.out) - len(name), n: len(name)}, nil
	case protoreflect.BoolKind:
		if string(name) == "true" {
			k.num = 1
		} else if string(name) != "false" {
			return k, d.fail(at, "%q is no key of this map", name)
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		k.num, err = signed(name, 32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		k.num, err = signed(name, 64)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		k.num, err = strconv.ParseUint(string(name), 10, 32)
	default:
		k.num, err = strconv.ParseUint(string(name), 10, 64)
	}
	if err != nil {
		return k, d.fail(at, "%q is no key of this map", name)
	}
	d.out = f.appendValue(append(d.out, f.tag...), k.num)
	return k, nil
}

func signed(s []byte, size int) (uint64, error) {
	n, err := strconv.ParseInt(string(s), 10, size)
	return uint64(n), err //nolint:gosec // a varint's sign
}

// unique says whether no key of d.keys[base:] is there again after it was set.
func (d *decoder) unique(base int) error {
	all := d.keys[base:]
	if len(all) < 2 {
		return nil
	}
	slices.SortFunc(all, func(a, b key) int { return cmp.Or(d.compare(a, b), cmp.Compare(a.order, b.order)) })
	for i := 1; i < len(all); i++ {
		if d.compare(all[i-1], all[i]) != 0 {
			continue
		}
		if all[i-1].set {
			return d.fail(d.pos, "a map has the same key twice")
		}
	}
	return nil
}

func (d *decoder) compare(a, b key) int {
	return cmp.Or(cmp.Compare(a.num, b.num), bytes.Compare(d.keyText(a), d.keyText(b)))
}

func (d *decoder) keyText(k key) []byte {
	if !k.set {
		return k.copied
	}
	return d.out[k.at : k.at+k.n]
}
