// Package openapi writes an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1) of live routes, an AsyncAPI 3.0 document
// (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of the events, and the schemas of messages as JSON Schema 2020-12.
package openapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/route"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/idempotency"
)

// Info is what the documents say of the gateway.
type Info struct {
	Version string
	// MaxBody and MaxHeader are in bytes.
	MaxBody   int64
	MaxHeader int
	// Timeout of a call whose policy has none.
	Timeout time.Duration
}

// Operation is one route.
type Operation struct {
	Service  string // in the registry
	Method   string // of HTTP
	Template *route.Template
	Desc     protoreflect.MethodDescriptor
	Binding  *transcode.Binding
	Policy   *policy.Policy
	// Rule is which of its method's rules it is, from 0.
	Rule int
}

type object = map[string]any

const inComponents = "#/components/schemas/"

const about = "The routes of the modules that are running now, as they tell themselves: this document changes when they do.\n\n" +
	"JSON is protobuf's: a 64-bit integer is a string (a number is taken, too), a field that has no value in an answer has its default or, when it " +
	"is a message, is absent. Nothing in a request is passed over: an unknown field is 400.\n\n" +
	"Every error is a problem document (RFC 9457); `reason` is for programs. 429 and 503 come with Retry-After. Every answer has X-Request-Id and " +
	"Traceparent, the client's own when it sent them."

// Document writes the document, and its ETag. A method that OpenAPI has no name for is left out.
func Document(info Info, ops []Operation) (doc []byte, etag string, err error) {
	b := &builder{prefix: inComponents, schemas: object{"Problem": problemSchema()}, answers: object{}, ids: map[string]bool{}, info: info}
	paths, items := object{}, map[string]*item{}
	tags := map[string]string{}
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
		tags[op.Service] = cmp.Or(tags[op.Service], comment(op.Desc.Parent()))
	}
	list := []object{}
	for name, text := range tags {
		t := object{"name": name}
		describe(t, text)
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b object) int { return strings.Compare(fmt.Sprint(a["name"]), fmt.Sprint(b["name"])) })
	return written(object{
		"openapi":    "3.1.1",
		"info":       object{"title": "Cleave", "version": info.Version, "description": about},
		"servers":    []object{{"url": "/", "description": "This gateway."}},
		"tags":       list,
		"paths":      paths,
		"components": object{"schemas": b.schemas, "responses": b.answers, "securitySchemes": securitySchemes(), "headers": headers()},
		"x-limits": object{
			"maxBodyBytes": info.MaxBody, "maxHeaderBytes": info.MaxHeader, "timeoutSeconds": info.Timeout.Seconds(),
		},
	})
}

// written is a document as JSON, and its ETag.
func written(v object) (doc []byte, etag string, err error) {
	doc, err = json.MarshalIndent(v, "", " ")
	sum := sha256.Sum256(doc)
	return append(doc, '\n'), `"` + hex.EncodeToString(sum[:12]) + `"`, err
}

func named(method string) bool {
	return slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"}, method)
}

type builder struct {
	prefix  string // of a reference to a schema
	lax     bool   // rules are not looked at
	schemas object
	answers object // responses by name
	ids     map[string]bool
	info    Info
}

// ID is what a method is called: "Order_CreateOrder".
func ID(md protoreflect.MethodDescriptor) string {
	return string(md.Parent().Name()) + "_" + string(md.Name())
}

