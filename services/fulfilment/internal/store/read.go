package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/services/fulfilment/internal/shipping"
)

// each scans every row of a query.
func each(ctx context.Context, t *sql.Tx, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// in writes the placeholders of a list, ($1, $2), and its arguments.
func in(ids []string) (string, []any) {
	marks, args := make([]string, len(ids)), make([]any, len(ids))
	for i, id := range ids {
		marks[i], args[i] = "$"+strconv.Itoa(i+1), id
	}
	return "(" + strings.Join(marks, ", ") + ")", args
}

// whole reads fulfilments with all that belongs to them.
func whole(ctx context.Context, t *sql.Tx, tail string, args ...any) ([]shipping.Fulfilment, error) {
	found, err := heads(ctx, t, tail, args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	at, ids := make(map[string]int, len(found)), make([]string, len(found))
	for i, f := range found {
		at[f.OrderID], ids[i] = i, f.OrderID
	}
	list, args := in(ids)
	shipments, err := shipments(ctx, t, "WHERE order_id IN "+list, args...)
	if err != nil {
		return nil, err
	}
	for _, s := range shipments {
		f := &found[at[s.OrderID]]
		f.Shipments = append(f.Shipments, s)
	}
	returns, err := returns(ctx, t, "WHERE order_id IN "+list, args...)
	if err != nil {
		return nil, err
	}
	for _, r := range returns {
		f := &found[at[r.OrderID]]
		f.Returns = append(f.Returns, r)
	}
	return found, nil
}

// heads reads fulfilments with their lines.
func heads(ctx context.Context, t *sql.Tx, tail string, args ...any) ([]shipping.Fulfilment, error) {
	var out []shipping.Fulfilment
	at := map[string]int{}
	var ids []string
	err := each(ctx, t, func(rows *sql.Rows) error {
		var f shipping.Fulfilment
		var left, created, updated int64
		a := &f.Address
		err := rows.Scan(&f.OrderID, &f.State, &left, &a.Name, &a.Line1, &a.Line2, &a.City, &a.PostalCode, &a.Country, &created, &updated)
		f.LeftBeforeCancel, f.Created, f.Updated = left != 0, moment(created), moment(updated)
		at[f.OrderID] = len(out)
		out, ids = append(out, f), append(ids, f.OrderID)
		return err
	}, `SELECT order_id, state, left_before_cancel, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country,
		created_at, updated_at FROM fulfilment `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read fulfilments: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	list, args := in(ids)
	err = each(ctx, t, func(rows *sql.Rows) error {
		var id string
		var l shipping.Line
		err := rows.Scan(&id, &l.SKU, &l.Title, &l.Ordered, &l.Packed, &l.Shipped, &l.Delivered, &l.Returning, &l.Returned)
		f := &out[at[id]]
		f.Lines = append(f.Lines, l)
		return err
	}, `SELECT order_id, sku, title, ordered, packed, shipped, delivered, announced, returned FROM fulfilment_line
		WHERE order_id IN `+list+` ORDER BY order_id, position`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the lines of fulfilments: %w", err)
	}
	return out, nil
}

// shipments reads shipments with their pieces, the oldest first.
func shipments(ctx context.Context, t *sql.Tx, where string, args ...any) ([]shipping.Shipment, error) {
	var out []shipping.Shipment
	var ids []string
	err := each(ctx, t, func(rows *sql.Rows) error {
		var s shipping.Shipment
		var request sql.NullString
		var rest, created, shipped, delivered int64
		err := rows.Scan(&s.ID, &s.OrderID, &request, &s.State, &rest, &s.Carrier, &s.TrackingNumber, &created, &shipped, &delivered)
		s.RequestID, s.Rest = request.String, rest != 0
		s.Created, s.ShippedAt, s.DeliveredAt = moment(created), moment(shipped), moment(delivered)
		out, ids = append(out, s), append(ids, s.ID)
		return err
	}, `SELECT id, order_id, request_id, state, rest, carrier, tracking_number, created_at, shipped_at, delivered_at FROM shipment
		`+where+` ORDER BY created_at, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("read shipments: %w", err)
	}
	of, err := pieces(ctx, t, "SELECT shipment_id, sku, quantity FROM shipment_line WHERE shipment_id IN ", ids)
	if err != nil {
		return nil, fmt.Errorf("read the lines of shipments: %w", err)
	}
	for i := range out {
		out[i].Pieces = of[out[i].ID]
	}
	return out, nil
}

// returns reads returns with their pieces, the oldest first.
func returns(ctx context.Context, t *sql.Tx, where string, args ...any) ([]shipping.Return, error) {
	var out []shipping.Return
	var ids []string
	err := each(ctx, t, func(rows *sql.Rows) error {
		var r shipping.Return
		var request sql.NullString
		var restock, created, received int64
		err := rows.Scan(&r.ID, &r.OrderID, &request, &r.State, &r.Reason, &restock, &created, &received)
		r.RequestID, r.Restock = request.String, restock != 0
		r.Created, r.ReceivedAt = moment(created), moment(received)
		out, ids = append(out, r), append(ids, r.ID)
		return err
	}, "SELECT id, order_id, request_id, state, reason, restock, created_at, received_at FROM goods_return "+where+" ORDER BY created_at, id", args...)
	if err != nil {
		return nil, fmt.Errorf("read returns: %w", err)
	}
	of, err := pieces(ctx, t, "SELECT return_id, sku, quantity FROM goods_return_line WHERE return_id IN ", ids)
	if err != nil {
		return nil, fmt.Errorf("read the lines of returns: %w", err)
	}
	for i := range out {
		out[i].Pieces = of[out[i].ID]
	}
	return out, nil
}

// pieces reads the pieces of parcels, by the parcels' ids; those of one are sorted by SKU. It asks for a few hundred parcels at a time, as a
// statement takes only so many arguments.
func pieces(ctx context.Context, t *sql.Tx, query string, ids []string) (map[string][]shipping.Piece, error) {
	of := make(map[string][]shipping.Piece, len(ids))
	for some := range slices.Chunk(ids, 500) {
		list, args := in(some)
		err := each(ctx, t, func(rows *sql.Rows) error {
			var id string
			var p shipping.Piece
			err := rows.Scan(&id, &p.SKU, &p.Quantity)
			of[id] = append(of[id], p)
			return err
		}, query+list, args...)
		if err != nil {
			return nil, err
		}
	}
	// Sorted here and not by the database, whose order of text may be another than Go's.
	for _, p := range of {
		slices.SortFunc(p, func(a, b shipping.Piece) int { return strings.Compare(a.SKU, b.SKU) })
	}
	return of, nil
}
