package openapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/policy"
)

// Event is a message that a service publishes, and that the edge offers.
type Event struct {
	Service string // in the registry
	Topic   string
	Desc    protoreflect.MessageDescriptor
	Access  policy.Access
}

// Events writes an AsyncAPI 3.0 document of events, and its ETag.
func Events(info Info, events []Event) (doc []byte, etag string, err error) {
	b := &builder{prefix: inComponents, schemas: object{}}
	channels, operations, messages := object{}, object{}, object{}
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.Service, b.Service))
	})
	var tags []object
	for _, e := range events {
		name := string(e.Desc.FullName())
		text := comment(e.Desc)
		head, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), ". ")
		m := object{
			"name": name, "title": string(e.Desc.Name()), "contentType": "application/json", "payload": b.message(e.Desc),
			"tags": []object{{"name": e.Service}},
		}
		describe(m, text)
		if head != "" {
			m["summary"] = head
		}
		if x, ok := b.example(b.message(e.Desc), "", 0); ok {
			m["examples"] = []object{{"name": "example", "payload": x}}
		}
		messages[name] = m
		channels[e.Topic] = object{
			"address": e.Topic, "title": string(e.Desc.Name()), "description": fmt.Sprintf("What %s tells. %s", e.Service, text),
			"messages": object{name: object{"$ref": "#/components/messages/" + name}},
		}
		op := object{
			"action": "send", "channel": object{"$ref": "#/channels/" + e.Topic}, "summary": cmp.Or(head, name),
			"messages": []object{{"$ref": "#/channels/" + e.Topic + "/messages/" + name}}, "tags": []object{{"name": e.Service}},
		}
		if e.Access.Public {
			op["x-public"] = true
		} else {
			op["security"] = []object{{"$ref": "#/components/securitySchemes/" + byToken}, {"$ref": "#/components/securitySchemes/" + byKey}}
			if len(e.Access.Scopes) > 0 {
				op["x-scopes"] = e.Access.Scopes
			}
		}
		operations["send."+e.Topic] = op
		if !slices.ContainsFunc(tags, func(t object) bool { return t["name"] == e.Service }) {
			tags = append(tags, object{"name": e.Service})
		}
	}
	about := object{
		"title": "Cleave", "version": info.Version, "description": "What the modules that are running now tell, as they say themselves. An event may come twice, with " +
			"the same event_id, and those of one key come in order. JSON is protobuf's: a 64-bit integer is a string.",
	}
	if len(tags) > 0 {
		about["tags"] = tags
	}
	return written(object{
		"asyncapi": "3.0.0", "info": about, "defaultContentType": "application/json", "channels": channels, "operations": operations,
		"components": object{"schemas": b.schemas, "messages": messages, "securitySchemes": object{
			byToken: object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token. x-scopes says what it must have been granted."},
			byKey:   object{"type": "httpApiKey", "in": "header", "name": "X-Api-Key", "description": "A key that an operator made with `cleave apikey create`."},
		}},
	})
}
