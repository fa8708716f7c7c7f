package openapi

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth   = 6   // of an example
	maxExample = 400 // characters of a text in an example that nobody asked to be so long
)

// example is a value that a schema allows, always the same, and as telling as a field's name makes it; ok is false when there is none.
func (b *builder) example(s object, name string, depth int) (v any, ok bool) {
	if target, is := s["$ref"].(string); is {
		s, _ = b.schemas[strings.TrimPrefix(target, b.prefix)].(object)
	}
	if depth > maxDepth {
		return nil, false
	}
	if list, is := s["enum"].([]string); is {
		if len(list) > 1 && strings.HasSuffix(list[0], "_UNSPECIFIED") {
			return list[1], true
		}
		return list[0], true
	}
	kind, _ := s["type"].(string)
	if either, is := s["type"].([]string); is {
		kind = either[0]
	}
	switch kind {
	case "object":
		return b.exampleObject(s, name, depth)
	case "array":
		items, _ := s["items"].(object)
		x, ok := b.example(items, singular(name), depth+1)
		if !ok {
			return []any{}, s["minItems"] == nil
		}
		return []any{x}, true
	case "integer", "number":
		return exampleNumber(s, ""), true
	case "boolean":
		return true, true
	case "string":
		return exampleString(s, name), true
	}
	return name, true
}

func (b *builder) exampleObject(s object, name string, depth int) (any, bool) {
	out := object{}
	if more, is := s["additionalProperties"].(object); is {
		if x, ok := b.example(more, name, depth+1); ok {
			out["key"] = x
		}
		return out, true
	}
	props, _ := s["properties"].(object)
	if props["@type"] != nil {
		return object{"@type": "type.googleapis.com/google.protobuf.Empty", "value": object{}}, true
	}
	required, _ := s["required"].([]string)
	for field, p := range props {
		sub, _ := p.(object)
		if sub["deprecated"] == true {
			continue
		}
		if x, ok := b.example(sub, field, depth+1); ok {
			out[field] = x
		}
	}
	for _, r := range required {
		if out[r] == nil {
			return nil, false
		}
	}
	onlyOne(s, out)
	return out, true
}

// onlyOne takes what excludes each other out of an example: the later of each two.
func onlyOne(s, out object) {
	not, _ := s["not"].(object)
	never, _ := not["anyOf"].([]any)
	for _, n := range never {
		if pair, _ := n.(object)["required"].([]string); len(pair) == 2 && out[pair[0]] != nil {
			delete(out, pair[1])
		}
	}
}

func singular(name string) string { return strings.TrimSuffix(name, "s") }

// exampleNumber is the least that is allowed, or one.
func exampleNumber(s object, prefix string) number {
	v := number(1)
	if low, ok := s[prefix+"minimum"].(number); ok {
		v = max(v, low)
	}
	if over, ok := s[prefix+"exclusiveMinimum"].(number); ok {
		v = max(v, over+1)
	}
	if high, ok := s[prefix+"maximum"].(number); ok {
		v = min(v, high)
	}
	if under, ok := s[prefix+"exclusiveMaximum"].(number); ok {
		v = min(v, under-1)
	}
	return v
}

func exampleString(s object, name string) string {
	format, _ := s["format"].(string)
	switch format {
	case "int64", "uint64":
		return strconv.FormatFloat(float64(exampleNumber(s, "x-")), 'f', 0, 64)
	case "uuid":
		return "0190a7c2-5d1e-7b3a-8c4f-2e6d9b0a1c57"
	case "email":
		return "ada@example.com"
	case "date-time":
		return "2026-01-02T15:04:05Z"
	case "uri":
		return "https://shop.example/" + name
	case "hostname":
		return "shop.example"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	}
	if s["contentEncoding"] == "base64" {
		return "AQID"
	}
	if p, ok := s["pattern"].(string); ok {
		if text := telling(name); matches(p, text) {
			return text
		}
		if text := matching(strings.TrimPrefix(p, "^$|")); matches(p, text) {
			return text
		}
	}
	return fit(s, cmp.Or(telling(name), name, "text"))
}

// telling is what fields of a name commonly hold.
func telling(name string) string {
	lower := strings.ToLower(name)
	for _, w := range []struct{ suffix, text string }{
		{"email", "ada@example.com"}, {"pagetoken", ""}, {"updatemask", "title"}, {"url", "https://shop.example/hook"}, {"handle", "stoneware-mug"},
		{"sku", "MUG-STONE"}, {"locale", "en-GB"}, {"password", "correct horse battery staple"}, {"paymenttoken", "tok_visa"}, {"city", "London"},
		{"line1", "12 St James's Square"}, {"postalcode", "SW1Y 4JH"}, {"requestid", "0190a7c2-5d1e-7b3a-8c4f-2e6d9b0a1c57"}, {"name", "Ada Lovelace"},
		{"title", "Stoneware mug"}, {"currency", "GBP"}, {"country", "GB"}, {"phone", "+442071234567"}, {"couponcode", "WELCOME10"}, {"quantity", "1"}, {"id", "0190a7c2-5d1e-7b3a-8c4f-2e6d9b0a1c57"},
	} {
		if strings.HasSuffix(lower, w.suffix) {
			return w.text
		}
	}
	return ""
}

// fit cuts a text, or repeats it, until it has a length that is allowed.
func fit(s object, text string) string {
	if low, ok := s["minLength"].(uint64); ok {
		for uint64(utf8.RuneCountInString(text)) < low { //nolint:gosec // a count
			text += "-" + text
		}
	}
	if high, ok := s["maxLength"].(uint64); ok && uint64(len(text)) > high {
		text = text[:high]
	}
	return text[:min(len(text), maxExample)]
}

func matches(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text)
}

// matching is a short text that a pattern allows; "" for a pattern that is none.
func matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	spell(&b, re)
	return b.String()
}

func spell(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(letter(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			spell(b, sub)
		}
	case syntax.OpAlternate, syntax.OpPlus:
		spell(b, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			spell(b, re.Sub[0])
		}
	default: // a star, a question mark, an anchor: nothing
	}
}

// letter is a character of a class, a letter when there is one.
func letter(class []rune) rune {
	for _, want := range []rune{'a', 'A', '1'} {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= want && want <= class[i+1] {
				return want
			}
		}
	}
	return class[0]
}
