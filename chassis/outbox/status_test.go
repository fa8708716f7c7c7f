package outbox_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
)

func TestReadStatus(t *testing.T) {
	datatest.Each(t, "status", nil, func(t *testing.T, db *sql.DB) {
		if s, err := outbox.ReadStatus(t.Context(), db); err != nil || s != (outbox.Status{}) {
			t.Fatalf("of nothing: %+v, %v", s, err)
		}
		for _, q := range []string{
			`INSERT INTO outbox (key, seq, event_id, topic, prior, traceparent, body, created_at, published_at, tries) VALUES
				('a', 1, 'e1', 'x', '', '', '', 5, 9, 0), ('a', 2, 'e2', 'x', '', '', '', 7, 0, 3), ('b', 1, 'e3', 'x', '', '', '', 6, 0, 0)`,
			`INSERT INTO inbox (consumer, event_id, topic, applied_at) VALUES ('c', 'e5', 'x', 1)`,
			`INSERT INTO inbox_wait (consumer, event_id, since, times) VALUES ('c', 'e4', 1, 1), ('c', 'e5', 1, 1)`,
			`INSERT INTO inbox_gap (consumer, key, topic, first, last, made_at, why) VALUES ('c', 'a', 'x', 0, 1, 1, 'dead'),
				('c', 'b', 'x', 0, 1, 1, 'missing'), ('c', 'd', 'x', 0, 1, 1, 'before'), ('c', 'e', 'x', 0, 1, 1, 'dead')`,
		} {
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		want := outbox.Status{
			Pending: 2, Retried: 1, Oldest: time.UnixMicro(6).UTC(), Unconfirmed: 1, Waiting: 1, Dead: 2, Missing: 1,
		}
		if s, err := outbox.ReadStatus(t.Context(), db); err != nil || s != want {
			t.Errorf("%+v, %v; want %+v", s, err, want)
		}
	}, outbox.Schema())
}
