package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Status is how a module's events stand: those that it sends, and those that its consumers get.
type Status struct {
	// Pending events are not at the broker yet; Oldest is since when the first of them is, zero when there is none. Retried are those of
	// them that the broker didn't take at least once.
	Pending, Retried int64
	Oldest           time.Time
	// Unconfirmed events are at the broker, and it isn't sure yet that every consumer has them.
	Unconfirmed int64
	// Waiting events came before an earlier one of their key, and were handed back.
	Waiting int64
	// Dead events were given up by a consumer of the module and not replayed since. Missing ones never came, and it went on without them.
	Dead, Missing int64
}

// ReadStatus reads it from the tables of [Schema]. It writes nothing.
func ReadStatus(ctx context.Context, db *sql.DB) (Status, error) {
	var s Status
	var oldest int64
	err := db.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM outbox WHERE published_at = 0), (SELECT COUNT(*) FROM outbox WHERE published_at = 0 AND tries > 0),
		(SELECT COALESCE(MIN(created_at), 0) FROM outbox WHERE published_at = 0), (SELECT COUNT(*) FROM outbox WHERE published_at > 0),
		(SELECT COUNT(*) FROM inbox_wait w WHERE NOT EXISTS (SELECT 1 FROM inbox i WHERE i.consumer = w.consumer AND i.event_id = w.event_id)),
		(SELECT COUNT(*) FROM inbox_gap WHERE why = 'dead'), (SELECT COUNT(*) FROM inbox_gap WHERE why = 'missing')`).
		Scan(&s.Pending, &s.Retried, &oldest, &s.Unconfirmed, &s.Waiting, &s.Dead, &s.Missing)
	if err != nil {
		return Status{}, fmt.Errorf("read the state of the outbox: %w", err)
	}
	if oldest > 0 {
		s.Oldest = time.UnixMicro(oldest).UTC()
	}
	return s, nil
}
