package wirejson

import "google.golang.org/protobuf/encoding/protowire"

// checkMessage says whether a message that is not written is good: one that another member of its oneof replaces, say.
func (e *encoder) checkMessage(m *message, b []byte) error {
	if e.depth--; e.depth < 0 {
		return errDepth
	}
	defer func() { e.depth++ }()
	if m.known == refused {
		return m.refusal()
	}
	for i := 0; i < len(b); {
		num, t, at := readTag(b, i)
		if at < 0 {
			return errWire
		}
		f := m.byNumber(num)
		if f == nil && m.extends {
			var err error
			if f, err = e.extension(m, num); err != nil {
				return err
			}
		}
		var err error
		switch {
		case f == nil || !f.takes(t):
			i = skip(num, t, b, at)
		case f.shape == mapping:
			i, err = e.checkEntry(f, b, at)
		default:
			i, err = e.checkValue(f, t, b, at)
		}
		if err != nil {
			return err
		}
		if i < 0 {
			return errWire
		}
	}
	return nil
}

func (e *encoder) checkValue(f *field, t protowire.Type, b []byte, i int) (int, error) {
	if f.isBlock() {
		v, n := f.readBlock(b, i)
		if n < 0 {
			return 0, errWire
		}
		return n, e.check(f, v)
	}
	if t != protowire.BytesType {
		_, n := f.readNumber(b, i)
		return n, nil
	}
	all, n := readBytes(b, i)
	if n < 0 {
		return 0, errWire
	}
	for j := 0; j < len(all); {
		if _, j = f.readNumber(all, j); j < 0 {
			return 0, errWire
		}
	}
	return n, nil
}

func (e *encoder) checkEntry(f *field, b []byte, i int) (int, error) {
	v, n := readBytes(b, i)
	if n < 0 {
		return 0, errWire
	}
	base := len(e.entries)
	if err := e.gather(f, v); err != nil {
		return 0, err
	}
	err := e.checkGathered(f, e.entries[base])
	e.entries = e.entries[:base]
	return n, err
}
