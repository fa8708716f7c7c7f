package openapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/prototest"
	"github.com/cleavehq/cleave/api/internal/route"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/schema"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
)

func operations(t *testing.T, files ...protoreflect.FileDescriptor) []Operation {
	t.Helper()
	var out []Operation
	for _, fd := range files {
		sd := fd.Services().Get(0)
		for i := range sd.Methods().Len() {
			for n, rule := range schema.Rules(sd.Methods().Get(i)) {
				op := operation(t, sd.Methods().Get(i), rule)
				op.Rule = n
				out = append(out, op)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Operation) int { return strings.Compare(a.Template.String(), b.Template.String()) })
	return out
}

func operation(t *testing.T, md protoreflect.MethodDescriptor, rule *annotations.HttpRule) Operation {
	t.Helper()
	method, path := http.MethodGet, rule.GetGet()
	for m, p := range map[string]string{
		http.MethodPut: rule.GetPut(), http.MethodPost: rule.GetPost(), http.MethodDelete: rule.GetDelete(), http.MethodPatch: rule.GetPatch(),
		rule.GetCustom().GetKind(): rule.GetCustom().GetPath(),
	} {
		if p != "" {
			method, path = m, p
		}
	}
	tmpl, err := route.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	var vars [][]string
	for _, v := range tmpl.Variables {
		vars = append(vars, v.Path)
	}
	b, err := transcode.NewBinding(md, vars, rule.GetBody(), rule.GetResponseBody(), method == http.MethodPatch, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Overrides{}.Of(md)
	if err != nil {
		t.Fatal(err)
	}
	return Operation{Service: strings.ToLower(string(md.Parent().Name())), Method: method, Template: tmpl, Desc: md, Binding: b, Policy: &p}
}

func shop(t *testing.T) []Operation {
	return operations(t, cartv1.File_shop_cart_v1_cart_proto, catalogv1.File_shop_catalog_v1_catalog_proto,
		inventoryv1.File_shop_inventory_v1_inventory_proto, orderv1.File_shop_order_v1_order_proto, paymentv1.File_shop_payment_v1_payment_proto)
}

func document(t *testing.T, ops []Operation) object {
	t.Helper()
	raw, etag, err := Document(Info{Version: "1.2.3", MaxBody: 4 << 20, MaxHeader: 64 << 10, Timeout: 10 * time.Second}, ops)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^"[0-9a-f]{24}"$`).MatchString(etag) {
		t.Errorf("ETag %s", etag)
	}
	var doc object
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at walks into a document; the last part may be missing.
func at(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, p := range path {
		m, ok := v.(object)
		if !ok {
			t.Fatalf("nothing at %s of %s", p, strings.Join(path, " "))
		}
		v = m[p]
	}
	return v
}

var placeholder = regexp.MustCompile(`\{([^}]+)\}`)

// TestTheShopsDocument checks what the specification asks for: https://spec.openapis.org/oas/v3.1.1.
func TestTheShopsDocument(t *testing.T) {
	doc := document(t, shop(t))
	if doc["openapi"] != "3.1.1" || at(t, doc, "info", "version") != "1.2.3" || at(t, doc, "info", "title") == "" {
		t.Errorf("head: %v %v", doc["openapi"], doc["info"])
	}
	ids, hierarchies, count := map[string]bool{}, map[string]string{}, 0
	for path, item := range doc["paths"].(object) {
		h := placeholder.ReplaceAllString(path, "{}")
		if other, taken := hierarchies[h]; taken {
			t.Errorf("%s and %s are one path", path, other)
		}
		hierarchies[h] = path
		for method, op := range item.(object) {
			count++
			id, _ := at(t, op, "operationId").(string)
			if ids[id] || id == "" {
				t.Errorf("%s %s: operationId %q is empty or not the only one", method, path, id)
			}
			ids[id] = true
			checkParameters(t, method+" "+path, path, op)
			if at(t, op, "responses", "200") == nil || at(t, op, "responses", "default", "$ref") != "#/components/responses/Other" {
				t.Errorf("%s %s: responses %v", method, path, at(t, op, "responses"))
			}
		}
	}
	if want := len(shop(t)); count != want {
		t.Errorf("%d operations, want %d", count, want)
	}
	checkSchemas(t, doc)
}

func checkParameters(t *testing.T, where, path string, op any) {
	t.Helper()
	var inPath []string
	seen := map[string]bool{}
	list, _ := at(t, op, "parameters").([]any)
	for _, p := range list {
		name, in := at(t, p, "name").(string), at(t, p, "in").(string)
		if seen[in+" "+name] || at(t, p, "schema") == nil {
			t.Errorf("%s: parameter %s is there twice, or has no schema", where, name)
		}
		seen[in+" "+name] = true
		if in == "path" {
			inPath = append(inPath, name)
			if at(t, p, "required") != true {
				t.Errorf("%s: the path's %s is not required", where, name)
			}
		}
	}
	var inTemplate []string
	for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
		inTemplate = append(inTemplate, m[1])
	}
	if !slices.Equal(inPath, inTemplate) {
		t.Errorf("%s: parameters %v, template %v", where, inPath, inTemplate)
	}
}

// checkSchemas walks the whole document: every reference leads somewhere, and every schema has keywords and types of JSON Schema only.
func checkSchemas(t *testing.T, doc object) {
	t.Helper()
	components := at(t, doc, "components", "schemas").(object)
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				name, found := strings.CutPrefix(ref, "#/components/")
				kind, name, _ := strings.Cut(name, "/")
				if at(t, doc, "components", kind, name) == nil || !found {
					t.Errorf("%s: %s leads nowhere", where, ref)
				}
			}
			if s, ok := v["schema"].(object); ok {
				checkSchema(t, where, s)
			}
			for k, x := range v {
				if k != "example" && k != "examples" {
					walk(where+"/"+k, x)
				}
			}
		case []any:
			for _, x := range v {
				walk(where, x)
			}
		}
	}
	walk("", doc)
	for name, s := range components {
		if !regexp.MustCompile(`^[a-zA-Z0-9._-]+$`).MatchString(name) {
			t.Errorf("%s is no name of a component", name)
		}
		checkSchema(t, name, s.(object))
	}
}

func checkSchema(t *testing.T, where string, s object) {
	t.Helper()
	for k, v := range s {
		switch k {
		case "type":
			for _, x := range either(v) {
				if !slices.Contains([]any{"string", "number", "integer", "boolean", "object", "array"}, x) {
					t.Errorf("%s: type %v", where, x)
				}
			}
		case "properties":
			for name, p := range v.(object) {
				checkSchema(t, where+"."+name, p.(object))
			}
		case "items", "additionalProperties":
			if sub, ok := v.(object); ok {
				checkSchema(t, where+"[]", sub)
			}
		case "pattern":
			if _, err := regexp.Compile(v.(string)); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		case "required", "enum":
			if list := v.([]any); len(list) == 0 {
				t.Errorf("%s: %s is empty", where, k)
			}
		case "not", "deprecated": // santhosh-tekuri's validator sees to them
		case "x-minimum", "x-maximum", "x-exclusiveMinimum", "x-exclusiveMaximum":
		case "$ref", "description", "format", "contentEncoding", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum",
			"exclusiveMinimum", "exclusiveMaximum", "minProperties", "maxProperties", "uniqueItems":
		default:
			t.Errorf("%s: keyword %s", where, k)
		}
	}
}

func either(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func TestLimitsOfTheContract(t *testing.T) {
	doc := document(t, shop(t))
	for _, c := range []struct {
		schema, field, want string
	}{
		{"shop.catalog.v1.Product", "title", `{"type":"string","minLength":1,"maxLength":255}`},
		{"shop.catalog.v1.Product", "descriptionHtml", `{"type":"string","maxLength":65536}`},
		{"shop.catalog.v1.Product", "tags", `{"type":"array","maxItems":250,"items":{"type":"string","minLength":1,"maxLength":255}}`},
		{"shop.catalog.v1.Product", "createTime", `{"type":"string","format":"date-time"}`},
		{"shop.catalog.v1.Product", "variants", `{"type":"array","minItems":1,"maxItems":2048,"items":{"$ref":"#/components/schemas/shop.catalog.v1.Variant"}}`},
		{"shop.catalog.v1.Image", "src", `{"type":"string","format":"uri","minLength":1,"maxLength":2048}`},
		{"shop.type.v1.Money", "minor", `{"type":"string","format":"int64","pattern":"^[0-9]+$","maxLength":16,"x-minimum":0,"x-maximum":1000000000000000}`},
		{"shop.type.v1.Money", "currency", `{"type":"string","pattern":"^[A-Z]{3}$"}`},
		{"shop.order.v1.CreateOrderRequest", "requestId", `{"type":"string"}`}, // empty is allowed: no format
		{"shop.order.v1.CreateOrderRequest", "cartId", `{"type":"string","format":"uuid"}`},
	} {
		got := at(t, doc, "components", "schemas", c.schema, "properties", c.field).(object)
		delete(got, "description")
		raw, _ := json.Marshal(got)
		var a, b any
		_, _ = json.Unmarshal(raw, &a), json.Unmarshal([]byte(c.want), &b)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Errorf("%s.%s is %s, want %s", c.schema, c.field, x, y)
		}
	}
	if got := at(t, doc, "components", "schemas", "shop.catalog.v1.Variant", "required"); !slices.Equal(either(got), []any{"sku", "price"}) {
		t.Errorf("required of a variant: %v", got)
	}
}

// TestParametersAreWhatTheDecoderTakes: what the document offers, the gateway reads.
func TestParametersAreWhatTheDecoderTakes(t *testing.T) {
	doc := document(t, shop(t))
	var names []string
	for _, p := range at(t, doc, "paths", "/v1/products", "get", "parameters").([]any) {
		names = append(names, at(t, p, "name").(string))
	}
	if got := strings.Join(names, " "); got != "page_size page_token category status" {
		t.Errorf("parameters %q", got)
	}
	names = nil
	for _, p := range at(t, doc, "paths", "/v1/products", "post", "parameters").([]any) {
		names = append(names, at(t, p, "name").(string))
	}
	if got := strings.Join(names, " "); got != "request_id Idempotency-Key" {
		t.Errorf("parameters beside the body: %q", got)
	}
	if got := at(t, doc, "paths", "/v1/carts/{cart_id}/items", "post", "parameters").([]any); len(got) != 2 || at(t, got[1], "in") != "header" {
		t.Errorf("parameters of a whole body: %v", got)
	}
	body := at(t, doc, "paths", "/v1/carts/{cart_id}/items", "post", "requestBody", "content", "application/json", "schema", "properties").(object)
	if got := strings.Join(slices.Sorted(maps.Keys(body)), " "); got != "quantity sku" {
		t.Errorf("the body has %q: the path's field isn't in it", got)
	}
	content := at(t, doc, "paths", "/v1/products:export", "get", "responses", "200", "content").(object)
	if content["application/x-ndjson"] == nil || content["text/event-stream"] == nil {
		t.Errorf("a stream is %v", content)
	}
}

func TestPathsThatOpenAPICannotWrite(t *testing.T) {
	fd := prototest.New(t).
		Message("In", "string name", "string id", "Deep deep", "google.protobuf.Value v").
		Message("Deep", "string id", "Deep again", "int32 n [buf.validate.field]{int32{gt:3 lt:9}}").
		Service(
			"Odd",
			`A In In [google.api.http]{get:"/v1/{name=shelves/*/books/*}"}`,
			`B In In [google.api.http]{get:"/v1/{name=files/**}:copy"}`,
			`C In In [google.api.http]{get:"/v1/things/{id}" additional_bindings{put:"/v1/things/{deep.id}" body:"v"}}`,
			`D In In [google.api.http]{custom{kind:"PURGE" path:"/v1/purge"}}`,
			`E In In [google.api.http]{get:"/v1/*/x"}`,
		).Build()
	doc := document(t, operations(t, fd))
	checkSchemas(t, doc)
	got := strings.Join(slices.Sorted(maps.Keys(doc["paths"].(object))), " ")
	if want := "/v1/files/{name}:copy /v1/shelves/{name_1}/books/{name_2} /v1/things/{deep.id} /v1/{_1}/x"; got != want {
		t.Errorf("paths\n%s, want\n%s", got, want)
	}
	for path, item := range doc["paths"].(object) {
		for method, op := range item.(object) {
			checkParameters(t, method+" "+path, path, op)
		}
	}
	if d := at(t, at(t, doc, "paths", "/v1/things/{deep.id}", "get", "parameters").([]any)[0], "description"); d != "Sets id." {
		t.Errorf("the parameter of another name: %v", d)
	}
	var names []string
	for _, p := range at(t, doc, "paths", "/v1/things/{deep.id}", "get", "parameters").([]any) {
		names = append(names, at(t, p, "name").(string))
	}
	if got := strings.Join(names, " "); got != "deep.id name deep.id deep.n" {
		t.Errorf("parameters %q: a message in itself ends", got)
	}
}

// TestEveryTypeHasASchema: a message with a field of each kind, written as JSON, is what its schema says.
func TestEveryTypeHasASchema(t *testing.T) {
	fd := prototest.New(t).
		Enum("E", "ZERO", "ONE").
		Message(
			"M", "double a1", "float a2", "int32 a3", "int64 a4", "uint32 a5", "uint64 a6", "sint32 a7", "sfixed64 a8", "bool a9", "string b1",
			"bytes b2", "#E b3", "M b4", "repeated M b5", "map M b6", "map int64 b7", "google.protobuf.Timestamp b8", "google.protobuf.Duration b9",
			"google.protobuf.FieldMask c1", "google.protobuf.Struct c2", "google.protobuf.Value c3", "google.protobuf.ListValue c4",
			"google.protobuf.Any c5", "google.protobuf.Empty c6", "google.protobuf.Int64Value c7", "google.protobuf.UInt32Value c8",
			"google.protobuf.BytesValue c9", "google.protobuf.BoolValue d1", "google.protobuf.DoubleValue d2", "google.protobuf.StringValue d3",
			"google.protobuf.UInt64Value d4", "google.protobuf.Int32Value d5", "google.protobuf.FloatValue d6",
		).
		Service("S", `Get M M [google.api.http]{get:"/v1/m"}`).Build()
	ops := operations(t, fd)
	doc := document(t, ops)
	checkSchemas(t, doc)
	m := dynamicpb.NewMessage(ops[0].Desc.Output())
	err := protojson.Unmarshal([]byte(`{"a1": "NaN", "a2": 1.5, "a3": -1, "a4": "-5", "a5": 4294967295, "a6": "5", "a7": 1, "a8": "1", "a9": true, "b1": "x",
		"b2": "YQ==", "b3": "ONE", "b4": {"a1": 1}, "b5": [{}, {"b1": "y"}], "b6": {"k": {}}, "b7": {"k": "7"}, "b8": "2026-01-01T00:00:00Z",
		"b9": "-1.500s", "c1": "a,bC", "c2": {"k": [1, null]}, "c3": [1], "c4": ["x", {}], "c5": {"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}},
		"c6": {}, "c7": "7", "c8": 8, "c9": "YQ==", "d1": true, "d2": 0.5, "d3": "", "d4": "1", "d5": 1, "d6": "Infinity"}`), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []proto.Message{m, dynamicpb.NewMessage(ops[0].Desc.Output())} {
		raw, err := ops[0].Binding.Response(msg.(*dynamicpb.Message))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		c := checker{t, at(t, doc, "components", "schemas").(object)}
		c.check("", at(t, doc, "paths", "/v1/m", "get", "responses", "200", "content", "application/json", "schema").(object), v)
	}
}
