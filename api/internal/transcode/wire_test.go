package transcode

import (
	"bytes"
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// shapes are bindings of every kind.
func shapes() []shape {
	return []shape{
		{}, {body: "*"}, {body: "inner"}, {body: "tags"}, {body: "s"}, {body: "inner", patch: true}, {body: "deep"}, {body: "any"},
		{vars: [][]string{{"s"}}}, {vars: [][]string{{"id"}}}, {vars: [][]string{{"id"}}, body: "*"}, {vars: [][]string{{"inner", "text"}}, body: "inner"},
		{vars: [][]string{{"maybe"}, {"i64"}}, body: "deep"}, {vars: [][]string{{"s32"}, {"colour"}}, body: "*"}, {vars: [][]string{{"at"}}},
	}
}

// sameRequest compares what Encode and Request make.
func sameRequest(t *testing.T, b *Binding, values []string, query, body string) {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		return
	}
	if !b.HasBody() {
		body = "" // the gateway has refused it
	}
	want, wrong := b.Request(values, q, []byte(body))
	got, err := b.Encode(values, q, []byte(body))
	if wrong != nil || err != nil {
		if wrong == nil || err == nil || wrong.Error() != err.Error() {
			t.Fatalf("%v %s %s: Encode says %v, Request %v", values, query, body, err, wrong)
		}
		return
	}
	m := dynamicpb.NewMessage(b.Input)
	if err := proto.Unmarshal(got.Wire(), m); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(m, want) {
		t.Fatalf("%v %s %s: Encode makes %v, Request %v", values, query, body, m, want)
	}
}

func TestEncodeMakesWhatRequestMakes(t *testing.T) {
	for _, s := range shapes() {
		b := bind(t, s)
		for _, value := range []string{"", "5", "x", "RED", "2026-01-01T00:00:00Z", "\xff"} {
			values := make([]string, len(b.Vars))
			for i := range values {
				values[i] = value
			}
			for _, query := range []string{"", "i32=1&tags=a&tags=b", "d=-0&f=-0.0", "s=x", "id=a", "id=a&handle=b", "display_name=x&displayName=y", "inner.text=x",
				"i32=x", "u64=0&b=false&s=", "maybe=", "colours=RED&colours=1&numbers=-1", "at=2026-01-01T00:00:00Z", "s32=-1&f64=5&raw=YQ", "i32=1&i32=2", "nope=1"} {
				for _, body := range []string{"", " ", "{}", `{"s":"x","id":"y"}`, `{"handle":"z"}`, `{"text":"5"}`, `["a"]`, `"x"`, "null", `{"i64":"5","s32":5}`, "{", `{"nope":1}`} {
					sameRequest(t, b, values, query, body)
				}
			}
		}
	}
}

// FuzzEncode: a request is the same message, or the same error, with a message in between and without.
func FuzzEncode(f *testing.F) {
	f.Add(uint8(1), "x", "i32=1", `{"s":"x"}`)
	f.Add(uint8(10), "x", "", `{"handle":"x"}`)
	var all []*Binding
	for _, s := range shapes() {
		all = append(all, bind(f, s))
	}
	f.Fuzz(func(t *testing.T, which uint8, value, query, body string) {
		b := all[int(which)%len(all)]
		values := make([]string, len(b.Vars))
		for i := range values {
			values[i] = value
		}
		sameRequest(t, b, values, query, body)
	})
}

func TestJSONWritesWhatResponseWrites(t *testing.T) {
	for _, s := range []shape{{}, {response: "inner"}, {response: "tags"}, {response: "s"}, {response: "any"}, {response: "maybe"}} {
		b := bind(t, s)
		for _, doc := range []string{`{}`, `{"inner":{}}`, `{"inner":{"text":"x"},"tags":["a"],"s":"y","any":{"a":[1,{"b":null}]},"maybe":""}`} {
			in := read(t, b, doc)
			wire, err := proto.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := b.Response(in)
			if err != nil {
				t.Fatal(err)
			}
			answer := b.Answer()
			if err := proto.Unmarshal(wire, answer); err != nil {
				t.Fatal(err)
			}
			if got, err := b.JSON(answer); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %s, %v; want %s", doc, got, err, want)
			}
			twice := b.Answer()
			if err := proto.Unmarshal(append(wire, wire...), twice); err != nil {
				t.Fatal(err)
			}
			if _, err := b.JSON(twice); err != nil {
				t.Errorf("%s, merged with itself: %v", doc, err)
			}
		}
		broken := b.Answer()
		if err := proto.Unmarshal([]byte{0xff}, broken); err != nil {
			t.Fatal(err)
		}
		if got, err := b.JSON(broken); err == nil {
			t.Errorf("an answer that is no message is %s", got)
		}
	}
}

// BenchmarkGetProduct is what the gateway does for GET /v1/products/{id}, without the call.
func BenchmarkGetProduct(b *testing.B) {
	md := catalogv1.File_shop_catalog_v1_catalog_proto.Services().ByName("Catalog").Methods().ByName("GetProduct")
	binding, err := NewBinding(md, [][]string{{"id"}}, "", "", false, nil)
	if err != nil {
		b.Fatal(err)
	}
	wire, err := proto.Marshal(&catalogv1.Product{Id: "019a9d5e-6c1f-7b1e-9a55-3f2b8a7c1d00", Handle: "enamel-mug", Title: "Enamel mug"})
	if err != nil {
		b.Fatal(err)
	}
	values := []string{"019a9d5e-6c1f-7b1e-9a55-3f2b8a7c1d00"}
	b.Run("wire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := binding.Encode(values, nil, nil); err != nil {
				b.Fatal(err)
			}
			out := binding.Answer()
			if err := proto.Unmarshal(wire, out); err != nil {
				b.Fatal(err)
			}
			if _, err := binding.JSON(out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			in, err := binding.Request(values, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := proto.Marshal(in); err != nil {
				b.Fatal(err)
			}
			out := dynamicpb.NewMessage(binding.Output)
			if err := proto.Unmarshal(wire, out); err != nil {
				b.Fatal(err)
			}
			if _, err := binding.Response(out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
