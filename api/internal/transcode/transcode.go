package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/problem"
)

// maxDepth of a JSON document.
const maxDepth = 100

// Binding says where the parts of a request go, and what of the response is sent.
type Binding struct {
	Input, Output protoreflect.MessageDescriptor
	// Vars are the fields of the path's variables, in their order.
	Vars []FieldPath
	// Whole is true for body "*". Body is the field for body "name". With neither there is no body.
	Whole bool
	Body  FieldPath
	// ResponseBody is the field that is the response, or nil for all of it.
	ResponseBody FieldPath
	// Mask is the google.protobuf.FieldMask beside the body that is filled from the body's keys when the request is a PATCH without one.
	Mask FieldPath
	// Types resolves google.protobuf.Any; may be nil.
	Types *dynamicpb.Types

	codec *Codec
	once  sync.Once
	ready *compiled
}

// NewBinding resolves the names of a rule. patch is true for the method PATCH.
func NewBinding(md protoreflect.MethodDescriptor, vars [][]string, body, responseBody string, patch bool, types *dynamicpb.Types) (*Binding, error) {
	b := &Binding{Input: md.Input(), Output: md.Output(), Types: types}
	for _, v := range vars {
		p, err := Resolve(b.Input, v)
		if err != nil {
			return nil, err
		}
		if !Bindable(p.last()) || p.last().IsList() {
			return nil, fmt.Errorf("the field %s can't stand in a path", p)
		}
		b.Vars = append(b.Vars, p)
	}
	var err error
	switch body {
	case "":
	case "*":
		b.Whole = true
	default:
		if b.Body, err = Resolve(b.Input, []string{body}); err != nil {
			return nil, err
		}
	}
	if responseBody != "" {
		if b.ResponseBody, err = Resolve(b.Output, []string{responseBody}); err != nil {
			return nil, err
		}
	}
	if patch && b.Body != nil && b.Body.last().Message() != nil {
		if fd := b.Input.Fields().ByName("update_mask"); fd != nil && fd.Message() != nil && fd.Message().FullName() == "google.protobuf.FieldMask" {
			b.Mask = FieldPath{fd}
		}
	}
	return b, nil
}

// HasBody says whether a request may have a body.
func (b *Binding) HasBody() bool { return b.Whole || b.Body != nil }

// Request makes the message of a request. body is empty when there is none. Every error is an InvalidArgument problem.
func (b *Binding) Request(values []string, query url.Values, body []byte) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(b.Input)
	if len(bytes.TrimSpace(body)) > 0 {
		if err := b.body(m, body); err != nil {
			return nil, err
		}
	}
	if err := b.query(m, query); err != nil {
		return nil, err
	}
	for i, p := range b.Vars {
		if err := b.setVar(m, p, values[i]); err != nil { //nolint:gosec // a match has a value for each variable
			return nil, problem.Invalid(problem.Field{Path: p.String(), Message: err.Error()})
		}
	}
	return m, nil
}

// setVar gives a field what the path says. A body that says otherwise is an error: one of the two would be passed over.
func (b *Binding) setVar(m *dynamicpb.Message, p FieldPath, text string) error {
	before, given := p.get(m)
	if err := set(m, p, text); err != nil {
		return err
	}
	if now, _ := p.get(m); given && !now.Equal(before) {
		return errors.New("the body says otherwise than the path")
	}
	return nil
}

func (b *Binding) body(m *dynamicpb.Message, body []byte) error {
	o := protojson.UnmarshalOptions{RecursionLimit: maxDepth, Resolver: b.resolver()}
	if b.Whole {
		return bodyError(o.Unmarshal(body, m))
	}
	fd := b.Body.last()
	if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
		if err := o.Unmarshal(body, m.Mutable(fd).Message().Interface()); err != nil {
			return bodyError(err)
		}
		return b.fillMask(m, body)
	}
	if !json.Valid(body) {
		return problem.InvalidArgument("BAD_JSON", "the body is not JSON")
	}
	// A list, a map or a scalar has JSON only as a part of its message.
	whole := slices.Concat([]byte(`{"`+fd.JSONName()+`":`), body, []byte("}"))
	return bodyError(o.Unmarshal(whole, m))
}

