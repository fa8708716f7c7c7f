package rpc

import (
	"sync/atomic"
	"time"
	"unsafe"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/codec"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// What makes a call cheap that goes to a handler in this process.

// clock tells the time by the monotonic clock alone: half the price of time.Now, which reads the wall's too. Its wall time follows a clock that is
// set within a second. The zero clock is ready.
type clock struct{ base atomic.Pointer[time.Time] }

func (c *clock) now() time.Time {
	if base := c.base.Load(); base != nil {
		if gone := time.Since(*base); gone < time.Second {
			return base.Add(gone)
		}
	}
	now := time.Now()
	c.base.Store(&now)
	return now
}

// roomyRequest is a request with room for the context of a direct call: one allocation instead of two.
type roomyRequest struct {
	*recentMethod
	body  any
	taken atomic.Bool // by a call: a request may be sent again, and twice at once
	ctx   callctx.Context
}

func (r *roomyRequest) Service() string     { return r.service }
func (r *roomyRequest) Method() string      { return r.endpoint }
func (r *roomyRequest) Endpoint() string    { return r.endpoint }
func (r *roomyRequest) ContentType() string { return contentType }
func (r *roomyRequest) Body() any           { return r.body }
func (r *roomyRequest) Codec() codec.Writer { return nil }
func (r *roomyRequest) Stream() bool        { return false }

// roomy is a request of a method that was called recently, in a process with servers of its own; else nil.
func (c *Client) roomy(service, endpoint string, body any) *roomyRequest {
	if !c.c.Local.some() {
		return nil
	}
	r := c.recent[slotOf(service, endpoint)].Load()
	if r == nil || !same(r.service, service) || !same(r.endpoint, endpoint) {
		return nil
	}
	return &roomyRequest{recentMethod: r, body: body}
}

// contextFor is the context of a direct call of req, not ready yet.
func contextFor(req client.Request) *callctx.Context {
	if r, ok := req.(*roomyRequest); ok && !r.taken.Swap(true) {
		return &r.ctx
	}
	return &callctx.Context{}
}

// recentMethods is how many methods a client finds without hashing their names; a power of two.
const recentMethods = 256

// recentMethod is a method under the very strings and the descriptor that it was called with: generated code has them once.
type recentMethod struct {
	service, endpoint string // kept alive, so that no other strings can be where they are
	message           protoreflect.MessageDescriptor
	info              *methodInfo
}

// recently is method for generated code that calls it again and again.
func (c *Client) recently(req client.Request) (*methodInfo, error) {
	body, ok := req.Body().(proto.Message)
	if !ok {
		return c.lookUp(req)
	}
	d := body.ProtoReflect().Descriptor()
	if r, ok := req.(*roomyRequest); ok && r.message == d {
		return r.info, nil
	}
	service, endpoint := req.Service(), req.Endpoint()
	slot := &c.recent[slotOf(service, endpoint)]
	if r := slot.Load(); r != nil && same(r.service, service) && same(r.endpoint, endpoint) && r.message == d {
		return r.info, nil
	}
	info, err := c.lookUp(req)
	if err == nil {
		slot.Store(&recentMethod{service, endpoint, d, info})
	}
	return info, err
}

// same says whether two strings are one.
func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b) //nolint:gosec // compared, not followed
}

// slotOf is where a method is remembered.
func slotOf(service, endpoint string) int {
	h := uintptr(unsafe.Pointer(unsafe.StringData(endpoint)))*31 + uintptr(unsafe.Pointer(unsafe.StringData(service))) //nolint:gosec // a hash
	return int((h ^ h>>8 ^ h>>16) % recentMethods)
}

// blank says whether size bytes are zero: those of a message that nobody has put anything into, which needs no Reset.
func blank(p unsafe.Pointer, size uintptr) bool {
	const word = unsafe.Sizeof(uintptr(0))
	if size%word != 0 {
		return false
	}
	for _, w := range unsafe.Slice((*uintptr)(p), size/word) { //nolint:gosec // within the message
		if w != 0 {
			return false
		}
	}
	return true
}

// hasRules says whether a message, or one inside it, has rules of protovalidate: options with the number 1159.
func hasRules(d protoreflect.MessageDescriptor) bool {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor) bool
	walk = func(d protoreflect.MessageDescriptor) bool {
		if seen[d.FullName()] {
			return false
		}
		seen[d.FullName()] = true
		if ruled(d.Options()) {
			return true
		}
		for i := range d.Oneofs().Len() {
			if ruled(d.Oneofs().Get(i).Options()) {
				return true
			}
		}
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if ruled(f.Options()) || f.Message() != nil && walk(f.Message()) {
				return true
			}
		}
		return false
	}
	return walk(d)
}

// rules is the number of buf.validate's options, of messages, oneofs and fields alike.
const rules = 1159

func ruled(options protoreflect.ProtoMessage) bool {
	m := options.ProtoReflect()
	if !m.IsValid() {
		return false
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		found = f.Number() == rules
		return !found
	})
	for b := m.GetUnknown(); len(b) > 0 && !found; { // of a program that doesn't know them
		n, _, size := protowire.ConsumeField(b)
		if size < 0 {
			break
		}
		found, b = n == rules, b[size:]
	}
	return found
}
