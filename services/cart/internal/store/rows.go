package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// tx is a basket.Tx in one SQL transaction. It remembers what it has read, so that it writes what is different only.
type tx struct {
	*sql.Tx
	read map[string]seen
}

var _ basket.Tx = (*tx)(nil)

// seen is a cart as it was read, and the places of its lines by SKU.
type seen struct {
	cart      basket.Cart
	positions map[string]int64
}

// Get implements basket.Tx.
func (t *tx) Get(ctx context.Context, id string) (basket.Cart, error) {
	c, err := t.see(ctx, "c.id = $1", id)
	return c, missing(id, c, err)
}

// OpenOf implements basket.Tx.
func (t *tx) OpenOf(ctx context.Context, customer string) (basket.Cart, bool, error) {
	c, err := t.see(ctx, openOf, customer)
	return c, c.ID != "", err
}

func (t *tx) see(ctx context.Context, which, arg string) (basket.Cart, error) {
	before, positions, err := read(ctx, t, which, arg)
	if err != nil {
		return basket.Cart{}, err
	}
	t.read[before.ID] = seen{before, positions}
	c := before
	c.Items = slices.Clone(before.Items)
	return c, nil
}

// Put implements basket.Tx.
func (t *tx) Put(ctx context.Context, c basket.Cart) error {
	was, ok := t.read[c.ID]
	if !ok {
		return fmt.Errorf("cart %s is written and was not read", c.ID)
	}
	_, err := t.ExecContext(ctx, `UPDATE carts SET state = $1, update_time = $2, customer_id = $3, coupon_code = $4, merged_into = $5 WHERE id = $6`,
		int64(c.State), c.Updated.UnixMicro(), c.Customer, c.Coupon, c.MergedInto, c.ID)
	if err != nil {
		return fmt.Errorf("update cart: %w", err)
	}
	return save(ctx, t.Tx, was.cart, was.positions, c)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// openOf is the condition of a customer's open cart. The states are written out, since they are so in the condition of the index.
const openOf = "c.customer_id = $1 AND c.customer_id <> '' AND c.state = 1"

// read reads the cart of a condition and its lines in one statement, so that it sees both as of one moment, in a transaction or outside one.
// positions are the lines' places, by SKU. The cart has no id when there is none.
func read(ctx context.Context, q querier, which, arg string) (c basket.Cart, positions map[string]int64, err error) {
	rows, err := q.QueryContext(ctx, `
		SELECT c.id, c.state, c.create_time, c.update_time, c.customer_id, c.coupon_code, c.merged_into,
			i.sku, i.position, i.title, i.quantity, i.currency, i.unit_minor
		FROM carts c LEFT JOIN cart_items i ON i.cart_id = c.id
		WHERE `+which+` ORDER BY i.position`, arg)
	if err != nil {
		return c, nil, fmt.Errorf("read cart: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	positions = map[string]int64{}
	for rows.Next() {
		var (
			created, updated              int64
			sku, title, currency          sql.NullString
			position, quantity, unitMinor sql.NullInt64
		)
		if err := rows.Scan(&c.ID, &c.State, &created, &updated, &c.Customer, &c.Coupon, &c.MergedInto,
			&sku, &position, &title, &quantity, &currency, &unitMinor); err != nil {
			return basket.Cart{}, nil, fmt.Errorf("read cart: %w", err)
		}
		c.Created, c.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
		if sku.Valid {
			positions[sku.String] = position.Int64
			c.Items = append(c.Items, basket.Item{
				SKU: sku.String, Title: title.String, Quantity: quantity.Int64,
				Unit: basket.Money{Currency: currency.String, Minor: unitMinor.Int64},
			})
		}
	}
	if err := rows.Err(); err != nil {
		return basket.Cart{}, nil, fmt.Errorf("read cart: %w", err)
	}
	return c, positions, nil
}

// missing is the error of a cart that was looked for by id and isn't there.
func missing(id string, c basket.Cart, err error) error {
	if err == nil && c.ID == "" {
		return problem.NotFound(basket.ReasonCartNotFound, "no cart has the id %s", id)
	}
	return err
}

// hasCart is what a taken key means, where the only one that can be taken is a customer's place for an open cart.
func hasCart(err error) error {
	if !data.IsUnique(err) {
		return err
	}
	return problem.AlreadyExists(basket.ReasonCustomerHasCart, "the customer has an open cart").Because(err)
}

// save writes the lines in which after differs from before.
func save(ctx context.Context, tx *sql.Tx, before basket.Cart, positions map[string]int64, after basket.Cart) error {
	old := make(map[string]basket.Item, len(before.Items))
	next := int64(1)
	for _, it := range before.Items {
		old[it.SKU] = it
		next = max(next, positions[it.SKU]+1)
	}
	for _, it := range after.Items {
		was, there := old[it.SKU]
		delete(old, it.SKU)
		if there && was == it {
			continue
		}
		// The position matters for a new line only: a line that is there keeps its own.
		_, err := tx.ExecContext(ctx, `
			INSERT INTO cart_items (cart_id, sku, position, title, quantity, currency, unit_minor)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (cart_id, sku) DO UPDATE SET title = excluded.title, quantity = excluded.quantity,
				currency = excluded.currency, unit_minor = excluded.unit_minor`,
			after.ID, it.SKU, next, it.Title, it.Quantity, it.Unit.Currency, it.Unit.Minor)
		if err != nil {
			return fmt.Errorf("write cart line: %w", err)
		}
		if !there {
			next++
		}
	}
	for sku := range old {
		if _, err := tx.ExecContext(ctx, `DELETE FROM cart_items WHERE cart_id = $1 AND sku = $2`, after.ID, sku); err != nil {
			return fmt.Errorf("delete cart line: %w", err)
		}
	}
	return nil
}
