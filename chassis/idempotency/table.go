package idempotency

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	response int64 = 1
	refused  int64 = 2
)

// table is the table of keys, in the transaction of one command.
type table struct {
	tx *sql.Tx
	claim
	now  time.Time
	keep time.Duration
}

// row is what is kept under a key.
type row struct {
	mark    string
	outcome int64
	body    string
}

// take inserts the claim and returns nil, or what is there already. In PostgreSQL a row that another transaction commits meanwhile makes
// this one lose, and data.Tx begins again and then sees it.
func (t table) take(ctx context.Context, mark string) (*row, error) {
	r, err := t.tx.ExecContext(ctx, `INSERT INTO idempotency_keys (scope, client_key, fingerprint, outcome, body, created_at, expires_at)
		VALUES ($1, $2, $3, 0, '', $4, $5) ON CONFLICT (scope, client_key) DO NOTHING`,
		t.scope, t.key, mark, t.now.UnixMicro(), t.now.Add(t.keep).UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("claim a key: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 1 {
		return nil, err
	}
	var before row
	var expires int64
	err = t.tx.QueryRowContext(ctx, `SELECT fingerprint, outcome, body, expires_at FROM idempotency_keys WHERE scope = $1 AND client_key = $2`,
		t.scope, t.key).Scan(&before.mark, &before.outcome, &before.body, &expires)
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	if expires > t.now.UnixMicro() {
		return &before, nil
	}
	_, err = t.tx.ExecContext(ctx, `UPDATE idempotency_keys SET fingerprint = $1, outcome = 0, body = '', created_at = $2, expires_at = $3
		WHERE scope = $4 AND client_key = $5`, mark, t.now.UnixMicro(), t.now.Add(t.keep).UnixMicro(), t.scope, t.key)
	if err != nil {
		return nil, fmt.Errorf("claim an expired key: %w", err)
	}
	return nil, nil //nolint:nilnil // there was nothing that counts
}

func (t table) keepResponse(ctx context.Context, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	return t.keepBody(ctx, response, b)
}

func (t table) keepRefusal(ctx context.Context, p *problem.Error) error {
	b, err := proto.Marshal(p.GRPCStatus().Proto())
	if err != nil {
		return fmt.Errorf("encode the refusal: %w", err)
	}
	return t.keepBody(ctx, refused, b)
}

func (t table) keepBody(ctx context.Context, outcome int64, body []byte) error {
	_, err := t.tx.ExecContext(ctx, "UPDATE idempotency_keys SET outcome = $1, body = $2 WHERE scope = $3 AND client_key = $4",
		outcome, base64.StdEncoding.EncodeToString(body), t.scope, t.key)
	if err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	return nil
}

func (t table) exec(ctx context.Context, query string) error {
	if _, err := t.tx.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// answer fills in the response, or returns the refusal.
func (r *row) answer(out proto.Message) (refusal, err error) {
	b, err := base64.StdEncoding.DecodeString(r.body)
	if err != nil {
		return nil, fmt.Errorf("read a kept answer: %w", err)
	}
	switch r.outcome {
	case response:
		err = proto.Unmarshal(b, out)
	case refused:
		var s spb.Status
		if err = proto.Unmarshal(b, &s); err != nil {
			break
		}
		if p := problem.FromStatus(status.FromProto(&s)); p != nil {
			return p, nil
		}
		err = errors.New("it is a refusal without a code")
	default:
		err = errors.New("its outcome is not known")
	}
	if err != nil {
		return nil, fmt.Errorf("read a kept answer: %w", err)
	}
	return nil, nil
}

// sweep deletes a batch of expired keys, and says how many it was.
func sweep(ctx context.Context, db *sql.DB, now time.Time) (int64, error) {
	// The first condition stands again outside: of a row that is renewed meanwhile PostgreSQL looks at that one only.
	r, err := db.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE expires_at <= $1 AND (scope, client_key) IN (
		SELECT scope, client_key FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, now.UnixMicro(), int64(sweepBatch))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
