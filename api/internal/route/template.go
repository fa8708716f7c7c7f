// Package route matches URL paths against the path templates of google/api/http.proto. It knows neither HTTP servers nor protobuf.
package route

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxSegments bounds a template, so that a template from the network costs little.
const maxSegments = 128

// Kind says what one segment of a template matches.
type Kind uint8

// The kinds of segments.
const (
	// Literal matches its own text.
	Literal Kind = iota
	// Single is "*": one segment that is not empty.
	Single
	// Multi is "**": the rest of the path, which may be nothing.
	Multi
)

// Segment is one part of a template between slashes.
type Segment struct {
	Kind Kind
	// Text of a literal, percent-decoded.
	Text string
}

// Variable is a part of the path that is bound to a field.
type Variable struct {
	// Path names the field: {"product", "id"}.
	Path []string
	// Start and End are the segments it spans. With Open it also takes all that follow.
	Start, End int
	// Open is true when its last segment is "**".
	Open bool
}

// Multi says whether the variable may hold several segments: then %2F in it stays as it is (http.proto).
func (v Variable) Multi() bool { return v.Open || v.End-v.Start > 1 }

// Template is a parsed path template. It is never changed after Parse.
type Template struct {
	Segments  []Segment
	Variables []Variable
	// Verb is what follows the last colon, without it; empty when there is none.
	Verb string

	text string
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Shape is the template with its variables replaced by what they match: two templates with the same shape match the same paths.
func (t *Template) Shape() string {
	var b strings.Builder
	for _, s := range t.Segments {
		b.WriteByte('/')
		switch s.Kind {
		case Single:
			b.WriteByte('*')
		case Multi:
			b.WriteString("**")
		case Literal:
			b.WriteString(strings.ReplaceAll(url.PathEscape(s.Text), ":", "%3A")) // a bare colon would begin a verb
		}
	}
	if t.Verb != "" {
		b.WriteByte(':')
		b.WriteString(t.Verb)
	}
	return b.String()
}

// Parse reads a template:
//
//	Template  = "/" Segments [ ":" LITERAL ] ;
//	Segments  = Segment { "/" Segment } ;
//	Segment   = "*" | "**" | LITERAL | Variable ;
//	Variable  = "{" IDENT { "." IDENT } [ "=" Segments ] "}" ;
//
// "**" must be the last segment, a variable holds no other variable, and no field is bound twice.
func Parse(text string) (*Template, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("template %q: must begin with a slash", text)
	}
	p := parser{in: text[1:], t: &Template{text: text}}
	if err := p.template(); err != nil {
		return nil, fmt.Errorf("template %q: %w", text, err)
	}
	return p.t, nil
}

type parser struct {
	in string
	t  *Template
}

func (p *parser) template() error {
	p.cutVerb()
	for {
		if err := p.segment(); err != nil {
			return err
		}
		if p.in == "" {
			break
		}
		if !p.eat('/') {
			return fmt.Errorf("%q follows a segment", p.in)
		}
	}
	return p.check()
}

// cutVerb takes the verb off the end: what follows the last colon of the last segment. A colon inside a variable is none.
func (p *parser) cutVerb() {
	tail := max(strings.LastIndexByte(p.in, '/'), strings.LastIndexByte(p.in, '}'))
	if i := strings.LastIndexByte(p.in, ':'); i > tail {
		p.t.Verb, p.in = p.in[i+1:], p.in[:i]
		if p.t.Verb == "" {
			p.t.Verb = ":" // refused by check
		}
	}
}

func (p *parser) eat(c byte) bool {
	if p.in == "" || p.in[0] != c {
		return false
	}
	p.in = p.in[1:]
	return true
}

func (p *parser) segment() error {
	if p.eat('{') {
		return p.variable()
	}
	end := strings.IndexAny(p.in, "/{}")
	if end < 0 {
		end = len(p.in)
	}
	text := p.in[:end]
	p.in = p.in[end:]
	return p.plain(text)
}

// plain adds one segment that is no variable.
func (p *parser) plain(text string) error {
	if len(p.t.Segments) >= maxSegments {
		return fmt.Errorf("more than %d segments", maxSegments)
	}
	switch text {
	case "":
		return errors.New("a segment is empty")
	case "*":
		p.t.Segments = append(p.t.Segments, Segment{Kind: Single})
		return nil
	case "**":
		p.t.Segments = append(p.t.Segments, Segment{Kind: Multi})
		return nil
	}
	lit, err := literal(text)
	if err != nil {
		return err
	}
	p.t.Segments = append(p.t.Segments, Segment{Text: lit})
	return nil
}

func (p *parser) variable() error {
	inner, rest, ok := strings.Cut(p.in, "}")
	if !ok {
		return errors.New("a variable isn't closed")
	}
	p.in = rest
	name, sub, has := strings.Cut(inner, "=")
	if !has {
		sub = "*"
	}
	v := Variable{Path: strings.Split(name, "."), Start: len(p.t.Segments)}
	for _, id := range v.Path {
		if !identifier(id) {
			return fmt.Errorf("%q is no field path", name)
		}
	}
	for s := range strings.SplitSeq(sub, "/") {
		if strings.ContainsAny(s, "{}") {
			return fmt.Errorf("the variable %q holds another one", name)
		}
		if err := p.plain(s); err != nil {
			return err
		}
	}
	v.End = len(p.t.Segments)
	v.Open = p.t.Segments[v.End-1].Kind == Multi
	p.t.Variables = append(p.t.Variables, v)
	return nil
}

// check tests what spans the whole template.
func (p *parser) check() error {
	for i, s := range p.t.Segments {
		if s.Kind == Multi && i != len(p.t.Segments)-1 {
			return errors.New("** must be the last segment")
		}
	}
	seen := map[string]bool{}
	for _, v := range p.t.Variables {
		k := strings.Join(v.Path, ".")
		if seen[k] {
			return fmt.Errorf("%q is bound twice", k)
		}
		seen[k] = true
	}
	if v := p.t.Verb; v != "" {
		lit, err := literal(v)
		if err != nil || strings.ContainsAny(lit, ":/") {
			return fmt.Errorf("%q is no verb", v)
		}
		p.t.Verb = lit
	}
	return nil
}

// literal decodes and checks the text of a literal.
func literal(text string) (string, error) {
	if strings.ContainsAny(text, "*{}?#[]\\\"<>^`|") {
		return "", fmt.Errorf("%q is no literal: write reserved characters percent-encoded", text)
	}
	for _, r := range text {
		if r <= ' ' || r == 0x7f {
			return "", fmt.Errorf("%q is no literal: it holds a space or a control character", text)
		}
	}
	lit, err := url.PathUnescape(text)
	if err != nil {
		return "", fmt.Errorf("%q is no literal: %w", text, err)
	}
	return lit, nil
}

func identifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