// fillMask sets the update mask of a PATCH from the keys of the body, so that {"vendor": ""} clears a field.
func (b *Binding) fillMask(m *dynamicpb.Message, body []byte) error {
	if b.Mask == nil {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return bodyError(err)
	}
	var paths []string
	for k := range keys {
		p, err := Resolve(b.Body.last().Message(), []string{k})
		if err != nil {
			return bodyError(err)
		}
		if !b.bound(append(slices.Clone(b.Body), p...)) && p.String() != "etag" {
			paths = append(paths, p.String())
		}
	}
	slices.Sort(paths)
	mask := m.Mutable(b.Mask.last()).Message()
	list := mask.Mutable(mask.Descriptor().Fields().ByName("paths")).List()
	for _, p := range paths {
		list.Append(protoreflect.ValueOfString(p))
	}
	return nil
}

// bound says whether the path binds the field.
func (b *Binding) bound(p FieldPath) bool {
	return slices.ContainsFunc(b.Vars, func(v FieldPath) bool { return v.within(p) })
}

// Taken says whether a field is given by the body or the path, and so can't be a parameter.
func (b *Binding) Taken(p FieldPath) bool {
	return b.Whole || b.Body != nil && p.within(b.Body) || slices.ContainsFunc(b.Vars, func(v FieldPath) bool {
		return len(v) <= len(p) && v.within(p)
	})
}

func (b *Binding) query(m *dynamicpb.Message, query url.Values) error {
	var wrong []problem.Field
	names := map[string]string{} // by the path of the field, which has two names: page_size and pageSize
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		p, err := Resolve(b.Input, strings.Split(name, "."))
		other, twice := names[p.String()]
		names[p.String()] = name
		switch {
		case err != nil:
			wrong = append(wrong, problem.Field{Path: name, Message: "is no parameter of this method"})
			continue
		case b.Whole, b.Body != nil && p.within(b.Body), b.bound(p):
			wrong = append(wrong, problem.Field{Path: name, Message: "is given by the body or the path of this method, not as a parameter"})
			continue
		case !Bindable(p.last()):
			wrong = append(wrong, problem.Field{Path: name, Message: "can't be given as a parameter"})
			continue
		case twice:
			wrong = append(wrong, problem.Field{Path: name, Message: fmt.Sprintf("is given as %s too", other)})
			continue
		case len(values) > 1 && !p.last().IsList():
			wrong = append(wrong, problem.Field{Path: name, Message: "is given more than once"})
			continue
		}
		if slices.Equal(p, b.Mask) {
			m.Clear(p.last()) // said outright, it goes before what was guessed
		}
		for _, v := range values {
			if err := set(m, p, v); err != nil {
				wrong = append(wrong, problem.Field{Path: name, Message: err.Error()})
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return problem.Invalid(wrong...)
}

// unknown finds the name in protojson's error about a field.
var unknown = regexp.MustCompile(`(?:unknown|duplicate) field "([^"]+)"|for \S+ field ([^ :]+):`)

// bodyError is what a caller is told of a body that can't be read. protojson's text is about the caller's own document; the field that
// it names goes among the wrong fields.
func bodyError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ") // protobuf's errors begin with a space that varies from build to build
	text = strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
	text = strings.ToValidUTF8(fmt.Sprintf("%.500s", text), "\ufffd")
	p := problem.InvalidArgument("BAD_JSON", "the body is not the JSON that is taken here: %s", text)
	if f := unknown.FindStringSubmatch(text); f != nil {
		p.Fields = []problem.Field{{Path: f[1] + f[2], Message: text}}
	}
	return p
}

// Response writes a message as JSON: protobuf JSON with the fields that have their default value, on one line and without spaces.
func (b *Binding) Response(m *dynamicpb.Message) ([]byte, error) {
	raw, err := b.response(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer // protojson puts spaces where it likes, so that nobody relies on them
	out.Grow(len(raw))
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}

func (b *Binding) response(m *dynamicpb.Message) ([]byte, error) {
	o := protojson.MarshalOptions{EmitDefaultValues: true, Resolver: b.resolver()}
	if b.ResponseBody == nil {
		return o.Marshal(m)
	}
	fd := b.ResponseBody.last()
	if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
		if !m.Has(fd) {
			return []byte("null"), nil // an object full of default values would be made up
		}
		return o.Marshal(m.Get(fd).Message().Interface())
	}
	all, err := o.Marshal(m)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(all, &fields); err != nil {
		return nil, err
	}
	if raw, ok := fields[fd.JSONName()]; ok {
		return raw, nil
	}
	return []byte("null"), nil // an optional field that isn't set
}
