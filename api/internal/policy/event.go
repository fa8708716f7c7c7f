package policy

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
)

// Event is the origin of what the contract of an event says.
const Event Origin = "contract: event"

// OfEvent returns the policy of an event's topic; its Method is the topic, the event's full name. An operator overrides it under that name. An
// error says what is wrong with what its contract says; such a topic must not be offered.
func (o Overrides) OfEvent(md protoreflect.MessageDescriptor) (Policy, error) {
	topic := string(md.FullName())
	p := Policy{
		Method: topic, Idempotency: "NO_SIDE_EFFECTS",
		Expose: Value[bool]{From: Default}, Access: Value[Access]{From: Default}, Timeout: Value[Duration]{From: Default},
		Rate: Value[Rates]{From: Default}, Cache: Value[Cache]{From: Default},
	}
	if said, ok := proto.GetExtension(md.Options(), cleavev1.E_Event).(*cleavev1.Event); ok && said != nil {
		expose, public := said.GetExpose(), said.GetPublic()
		l := layer{Expose: &expose, Public: &public, Scopes: said.GetScopes()}
		if err := l.validate(); err != nil {
			return p, fmt.Errorf("%s says %w", Event, err)
		}
		if t := said.GetTopic(); t != "" && t != topic {
			return p, fmt.Errorf("%s says the topic %q, and an event is published under its own name", Event, t)
		}
		p.take(l, Event)
	}
	if l, ok := o.layers[topic]; ok {
		open := !p.Expose.Value && l.Expose != nil && *l.Expose
		if p.take(l, operator(topic)); open && l.Public == nil && l.Scopes == nil {
			p.Expose.Value = false // it may hold what only modules should read
			return p, errors.New("an operator exposes what its contract doesn't, and doesn't say to whom: public or scopes")
		}
	}
	return p, nil
}

// ofTopic says what is wrong with a layer for a topic.
func (l layer) ofTopic() error {
	if l.Timeout != nil || l.Cache != nil {
		return errors.New("timeout or cache, which a topic has none of")
	}
	return nil
}
