package wirejson

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// any reads an object with an "@type". What it holds is made canonical, as protojson makes it, by way of a message.
func (d *decoder) any(m *message) error {
	if d.next() != '{' {
		return d.unexpected()
	}
	start := d.pos
	url, members, err := d.typeURL()
	if err != nil {
		return err
	}
	switch {
	case url != "":
	case members == 0:
		return nil
	case d.c.o.DiscardUnknown:
		d.pos = start
		return d.skipValue(d.depth)
	default:
		return d.fail(start, `missing "@type"`)
	}
	t, err := d.c.o.Resolver.FindMessageByURL(url)
	if err != nil {
		return d.fail(start, "the type %q is not known", url)
	}
	d.pos = start
	value, err := d.held(t)
	if err != nil {
		return err
	}
	d.out = protowire.AppendString(append(d.out, m.fields[0].tag...), url)
	if len(value) > 0 {
		d.out = protowire.AppendBytes(append(d.out, m.fields[1].tag...), value)
	}
	return nil
}

// typeURL looks through an object for its "@type", and says how many members it has.
func (d *decoder) typeURL() (url string, members int, err error) {
	d.pos++
	for first := true; ; first = false {
		ok, err := d.more(first, '}')
		if err != nil || !ok {
			return url, members, err
		}
		at := d.pos
		name, err := d.name()
		if err != nil {
			return "", 0, err
		}
		members++
		if string(name) != "@type" {
			if err := d.skipValue(d.depth); err != nil {
				return "", 0, err
			}
			continue
		}
		if url != "" {
			return "", 0, d.fail(at, `duplicate "@type"`)
		}
		s, err := d.quoted()
		if err != nil {
			return "", 0, err
		}
		if url = string(s); url == "" {
			return "", 0, d.fail(at, `"@type" is empty`)
		}
	}
}

// held reads the message of a google.protobuf.Any. Required fields need not be there in it.
func (d *decoder) held(t protoreflect.MessageType) ([]byte, error) {
	from, partial := opened{len(d.out), len(d.lengths), d.grown}, d.partial
	d.partial = true
	m := d.c.message(t.Descriptor())
	var err error
	if m.known == ordinary {
		err = d.message(m, true)
	} else {
		err = d.heldValue(m)
	}
	if err != nil {
		return nil, err
	}
	d.partial = partial
	b := d.join(nil, from.at, from.lengths)
	d.back(from.at, from)
	if len(b) == 0 {
		return nil, nil
	}
	msg := t.New().Interface()
	if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: d.c.o.Resolver}).Unmarshal(b, msg); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(msg)
}

// heldValue reads the object around a message whose JSON is no object: its "value". A google.protobuf.Empty can do without.
func (d *decoder) heldValue(m *message) error {
	d.pos++
	found := false
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
		switch {
		case string(name) == "value" && found:
			return d.fail(at, `duplicate "value"`)
		case string(name) == "value":
			found = true
			if m.known == empty {
				err = d.object(m, false)
			} else {
				err = d.wellKnown(m)
			}
		case string(name) == "@type" || d.c.o.DiscardUnknown:
			err = d.skipValue(d.depth)
		default:
			return d.fail(at, "unknown field %q", name)
		}
		if err != nil {
			return err
		}
	}
	if !found && m.known != empty {
		return d.fail(d.pos, `missing "value"`)
	}
	return nil
}
