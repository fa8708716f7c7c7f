package transcode

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api/internal/prototest"
	"github.com/cleavehq/cleave/chassis/problem"
)

func method(t testing.TB) protoreflect.MethodDescriptor {
	t.Helper()
	return prototest.New(t).
		Enum("Colour", "COLOUR_UNSPECIFIED", "RED", "GREEN").
		Message("Inner", "string text", "int32 n", "Inner inner", "#Colour colour").
		Message(
			"All", "bool b", "string s", "bytes raw", "int32 i32", "int64 i64", "uint32 u32", "uint64 u64", "sint32 s32", "fixed64 f64", "float f",
			"double d", "#Colour colour", "repeated string tags", "repeated #Colour colours", "repeated int64 numbers", "Inner inner",
			"repeated Inner inners", "map string labels", "google.protobuf.Timestamp at", "google.protobuf.Duration wait",
			"google.protobuf.FieldMask update_mask", "google.protobuf.StringValue sv", "google.protobuf.Int64Value lv",
			"google.protobuf.BoolValue bv", "google.protobuf.BytesValue rv", "google.protobuf.DoubleValue dv", "google.protobuf.Struct any",
			"repeated google.protobuf.Timestamp times", "oneof:key string id", "oneof:key string handle", "oneof:key Inner deep",
			"optional string maybe", "string display_name",
		).
		Service("S", "M All All").
		Build().Services().Get(0).Methods().Get(0)
}

type shape struct {
	vars           [][]string
	body, response string
	patch          bool
}

