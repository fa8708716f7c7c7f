// Package store keeps orders in SQL: one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/checkout"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the module's goose files.
func Migrations() fs.FS { return migrations }

// Tell writes the event that an entry tells of, in the transaction of the change.
type Tell func(ctx context.Context, tx *sql.Tx, o sale.Order, e sale.Entry) error

// Guard fails when a transaction is of someone who may not write any more.
type Guard func(ctx context.Context, tx *sql.Tx) error

// Store is checkout.Store in SQL.
type Store struct {
	db    *sql.DB
	tell  Tell
	guard Guard
}

var _ checkout.Store = (*Store)(nil)

// New returns a Store in db, which has the migrations applied. tell is called for each entry that has something to tell.
func New(db *sql.DB, tell Tell) *Store {
	return &Store{db: db, tell: tell, guard: func(context.Context, *sql.Tx) error { return nil }}
}

// Guarded returns the same Store, whose every write is guarded.
func (s *Store) Guarded(g Guard) *Store { return &Store{db: s.db, tell: s.tell, guard: g} }

// Create implements checkout.Store.
func (s *Store) Create(ctx context.Context, o *sale.Order) (sale.Order, bool, error) {
	kept, created := *o, false
	err := data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		kept, created = o.Clone(), false
		if err := s.guard(ctx, tx); err != nil {
			return err
		}
		if o.RequestID != "" {
			known, err := one(ctx, tx, `WHERE request_id = $1`, o.RequestID)
			if err == nil {
				kept = known
				return nil
			}
			if problem.From(err).Code != codes.NotFound {
				return err
			}
		}
		taken, err := insert(ctx, tx, o)
		if err != nil {
			return err
		}
		if taken {
			return problem.FailedPrecondition(sale.ReasonCartOrdered, "the cart was ordered, or is being ordered")
		}
		created = true
		return s.entries(ctx, tx, *o)
	})
	if err != nil {
		return sale.Order{}, false, err
	}
	if created {
		kept.Kept(1)
	}
	return kept, created, nil
}

// insert writes an order, or says that its cart is taken. The request id isn't: the transaction has looked, and it is serializable.
func insert(ctx context.Context, tx *sql.Tx, o *sale.Order) (taken bool, err error) {
	a := o.Address
	r, err := tx.ExecContext(ctx, `
		INSERT INTO orders (id, request_id, fingerprint, cart_id, live_cart_id, customer_id, state, cancel_code, cancel_reason, cancel_message,
			promised, payment_id, quote_id, coupon_code, currency, subtotal_minor, discount_minor, tax_minor, total_minor, captured_minor,
			refunded_minor, email, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, holds_stock, holds_coupon,
			holds_payment, epoch, claim_until, next_at, attempts, last_error, sequence, version, create_time, update_time, trace)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', '', 0, '', $8, $9, $10, $11, $12, $13, $14, 0, 0, $15, $16, $17, $18, $19, $20, $21,
			$22, $23, $24, $25, $26, $27, 0, '', $28, 1, $29, $30, $31)
		ON CONFLICT DO NOTHING`,
		o.ID, sql.NullString{String: o.RequestID, Valid: o.RequestID != ""}, o.Fingerprint, o.CartID, o.CartID, o.CustomerID, string(o.State),
		o.QuoteID, o.Coupon, o.Total.Currency, o.Subtotal.Minor, o.Discount.Minor, o.Tax.Minor, o.Total.Minor,
		o.Email, a.Name, a.Line1, a.Line2, a.City, a.PostalCode, a.Country,
		bit(o.Holds.Stock), bit(o.Holds.Coupon), bit(o.Holds.Payment), o.Epoch, micros(o.Until), micros(o.Next), o.Sequence,
		micros(o.Created), micros(o.Updated), o.Trace)
	if err != nil {
		return false, fmt.Errorf("insert order: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err == nil, err
	}
	for i, l := range o.Lines {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO order_lines (order_id, position, sku, title, quantity, currency, unit_minor, discount_minor, tax_minor, total_minor,
				shipped, delivered, returned) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0)`,
			o.ID, int64(i), l.SKU, l.Title, l.Quantity, l.Unit.Currency, l.Unit.Minor, l.Discount.Minor, l.Tax.Minor, l.Total.Minor)
		if err != nil {
			return false, fmt.Errorf("insert order line: %w", err)
		}
	}
	return false, nil
}

// entries writes what happened to the order, and tells of it.
func (s *Store) entries(ctx context.Context, tx *sql.Tx, o sale.Order) error {
	for _, e := range o.Fresh() {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO order_events (order_id, sequence, from_state, to_state, at, reason) VALUES ($1, $2, $3, $4, $5, $6)`,
			o.ID, e.Sequence, string(e.From), string(e.To), micros(e.At), e.Reason)
		if err != nil {
			return fmt.Errorf("insert order event: %w", err)
		}
		if e.Tell == "" {
			continue
		}
		if err := s.tell(ctx, tx, o, e); err != nil {
			return fmt.Errorf("tell of order %s: %w", o.ID, err)
		}
	}
	return nil
}

// micros is a moment as it is kept; 0 is the zero one.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
