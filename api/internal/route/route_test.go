package route

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestParseAccepts(t *testing.T) {
	for _, c := range []struct{ in, shape, vars string }{
		{"/v1/products", "/v1/products", ""},
		{"/v1/products/{id}", "/v1/products/*", "id[2:3]"},
		{"/v1/products:batchImport", "/v1/products:batchImport", ""},
		{"/v1/{name=shelves/*}", "/v1/shelves/*", "name[1:3]"},
		{"/v1/{name=shelves/*/books/*}:move", "/v1/shelves/*/books/*:move", "name[1:5]"},
		{"/v1/{name=shelves/**}", "/v1/shelves/**", "name[1:3]+"},
		{"/v1/{name=**}:get", "/v1/**:get", "name[1:2]+"},
		{"/v1/products/{product.id}", "/v1/products/*", "product.id[2:3]"},
		{"/**", "/**", ""},
		{"/v1/*/x", "/v1/*/x", ""},
		{"/v1/a%20b/{x=*}", "/v1/a%20b/*", "x[2:3]"},
		{"/v1/a:b/c", "/v1/a%3Ab/c", ""},
	} {
		tm, err := Parse(c.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.in, err)
			continue
		}
		if got := tm.Shape(); got != c.shape {
			t.Errorf("Parse(%q).Shape() = %q, want %q", c.in, got, c.shape)
		}
		if got := variables(tm); got != c.vars {
			t.Errorf("Parse(%q) variables = %q, want %q", c.in, got, c.vars)
		}
		if tm.String() != c.in {
			t.Errorf("String() = %q, want %q", tm.String(), c.in)
		}
	}
}

func variables(t *Template) string {
	var out []string
	for _, v := range t.Variables {
		s := strings.Join(v.Path, ".") + "[" + string(rune('0'+v.Start)) + ":" + string(rune('0'+v.End)) + "]"
		if v.Open {
			s += "+"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "v1", "/", "//", "/v1/", "/v1//x", "/v1/{id", "/v1/id}", "/v1/{}", "/v1/{1a}", "/v1/{a.}", "/v1/{a={b}}", "/v1/**/x",
		"/v1/{a=**}/x", "/v1/{a}/{a}", "/v1/x:", "/v1/a*b", "/v1/%zz", "/v1/a?b", "/v1/a b", "/v1/{a=}", "/v1/{a=b//c}", "/v1/{id}x", "/v1/x{id}",
		"/" + strings.Repeat("a/", 200) + "a",
	} {
		if tm, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", in, tm)
		}
	}
}

func tree(t testing.TB, routes ...string) *Tree[string] {
	t.Helper()
	var tr Tree[string]
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		tm, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if old, ok := tr.Add(method, tm, r); !ok {
			t.Fatalf("%s is taken by %s", r, old)
		}
	}
	return &tr
}

func TestFind(t *testing.T) {
	tr := tree(
		t, "GET /v1/products", "POST /v1/products", "GET /v1/products:search", "POST /v1/products:batchImport", "GET /v1/products/{id}",
		"PATCH /v1/products/{product.id}", "GET /v1/products/by-handle/{handle}", "GET /v1/products/new", "GET /v1/{name=shelves/*/books/*}",
		"GET /v1/{name=files/**}", "POST /v1/{name=files/**}:copy", "* /any/{x}", "PURGE /v1/products", "POST /v1/products/{id}:archive",
		"GET /v1/*/fallback", "GET /**",
	)
	for _, c := range []struct{ method, path, route, values string }{
		{"GET", "/v1/products", "GET /v1/products", ""},
		{"PURGE", "/v1/products", "PURGE /v1/products", ""},
		{"GET", "/v1/products:search", "GET /v1/products:search", ""},
		{"GET", "/v1/products/new", "GET /v1/products/new", ""},
		{"PATCH", "/v1/products/new", "PATCH /v1/products/{product.id}", "new"},
		{"GET", "/v1/products/a%2Fb%20c", "GET /v1/products/{id}", "a/b c"},
		{"GET", "/v1/products/a:b", "GET /v1/products/{id}", "a:b"},
		{"POST", "/v1/products/a:b:archive", "POST /v1/products/{id}:archive", "a:b"},
		{"GET", "/v1/products/by-handle/x", "GET /v1/products/by-handle/{handle}", "x"},
		{"GET", "/v1/%70roducts", "GET /v1/products", ""},
		{"GET", "/v1/shelves/1/books/a%2fb", "GET /v1/{name=shelves/*/books/*}", "shelves/1/books/a%2fb"},
		{"GET", "/v1/files/a/b%20c/d%2Fe%25", "GET /v1/{name=files/**}", "files/a/b c/d%2Fe%"},
		{"GET", "/v1/files", "GET /v1/{name=files/**}", "files"},
		{"POST", "/v1/files/x/y:copy", "POST /v1/{name=files/**}:copy", "files/x/y"},
		{"DELETE", "/any/1", "* /any/{x}", "1"},
		{"GET", "/v1/products/fallback", "GET /v1/products/{id}", "fallback"},
		{"GET", "/v1/other/fallback", "GET /v1/*/fallback", ""},
		{"GET", "/nowhere/at/all", "GET /**", ""},
		{"GET", "/v1/products/", "GET /**", ""},
	} {
		m, allowed, ok := tr.Find(c.method, c.path)
		if !ok || m.Value != c.route || strings.Join(m.Values, ",") != c.values {
			t.Errorf("Find(%s %s) = %q %q %v (allowed %v), want %q %q", c.method, c.path, m.Value, m.Values, ok, allowed, c.route, c.values)
		}
	}
}

