package store

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// AddSession implements account.Tx. The ids are UUIDv7s: the order of them is the order of the logins.
func (t *tx) AddSession(ctx context.Context, s account.Session, keep int) error {
	err := t.do(ctx, "write a session", "INSERT INTO session (id, customer_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
		s.ID, s.CustomerID, micros(s.Created), micros(s.Expires))
	if err != nil {
		return err
	}
	return t.do(ctx, "delete old sessions", `DELETE FROM session WHERE customer_id = $1 AND id NOT IN
		(SELECT id FROM session WHERE customer_id = $1 ORDER BY id DESC LIMIT $2)`, s.CustomerID, keep)
}

// RefreshToken implements account.Tx.
func (t *tx) RefreshToken(ctx context.Context, tokenHash string) (account.RefreshToken, error) {
	var r account.RefreshToken
	var expires, used, created, ends int64
	err := t.row(ctx, "a refresh token", `SELECT r.token_hash, r.expires_at, r.used_at, s.id, s.customer_id, s.created_at, s.expires_at
		FROM refresh_token r JOIN session s ON s.id = r.session_id WHERE r.token_hash = $1`, []any{tokenHash},
		[]any{&r.TokenHash, &expires, &used, &r.Session.ID, &r.Session.CustomerID, &created, &ends})
	r.Expires, r.Used, r.Session.Created, r.Session.Expires = at(expires), at(used), at(created), at(ends)
	return r, err
}

// AddRefreshToken implements account.Tx.
func (t *tx) AddRefreshToken(ctx context.Context, r account.RefreshToken) error {
	return t.do(ctx, "write a refresh token", "INSERT INTO refresh_token (token_hash, session_id, expires_at) VALUES ($1, $2, $3)",
		r.TokenHash, r.Session.ID, micros(r.Expires))
}

// UseRefreshToken implements account.Tx.
func (t *tx) UseRefreshToken(ctx context.Context, tokenHash string, at time.Time) error {
	return t.do(ctx, "use a refresh token", "UPDATE refresh_token SET used_at = $2 WHERE token_hash = $1", tokenHash, micros(at))
}

// DropSession implements account.Tx. Its tokens go with it.
func (t *tx) DropSession(ctx context.Context, id string) error {
	return t.do(ctx, "end a session", "DELETE FROM session WHERE id = $1", id)
}

// DropSessions implements account.Tx.
func (t *tx) DropSessions(ctx context.Context, customerID string) error {
	return t.do(ctx, "end sessions", "DELETE FROM session WHERE customer_id = $1", customerID)
}
