package rpc

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"unsafe"
	"weak"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Watch finds handlers that say that they share memory and are not fit for it: those that change their request, and those that keep a
// message, or a part of one, after they have returned. Give it to Local in a test, call, then ask. The zero Watch is ready.
type Watch struct {
	mu      sync.Mutex
	changed map[string]bool
	handed  []handed
}

// handed is a message that a handler has had, and was to forget.
type handed struct {
	endpoint, what string
	memory         weak.Pointer[byte]
}

// call runs d on messages of its own, which nobody else knows.
func (w *Watch) call(ctx context.Context, d *directCall, body, rsp proto.Message) error {
	in, out := proto.Clone(body), rsp.ProtoReflect().New().Interface()
	d.in, d.out = in, out
	d.Run()
	if !proto.Equal(in, body) {
		w.mu.Lock()
		if w.changed == nil {
			w.changed = map[string]bool{}
		}
		w.changed[d.m.name] = true
		w.mu.Unlock()
	}
	proto.Merge(rsp, out)
	w.note(d.m.name, "request", in)
	w.note(d.m.name, "response", out)
	d.in, d.out, d.body = nil, nil, nil
	return d.outcome(ctx)
}

// note remembers m and every message and byte slice in it, without keeping them alive.
func (w *Watch) note(endpoint, what string, m proto.Message) {
	add := func(p unsafe.Pointer) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handed = append(w.handed, handed{endpoint, what, weak.Make((*byte)(p))})
	}
	var walk func(protoreflect.Message)
	visit := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch {
		case fd.Message() != nil:
			walk(v.Message())
		case fd.Kind() == protoreflect.BytesKind && len(v.Bytes()) > 16: // smaller ones share their memory with others
			add(unsafe.Pointer(&v.Bytes()[0])) //nolint:gosec // for its identity only
		}
	}
	walk = func(m protoreflect.Message) {
		if v := reflect.ValueOf(m.Interface()); v.Kind() == reflect.Pointer && !v.IsNil() {
			add(v.UnsafePointer())
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsList():
				for i := range v.List().Len() {
					visit(fd, v.List().Get(i))
				}
			case fd.IsMap():
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					visit(fd.MapValue(), v)
					return true
				})
			default:
				visit(fd, v)
			}
			return true
		})
	}
	walk(m.ProtoReflect())
}

// Findings says what handlers did that they may not, one line each, sorted. Ask after the calls have returned: it collects garbage to see
// what is kept.
func (w *Watch) Findings() []string {
	runtime.GC()
	runtime.GC() // what a sync.Pool held is gone after the second
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{}
	for endpoint := range w.changed {
		found[endpoint+" changes its request"] = true
	}
	for _, h := range w.handed {
		if h.memory.Value() != nil {
			found[fmt.Sprintf("%s keeps a part of its %s", h.endpoint, h.what)] = true
		}
	}
	out := make([]string, 0, len(found))
	for f := range found {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}
