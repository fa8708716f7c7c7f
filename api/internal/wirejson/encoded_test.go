package wirejson

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestEncodedIsAMessage(t *testing.T) {
	p := product(2)
	wire, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	kind := NewType(p.ProtoReflect().Descriptor())
	e := kind.New()
	buf := append([]byte(nil), wire...)
	if err := proto.Unmarshal(buf, e); err != nil {
		t.Fatal(err)
	}
	clear(buf) // it was copied
	again, err := proto.Marshal(e)
	if err != nil || !bytes.Equal(again, wire) || proto.Size(e) != len(wire) || proto.CheckInitialized(e) != nil {
		t.Errorf("%x, %v; want %x", again, err, wire)
	}
	if clone := proto.Clone(e); !proto.Equal(clone, p) || !proto.Equal(e, p) {
		t.Error("a clone is another message")
	}
	into := &catalogv1.Product{}
	proto.Merge(into, e)
	from := kind.New()
	proto.Merge(from, p)
	if !proto.Equal(into, p) || !proto.Equal(from, p) {
		t.Error("merging loses something")
	}
	dynamic := dynamicpb.NewMessage(p.ProtoReflect().Descriptor())
	proto.Merge(dynamic, kind.Wrap(wire))
	if !proto.Equal(dynamic, p) {
		t.Error("merging into a dynamic message loses something")
	}
	title := p.ProtoReflect().Descriptor().Fields().ByName("title")
	if !e.Has(title) || e.Get(title).String() != p.GetTitle() || len(e.GetUnknown()) > 0 || !e.IsValid() {
		t.Error("a field can't be read")
	}
	if proto.Reset(e); len(e.Wire()) > 0 || e.Has(title) {
		t.Error("Reset leaves something")
	}
}

func TestLimits(t *testing.T) {
	p := page(20)
	wire, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	m := New(Options{MaxJSON: 1000}).Message(p.ProtoReflect().Descriptor())
	if _, err := m.JSON(wire); err == nil {
		t.Error("an answer larger than MaxJSON is written")
	}
	if _, err := New(Options{Depth: 2}).Message(p.ProtoReflect().Descriptor()).JSON(wire); err == nil {
		t.Error("a message deeper than Depth is written")
	}
}

// Two allocations for each message, in each direction, are what is promised; under the race detector a pool loses some of what it is given.
func TestAllocations(t *testing.T) {
	if raceDetector {
		return
	}
	for _, s := range sizes() {
		wire, err := proto.Marshal(s.m)
		if err != nil {
			t.Fatal(err)
		}
		m := New(Options{}).Message(s.m.ProtoReflect().Descriptor())
		doc, err := m.JSON(wire)
		if err != nil {
			t.Fatal(err)
		}
		to := testing.AllocsPerRun(200, func() { _, _ = m.JSON(wire) })
		from := testing.AllocsPerRun(200, func() { _, _ = m.AppendWire(nil, doc) })
		if to > 2 || from > 2 {
			t.Errorf("%s: %v allocations to JSON, %v from it", s.name, to, from)
		}
	}
}
