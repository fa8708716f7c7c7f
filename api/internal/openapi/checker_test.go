package openapi

import (
	"math"
	"regexp"
	"slices"
	"testing"
)

// checker holds values against the keywords of JSON Schema that the document uses.
type checker struct {
	t       *testing.T
	schemas object
}

func (c checker) check(where string, s object, v any) {
	c.t.Helper()
	if ref, ok := s["$ref"].(string); ok {
		s = c.schemas[ref[len("#/components/schemas/"):]].(object)
	}
	if want, ok := s["type"]; ok && !slices.ContainsFunc(either(want), func(x any) bool { return typed(x, v) }) {
		c.t.Errorf("%s: %v is not of type %v", where, v, want)
		return
	}
	switch v := v.(type) {
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			c.t.Errorf("%s: %q doesn't match %s", where, v, p)
		}
		if e, ok := s["enum"].([]any); ok && !slices.Contains(e, any(v)) {
			c.t.Errorf("%s: %q is none of %v", where, v, e)
		}
	case float64:
		if low, ok := s["minimum"].(float64); ok && v < low {
			c.t.Errorf("%s: %v is less than %v", where, v, low)
		}
	case []any:
		for _, x := range v {
			if items, ok := s["items"].(object); ok {
				c.check(where+"[]", items, x)
			}
		}
	case object:
		c.object(where, s, v)
	}
}

func (c checker) object(where string, s, v object) {
	c.t.Helper()
	props, _ := s["properties"].(object)
	for k, x := range v {
		if p, ok := props[k].(object); ok {
			c.check(where+"."+k, p, x)
			continue
		}
		switch more := s["additionalProperties"].(type) {
		case bool:
			if !more {
				c.t.Errorf("%s: %s is not in the schema", where, k)
			}
		case object:
			c.check(where+"."+k, more, x)
		}
	}
}

func typed(want, v any) bool {
	switch v := v.(type) {
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == math.Trunc(v)
	case []any:
		return want == "array"
	case object:
		return want == "object"
	}
	return false
}
