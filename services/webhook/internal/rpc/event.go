package rpc

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

// Event is what the module hears: a message with an id and a moment.
type Event interface {
	proto.Message
	GetEventId() string
	GetOccurredAt() *timestamppb.Timestamp
}

// FanOut writes a message and its deliveries in a transaction.
type FanOut func(ctx context.Context, tx *sql.Tx, m hooks.Message) error

// Tell returns what the module does with an event: it becomes a message of this type, and a delivery for each endpoint that wants it.
func Tell[M Event](kind string, out FanOut) func(context.Context, *sql.Tx, M) error {
	return func(ctx context.Context, tx *sql.Tx, m M) error {
		// It becomes a header that is signed; the format is what keeps a full stop out of it.
		if uuid.Validate(m.GetEventId()) != nil {
			return events.Permanent(fmt.Errorf("the id of event %q is not a UUID", m.GetEventId()))
		}
		body, err := Body(kind, m)
		if err != nil {
			return events.Permanent(fmt.Errorf("write event %s as JSON: %w", m.GetEventId(), err))
		}
		return out(ctx, tx, hooks.Message{ID: m.GetEventId(), Type: kind, Body: body})
	}
}

// Body is {"type", "timestamp", "data"}, where data is the event in protojson, as the edge writes it, without its id and its moment.
func Body(kind string, m Event) ([]byte, error) {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal(text, &data); err != nil {
		return nil, err
	}
	delete(data, "eventId")
	delete(data, "occurredAt")
	return json.Marshal(struct {
		Type      string                     `json:"type"`
		Timestamp string                     `json:"timestamp"`
		Data      map[string]json.RawMessage `json:"data"`
	}{kind, m.GetOccurredAt().AsTime().Format(time.RFC3339Nano), data}) // which also takes out the blanks that protojson puts where it likes
}
