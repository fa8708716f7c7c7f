package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// maxKey bounds a key, in bytes.
const maxKey = 200

// ErrTooLong says that an event is longer than events.MaxMessage: no broker takes it.
var ErrTooLong = errors.New("the event is too long")

// Append writes an event in the caller's transaction: it is published when that commits, and never when it doesn't. key is the aggregate's
// id, at most 200 bytes of printable ASCII: a consumer gets the events of one key in the order in which they were appended. m has a string
// field event_id; when it is empty Append sets it to a new UUIDv7. The trace in ctx goes along. An event longer than events.MaxMessage is
// refused with [ErrTooLong].
func Append(ctx context.Context, tx *sql.Tx, key string, m proto.Message) error {
	topic := events.Topic(m)
	if err := checkKey(key); err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	id, err := eventID(m)
	if err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("append %s: encode: %w", topic, err)
	}
	if len(body) > events.MaxMessage {
		return fmt.Errorf("append %s: %d bytes, at most %d are taken: %w", topic, len(body), events.MaxMessage, ErrTooLong)
	}
	ctx, span := telemetry.StartIn(ctx, "append "+topic, telemetry.Producer)
	err = number(ctx, tx, key, id, topic, body)
	span.Done(err)
	return err
}

// number gives an event its place in the order of its key, and writes it.
func number(ctx context.Context, tx *sql.Tx, key, id, topic string, body []byte) error {
	var seq int64
	var prior string
	first := withLast("", topic, 1)
	err := tx.QueryRowContext(ctx, `INSERT INTO outbox_key (key, seq, last) VALUES ($1, 1, $2)
		ON CONFLICT (key) DO UPDATE SET seq = outbox_key.seq + 1 RETURNING seq, last`, key, first).Scan(&seq, &prior)
	if err != nil {
		return fmt.Errorf("append %s: number it: %w", topic, err)
	}
	if seq == 1 {
		prior = ""
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, seq, event_id, topic, prior, traceparent, body, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		key, seq, id, topic, prior, telemetry.Traceparent(telemetry.Ensure(ctx)), body, time.Now().UnixMicro()); err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	if seq == 1 { // the row says so already
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE outbox_key SET last = $1 WHERE key = $2`, withLast(prior, topic, seq), key); err != nil {
		return fmt.Errorf("append %s: number it: %w", topic, err)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("the key has %d bytes, 1 to %d are taken", len(key), maxKey)
	}
	for _, r := range key {
		if r < ' ' || r > '~' {
			return fmt.Errorf("key %q: character %q is not taken", key, r)
		}
	}
	return nil
}

// eventIDField is m's string field event_id.
func eventIDField(m proto.Message) (protoreflect.FieldDescriptor, error) {
	f := m.ProtoReflect().Descriptor().Fields().ByName("event_id")
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return nil, errors.New("it has no string field event_id")
	}
	return f, nil
}

// readEventID fails when there is none.
func readEventID(m proto.Message) (string, error) {
	f, err := eventIDField(m)
	if err != nil {
		return "", err
	}
	id := m.ProtoReflect().Get(f).String()
	if id == "" {
		return "", errors.New("its event_id is empty")
	}
	return id, nil
}

// eventID reads the field event_id, and sets it when it is empty.
func eventID(m proto.Message) (string, error) {
	f, err := eventIDField(m)
	if err != nil {
		return "", err
	}
	r := m.ProtoReflect()
	if id := r.Get(f).String(); id != "" {
		return id, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	r.Set(f, protoreflect.ValueOfString(id.String()))
	return id.String(), nil
}
