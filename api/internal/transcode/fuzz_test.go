package transcode

import (
	"net/url"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/problem"
)

// check says that a decoder's answer is an InvalidArgument, or a message that can go over the wire and back.
func check(t *testing.T, b *Binding, m *dynamicpb.Message, err error) {
	t.Helper()
	if err != nil {
		if p := problem.From(err); p.Code != codes.InvalidArgument {
			t.Fatalf("%v is no InvalidArgument", err)
		}
		return
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("a request that can't be sent: %v", err)
	}
	again := dynamicpb.NewMessage(b.Input)
	if err := proto.Unmarshal(wire, again); err != nil {
		t.Fatalf("a request that can't be read: %v", err)
	}
}

// FuzzQuery: no query makes the decoder panic, and what it takes can be sent.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"s=a&i32=1", "inner.inner.text=x", "tags=a&tags=b", "at=2026-01-01T00:00:00Z", "wait=1.5s", "update_mask=a,b.c", "raw=YQ==", "colour=RED",
		"bv=true&lv=5&dv=1e5", "deep.text=x&id=1", "displayName=x", "sv=%22%5c%00", "d=NaN", "s=%ff",
	} {
		f.Add(s)
	}
	b := bind(f, shape{vars: [][]string{{"u64"}}})
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		m, err := b.Request([]string{"7"}, q, nil)
		check(t, b, m, err)
	})
}

// FuzzBody: no body makes the decoder panic, whatever it is bound to, and what it takes can be sent.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"s": "x", "i64": "5"}`, `{"inner": {"inner": {"n": 1}}}`, `["a"]`, `"x"`, `{"any": {"a": [1, null, {}]}}`, `{"d": "NaN", "raw": "YQ"}`,
		`{"updateMask": "a,bC"}`, `[],"s":"x"`, "\xff", `{"text": "", "colour": "RED"}`, `null`,
	} {
		f.Add([]byte(s))
	}
	var all []*Binding
	for _, s := range []shape{{body: "*"}, {body: "tags"}, {body: "s"}, {body: "inner", patch: true}, {vars: [][]string{{"s"}}, body: "*"}} {
		all = append(all, bind(f, s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range all {
			m, err := b.Request(make([]string, len(b.Vars)), nil, body)
			check(t, b, m, err)
		}
	})
}

// FuzzResponse: what a service answers is one line of JSON, whatever is in it.
func FuzzResponse(f *testing.F) {
	f.Add("x", int64(1), []byte("raw"))
	f.Add("a\nb\u2028\\\"", int64(-1), []byte{0xff})
	b := bind(f, shape{})
	f.Fuzz(func(t *testing.T, s string, n int64, raw []byte) {
		m := dynamicpb.NewMessage(b.Output)
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(append(wire, raw...), m); err != nil {
			return
		}
		out, err := b.Response(m)
		if err != nil {
			return // a Timestamp out of its range, text that is not UTF-8
		}
		for _, c := range out {
			if c == '\n' {
				t.Fatalf("more than one line: %q", out)
			}
		}
	})
}
