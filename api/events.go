package api

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/api/internal/policy"
	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
)

// exposedEvents are the events that contracts expose, as the newest contract of a service has them.
func (t *table) exposedEvents(list []*offer) []openapi.Event {
	var out []openapi.Event
	for _, o := range list {
		if o.contract == nil {
			continue
		}
		for _, md := range o.contract.Events {
			said, _ := proto.GetExtension(md.Options(), cleavev1.E_Event).(*cleavev1.Event)
			if !said.GetExpose() || slices.ContainsFunc(out, func(e openapi.Event) bool { return e.Desc.FullName() == md.FullName() }) {
				continue
			}
			a := policy.Access{Public: said.GetPublic(), Scopes: said.GetScopes()}
			if a.Public && len(a.Scopes) > 0 {
				t.leftOut[string(md.FullName())+" of "+o.service+": public and scopes exclude each other"] = mistake
				continue
			}
			out = append(out, openapi.Event{Service: o.service, Topic: cmp.Or(said.GetTopic(), string(md.FullName())), Desc: md, Access: a})
		}
	}
	return out
}

// events sends /asyncapi.json.
func (x *exchange) events() {
	x.sendDocument("application/vnd.aai.asyncapi+json;version=3.0.0", func(t *table) ([]byte, string) { return t.asyncapi, t.asyncTag })
}
