package wirejson

import (
	"bytes"
	"cmp"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	defaultDepth   = protowire.DefaultRecursionLimit
	defaultMaxJSON = 1 << 30
	keptScratch    = 1 << 20 // a larger buffer is not kept for the next message
)

// Resolver finds the types of google.protobuf.Any and of extensions; *dynamicpb.Types is one. Its answers must not change.
type Resolver interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Options are those of protojson that have the same names, and limits. The zero value is protojson's default.
type Options struct {
	// Resolver is protoregistry.GlobalTypes when it is nil.
	Resolver Resolver
	// DiscardUnknown passes over unknown names of fields and enum values in JSON, instead of refusing them.
	DiscardUnknown bool
	// EmitDefaultValues writes fields without presence, lists and maps when they are empty, too.
	EmitDefaultValues bool
	// EmitUnpopulated writes null for other fields that are not set, beside what EmitDefaultValues writes; not for members of a oneof.
	EmitUnpopulated bool
	// Depth is how deep messages may be nested, the outermost included; default 10,000, as protojson's and proto's.
	Depth int
	// MaxJSON is the most bytes that AppendJSON writes; default 1 GiB.
	MaxJSON int
}

// Codec holds what was compiled from the descriptors of one schema. It is safe for concurrent use.
type Codec struct {
	o     Options
	enc   sync.Pool // of *encoder
	dec   sync.Pool // of *decoder
	bufs  sync.Pool // of *[]byte
	mu    sync.RWMutex
	known map[protoreflect.MessageDescriptor]*message
	exts  map[protoreflect.ExtensionType]*field
}

// New makes a Codec.
func New(o Options) *Codec {
	o.Depth = cmp.Or(o.Depth, defaultDepth)
	o.MaxJSON = cmp.Or(o.MaxJSON, defaultMaxJSON)
	if o.Resolver == nil {
		o.Resolver = protoregistry.GlobalTypes
	}
	return &Codec{o: o, known: map[protoreflect.MessageDescriptor]*message{}, exts: map[protoreflect.ExtensionType]*field{}}
}

// Message is one type of message, compiled. It is safe for concurrent use.
type Message struct {
	c *Codec
	m *message
}

// Message compiles md, and what it refers to, the first time.
func (c *Codec) Message(md protoreflect.MessageDescriptor) *Message {
	return &Message{c, c.message(md)}
}

func (c *Codec) message(md protoreflect.MessageDescriptor) *message {
	c.mu.RLock()
	m := c.known[md]
	c.mu.RUnlock()
	if m != nil {
		return m
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compile(md)
}

// extension compiles the field that an extension is.
func (c *Codec) extension(t protoreflect.ExtensionType) *field {
	c.mu.RLock()
	f := c.exts[t]
	c.mu.RUnlock()
	if f != nil {
		return f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f = c.exts[t]; f == nil {
		f = c.field(t.TypeDescriptor())
		c.exts[t] = f
	}
	return f
}

// AppendJSON appends the JSON of a message's wire format to dst. It keeps nothing of wire. After an error dst's content is undefined past
// its length.
func (m *Message) AppendJSON(dst, wire []byte) ([]byte, error) {
	e, ok := m.c.enc.Get().(*encoder)
	if !ok {
		e = &encoder{c: m.c}
	}
	e.out, e.start, e.depth, e.partial, e.exactly = dst, len(dst), m.c.o.Depth, false, false
	err := e.message(m.m, wire, "")
	if err != nil { // what is wrong on the fast path may be good when more of the message is known: the last value of a field counts
		e.reset()
		e.out, e.depth, e.partial, e.exactly = dst, m.c.o.Depth, false, true
		err = e.message(m.m, wire, "")
	}
	out := e.out
	e.reset()
	m.c.enc.Put(e)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// JSON is AppendJSON to a slice of its own, which has the length that it needs.
func (m *Message) JSON(wire []byte) ([]byte, error) {
	buf, ok := m.c.bufs.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	out, err := m.AppendJSON((*buf)[:0], wire)
	var own []byte
	if err == nil {
		own = bytes.Clone(out)
	}
	if cap(out) <= keptScratch {
		*buf = out
	}
	m.c.bufs.Put(buf)
	return own, err
}

// AppendWire appends the wire format of a JSON document to dst. It keeps nothing of json.
func (m *Message) AppendWire(dst, json []byte) ([]byte, error) {
	d, ok := m.c.dec.Get().(*decoder)
	if !ok {
		d = &decoder{c: m.c}
	}
	d.in, d.pos, d.depth, d.partial = json, 0, m.c.o.Depth, false
	err := d.document(m.m)
	if err == nil {
		dst = d.join(dst, 0, 0)
	}
	d.reset()
	m.c.dec.Put(d)
	return dst, err
}
