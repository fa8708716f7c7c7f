package testprovider

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// List implements provider.Provider. A hostile provider fails to answer each second page at first, and has the last charge of a page on the
// next one too.
func (p *Provider) List(ctx context.Context, w provider.Window) (provider.Charges, error) {
	if w.Limit < 1 || w.Limit > 100 {
		return provider.Charges{}, errors.New("test provider: a page has 1 to 100 charges")
	}
	if p.c.Hostile && w.After != "" {
		if err := p.stumble(ctx, w); err != nil {
			return provider.Charges{}, err
		}
	}
	made, key := w.From.UnixMicro(), ""
	if w.After != "" {
		at, after, _ := strings.Cut(w.After, " ")
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return provider.Charges{}, errors.New("test provider: no such page")
		}
		made, key = n, after
	}
	rows, err := p.db.QueryContext(ctx, `SELECT key, ref, order_id, currency, minor, created_at FROM charge
		WHERE state <> 'declined' AND created_at < $1 AND (created_at > $2 OR created_at = $2 AND key > $3) ORDER BY created_at, key LIMIT $4`,
		w.To.UnixMicro(), made, key, w.Limit+1)
	if err != nil {
		return provider.Charges{}, err
	}
	defer func() { _ = rows.Close() }()
	var out provider.Charges
	for rows.Next() {
		var c provider.Charge
		if err := rows.Scan(&c.Key, &c.Ref, &c.Order, &c.Amount.Currency, &c.Amount.Minor, &made); err != nil {
			return provider.Charges{}, err
		}
		c.Made = time.UnixMicro(made).UTC()
		out.List = append(out.List, c)
	}
	if len(out.List) <= w.Limit {
		return out, rows.Err()
	}
	last := w.Limit - 1
	if p.c.Hostile && last > 0 {
		last-- // and so the last one comes again
	}
	out.List = out.List[:w.Limit]
	out.Next = strconv.FormatInt(out.List[last].Made.UnixMicro(), 10) + " " + out.List[last].Key
	return out, rows.Err()
}

// stumble fails the first time that a page is asked for.
func (p *Provider) stumble(ctx context.Context, w provider.Window) error {
	var happens fault
	err := data.Tx(ctx, p.db, func(tx *sql.Tx) (err error) {
		happens, err = p.fails(ctx, tx, behaviour{call: list, fault: unavailable, n: 1}, w.After)
		return err
	})
	if err == nil && happens == unavailable {
		err = provider.ErrUnavailable
	}
	return err
}
