// Package openapi writes an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1) of live routes.
package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/route"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Operation is one route.
type Operation struct {
	Service  string // in the registry
	Method   string // of HTTP
	Template *route.Template
	Desc     protoreflect.MethodDescriptor
	Binding  *transcode.Binding
}

type object = map[string]any

// Document writes the document, and its ETag. A method that OpenAPI has no name for is left out.
func Document(version string, ops []Operation) (doc []byte, etag string, err error) {
	b := &builder{schemas: object{"Problem": problemSchema()}, ids: map[string]int{}}
	paths, items := object{}, map[string]*item{}
	var tags []string
	for _, op := range ops {
		if !named(op.Method) {
			continue
		}
		it := items[op.Template.Shape()]
		if it == nil {
			it = newItem(op.Template)
			items[op.Template.Shape()], paths[it.path] = it, it.methods
		}
		it.methods[strings.ToLower(op.Method)] = b.operation(op, it)
		if !slices.Contains(tags, op.Service) {
			tags = append(tags, op.Service)
		}
	}
	slices.Sort(tags)
	list := make([]object, len(tags))
	for i, t := range tags {
		list[i] = object{"name": t}
	}
	doc, err = json.MarshalIndent(object{
		"openapi":    "3.1.1",
		"info":       object{"title": "Cleave", "version": version},
		"servers":    []object{{"url": "/"}},
		"tags":       list,
		"paths":      paths,
		"components": object{"schemas": b.schemas},
	}, "", " ")
	sum := sha256.Sum256(doc)
	return append(doc, '\n'), `"` + hex.EncodeToString(sum[:12]) + `"`, err
}

func named(method string) bool {
	return slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"}, method)
}

type builder struct {
	schemas object
	ids     map[string]int
}

func (b *builder) operation(op Operation, it *item) object {
	id := string(op.Desc.Parent().Name()) + "_" + string(op.Desc.Name())
	if b.ids[id]++; b.ids[id] > 1 { // an additional binding
		id += "_" + strconv.Itoa(b.ids[id])
	}
	content := object{"application/json": object{"schema": b.response(op)}}
	if op.Desc.IsStreamingServer() {
		content = object{"application/x-ndjson": object{"schema": b.response(op)}, "text/event-stream": object{"schema": b.response(op)}}
	}
	out := object{
		"operationId": id,
		"tags":        []string{op.Service},
		"summary":     string(op.Desc.Name()),
		"responses": object{
			"200":     object{"description": "It was done.", "content": content},
			"default": object{"description": "It was not.", "content": object{problem.MediaType: object{"schema": ref("Problem")}}},
		},
	}
	if text := comment(op.Desc); text != "" {
		out["description"] = text
	}
	if params := b.parameters(op, it); len(params) > 0 {
		out["parameters"] = params
	}
	switch bind := op.Binding; {
	case bind.IsRaw():
		out["requestBody"] = object{"required": true, "content": object{"*/*": object{"schema": object{}}}}
	case bind.Whole:
		out["requestBody"] = body(b.without(op.Desc.Input(), bind.Vars))
	case bind.Body != nil:
		out["requestBody"] = body(b.field(bind.Body[0]))
	}
	return out
}

func body(schema object) object {
	return object{"required": true, "content": object{"application/json": object{"schema": schema}}}
}

func (b *builder) response(op Operation) object {
	if rb := op.Binding.ResponseBody; rb != nil {
		return b.field(rb[0])
	}
	return b.message(op.Desc.Output())
}

// without is the schema of a message that lacks the fields which the path gives.
func (b *builder) without(md protoreflect.MessageDescriptor, vars []transcode.FieldPath) object {
	if len(vars) == 0 {
		return b.message(md)
	}
	s := b.properties(md, func(fd protoreflect.FieldDescriptor) bool {
		return slices.ContainsFunc(vars, func(v transcode.FieldPath) bool { return len(v) == 1 && v[0] == fd })
	})
	return s
}

func (b *builder) parameters(op Operation, it *item) []object {
	out := b.path(op, it)
	if !op.Binding.Whole {
		out = append(out, b.query(op, op.Desc.Input(), nil)...)
	}
	if op.Method != http.MethodGet && op.Method != http.MethodHead && idempotency.NeedsKey(op.Desc) {
		out = append(out, keyHeader())
	}
	return out
}

// keyHeader is the header that a request has which must not be done twice.
func keyHeader() object {
	return object{
		"name": idempotency.Header, "in": "header", "description": "A random text that is new for each request and the same when the request is " +
			"sent again: it is done once, and a repeat within 24 hours gets the first answer. The same key with another request is 422; while the " +
			"first one runs a repeat is 409 with Retry-After.",
		"schema": object{"type": "string", "minLength": 1, "maxLength": idempotency.MaxKey, "pattern": "^[!-~]+$"},
	}
}

// query lists the fields that are given as parameters, those of messages in them too.
func (b *builder) query(op Operation, md protoreflect.MessageDescriptor, at transcode.FieldPath) []object {
	var out []object
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		p := append(slices.Clone(at), fd)
		if op.Binding.Taken(p) {
			continue
		}
		if transcode.Bindable(fd) {
			param := object{"name": p.String(), "in": "query", "schema": b.field(fd)}
			if text := comment(fd); text != "" {
				param["description"] = text
			}
			out = append(out, param)
			continue
		}
		if transcode.HasFields(fd) && len(p) < 4 && !recursive(p) {
			out = append(out, b.query(op, fd.Message(), p)...)
		}
	}
	return out
}

func recursive(p transcode.FieldPath) bool {
	last := p[len(p)-1].Message()
	for _, fd := range p[:len(p)-1] {
		if fd.Message() == last {
			return true
		}
	}
	return false
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// comment is what the proto says of a descriptor, when the source was kept.
func comment(d protoreflect.Descriptor) string {
	return strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}

func problemSchema() object {
	str := object{"type": "string"}
	return object{
		"type": "object", "description": "RFC 9457",
		"required": []string{"type", "title", "status", "code"},
		"properties": object{
			"type": str, "title": str, "status": object{"type": "integer"}, "detail": str, "instance": str, "code": str, "reason": str,
			"trace_id": str, "request_id": str,
			"errors": object{"type": "array", "items": object{
				"type": "object", "properties": object{"field": str, "message": str},
			}},
		},
	}
}
