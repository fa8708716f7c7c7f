package wirejson

import "testing"

func TestRandomMessages(t *testing.T) {
	for n, o := range everyOption() {
		all := pairs(o)
		for seed := range uint64(8) {
			g := newMaker(seed*10 + uint64(n))
			g.noAny = o.Depth > 0 // proto.Unmarshal begins to count anew in one
			for _, p := range all {
				wire := g.message(p.subject.ProtoReflect().Descriptor(), g.r.IntN(4))
				p.encode(t, wire)
				p.encode(t, g.spoiled(wire))
				p.roundTrip(t, wire, g)
			}
		}
	}
}

// roundTrip reads the JSON of a message again, and what comes of it when a byte is not as it was.
func (p pair) roundTrip(t *testing.T, wire []byte, g *maker) {
	t.Helper()
	doc, err := p.m.AppendJSON(nil, wire)
	if err == nil {
		p.decode(t, doc)
		p.decode(t, g.spoiled(doc))
	}
}