func bind(t testing.TB, s shape) *Binding {
	t.Helper()
	b, err := NewBinding(method(t), s.vars, s.body, s.response, s.patch, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func request(t testing.TB, b *Binding, values []string, query, body string) (*dynamicpb.Message, error) {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return b.Request(values, q, []byte(body))
}

func TestQuerySetsEveryKindOfField(t *testing.T) {
	b := bind(t, shape{})
	for query, want := range map[string]string{
		"":                                  `{}`,
		"b=true":                            `{"b": true}`,
		"b=false":                           `{}`,
		"s=a%20b%2Bc+d":                     `{"s": "a b+c d"}`,
		"s=":                                `{}`,
		"raw=%2B-8_":                        `{"raw": "++8/"}`,
		"raw=YQ":                            `{"raw": "YQ=="}`,
		"raw=YQ==":                          `{"raw": "YQ=="}`,
		"i32=-2147483648&s32=7":             `{"i32": -2147483648, "s32": 7}`,
		"i64=9223372036854775807":           `{"i64": "9223372036854775807"}`,
		"u32=4294967295":                    `{"u32": 4294967295}`,
		"u64=18446744073709551615&f64=1":    `{"u64": "18446744073709551615", "f64": "1"}`,
		"f=1.5&d=-2e3":                      `{"f": 1.5, "d": -2000}`,
		"d=NaN":                             `{"d": "NaN"}`,
		"d=-Infinity":                       `{"d": "-Infinity"}`,
		"colour=RED":                        `{"colour": "RED"}`,
		"colour=2":                          `{"colour": "GREEN"}`,
		"colour=99":                         `{"colour": 99}`, // open: a newer client may know it
		"tags=b&tags=a&tags=":               `{"tags": ["b", "a", ""]}`,
		"colours=RED&colours=2":             `{"colours": ["RED", "GREEN"]}`,
		"numbers=1&numbers=2":               `{"numbers": ["1", "2"]}`,
		"inner.text=x&inner.n=1":            `{"inner": {"text": "x", "n": 1}}`,
		"inner.inner.inner.colour=RED":      `{"inner": {"inner": {"inner": {"colour": "RED"}}}}`,
		"at=2026-11-24T10:00:00.5Z":         `{"at": "2026-11-24T10:00:00.500Z"}`,
		"at=2026-11-24T12:00:00%2B02:00":    `{"at": "2026-11-24T10:00:00Z"}`,
		"wait=1.5s":                         `{"wait": "1.500s"}`,
		"update_mask=s,displayName,inner.n": `{"updateMask": "s,displayName,inner.n"}`,
		"updateMask=display_name":           `{"updateMask": "displayName"}`,
		"update_mask=":                      `{"updateMask": ""}`,
		"sv=x&lv=5&bv=true&rv=YQ==&dv=0.5":  `{"sv": "x", "lv": "5", "bv": true, "rv": "YQ==", "dv": 0.5}`,
		"sv=":                               `{"sv": ""}`,
		"sv=%22%5C%0A":                      `{"sv": "\"\\\n"}`,
		"times=2026-01-01T00:00:00Z&times=2027-01-01T00:00:00Z": `{"times": ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]}`,
		"handle=x":                 `{"handle": "x"}`,
		"deep.text=x&deep.n=2":     `{"deep": {"text": "x", "n": 2}}`,
		"maybe=":                   `{"maybe": ""}`,
		"displayName=x":            `{"displayName": "x"}`,
		"display_name=%E2%82%AC":   `{"displayName": "€"}`,
		"s=a&&b=true":              `{"s": "a", "b": true}`,
		"s=%00":                    `{"s": "\u0000"}`,
		"inner.inner.text=x&i32=0": `{"inner": {"inner": {"text": "x"}}}`,
	} {
		got, err := request(t, b, nil, query, "")
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		equalJSON(t, query, got, want)
	}
}

func TestTheStarOfAMask(t *testing.T) {
	m, err := request(t, bind(t, shape{}), nil, "update_mask=*", "")
	if err != nil {
		t.Fatal(err)
	}
	mask := m.Get(m.Descriptor().Fields().ByName("update_mask")).Message()
	if paths := mask.Get(mask.Descriptor().Fields().ByName("paths")).List(); paths.Len() != 1 || paths.Get(0).String() != "*" {
		t.Errorf("paths %v", paths)
	}
}

func equalJSON(t *testing.T, what string, got proto.Message, want string) {
	t.Helper()
	w := got.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(want), w); err != nil {
		t.Fatalf("%s: the test's own JSON: %v", what, err)
	}
	a, _ := protojson.Marshal(got)
	b, _ := protojson.Marshal(w)
	if !bytes.Equal(a, b) { // not proto.Equal: two NaNs
		t.Errorf("%s:\n got %s\nwant %s", what, a, b)
	}
}

// refused checks that an error is a 400 that names a field, unless field is empty.
func refused(t *testing.T, what string, err error, field string) {
	t.Helper()
	p := problem.From(err)
	if p == nil || p.Code != codes.InvalidArgument {
		t.Errorf("%s: got %v, want an InvalidArgument", what, err)
		return
	}
	if field != "" && (len(p.Fields) == 0 || p.Fields[0].Path != field || p.Fields[0].Message == "") {
		t.Errorf("%s: wrong fields %+v, want %s", what, p.Fields, field)
	}
}

func TestQueryIsStrict(t *testing.T) {
	b := bind(t, shape{vars: [][]string{{"id"}, {"inner", "text"}}, body: "deep"})
	for query, field := range map[string]string{
		"colour=PINK": "colour", "colour=": "colour", "colour=red": "colour", "colour=9999999999": "colour",
		"nosuch=1": "nosuch", "inner.nosuch=1": "inner.nosuch", "s.x=1": "s.x", "=1": "", "inner=1": "inner", "inners=1": "inners",
		"inners.text=x": "inners.text", "labels=x": "labels", "labels.a=x": "labels.a", "any=1": "any", "at.seconds=1": "at.seconds",
		"b=1": "b", "b=TRUE": "b", "b=": "b",
		"i32=2147483648": "i32", "i32=1.0": "i32", "i32=": "i32", "i32=0x1": "i32", "i32=1_0": "i32", "i32=%201": "i32", "u32=-1": "u32",
		"i64=9223372036854775808": "i64", "u64=-1": "u64", "f64=x": "f64",
		"d=0x1p-2": "d", "d=inf": "d", "d=nan": "d", "d=1e999": "d", "d=": "d", "d=1_0": "d", "f=1e39": "f",
		"raw=*": "raw", "raw=YQ%0A": "raw",
		"s=a&s=b": "s", "displayName=a&display_name=b": "display_name", "inner.n=1&inner.n=2": "inner.n", "at=x&at=y": "at",
		"at=yesterday": "at", "at=%22": "at", "wait=1": "wait", "wait=1m": "wait", "update_mask=a..b": "update_mask", "update_mask=a,,b": "update_mask",
		"update_mask=a b": "update_mask", "lv=x": "lv", "lv=": "lv", "bv=1": "bv", "dv=x": "dv", "bv=null": "bv", "dv={}": "dv",
		"id=x": "id", "inner.text=x": "inner.text", "deep.text=x": "deep.text", "deep=x": "deep",
		"handle=x": "id", // of the same oneof as what the path gives
		"s=%ff":    "s", "tags=a&tags=%c3%28": "tags", "%ff=1": "",
	} {
		_, err := request(t, b, []string{"1", "x"}, query, "")
		refused(t, query, err, field)
	}
}

func TestEveryWrongParameterIsNamed(t *testing.T) {
	_, err := request(t, bind(t, shape{}), nil, "zz=1&b=x&aa=2", "")
	var names []string
	for _, f := range problem.From(err).Fields {
		names = append(names, f.Path)
	}
	if got := strings.Join(names, " "); got != "aa b zz" {
		t.Errorf("wrong fields %q", got)
	}
}

func TestOnlyOneOfAOneof(t *testing.T) {
	for _, query := range []string{"id=1&handle=x", "handle=x&deep.n=1", "deep.text=x&id=1"} {
		_, err := request(t, bind(t, shape{}), nil, query, "")
		refused(t, query, err, "")
	}
	_, err := request(t, bind(t, shape{vars: [][]string{{"handle"}}, body: "*"}), []string{"x"}, "", `{"id": "1"}`)
	refused(t, "the path and the body", err, "handle")
}

func TestBody(t *testing.T) {
	whole, inner := shape{body: "*"}, shape{body: "inner"}
	for _, c := range []struct {
		name  string
		shape shape
		vars  []string
		query string
		body  string
		want  string
	}{
		{"whole", whole, nil, "", `{"displayName": "x", "i64": "5", "colour": "RED"}`, `{"displayName": "x", "i64": "5", "colour": "RED"}`},
		{"whole, in the proto's names", whole, nil, "", `{"display_name": "x", "i64": 5, "colour": 1}`, `{"displayName": "x", "i64": "5", "colour": "RED"}`},
		{"empty", whole, nil, "", "", `{}`},
		{"spaces", whole, nil, "", " \n", `{}`},
		{"the path beside it", shape{vars: [][]string{{"s"}}, body: "*"}, []string{"p"}, "", `{"i32": 1}`, `{"s": "p", "i32": 1}`},
		{"the path in it too", shape{vars: [][]string{{"s"}}, body: "*"}, []string{"p"}, "", `{"s": "p"}`, `{"s": "p"}`},
		{"the path in the middle of it", shape{vars: [][]string{{"inner", "text"}}, body: "inner"}, []string{"p"}, "s=q", `{"n": 2}`, `{"inner": {"text": "p", "n": 2}, "s": "q"}`},
		{"a message", inner, nil, "s=q&i32=4", `{"text": "x"}`, `{"inner": {"text": "x"}, "s": "q", "i32": 4}`},
		{"a message without anything", inner, nil, "", `{}`, `{"inner": {}}`},
		{"a list", shape{body: "tags"}, nil, "", `["a", "b"]`, `{"tags": ["a", "b"]}`},
		{"a list of messages", shape{body: "inners"}, nil, "", `[{"n": 1}, {}]`, `{"inners": [{"n": 1}, {}]}`},
		{"a map", shape{body: "labels"}, nil, "", `{"k": "v"}`, `{"labels": {"k": "v"}}`},
		{"a string", shape{body: "s"}, nil, "i32=1", `"x"`, `{"s": "x", "i32": 1}`},
		{"a well-known type", shape{body: "at"}, nil, "", `"2026-01-01T00:00:00Z"`, `{"at": "2026-01-01T00:00:00Z"}`},
		{"a struct", shape{body: "any"}, nil, "", `{"a": [1, null]}`, `{"any": {"a": [1, null]}}`},
		{"a patch", shape{body: "inner", patch: true}, nil, "", `{"text": "", "colour": "RED"}`, `{"inner": {"colour": "RED"}, "updateMask": "colour,text"}`},
		{"a patch with a mask", shape{body: "inner", patch: true}, nil, "update_mask=n", `{"text": "x"}`, `{"inner": {"text": "x"}, "updateMask": "n"}`},
		{"a patch by the path", shape{vars: [][]string{{"inner", "text"}}, body: "inner", patch: true}, []string{"x"}, "", `{"text": "x", "n": 1}`, `{"inner": {"text": "x", "n": 1}, "updateMask": "n"}`},
	} {
		got, err := request(t, bind(t, c.shape), c.vars, c.query, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		equalJSON(t, c.name, got, c.want)
	}
}

func TestBodyIsStrict(t *testing.T) {
	for _, c := range []struct{ body, json, field string }{
		{"*", `{"colr": 1}`, "colr"},
		{"*", `{"inner": {"colr": 1}}`, "colr"},
		{"*", `{"s": "a", "s": "b"}`, "s"},
		{"*", `{"displayName": "a", "display_name": "b"}`, ""},
		{"*", `{"i32": "many"}`, "i32"},
		{"*", `{"i32": 1.5}`, "i32"},
		{"*", `{"s": 7}`, "s"},
		{"*", `{"colour": "PINK"}`, "colour"},
		{"*", `{"id": "a", "handle": "b"}`, ""},
		{"*", `{"s": "` + "\xff\xfe" + `"}`, ""},
		{"*", "\xef\xbb\xbf{}", ""},
		{"*", `[]`, ""}, {"*", `null`, ""}, {"*", `7`, ""}, {"*", `{}{}`, ""}, {"*", `{`, ""}, {"*", `{"s": "x`, ""}, {"*", `s=x`, ""},
		{"*", strings.Repeat(`{"inner":`, 101) + "{}" + strings.Repeat("}", 101), ""},
		{"*", `{"any": ` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 201), ""},
		{"*", strings.Repeat("[", 1<<20), ""},
		{"tags", `"a"], "s": ["b"`, ""}, {"tags", `[] , "s": "smuggled"`, ""}, {"tags", `{}`, ""}, {"tags", `[1]`, ""}, {"s", `"a", "b": true`, ""},
		{"s", "\"\xff\"", ""},
		{"inner", `{"nosuch": 1}`, "nosuch"}, {"inner", `null`, ""},
	} {
		_, err := request(t, bind(t, shape{body: c.body}), nil, "", c.json)
		refused(t, c.body+" "+c.json[:min(len(c.json), 60)], err, c.field)
	}
	_, err := request(t, bind(t, shape{vars: [][]string{{"s"}}, body: "*"}), []string{"p"}, "", `{"s": "q"}`)
	refused(t, "the body says otherwise", err, "s")
	_, err = request(t, bind(t, shape{body: "*"}), nil, "s=x", "")
	refused(t, "a parameter beside a whole body", err, "s")
}

func TestPathVariables(t *testing.T) {
	b := bind(t, shape{vars: [][]string{{"inner", "colour"}, {"i64"}, {"at"}, {"lv"}}})
	m, err := request(t, b, []string{"RED", "-5", "2026-01-01T00:00:00Z", "7"}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	equalJSON(t, "path", m, `{"inner": {"colour": "RED"}, "i64": "-5", "at": "2026-01-01T00:00:00Z", "lv": "7"}`)
	for i, field := range []string{"inner.colour", "i64", "at", "lv"} {
		values := []string{"RED", "5", "2026-01-01T00:00:00Z", "7"}
		values[i] = "\xff"
		_, err := request(t, b, values, "", "")
		refused(t, field, err, field)
	}
}

func TestBindingsThatAreWrong(t *testing.T) {
	for what, s := range map[string]shape{
		"no such variable":    {vars: [][]string{{"nosuch"}}},
		"a list in the path":  {vars: [][]string{{"tags"}}},
		"a map in the path":   {vars: [][]string{{"labels"}}},
		"a message":           {vars: [][]string{{"inner"}}},
		"into a list":         {vars: [][]string{{"inners", "text"}}},
		"into a scalar":       {vars: [][]string{{"s", "x"}}},
		"no such body":        {body: "nosuch"},
		"no such response":    {response: "nosuch"},
		"a body of two names": {body: "inner.text"},
	} {
		if b, err := NewBinding(method(t), s.vars, s.body, s.response, s.patch, nil); err == nil {
			t.Errorf("%s: %+v", what, b)
		}
	}
}

func TestResponse(t *testing.T) {
	in := `{"s": "a  b\" c", "i64": "5", "tags": ["x"], "inner": {"n": 0}, "labels": {"k": "v"}, "colour": "RED"}`
	for field, want := range map[string]string{
		"s": `"a  b\" c"`, "i64": `"5"`, "i32": `0`, "tags": `["x"]`, "numbers": `[]`, "labels": `{"k":"v"}`, "colour": `"RED"`,
		"inner": `{"text":"","n":0,"colour":"COLOUR_UNSPECIFIED"}`, "deep": `null`, "at": `null`, "maybe": `null`, "inners": `[]`,
	} {
		b := bind(t, shape{response: field})
		got, err := b.Response(read(t, b, in))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", field, got, err, want)
		}
	}
	b := bind(t, shape{})
	got, err := b.Response(read(t, b, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"s":""`, `"i64":"0"`, `"tags":[]`, `"labels":{}`, `"colour":"COLOUR_UNSPECIFIED"`} {
		if !strings.Contains(string(got), part) {
			t.Errorf("%s lacks %s", got, part)
		}
	}
	for _, part := range []string{"null", "inner\"", "maybe", "handle", " "} {
		if strings.Contains(string(got), part) {
			t.Errorf("%s has %s", got, part)
		}
	}
}

func read(t *testing.T, b *Binding, text string) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(b.Output)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}
