package route

import (
	"net/url"
	"slices"
	"strings"
)

// AnyMethod is the custom kind "*": the route answers every method that no other route of the same precedence answers.
const AnyMethod = "*"

// Tree finds the route of a path. Build it with Add; after that it may be read from many goroutines.
//
// When several templates match, the first difference from the left decides: a literal goes before "*", and "*" before "**". A path
// whose last segment ends in ":verb" is tried with that verb first, and then as a path without a verb. Only a route that answers the
// method counts, so that POST /v1/products/{id} is reachable although GET /v1/products/new exists.
type Tree[T any] struct {
	root node[T]
	size int
}

type node[T any] struct {
	literals map[string]*node[T]
	single   *node[T]
	multi    *node[T]
	// routes by verb, then by method.
	routes map[string]map[string]*entry[T]
}

type entry[T any] struct {
	template *Template
	value    T
}

// Match is what Find found.
type Match[T any] struct {
	Value T
	// Values of the template's variables, in its order, decoded.
	Values []string
}

// Add puts a route in. When a route of the same method and shape is there it changes nothing, and returns that one and false.
func (t *Tree[T]) Add(method string, tmpl *Template, value T) (T, bool) {
	n := &t.root
	for _, s := range tmpl.Segments {
		n = n.child(s)
	}
	if n.routes == nil {
		n.routes = map[string]map[string]*entry[T]{}
	}
	byMethod := n.routes[tmpl.Verb]
	if byMethod == nil {
		byMethod = map[string]*entry[T]{}
		n.routes[tmpl.Verb] = byMethod
	}
	if e, taken := byMethod[method]; taken {
		return e.value, false
	}
	byMethod[method] = &entry[T]{template: tmpl, value: value}
	t.size++
	return value, true
}

// Len is the number of routes.
func (t *Tree[T]) Len() int { return t.size }

func (n *node[T]) child(s Segment) *node[T] {
	switch s.Kind {
	case Single:
		if n.single == nil {
			n.single = &node[T]{}
		}
		return n.single
	case Multi:
		if n.multi == nil {
			n.multi = &node[T]{}
		}
		return n.multi
	case Literal:
	}
	if n.literals == nil {
		n.literals = map[string]*node[T]{}
	}
	c := n.literals[s.Text]
	if c == nil {
		c = &node[T]{}
		n.literals[s.Text] = c
	}
	return c
}

// Find looks for the route of a method and a percent-encoded path (URL.EscapedPath). A path that is known, but not with this method,
// gives the methods that it has, sorted.
//
// It visits each node of the tree at most twice: a path can't make it slow.
func (t *Tree[T]) Find(method, path string) (m Match[T], allowed []string, found bool) {
	if !strings.HasPrefix(path, "/") {
		return m, nil, false
	}
	var buf [16]string
	raw := buf[:0]
	for s := range strings.SplitSeq(path[1:], "/") {
		raw = append(raw, s)
	}
	s := search[T]{method: method, raw: raw, plain: raw}
	if strings.Contains(path, "%") && !s.decode() {
		return m, nil, false
	}
	last := len(raw) - 1
	if i := strings.LastIndexByte(raw[last], ':'); i >= 0 {
		whole, plain := raw[last], s.plain[last]
		verb, err := url.PathUnescape(whole[i+1:])
		head, err2 := url.PathUnescape(whole[:i])
		if err == nil && err2 == nil && verb != "" {
			s.verb, raw[last], s.plain[last] = verb, whole[:i], head
			if e := s.walk(&t.root, 0); e != nil {
				return s.match(e), nil, true
			}
			s.verb, raw[last], s.plain[last] = "", whole, plain
		}
	}
	if e := s.walk(&t.root, 0); e != nil {
		return s.match(e), nil, true
	}
	slices.Sort(s.allowed)
	return m, slices.Compact(s.allowed), false
}

// search is one Find: the segments as they came and decoded, which are the same when nothing is encoded.
type search[T any] struct {
	method, verb string
	raw, plain   []string
	allowed      []string
}

func (s *search[T]) decode() bool {
	s.plain = make([]string, len(s.raw))
	for i, r := range s.raw {
		p, err := url.PathUnescape(r)
		if err != nil {
			return false
		}
		s.plain[i] = p
	}
	return true
}

func (s *search[T]) walk(n *node[T], i int) *entry[T] {
	if i == len(s.raw) {
		if e := s.leaf(n); e != nil {
			return e
		}
	} else {
		if c := n.literals[s.plain[i]]; c != nil {
			if e := s.walk(c, i+1); e != nil {
				return e
			}
		}
		if n.single != nil && s.raw[i] != "" {
			if e := s.walk(n.single, i+1); e != nil {
				return e
			}
		}
	}
	if n.multi != nil {
		return s.leaf(n.multi)
	}
	return nil
}

func (s *search[T]) leaf(n *node[T]) *entry[T] {
	byMethod := n.routes[s.verb]
	if e := byMethod[s.method]; e != nil {
		return e
	}
	if e := byMethod[AnyMethod]; e != nil {
		return e
	}
	for m := range byMethod {
		s.allowed = append(s.allowed, m)
	}
	return nil
}

func (s *search[T]) match(e *entry[T]) Match[T] {
	m := Match[T]{Value: e.value}
	for _, v := range e.template.Variables {
		switch {
		case v.Open:
			m.Values = append(m.Values, joinMulti(s.raw[min(v.Start, len(s.raw)):]))
		case v.Multi():
			m.Values = append(m.Values, joinMulti(s.raw[v.Start:v.End]))
		default:
			m.Values = append(m.Values, s.plain[v.Start])
		}
	}
	return m
}

// joinMulti decodes the segments of a variable that may hold several: all but %2F, which would become a slash that separates.
func joinMulti(raw []string) string {
	out := make([]string, len(raw))
	for i, r := range raw {
		var b strings.Builder
		for r != "" {
			j := indexSlash(r)
			part, _ := url.PathUnescape(r[:j]) // decode has tried it
			b.WriteString(part)
			if r = r[j:]; r != "" {
				b.WriteString(r[:3])
				r = r[3:]
			}
		}
		out[i] = b.String()
	}
	return strings.Join(out, "/")
}

// indexSlash finds the first %2F or %2f, or the end.
func indexSlash(s string) int {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' {
			if s[i+1] == '2' && (s[i+2] == 'F' || s[i+2] == 'f') {
				return i
			}
			i += 2
		}
	}
	return len(s)
}
