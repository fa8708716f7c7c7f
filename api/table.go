package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/route"
	"github.com/cleavehq/cleave/api/internal/transcode"
	"github.com/cleavehq/cleave/chassis/schema"
)

// endpoint is where a route leads.
type endpoint struct {
	service  string // in the registry
	name     string // "Catalog.GetProduct"
	method   string // of HTTP
	template *route.Template
	desc     protoreflect.MethodDescriptor
	binding  *transcode.Binding
	policy   *policy.Policy
	control  string          // the Cache-Control header of its answers, if they are kept
	secret   bool            // the answer has a field that must not be shown
	rule     int             // which of the method's, from 0
	only     map[string]bool // the schema hashes of the instances that have the method; nil when all have it
}

// key is the same for endpoints that answer the same requests.
func (e *endpoint) key() string { return e.method + " " + e.template.Shape() }

// table is all the routes of a moment. It is not changed after newTable.
type table struct {
	tree      route.Tree[*endpoint]
	endpoints []*endpoint          // by path, then by method
	methods   map[string]*endpoint // by the names that RPC protocols have for them
	owners    map[string]string    // services by key
	leftOut   map[string]fault     // by what there is to say of it
	openapi   []byte
	etag      string
	offers    []*offer         // of which it is made
	policies  []*policy.Policy // of every method and event that is in a contract, exposed or not
	asyncapi  []byte
	asyncTag  string
	tools     tools
	topics    map[string]*topicOf
}

// fault is why a rule has no route.
type fault int

const (
	mistake  fault = iota // in the rule
	conflict              // another service has the same route
)

// newTable makes the routes of the offers, the newest contract of each service first, of those methods that a contract or an operator exposes.
// Of two services with the same route that one keeps it which had it before; among new ones, that which has been running for longer.
func newTable(list []*offer, before *table, info openapi.Info, said policy.Overrides) (*table, error) {
	t := &table{methods: map[string]*endpoint{}, owners: map[string]string{}, leftOut: map[string]fault{}, offers: list}
	list = byClaim(list)
	t.addMethods(list, before, said)
	t.addTopics(list, said)
	all := t.candidates(list, said)
	if before != nil {
		slices.SortStableFunc(all, func(a, b *endpoint) int {
			return owned(before, b) - owned(before, a)
		})
	}
	for _, e := range all {
		t.add(e)
	}
	slices.SortFunc(t.endpoints, func(a, b *endpoint) int {
		return cmp.Or(strings.Compare(a.template.String(), b.template.String()), strings.Compare(a.method, b.method))
	})
	ops := make([]openapi.Operation, 0, len(t.endpoints))
	for _, e := range t.endpoints {
		if e.desc.IsStreamingClient() {
			continue // a WebSocket is no operation of OpenAPI
		}
		ops = append(ops, openapi.Operation{Service: e.service, Method: e.method, Template: e.template, Desc: e.desc, Binding: e.binding, Policy: e.policy, Rule: e.rule})
	}
	var errs [2]error
	t.openapi, t.etag, errs[0] = openapi.Document(info, ops)
	t.asyncapi, t.asyncTag, errs[1] = openapi.Events(info, t.exposedEvents(list))
	return t, errors.Join(errs[:]...)
}

func owned(t *table, e *endpoint) int {
	if t.owners[e.key()] == e.service {
		return 1
	}
	return 0
}

// byClaim puts the service first that has been running for the longest time.
func byClaim(list []*offer) []*offer {
	since := map[string]string{}
	for _, o := range list {
		if s, ok := since[o.service]; !ok || o.oldest < s {
			since[o.service] = o.oldest
		}
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *offer) int {
		return cmp.Or(strings.Compare(since[a.service], since[b.service]), strings.Compare(a.service, b.service))
	})
	return list
}

// candidates are the endpoints of every rule, in the order of their claim.
func (t *table) candidates(list []*offer, said policy.Overrides) []*endpoint {
	var out []*endpoint
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
				for i, rule := range schema.Rules(md) {
					e, err := newEndpoint(o, md, rule)
					if err != nil {
						t.leftOut[fmt.Sprintf("%s of %s: %v", md.FullName(), o.service, err)] = mistake
						continue
					}
					e.policy, e.control, e.secret = p, control(p), secretive(md.Output(), map[protoreflect.FullName]bool{})
					e.rule = i
					e.only = havers(list, o.service, md.FullName())
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// policy is what is said of a method; nil when its contract says what can't be, and then nothing of it is exposed.
func (t *table) policy(o *offer, md protoreflect.MethodDescriptor, said policy.Overrides) *policy.Policy {
	p, err := said.Of(md)
	if err != nil {
		t.leftOut[fmt.Sprintf("%s of %s: %v", md.FullName(), o.service, err)] = mistake
		return nil
	}
	if !slices.ContainsFunc(t.policies, func(had *policy.Policy) bool { return had.Method == p.Method }) {
		t.policies = append(t.policies, &p)
	}
	return &p
}

// havers are the contracts of a service that have a method; nil when all have.
func havers(list []*offer, service string, method protoreflect.FullName) map[string]bool {
	have, all := map[string]bool{}, true
	for _, o := range list {
		if o.service != service {
			continue
		}
		if o.contract != nil && slices.ContainsFunc(o.contract.Services, func(sd protoreflect.ServiceDescriptor) bool {
			return sd.FullName() == method.Parent() && sd.Methods().ByName(method.Name()) != nil
		}) {
			have[o.hash] = true
		} else {
			all = false
		}
	}
	if all {
		return nil
	}
	return have
}

func newEndpoint(o *offer, md protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*endpoint, error) {
	method, path := verb(rule)
	if method == "" {
		return nil, errors.New("the rule has no method")
	}
	tmpl, err := route.Parse(path)
	if err != nil {
		return nil, err
	}
	vars := make([][]string, len(tmpl.Variables))
	for i, v := range tmpl.Variables {
		vars[i] = v.Path
	}
	body := rule.GetBody()
	if md.IsStreamingClient() { // reached by WebSocket, which is opened by a GET
		method, body = http.MethodGet, cmp.Or(body, "*")
	}
	b, err := transcode.NewBinding(md, vars, body, rule.GetResponseBody(), method == http.MethodPatch, o.contract.Types)
	if err != nil {
		return nil, err
	}
	b.Share(o.codec)
	return &endpoint{
		service: o.service, name: string(md.Parent().Name()) + "." + string(md.Name()), method: method, template: tmpl, desc: md, binding: b,
	}, nil
}

func (t *table) add(e *endpoint) {
	shape := e.template.Shape()
	if isOwn(shape) {
		t.leftOut[fmt.Sprintf("%s of %s: %s is the gateway's own", e.desc.FullName(), e.service, shape)] = conflict
		return
	}
	if had, ok := t.tree.Add(e.method, e.template, e); !ok {
		if had.service != e.service { // else it is of an older contract
			t.leftOut[fmt.Sprintf("%s of %s: %s has %s %s", e.desc.FullName(), e.service, had.service, e.method, e.template)] = conflict
		}
		return
	}
	t.endpoints = append(t.endpoints, e)
	t.owners[e.key()] = e.service
}

// verb returns the HTTP method and the path of a rule.
func verb(rule *annotations.HttpRule) (method, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}
