-- +goose Up
-- Every change of on_hand; what is never changed or deleted. The deltas of a SKU sum to its on_hand at every commit.
CREATE TABLE stock_ledger (
    sku       TEXT   NOT NULL,
    at        BIGINT NOT NULL, -- the stock's updated_at right after it, which grows with every change
    delta     BIGINT NOT NULL CHECK (delta <> 0),
    kind      TEXT   NOT NULL CHECK (kind IN ('count', 'adjust', 'sale', 'return', 'supply')),
    reference TEXT   NOT NULL,
    on_hand   BIGINT NOT NULL CHECK (on_hand >= 0),
    PRIMARY KEY (sku, at),
    UNIQUE (kind, reference, sku)
);
INSERT INTO stock_ledger (sku, at, delta, kind, reference, on_hand)
    SELECT sku, updated_at, on_hand, 'count', 'opening', on_hand FROM stock WHERE on_hand > 0;

-- A CHECK can't be altered everywhere, so the reservations move to a table with the new one. What is reserved now
-- gets the default time, 15 minutes.
CREATE TABLE reservation_next (
    id         TEXT   NOT NULL PRIMARY KEY,
    state      TEXT   NOT NULL CHECK (state IN ('reserved', 'committed', 'released', 'expired')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL -- 0 for one that was released before it was reserved
);
CREATE TABLE reservation_line_next (
    reservation_id TEXT   NOT NULL REFERENCES reservation_next (id),
    sku            TEXT   NOT NULL, -- in stock: a Hold in the same transaction has found it there
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, sku)
);
INSERT INTO reservation_next (id, state, created_at, updated_at, expires_at)
    SELECT id, state, created_at, updated_at, created_at + 900000000 FROM reservation;
INSERT INTO reservation_line_next (reservation_id, sku, quantity) SELECT reservation_id, sku, quantity FROM reservation_line;
DROP TABLE reservation_line;
DROP TABLE reservation;
ALTER TABLE reservation_next RENAME TO reservation;
ALTER TABLE reservation_line_next RENAME TO reservation_line;
CREATE INDEX reservation_due ON reservation (expires_at) WHERE state = 'reserved';

-- +goose Down
DROP INDEX reservation_due;
DROP TABLE stock_ledger;
