// Package store keeps the catalogue in SQL: one text for SQLite and PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the module's goose files.
func Migrations() fs.FS { return migrations }

// Tell writes down, in the transaction that changes it, that p is told to others.
type Tell func(ctx context.Context, tx *sql.Tx, p product.Product) error

// Store is product.Store in SQL.
type Store struct {
	db   *sql.DB
	tell Tell
}

var _ product.Store = (*Store)(nil)

// New returns a Store in db, which has the migrations applied, that tells every product it inserts or changes.
func New(db *sql.DB, tell Tell) *Store { return &Store{db: db, tell: tell} }

const columns = "p.id, p.body, p.revision, p.created_at, p.updated_at"

// ByID implements product.Store.
func (s *Store) ByID(ctx context.Context, id string) (product.Product, error) {
	return byID(ctx, s.db, id)
}

// ByHandle implements product.Store.
func (s *Store) ByHandle(ctx context.Context, handle string) (product.Product, error) {
	return byHandle(ctx, s.db, handle)
}

// BySKU implements product.Store.
func (s *Store) BySKU(ctx context.Context, sku string) (product.Product, error) {
	p, err := one(s.db.QueryRowContext(ctx,
		"SELECT "+columns+" FROM variant v JOIN product p ON p.id = v.product_id WHERE v.sku = $1", sku))
	if errors.Is(err, sql.ErrNoRows) {
		return p, problem.NotFound(product.ReasonVariantNotFound, "no variant has the SKU %q", sku)
	}
	return p, err
}

// Products implements product.Store.
func (s *Store) Products(ctx context.Context, q product.Query) ([]product.Product, error) {
	where, args := []string{"p.handle > $1"}, []any{q.After}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, "$"+strconv.Itoa(len(args))))
	}
	if q.Category != "" {
		add("p.category = %s", q.Category)
	}
	if q.Status != 0 {
		add("p.status = %s", int64(q.Status))
	}
	for _, w := range q.Words { // letters and digits only: nothing to escape
		add("p.search_text LIKE %s", "%"+w+"%")
	}
	args = append(args, q.Limit)
	//nolint:gosec // the conditions are ours; what callers say is in args
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM product p WHERE "+strings.Join(where, " AND ")+
		" ORDER BY p.handle LIMIT $"+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var out []product.Product
	for rows.Next() {
		p, err := one(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return out, nil
}

// InsertCategory implements product.Store.
func (s *Store) InsertCategory(ctx context.Context, c product.Category) error {
	return data.Tx(ctx, s.db, func(tx *sql.Tx) error { // not s.db: a command under a key has a transaction already
		r, err := tx.ExecContext(ctx, "INSERT INTO category (slug, title) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING", c.Slug, c.Title)
		if err != nil {
			return fmt.Errorf("insert category: %w", err)
		}
		n, err := r.RowsAffected()
		if err == nil && n == 0 {
			return problem.AlreadyExists(product.ReasonSlugTaken, "there is a category %q", c.Slug)
		}
		return wrap("insert category", err)
	})
}

const categories = `SELECT c.slug, c.title, (SELECT COUNT(*) FROM product p WHERE p.category = c.slug) FROM category c`

// Category implements product.Store.
func (s *Store) Category(ctx context.Context, slug string) (product.Category, error) {
	var c product.Category
	err := s.db.QueryRowContext(ctx, categories+" WHERE c.slug = $1", slug).Scan(&c.Slug, &c.Title, &c.Products)
	if errors.Is(err, sql.ErrNoRows) {
		return c, problem.NotFound(product.ReasonCategoryNotFound, "there is no category %q", slug)
	}
	if err != nil {
		return c, fmt.Errorf("read category: %w", err)
	}
	return c, nil
}

// Categories implements product.Store.
func (s *Store) Categories(ctx context.Context, after string, limit int) ([]product.Category, error) {
	rows, err := s.db.QueryContext(ctx, categories+" WHERE c.slug > $1 ORDER BY c.slug LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("list categories: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var out []product.Category
	for rows.Next() {
		var c product.Category
		if err := rows.Scan(&c.Slug, &c.Title, &c.Products); err != nil {
			return nil, fmt.Errorf("list categories: %w", err)
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list categories: %w", err)
	}
	return out, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func byID(ctx context.Context, q querier, id string) (product.Product, error) {
	p, err := one(q.QueryRowContext(ctx, "SELECT "+columns+" FROM product p WHERE p.id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return p, problem.NotFound(product.ReasonProductNotFound, "no product has the id %s", id)
	}
	return p, err
}

func byHandle(ctx context.Context, q querier, handle string) (product.Product, error) {
	p, err := one(q.QueryRowContext(ctx, "SELECT "+columns+" FROM product p WHERE p.handle = $1", handle))
	if errors.Is(err, sql.ErrNoRows) {
		return p, problem.NotFound(product.ReasonProductNotFound, "no product has the handle %q", handle)
	}
	return p, err
}

type scanner interface{ Scan(dest ...any) error }

// one reads a row of columns. sql.ErrNoRows is in its error's chain when there is none.
func one(row scanner) (p product.Product, err error) {
	var id, body string
	var revision, created, updated int64
	if err := row.Scan(&id, &body, &revision, &created, &updated); err != nil {
		return p, fmt.Errorf("read product: %w", err)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return p, fmt.Errorf("read product %s: %w", id, err)
	}
	p.ID, p.Revision = id, revision
	p.Created, p.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return p, nil
}
