package rpc

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/outbox"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/inventory/internal/stock"
	"github.com/cleavehq/cleave/services/inventory/internal/store"
)

// Events writes the module's events into the outbox of its database.
type Events struct{}

var _ store.Events = Events{}

// StockChanged implements store.Events. The events of one SKU come in the order in which its counts changed.
func (Events) StockChanged(ctx context.Context, t *sql.Tx, st stock.Stock) error {
	return outbox.Append(ctx, t, key(st.SKU), &inventoryv1.StockChanged{OccurredAt: timestamppb.New(st.UpdateTime), Stock: Stock(st)})
}

// ReservationExpired implements store.Events.
func (Events) ReservationExpired(ctx context.Context, t *sql.Tx, id string, at time.Time) error {
	return outbox.Append(ctx, t, id, &inventoryv1.ReservationExpired{OccurredAt: timestamppb.New(at), ReservationId: id})
}

// key is what the events of a SKU are ordered by: the SKU, or its hash when it is none that a key can be. See outbox.Append.
func key(sku string) string {
	const longest = 200
	if len(sku) <= longest {
		plain := true
		for _, r := range sku {
			plain = plain && r >= ' ' && r <= '~'
		}
		if plain {
			return sku
		}
	}
	hash := sha256.Sum256([]byte(sku))
	return hex.EncodeToString(hash[:])
}
