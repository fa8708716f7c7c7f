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
)

// Watch finds handlers that say that they share memory and are not fit for it: those that change their request, and those that keep a
// message, or a part of one, after they have returned. A response counts too: what a handler puts into it must be the caller's alone, so
// that a cached message, list or map has to be copied. Give it to Local in a test, call, then ask. The zero Watch is ready.
//
// After a call it clears the request that the handler was given: a goroutine that the handler left behind and that still reads it is a data
// race, which the race detector reports.
type Watch struct {
	mu      sync.Mutex
	changed map[string]bool
	handed  []handed
	methods map[*method]bool // those called; with them what their handlers hold stays alive
}

// handed is a part of a message that a handler has had, and was to forget.
type handed struct {
	endpoint, what string
	memory         weak.Pointer[byte]
}

// Watched returns a Watch whose findings are errors of a test when it ends; t is a *testing.T.
func Watched(t interface {
	Cleanup(fn func())
	Errorf(format string, args ...any)
}) *Watch {
	w := &Watch{}
	t.Cleanup(func() {
		for _, f := range w.Findings() {
			t.Errorf("a handler that shares memory with its callers is not fit for it: %s", f)
		}
	})
	return w
}

// call runs d on messages of its own, which nobody else knows.
func (w *Watch) call(ctx context.Context, d *directCall, body, rsp proto.Message) error {
	changed, parts, err := w.run(ctx, d, body, rsp)
	w.mu.Lock() // now that nothing here holds the messages any more
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed, w.methods = map[string]bool{}, map[*method]bool{}
	}
	if changed {
		w.changed[d.m.name] = true
	}
	w.methods[d.m] = true
	w.handed = append(w.handed, parts...)
	return err
}

func (w *Watch) run(ctx context.Context, d *directCall, body, rsp proto.Message) (changed bool, parts []handed, err error) {
	in, out := proto.Clone(body), rsp.ProtoReflect().New().Interface()
	d.body, d.out = in, out
	d.Run()
	if err = d.outcome(ctx); err == nil {
		proto.Merge(rsp, out)
	}
	note := func(what string) func(unsafe.Pointer) {
		return func(p unsafe.Pointer) { parts = append(parts, handed{d.m.name, what, weak.Make((*byte)(p))}) }
	}
	eachPart(reflect.ValueOf(in), note("request"))
	eachPart(reflect.ValueOf(out), note("response"))
	changed = !proto.Equal(in, body)
	proto.Reset(in)
	d.body, d.out = nil, nil
	return changed, parts, err
}

// alone says whether n values of a type have a block of memory of their own: small ones without pointers share one with others
// (runtime/malloc.go, the tiny allocator), and its address says nothing then.
func alone(t reflect.Type, n int) bool {
	return n*int(t.Size()) > 16 || n > 0 && !holdsNoPointer(t)
}

// holdsNoPointer says that a type holds no pointer.
func holdsNoPointer(t reflect.Type) bool {
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if !holdsNoPointer(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() <= reflect.Complex128
}

// eachPart gives f the address of every message, list, map and byte slice in a generated message.
func eachPart(v reflect.Value, f func(unsafe.Pointer)) {
	switch v.Kind() { //nolint:exhaustive // the others hold nothing that can be changed
	case reflect.Interface: // a oneof
		if !v.IsNil() {
			eachPart(v.Elem(), f)
		}
	case reflect.Pointer:
		if v.IsNil() || v.Elem().Kind() != reflect.Struct { // an optional scalar is a pointer to one
			return
		}
		if alone(v.Type().Elem(), 1) {
			f(v.UnsafePointer())
		}
		for i := range v.Elem().NumField() {
			if v.Elem().Type().Field(i).IsExported() {
				eachPart(v.Elem().Field(i), f)
			}
		}
	case reflect.Slice:
		if alone(v.Type().Elem(), v.Cap()) {
			f(v.UnsafePointer())
		}
		for i := range v.Len() {
			eachPart(v.Index(i), f)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		f(v.UnsafePointer())
		for it := v.MapRange(); it.Next(); {
			eachPart(it.Value(), f)
		}
	}
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
