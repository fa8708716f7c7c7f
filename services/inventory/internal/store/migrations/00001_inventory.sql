-- +goose Up
-- The law of the module, 0 <= reserved <= on_hand, holds here too, whatever the program above gets wrong.
CREATE TABLE stock (
    sku        TEXT   NOT NULL PRIMARY KEY,
    on_hand    BIGINT NOT NULL CHECK (on_hand >= 0 AND on_hand <= 1000000000),
    reserved   BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    updated_at BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    CHECK (reserved <= on_hand)
);

CREATE TABLE reservation (
    id         TEXT   NOT NULL PRIMARY KEY,
    state      TEXT   NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE reservation_line (
    reservation_id TEXT   NOT NULL REFERENCES reservation (id),
    sku            TEXT   NOT NULL, -- in stock: a Hold in the same transaction has found it there
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, sku)
);

-- An adjustment with a request id, and what it led to: the answer to the same request sent again.
CREATE TABLE adjustment (
    request_id TEXT   NOT NULL PRIMARY KEY,
    sku        TEXT   NOT NULL,
    delta      BIGINT NOT NULL,
    on_hand    BIGINT NOT NULL,
    reserved   BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE adjustment;
DROP TABLE reservation_line;
DROP TABLE reservation;
DROP TABLE stock;
