package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

const deliveryColumns = `d.id, d.endpoint_id, d.message_id, m.type, d.state, d.attempts, d.status, d.why, d.created_at, d.updated_at, d.next_at`

func deliveries(ctx context.Context, q querier, tail string, args ...any) ([]hooks.Delivery, error) {
	var out []hooks.Delivery
	err := each(ctx, q, func(rows *sql.Rows) error {
		d, err := delivery(rows)
		out = append(out, d)
		return err
	}, "SELECT "+deliveryColumns+" FROM delivery d JOIN message m ON m.id = d.message_id "+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return out, nil
}

// delivery scans the deliveryColumns, and what follows them.
func delivery(rows *sql.Rows, more ...any) (hooks.Delivery, error) {
	var d hooks.Delivery
	var created, updated, next int64
	err := rows.Scan(append([]any{
		&d.ID, &d.EndpointID, &d.EventID, &d.Type, &d.State, &d.Attempts, &d.Status, &d.Why, &created, &updated, &next,
	}, more...)...)
	d.Created, d.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if next > 0 {
		d.Next = time.UnixMicro(next).UTC()
	}
	return d, err
}

// FanOut writes a message, and a delivery for each endpoint that wants it, in the caller's transaction. Nothing when nobody does.
func FanOut(ctx context.Context, tx *sql.Tx, m hooks.Message, now time.Time, newID func() (string, error)) error {
	all, err := endpoints(ctx, tx, "WHERE disabled = 0")
	if err != nil {
		return err
	}
	at := now.UnixMicro()
	kept := false
	for _, e := range all {
		if !e.Wants(m.Type) {
			continue
		}
		if !kept {
			kept = true
			if _, err := tx.ExecContext(ctx, "INSERT INTO message (id, type, body, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
				m.ID, m.Type, string(m.Body), at); err != nil {
				return fmt.Errorf("write a message: %w", err)
			}
		}
		id, err := newID()
		if err != nil {
			return fmt.Errorf("make a delivery id: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO delivery (id, endpoint_id, message_id, state, created_at, updated_at, next_at)
			VALUES ($1, $2, $3, 'PENDING', $4, $4, $4) ON CONFLICT (endpoint_id, message_id) DO NOTHING`, id, e.ID, m.ID, at); err != nil {
			return fmt.Errorf("write a delivery: %w", err)
		}
	}
	return nil
}

// Deliveries implements hooks.Store.
func (s *Store) Deliveries(ctx context.Context, endpointID string, only hooks.State, before hooks.Cursor, limit int) ([]hooks.Delivery, error) {
	args := []any{endpointID, start(before), before.ID, limit}
	tail := "WHERE d.endpoint_id = $1 AND (d.created_at < $2 OR (d.created_at = $2 AND d.id < $3))"
	if only != "" {
		tail += " AND d.state = $5"
		args = append(args, string(only))
	}
	return deliveries(ctx, s.db, tail+" ORDER BY d.created_at DESC, d.id DESC LIMIT $4", args...)
}

const again = "UPDATE delivery SET state = 'PENDING', attempts = 0, status = 0, why = '', updated_at = $1, next_at = $1 "

// Replay implements hooks.Store.
func (s *Store) Replay(ctx context.Context, id string, now time.Time) (d hooks.Delivery, ok, disabled bool, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, again+"WHERE id = $2 AND EXISTS (SELECT 1 FROM endpoint e WHERE e.id = endpoint_id AND e.disabled = 0)",
			now.UnixMicro(), id)
		if err != nil {
			return fmt.Errorf("replay a delivery: %w", err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return fmt.Errorf("replay a delivery: %w", err)
		}
		d, ok, err = first(deliveries(ctx, tx, "WHERE d.id = $1", id))
		disabled = ok && n == 0
		return err
	})
	return d, ok, disabled, err
}

// ReplayDead implements hooks.Store.
func (s *Store) ReplayDead(ctx context.Context, endpointID string, since, now time.Time) (n int64, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, again+"WHERE endpoint_id = $2 AND state = 'DEAD' AND created_at >= $3",
			now.UnixMicro(), endpointID, since.UnixMicro())
		if err != nil {
			return fmt.Errorf("replay deliveries: %w", err)
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}