func TestFindNothing(t *testing.T) {
	tr := tree(t, "GET /v1/products", "POST /v1/products", "GET /v1/products:search", "GET /v1/products/{id}")
	for _, c := range []struct {
		method, path string
		allowed      []string
	}{
		{"DELETE", "/v1/products", []string{"GET", "POST"}},
		{"POST", "/v1/products:search", []string{"GET"}},
		{"GET", "/v1/products:nosuch", nil},
		{"GET", "/v1/products/", nil},
		{"GET", "/v1//products", nil},
		{"GET", "/", nil},
		{"GET", "", nil},
		{"GET", "/v1/products/%zz", nil},
		{"GET", "*", nil},
	} {
		if m, allowed, ok := tr.Find(c.method, c.path); ok || !slices.Equal(allowed, c.allowed) {
			t.Errorf("Find(%s %s) = %q, allowed %v, %v; want allowed %v", c.method, c.path, m.Value, allowed, ok, c.allowed)
		}
	}
}

func TestAddTwice(t *testing.T) {
	tr := tree(t, "GET /v1/products/{id}")
	tm, err := Parse("/v1/products/{handle}")
	if err != nil {
		t.Fatal(err)
	}
	if old, ok := tr.Add("GET", tm, "second"); ok || old != "GET /v1/products/{id}" {
		t.Fatalf("Add = %q, %v; want the first route and false", old, ok)
	}
	if _, ok := tr.Add("PUT", tm, "put"); !ok || tr.Len() != 2 {
		t.Fatalf("another method of the same shape: %v, %d routes", ok, tr.Len())
	}
}

// FuzzTemplate: what parses, parses again to the same, and its own expansion finds it.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"/v1/{a=b/*}:c", "/**", "/v1/{x.y}", "/%41/{a=**}:b", "/a:b", "/{a}/{b=*}/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		tm, err := Parse(in)
		if err != nil {
			return
		}
		shape, err := Parse(tm.Shape())
		if err != nil && !strings.ContainsAny(in, "%") {
			t.Fatalf("the shape %q of %q doesn't parse: %v", tm.Shape(), in, err)
		}
		if err == nil && shape.Shape() != tm.Shape() {
			t.Fatalf("shape %q of %q changes to %q", tm.Shape(), in, shape.Shape())
		}
		var tr Tree[int]
		tr.Add("GET", tm, 1)
		var b strings.Builder
		for _, s := range tm.Segments {
			b.WriteByte('/')
			if s.Kind == Literal {
				b.WriteString(strings.ReplaceAll(url.PathEscape(s.Text), ":", "%3A"))
			} else {
				b.WriteString("v")
			}
		}
		if tm.Verb != "" {
			b.WriteString(":" + url.PathEscape(tm.Verb))
		}
		if m, _, ok := tr.Find("GET", b.String()); !ok || len(m.Values) != len(tm.Variables) {
			t.Fatalf("%q does not find %q: %v", b.String(), in, m)
		}
	})
}

// FuzzMatch: no path makes Find panic, and what it finds has all its values.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"/v1/products/a%2Fb", "/v1/files/", "/v1/files/a%2fb/c:copy", "/", "//", "/v1/products:search", "%", "/:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tr := tree(
			t, "GET /v1/products:search", "GET /v1/products/{id}", "GET /v1/{name=files/**}", "GET /v1/{name=files/**}:copy",
			"GET /v1/{name=shelves/*}/{b}",
		)
		m, allowed, ok := tr.Find("GET", path)
		if len(allowed) != 0 {
			t.Fatalf("allowed %v for the only method", allowed)
		}
		if !ok {
			return
		}
		_, tmpl, _ := strings.Cut(m.Value, " ")
		tm, _ := Parse(tmpl)
		if len(m.Values) != len(tm.Variables) {
			t.Fatalf("%q: %d values for %s", path, len(m.Values), m.Value)
		}
		if m.Value == "GET /v1/products/{id}" && m.Values[0] == "" {
			t.Fatalf("%q: an empty segment matched *", path)
		}
	})
}