func (b *builder) operation(op Operation, it *item) object {
	id := b.id(op)
	schema := b.response(op)
	content := object{"application/json": b.withExample(schema)}
	if op.Desc.IsStreamingServer() {
		content = object{
			"application/x-ndjson": object{"schema": schema},
			"text/event-stream":    object{"schema": schema},
		}
	}
	done := object{"description": doneText(op), "content": content, "headers": object{
		"X-Request-Id": headerRef("X-Request-Id"), "Traceparent": headerRef("Traceparent"),
	}}
	out := object{
		"operationId": id,
		"tags":        []string{op.Service},
		"summary":     summary(op.Desc),
		"responses":   b.responses(op, it, done),
	}
	describe(out, comment(op.Desc))
	if o, ok := op.Desc.Options().(*descriptorpb.MethodOptions); ok && o.GetDeprecated() {
		out["deprecated"] = true
	}
	if params := b.parameters(op, it); len(params) > 0 {
		out["parameters"] = params
	}
	switch bind := op.Binding; {
	case bind.IsRaw():
		out["requestBody"] = object{"required": true, "content": object{"*/*": object{"schema": object{}}}}
	case bind.Whole:
		out["requestBody"] = b.body(b.without(op.Desc.Input(), bind.Vars))
	case bind.Body != nil && op.Method == http.MethodPatch && bind.Body[0].Message() != nil && !bind.Body[0].IsList():
		out["requestBody"] = b.body(b.unruled(bind.Body[0], func() object { return b.properties(bind.Body[0].Message(), nil, false) }))
	case bind.Body != nil:
		out["requestBody"] = b.body(b.field(bind.Body[0]))
	}
	b.policy(out, done, op)
	paged(out, op.Desc)
	return out
}

// id is the name of an operation: the method's, with a number for an additional binding. Of two methods of one name, of different packages, the
// second has the whole name.
func (b *builder) id(op Operation) string {
	suffix := ""
	if op.Rule > 0 {
		suffix = "_" + strconv.Itoa(op.Rule+1)
	}
	id := ID(op.Desc) + suffix
	for b.ids[id] {
		id = strings.ReplaceAll(string(op.Desc.FullName()), ".", "_") + suffix
		suffix += "_"
	}
	b.ids[id] = true
	return id
}

// summary is the first sentence of what a method says of itself, without its name before it.
func summary(md protoreflect.MethodDescriptor) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(comment(md), "\n", " ")+" ", ". ")
	first, _, _ = strings.Cut(first, ": ")
	first = strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(first, string(md.Name()))), ".")
	if first == "" {
		return string(md.Name())
	}
	return strings.ToUpper(first[:1]) + first[1:]
}

func doneText(op Operation) string {
	if op.Desc.IsStreamingServer() {
		return "A message on each line (NDJSON), or in each event (Server-Sent Events), as Accept asks; a WebSocket has the same. docs/edge.md has the frames."
	}
	return "It was done."
}

// paged says which fields go from page to page.
func paged(out object, md protoreflect.MethodDescriptor) {
	in, next := md.Input().Fields(), md.Output().Fields().ByName("next_page_token")
	if in.ByName("page_token") == nil || next == nil {
		return
	}
	p := object{"pageToken": "page_token", "nextPageToken": next.JSONName()}
	if in.ByName("page_size") != nil {
		p["pageSize"] = "page_size"
	}
	for i := range md.Output().Fields().Len() {
		if f := md.Output().Fields().Get(i); f.IsList() {
			p["items"] = f.JSONName()
		}
	}
	out["x-pagination"] = p
}

func (b *builder) body(schema object) object {
	return object{"required": true, "content": object{"application/json": b.withExample(schema)}}
}

// withExample is a media type with a schema and what it may look like.
func (b *builder) withExample(schema object) object {
	m := object{"schema": schema}
	if x, ok := b.example(schema, "", 0); ok {
		m["example"] = x
	}
	return m
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
	return b.properties(md, func(fd protoreflect.FieldDescriptor) bool {
		return slices.ContainsFunc(vars, func(v transcode.FieldPath) bool { return len(v) == 1 && v[0] == fd })
	}, true)
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
			describe(param, comment(fd))
			if len(at) == 0 && needed(fd) {
				param["required"] = true
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

// comment is what the proto says of a descriptor, when the source was kept.
func comment(d protoreflect.Descriptor) string {
	return strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}
