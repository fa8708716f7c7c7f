package rpc

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"go-micro.dev/v4/server"

	"github.com/cleavehq/cleave/chassis/problem"
)

// unary is a handler's method with its receiver: func(*Handler, context.Context, *Req, *Rsp) error. Go passes every pointer in the same
// way, whatever it points to, so that one type stands for all of them: reflect.Value.Call does the same with four allocations.
type unary func(receiver unsafe.Pointer, ctx context.Context, in, out unsafe.Pointer) error

// word is the second word of an interface that holds a pointer or a function: that pointer.
func word(v any) unsafe.Pointer {
	return (*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1] //nolint:gosec // see unary
}

// bind finds the method of h. The types were checked by methodsOf.
func (m *method) bind(h any, name string) {
	t := reflect.TypeOf(h)
	direct, ok := t.MethodByName(name)
	if !ok || m.streamed || t.Kind() != reflect.Pointer || m.inPtr.Kind() != reflect.Pointer || m.outPtr.Kind() != reflect.Pointer ||
		direct.Type.NumOut() != 1 || direct.Type.In(1) != reflect.TypeFor[context.Context]() || direct.Type.Out(0) != reflect.TypeFor[error]() {
		return
	}
	f := word(direct.Func.Interface())
	m.unary = *(*unary)(unsafe.Pointer(&f)) //nolint:gosec // see unary
	m.receiver = word(h)
}

// call runs the handler's method itself.
func (m *method) call(ctx context.Context, req server.Request, rsp any) error {
	if m.streamed {
		err, _ := m.fn.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(rsp)})[0].Interface().(error)
		return err
	}
	in := req.Body()
	if reflect.TypeOf(in) != m.inPtr || reflect.TypeOf(rsp) != m.outPtr {
		return problem.Internal(fmt.Errorf("rpc: %s takes %s and %s, a wrapper gave it %T and %T", m.name, m.inPtr, m.outPtr, in, rsp))
	}
	if m.unary != nil {
		return m.unary(m.receiver, ctx, word(in), word(rsp))
	}
	err, _ := m.fn.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(in), reflect.ValueOf(rsp)})[0].Interface().(error)
	return err
}
