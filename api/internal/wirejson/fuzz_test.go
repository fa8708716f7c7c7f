package wirejson

import (
	"bytes"
	"testing"
)

// wireOptions are those under which proto.Unmarshal counts as we do: it counts the depth anew in each google.protobuf.Any.
func wireOptions() []Options { return everyOption()[:4] }

// compiled has the pairs of each set of options.
func compiled(all []Options) [][]pair {
	out := make([][]pair, len(all))
	for i, o := range all {
		out[i] = pairs(o)
	}
	return out
}

// FuzzWire: any bytes are the same JSON as proto and protojson make of them, or an error for both.
func FuzzWire(f *testing.F) {
	all := compiled(wireOptions())
	for i := range all[0] {
		f.Add(uint8(i), uint8(0), newMaker(uint64(i)).message(all[0][i].subject.ProtoReflect().Descriptor(), 1))
	}
	f.Fuzz(func(t *testing.T, which, option uint8, wire []byte) {
		p := all[int(option)%len(all)]
		p[int(which)%len(p)].encode(t, wire)
	})
}

// FuzzJSON: any document is the same message as protojson makes of it, or an error for both.
func FuzzJSON(f *testing.F) {
	all := compiled(everyOption())
	for i, doc := range documents() {
		if i%40 == 0 {
			f.Add(uint8(i), uint8(i/len(all[0])), []byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, which, option uint8, doc []byte) {
		p := all[int(option)%len(all)]
		p[int(which)%len(p)].decode(t, doc)
	})
}

// FuzzMessage makes messages of all kinds of fields in all orders, and compares them in both directions, whole and spoiled.
func FuzzMessage(f *testing.F) {
	all := compiled(wireOptions())
	f.Add(uint8(0), uint8(0), uint64(0))
	f.Fuzz(func(t *testing.T, which, option uint8, seed uint64) {
		list := all[int(option)%len(all)]
		p := list[int(which)%len(list)]
		g := newMaker(seed)
		wire := g.message(p.subject.ProtoReflect().Descriptor(), g.r.IntN(4))
		p.encode(t, wire)
		p.encode(t, g.spoiled(wire))
		p.encode(t, g.spoiled(g.spoiled(wire)))
		p.roundTrip(t, wire, g)
	})
}

// FuzzReformed: a document with other spaces, escapes and forms of its numbers is the same message.
func FuzzReformed(f *testing.F) {
	all := compiled(wireOptions())
	f.Add(uint8(0), uint8(0), uint64(0))
	f.Fuzz(func(t *testing.T, which, option uint8, seed uint64) {
		list := all[int(option)%len(all)]
		p := list[int(which)%len(list)]
		g := newMaker(seed)
		doc, err := p.m.AppendJSON(nil, g.message(p.subject.ProtoReflect().Descriptor(), g.r.IntN(3)))
		if err != nil {
			return
		}
		for range 1 + g.r.IntN(4) {
			from := []string{`,`, `:`, `"`, `"a`, `1`, `"1"`, `{}`, `null`, `"NaN"`, `true`, `Z"`, `s"`, `[`, `"FOO"`, `0`}
			to := []string{` , `, "\t:\n", `"\u0061`, `1e0`, `1.0`, `"1e0"`, `null`, `[]`, `"Infinity"`, `false`, `.5Z"`, `.25s"`, `[null,`, `1`, `"NOPE"`}
			old := []byte(from[g.r.IntN(len(from))])
			if n := bytes.Count(doc, old); n > 0 {
				doc = replaceNth(doc, old, []byte(to[g.r.IntN(len(to))]), g.r.IntN(n))
			}
		}
		p.decode(t, doc)
	})
}

func replaceNth(s, old, other []byte, n int) []byte {
	at := 0
	for ; n > 0; n-- {
		at += bytes.Index(s[at:], old) + len(old)
	}
	at += bytes.Index(s[at:], old)
	return append(append(append([]byte(nil), s[:at]...), other...), s[at+len(old):]...)
}
