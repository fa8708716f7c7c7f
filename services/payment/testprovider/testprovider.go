package testprovider

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/payment/provider"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose files of the books.
func Migrations() fs.FS { return files }

// Config of a Provider. The zero value is good.
type Config struct {
	// DB keeps the books instead of a file: a database with Migrations, which Close closes. Providers that share it are one.
	DB *sql.DB
	// Dir holds the file. Empty for a new folder that is deleted by Close.
	Dir string
	// Hostile makes good cards misbehave, as Seed says.
	Hostile bool
	Seed    uint64
	// Secret signs the events. Processes that share Dir have the same. Default a new one, which nobody else knows.
	Secret provider.Secret
	// Deliver posts an event, with its headers, to where the shop takes it, and fails when it isn't taken: then it is delivered again.
	// Nil for a provider that says nothing on its own. Run calls it.
	Deliver func(ctx context.Context, header map[string]string, body []byte) error
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log hears of events that were not taken; may be nil.
	Log *slog.Logger
}

// Provider is a provider.Provider in a file. It is safe for concurrent use.
type Provider struct {
	c    Config
	db   *sql.DB
	temp string        // the folder to delete
	news chan struct{} // an event was made
}

var _ provider.Provider = (*Provider)(nil)

// Open makes a Provider that remembers what is in its file. The caller closes it.
func Open(ctx context.Context, c Config) (_ *Provider, err error) {
	if c.Secret == "" {
		c.Secret = provider.Secret(rand.Text())
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{c: c, db: c.DB, news: make(chan struct{}, 1)}
	if p.db != nil {
		return p, nil
	}
	if c.Dir == "" {
		if p.temp, err = os.MkdirTemp("", "test_provider"); err != nil {
			return nil, fmt.Errorf("open the test provider: %w", err)
		}
		p.c.Dir = p.temp
	}
	// One connection, whose commits are in the file but not on the disk.
	p.db, err = data.Open(ctx, data.Config{Dir: p.c.Dir, Module: File, Migrations: files, MaxConns: 1})
	if err == nil {
		_, err = p.db.ExecContext(ctx, "PRAGMA synchronous = NORMAL")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the test provider: %w", err), p.Close())
	}
	return p, nil
}

// Close frees the file.
func (p *Provider) Close() error {
	var errs []error
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	if p.temp != "" {
		errs = append(errs, os.RemoveAll(p.temp))
	}
	return errors.Join(errs...)
}

// Name implements provider.Provider: "test".
func (p *Provider) Name() string { return "test" }

// Authorize implements provider.Provider.
func (p *Provider) Authorize(ctx context.Context, r provider.Request) (provider.Authorization, error) {
	if r.IdempotencyKey == "" || r.Amount.Minor < 0 || r.Amount.Currency == "" {
		return provider.Authorization{}, errors.New("test provider: a key, a currency and an amount of 0 or more are needed")
	}
	var out provider.Authorization
	err := p.serve(ctx, authorize, r.IdempotencyKey, func(tx *sql.Tx) (behaviour, error) {
		c, known, err := p.charge(ctx, tx, "key", r.IdempotencyKey)
		if err != nil {
			return behaviour{}, err
		}
		if !known {
			return p.ofToken(r.Token, r.IdempotencyKey), nil
		}
		return behave(c.behaviour), nil
	}, func(tx *sql.Tx, b behaviour) error {
		c, known, err := p.charge(ctx, tx, "key", r.IdempotencyKey)
		if err == nil && !known {
			c, err = p.decide(ctx, tx, r, b)
		}
		switch {
		case err != nil:
			return err
		case c.Amount != r.Amount:
			return provider.ErrKeyReused
		case c.State == provider.Declined:
			return &provider.Decline{Code: c.DeclineCode}
		}
		out.Ref = c.Ref
		return nil
	})
	if err != nil {
		return provider.Authorization{}, err
	}
	return out, nil
}

// Capture implements provider.Provider.
func (p *Provider) Capture(ctx context.Context, ref, idempotencyKey string) error {
	return p.finish(ctx, capture, ref, idempotencyKey)
}

// Void implements provider.Provider.
func (p *Provider) Void(ctx context.Context, ref, idempotencyKey string) error {
	return p.finish(ctx, void, ref, idempotencyKey)
}

// finish takes the money of a hold or lets it go. The hold's own state makes it happen once, so the key isn't needed.
func (p *Provider) finish(ctx context.Context, what call, ref, key string) error {
	if key == "" {
		return errors.New("test provider: an idempotency key is needed")
	}
	return p.serve(ctx, what, key, p.byRef(ctx, ref), func(tx *sql.Tx, _ behaviour) error {
		c, _, err := p.charge(ctx, tx, "ref", ref)
		switch {
		case err != nil:
			return err
		case c.State == provider.Captured && what == void:
			return provider.ErrCaptured
		case c.State == provider.Voided && what == capture:
			return provider.ErrVoided
		case c.State != provider.Held:
			return nil
		case what == void:
			return p.move(ctx, tx, c, Void, c.Amount.Minor)
		default:
			return p.move(ctx, tx, c, Capture, c.Amount.Minor)
		}
	})
}

// Refund implements provider.Provider.
func (p *Provider) Refund(ctx context.Context, ref, idempotencyKey string, amount provider.Money) error {
	if idempotencyKey == "" || amount.Minor <= 0 {
		return errors.New("test provider: an idempotency key and an amount are needed")
	}
	return p.serve(ctx, refund, idempotencyKey, p.byRef(ctx, ref), func(tx *sql.Tx, b behaviour) error {
		c, _, err := p.charge(ctx, tx, "ref", ref)
		if err != nil {
			return err
		}
		var of, code string
		var minor int64
		err = tx.QueryRowContext(ctx, "SELECT ref, minor, decline_code FROM refund WHERE key = $1", idempotencyKey).Scan(&of, &minor, &code)
		switch {
		case err == nil && (of != ref || minor != amount.Minor || amount.Currency != c.Amount.Currency):
			return provider.ErrKeyReused
		case err == nil && code != "":
			return &provider.Decline{Code: code}
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		case b.refuses:
			code = "refund_refused"
		case c.State != provider.Captured:
			code = "not_captured"
		case amount.Currency != c.Amount.Currency, amount.Minor > c.Captured-c.Refunded:
			code = "amount_too_large"
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO refund (key, ref, minor, decline_code) VALUES ($1, $2, $3, $4)",
			idempotencyKey, ref, amount.Minor, code); err != nil {
			return err
		}
		if code != "" {
			return &provider.Decline{Code: code}
		}
		return p.move(ctx, tx, c, Refund, amount.Minor)
	})
}
