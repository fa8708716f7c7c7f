package api

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/transcode"
)

// addMethods makes an endpoint of each method that is exposed, under its name in its contract, /package.Service/Method, and its name in the
// registry, /registryname/Service.Method. Of two services with one method the one that had it first keeps the first name.
func (t *table) addMethods(list []*offer, before *table, said policy.Overrides) {
	var all []*endpoint
	for _, o := range list {
		if o.contract == nil {
			continue
		}
		for _, sd := range o.contract.Services {
			for i := range sd.Methods().Len() {
				md := sd.Methods().Get(i)
				p := t.policy(o, md, said)
				if p == nil || !p.Expose.Value {
					continue
				}
				b, err := transcode.NewBinding(md, nil, "*", "", false, o.contract.Types)
				if err != nil {
					t.leftOut[string(md.FullName())+" of "+o.service+": "+err.Error()] = mistake
					continue
				}
				b.Share(o.codec)
				all = append(all, &endpoint{
					service: o.service, name: string(sd.Name()) + "." + string(md.Name()), desc: md, binding: b, policy: p, control: control(p),
					only: havers(list, o.service, md.FullName()), secret: secretive(md.Output(), map[protoreflect.FullName]bool{}),
				})
			}
		}
	}
	if before != nil {
		slices.SortStableFunc(all, func(a, b *endpoint) int { return ownedMethod(before, b) - ownedMethod(before, a) })
	}
	for _, e := range all {
		for _, name := range []string{e.path(), "/" + e.service + "/" + e.name} {
			if t.methods[name] == nil {
				t.methods[name] = e
			}
		}
	}
}

// path is the name of the method in its contract.
func (e *endpoint) path() string {
	return "/" + string(e.desc.Parent().FullName()) + "/" + string(e.desc.Name())
}

func ownedMethod(t *table, e *endpoint) int {
	if had := t.methods[e.path()]; had != nil && had.service == e.service {
		return 1
	}
	return 0
}

// method finds a method by any of its names: besides those of addMethods, the ones that go-micro's clients and its api make of them,
// /registryname.Service/Method, /registryname/Service/Method and /registryname/method.
func (t *table) method(path string) (*endpoint, bool) {
	if e, ok := t.methods[path]; ok {
		return e, true
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var name string
	switch {
	case len(parts) == 3:
		name = "/" + parts[0] + "/" + parts[1] + "." + parts[2]
	case len(parts) == 2 && parts[0] != "" && parts[1] != "":
		if dot := strings.LastIndexByte(parts[0], '.'); dot >= 0 {
			name = "/" + parts[0][:dot] + "/" + parts[0][dot+1:] + "." + parts[1]
		} else {
			name = "/" + parts[0] + "/" + capital(parts[0]) + "." + capital(parts[1])
		}
	}
	e, ok := t.methods[name]
	return e, ok
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
