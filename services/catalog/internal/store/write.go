package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
)

// Insert implements product.Store.
func (s *Store) Insert(ctx context.Context, p product.Product, requestID string, since time.Time) (stored product.Product, err error) {
	body, err := encode(p)
	if err != nil {
		return stored, err
	}
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		if requestID != "" {
			earlier, found, err := replay(ctx, tx, requestID, body, since)
			if err != nil || found {
				stored = earlier
				return err
			}
		}
		if err := free(ctx, tx, p); err != nil {
			return err
		}
		if err := s.insert(ctx, tx, p, body); err != nil {
			return err
		}
		stored = p
		if requestID == "" {
			return nil
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO request (id, product_id, body, created_at) VALUES ($1, $2, $3, $4)",
			requestID, p.ID, body, p.Created.UnixMicro())
		return wrap("insert request", err)
	})
	return stored, err
}

// replay finds what a request made since then, and forgets older requests.
func replay(ctx context.Context, tx *sql.Tx, requestID, body string, since time.Time) (p product.Product, found bool, err error) {
	if _, err := tx.ExecContext(ctx, "DELETE FROM request WHERE created_at < $1", since.UnixMicro()); err != nil {
		return p, false, fmt.Errorf("forget old requests: %w", err)
	}
	var id, asked string
	err = tx.QueryRowContext(ctx, "SELECT product_id, body FROM request WHERE id = $1", requestID).Scan(&id, &asked)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, false, nil
	case err != nil:
		return p, false, fmt.Errorf("find request: %w", err)
	case asked != body:
		return p, false, problem.AlreadyExists(product.ReasonRequestIDReused, "the request id %s was used for another product", requestID)
	}
	p, err = byID(ctx, tx, id)
	return p, err == nil, err
}

// Change implements product.Store.
func (s *Store) Change(ctx context.Context, id string, fn func(*product.Product) error) (after product.Product, err error) {
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		before, err := byID(ctx, tx, id)
		if err != nil {
			return err
		}
		after = before
		if err := fn(&after); err != nil {
			return err
		}
		if after.SameContent(before) {
			after = before
			return nil
		}
		after, err = s.replace(ctx, tx, before, after)
		return err
	})
	return after, err
}

// Import implements product.Store: in one transaction, in which what would break a rule is found before it is tried.
func (s *Store) Import(ctx context.Context, list []product.Product) (out []product.Outcome, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	err = data.Tx(ctx, s.db, func(tx *sql.Tx) error {
		out = make([]product.Outcome, len(list))
		for i, p := range list {
			o, err := s.importOne(ctx, tx, p)
			var refused *problem.Error
			if errors.As(err, &refused) {
				o = product.Outcome{Err: refused}
			} else if err != nil {
				return err
			}
			out[i] = o
		}
		return nil
	})
	return out, err
}

func (s *Store) importOne(ctx context.Context, tx *sql.Tx, p product.Product) (product.Outcome, error) {
	before, err := byHandle(ctx, tx, p.Handle)
	var missing *problem.Error
	switch {
	case errors.As(err, &missing):
		body, err := encode(p)
		if err == nil {
			err = free(ctx, tx, p)
		}
		if err == nil {
			err = s.insert(ctx, tx, p, body)
		}
		return product.Outcome{Result: product.Created, Product: p}, err
	case err != nil:
		return product.Outcome{}, err
	case p.SameContent(before):
		return product.Outcome{Result: product.Unchanged, Product: before}, nil
	}
	p.ID, p.Created = before.ID, before.Created
	after, err := s.replace(ctx, tx, before, p)
	return product.Outcome{Result: product.Updated, Product: after}, err
}

// replace writes after in the place of before, as its next revision.
func (s *Store) replace(ctx context.Context, tx *sql.Tx, before, after product.Product) (product.Product, error) {
	after.Revision = before.Revision + 1
	if err := free(ctx, tx, after); err != nil {
		return after, err
	}
	body, err := encode(after)
	if err != nil {
		return after, err
	}
	if err := s.told(ctx, tx, after); err != nil {
		return after, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE product SET handle = $1, category = $2, status = $3, search_text = $4, body = $5, revision = $6,
		updated_at = $7 WHERE id = $8`,
		after.Handle, after.Category, int64(after.Status), after.SearchText(), body, after.Revision, after.Updated.UnixMicro(), after.ID)
	if err != nil {
		return after, fmt.Errorf("update product: %w", err)
	}
	for _, v := range before.Variants {
		if _, kept := after.Variant(v.SKU); kept {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM variant WHERE sku = $1", v.SKU); err != nil {
			return after, fmt.Errorf("delete variant: %w", err)
		}
	}
	for _, v := range after.Variants {
		if _, had := before.Variant(v.SKU); had {
			continue
		}
		if err := insertVariant(ctx, tx, v.SKU, after.ID); err != nil {
			return after, err
		}
	}
	return after, nil
}

// told comes before the write: an import goes on after a product that is refused, in the same transaction.
func (s *Store) told(ctx context.Context, tx *sql.Tx, p product.Product) error {
	err := s.tell(ctx, tx, p)
	if errors.Is(err, outbox.ErrTooLong) {
		return problem.Invalid(problem.Field{Path: "product", Message: "must be less than 1 MiB with all its variants and images"})
	}
	return wrap("tell the product", err)
}

// free makes sure that nobody else has the product's handle and SKUs, and that its category exists. Nobody can come between that and the
// write: transactions are serializable.
func free(ctx context.Context, tx *sql.Tx, p product.Product) error {
	taken, err := exists(ctx, tx, "SELECT 1 FROM product WHERE handle = $1 AND id <> $2", p.Handle, p.ID)
	switch {
	case err != nil:
		return err
	case taken:
		return problem.AlreadyExists(product.ReasonHandleTaken, "another product has the handle %q", p.Handle)
	}
	for _, v := range p.Variants {
		taken, err := exists(ctx, tx, "SELECT 1 FROM variant WHERE sku = $1 AND product_id <> $2", v.SKU, p.ID)
		switch {
		case err != nil:
			return err
		case taken:
			return problem.AlreadyExists(product.ReasonSKUTaken, "another product has the SKU %q", v.SKU)
		}
	}
	if p.Category == "" {
		return nil
	}
	there, err := exists(ctx, tx, "SELECT 1 FROM category WHERE slug = $1", p.Category)
	if err == nil && !there {
		return problem.FailedPrecondition(product.ReasonCategoryNotFound, "there is no category %q: create it first", p.Category)
	}
	return err
}

func exists(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, query, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, wrap("look up", err)
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, p product.Product, body string) error {
	if err := s.told(ctx, tx, p); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO product (id, handle, category, status, search_text, body, revision, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.ID, p.Handle, p.Category, int64(p.Status), p.SearchText(), body, p.Revision, p.Created.UnixMicro(), p.Updated.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert product: %w", err)
	}
	for _, v := range p.Variants {
		if err := insertVariant(ctx, tx, v.SKU, p.ID); err != nil {
			return err
		}
	}
	return nil
}

func insertVariant(ctx context.Context, tx *sql.Tx, sku, productID string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO variant (sku, product_id) VALUES ($1, $2)", sku, productID)
	return wrap("insert variant", err)
}

func encode(p product.Product) (string, error) {
	b, err := json.Marshal(p)
	return string(b), wrap("encode product", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
