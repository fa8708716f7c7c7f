package contracts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cleavehq/cleave/test/harness"
)

// judge holds answers against /openapi.json, with a JSON Schema validator that knows nothing of it.
type judge struct {
	t     *testing.T
	c     *jsonschema.Compiler
	paths map[string]map[string]any // operations by path and method
	order []route

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
	seen     map[string]int // by operation and status
}

func newJudge(t *testing.T, document []byte) *judge {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{t: t, c: jsonschema.NewCompiler(), paths: map[string]map[string]any{}, compiled: map[string]*jsonschema.Schema{}, seen: map[string]int{}}
	j.c.AssertFormat()
	if err := j.c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.(map[string]any)["paths"].(map[string]any) {
		j.paths[path] = item.(map[string]any)
	}
	// What is said more closely first, as the gateway does: fewer variables, then the longer path.
	variable := regexp.MustCompile(`\\\{[^}]*\\\}`)
	for _, path := range slices.SortedFunc(maps.Keys(j.paths), func(a, b string) int {
		return cmp.Or(strings.Count(a, "{")-strings.Count(b, "{"), len(b)-len(a))
	}) {
		j.order = append(j.order, route{path, regexp.MustCompile("^" + variable.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$")})
	}
	return j
}

// route is a path of the document, and what it looks like in a request.
type route struct {
	path    string
	pattern *regexp.Regexp
}

// operation finds the path of the document that a request was for.
func (j *judge) operation(r *http.Request) string {
	for _, o := range j.order {
		if j.paths[o.path][strings.ToLower(r.Method)] != nil && o.pattern.MatchString(r.URL.EscapedPath()) {
			return o.path
		}
	}
	return ""
}

func (j *judge) answer(r *http.Request, status int, header http.Header, body []byte) {
	path := j.operation(r)
	if path == "" || len(body) == 0 {
		return
	}
	at := "/paths/" + escape(path) + "/" + strings.ToLower(r.Method) + "/responses/"
	op := j.paths[path][strings.ToLower(r.Method)].(map[string]any)
	responses := op["responses"].(map[string]any)
	key := strconv.Itoa(status)
	if responses[key] == nil {
		key = "default"
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	at += key + "/content/" + escape(media) + "/schema"
	if ref, ok := responses[key].(map[string]any)["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#") + "/content/" + escape(media) + "/schema"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen[op["operationId"].(string)+" "+strconv.Itoa(status)]++
	if key == "default" && status < 500 && status != http.StatusMethodNotAllowed {
		j.t.Errorf("%s %s: %d is not in the document: %s", r.Method, r.URL.Path, status, body)
	}
	s := j.compiled[at]
	if s == nil {
		var err error
		if s, err = j.c.Compile("openapi.json#" + at); err != nil {
			j.t.Errorf("%s %s: %d %s: %v", r.Method, r.URL.Path, status, media, err)
			return
		}
		j.compiled[at] = s
	}
	for line := range bytes.Lines(body) {
		if media != "application/x-ndjson" {
			line = body
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			j.t.Errorf("%s %s: %d isn't what the document says: %v\n%s", r.Method, r.URL.Path, status, err, line)
		}
		if media != "application/x-ndjson" {
			return
		}
	}
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// TestAnswersAreWhatTheDocumentSays: every answer of a shop in which customers buy, cancel and return is valid by /openapi.json, and so is every
// example in it.
func TestAnswersAreWhatTheDocumentSays(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	document := fetch(t, s.Client, "/openapi.json")
	j := newJudge(t, document)
	s.Seen = j.answer
	harness.Story(t, s.Client)
	harness.After(t, s.Client)
	harness.Errands(t, s.Client)
	t.Logf("%d kinds of answers, of %d paths", len(j.seen), len(j.paths))
	harness.Figure(t, "contract_kinds_of_answers", float64(len(j.seen)), 1e9, "kinds")
	if len(j.seen) < 30 {
		t.Errorf("only %v", slices.Sorted(maps.Keys(j.seen)))
	}
	j.examples()
}

// examples holds every example against the schema beside it.
func (j *judge) examples() {
	n := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if x, ok := v["example"]; ok && v["schema"] != nil {
				n++
				s, err := j.c.Compile("openapi.json#" + at + "/schema")
				if err == nil {
					err = s.Validate(x)
				}
				if err != nil {
					raw, _ := json.Marshal(x)
					j.t.Errorf("the example at %s: %v\n%s", at, err, raw)
				}
			}
			for k, x := range v {
				walk(at+"/"+escape(k), x)
			}
		case []any:
			for i, x := range v {
				walk(at+"/"+strconv.Itoa(i), x)
			}
		}
	}
	for path, item := range j.paths {
		walk("/paths/"+escape(path), any(item))
	}
	if n < 100 {
		j.t.Errorf("%d examples only", n)
	}
}
