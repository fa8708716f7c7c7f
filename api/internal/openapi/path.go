package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/api/internal/route"
)

// item is one path of the document and its operations. Templates that match the same requests are one path, whatever their variables are
// called: OpenAPI has no room for both /products/{id} and /products/{product.id}. The first template gives the names.
type item struct {
	path    string
	names   map[int]string // of the parameters, by segment
	methods object
}

func newItem(t *route.Template) *item {
	it := &item{names: map[int]string{}, methods: object{}}
	var b strings.Builder
	for i, s := range t.Segments {
		b.WriteByte('/')
		if s.Kind == route.Literal {
			b.WriteString(escape(s.Text))
			continue
		}
		it.names[i] = it.unique(nameOf(t, i))
		b.WriteString("{" + it.names[i] + "}")
	}
	if t.Verb != "" {
		b.WriteString(":" + escape(t.Verb))
	}
	it.path = b.String()
	return it
}

// escape keeps braces and all else that is not a path's out of a literal.
func escape(s string) string { return strings.ReplaceAll(url.PathEscape(s), ":", "%3A") }

// nameOf is what the wildcard at segment i is called: the field that it sets, with a number when it sets a part of it.
func nameOf(t *route.Template, i int) string {
	v, ok := variableAt(t, i)
	if !ok {
		return "_" + strconv.Itoa(i)
	}
	name := strings.Join(v.Path, ".")
	before, all := 0, 0
	for j := v.Start; j < v.End; j++ {
		if t.Segments[j].Kind != route.Literal {
			if all++; j < i {
				before++
			}
		}
	}
	if all > 1 {
		name += "_" + strconv.Itoa(before+1)
	}
	return name
}

func variableAt(t *route.Template, i int) (route.Variable, bool) {
	for _, v := range t.Variables {
		if i >= v.Start && i < v.End {
			return v, true
		}
	}
	return route.Variable{}, false
}

func (it *item) unique(name string) string {
	for _, have := range it.names {
		if have == name {
			return it.unique(name + "_")
		}
	}
	return name
}

// path lists the parameters in the path.
func (b *builder) path(op Operation, it *item) []object {
	var out []object
	for i, s := range op.Template.Segments {
		if s.Kind == route.Literal {
			continue
		}
		p := object{"name": it.names[i], "in": "path", "required": true, "schema": object{"type": "string"}}
		var notes []string
		v, ok := variableAt(op.Template, i)
		n := slices.IndexFunc(op.Template.Variables, func(w route.Variable) bool { return w.Start == v.Start })
		switch field := strings.Join(v.Path, "."); {
		case !ok:
			notes = append(notes, "Not looked at.")
		case v.End-v.Start == 1 && s.Kind == route.Single:
			fields := op.Binding.Vars[n]
			p["schema"] = b.field(fields[len(fields)-1])
			if field != it.names[i] {
				notes = append(notes, fmt.Sprintf("Sets %s.", field))
			}
		default:
			notes = append(notes, fmt.Sprintf("A part of %s.", field))
		}
		if s.Kind == route.Multi {
			notes = append(notes, "May hold slashes, and may be empty.")
		}
		if len(notes) > 0 {
			p["description"] = strings.Join(notes, " ")
		}
		out = append(out, p)
	}
	return out
}
