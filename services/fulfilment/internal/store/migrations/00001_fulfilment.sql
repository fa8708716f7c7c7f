-- +goose Up
CREATE TABLE fulfilment (
    order_id           TEXT   NOT NULL PRIMARY KEY,
    state              TEXT   NOT NULL CHECK (state IN ('OPEN', 'PARTIALLY_SHIPPED', 'SHIPPED', 'DELIVERED', 'CANCELLED')),
    left_before_cancel BIGINT NOT NULL DEFAULT 0 CHECK (left_before_cancel IN (0, 1)),
    ship_name          TEXT   NOT NULL,
    ship_line1         TEXT   NOT NULL,
    ship_line2         TEXT   NOT NULL,
    ship_city          TEXT   NOT NULL,
    ship_postal_code   TEXT   NOT NULL,
    ship_country       TEXT   NOT NULL,
    created_at         BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    updated_at         BIGINT NOT NULL,
    CHECK (left_before_cancel = 0 OR state = 'CANCELLED')
);

CREATE INDEX fulfilment_by_time ON fulfilment (created_at, order_id);
CREATE INDEX fulfilment_by_state ON fulfilment (state, created_at, order_id);

-- The law of the module, once more: the statements that count keep it, and this catches one that doesn't.
CREATE TABLE fulfilment_line (
    order_id  TEXT   NOT NULL REFERENCES fulfilment (order_id),
    sku       TEXT   NOT NULL,
    position  BIGINT NOT NULL,
    title     TEXT   NOT NULL,
    ordered   BIGINT NOT NULL CHECK (ordered > 0),
    packed    BIGINT NOT NULL DEFAULT 0 CHECK (packed BETWEEN 0 AND ordered),
    shipped   BIGINT NOT NULL DEFAULT 0 CHECK (shipped BETWEEN 0 AND packed),
    delivered BIGINT NOT NULL DEFAULT 0 CHECK (delivered BETWEEN 0 AND shipped),
    announced BIGINT NOT NULL DEFAULT 0 CHECK (announced BETWEEN 0 AND shipped),
    returned  BIGINT NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND announced),
    PRIMARY KEY (order_id, sku)
);

-- Orders that were cancelled before anything was known of them: a payment that is heard of later is no reason to ship.
CREATE TABLE buried_order (
    order_id   TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE shipment (
    id              TEXT   NOT NULL PRIMARY KEY,
    order_id        TEXT   NOT NULL REFERENCES fulfilment (order_id),
    request_id      TEXT   UNIQUE, -- the caller's, or NULL
    state           TEXT   NOT NULL CHECK (state IN ('PACKED', 'SHIPPED', 'DELIVERED', 'CANCELLED')),
    rest            BIGINT NOT NULL CHECK (rest IN (0, 1)), -- 1: of whatever wasn't packed
    carrier         TEXT   NOT NULL DEFAULT '',
    tracking_number TEXT   NOT NULL DEFAULT '',
    created_at      BIGINT NOT NULL,
    shipped_at      BIGINT NOT NULL DEFAULT 0, -- 0: it isn't
    delivered_at    BIGINT NOT NULL DEFAULT 0,
    CHECK ((shipped_at > 0) = (state IN ('SHIPPED', 'DELIVERED'))),
    CHECK ((delivered_at > 0) = (state = 'DELIVERED'))
);

CREATE INDEX shipment_by_order ON shipment (order_id, created_at, id);

CREATE TABLE shipment_line (
    shipment_id TEXT   NOT NULL REFERENCES shipment (id),
    sku         TEXT   NOT NULL,
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (shipment_id, sku)
);

CREATE TABLE goods_return (
    id          TEXT   NOT NULL PRIMARY KEY,
    order_id    TEXT   NOT NULL REFERENCES fulfilment (order_id),
    request_id  TEXT   UNIQUE, -- the caller's, or NULL
    state       TEXT   NOT NULL CHECK (state IN ('ANNOUNCED', 'RECEIVED', 'CANCELLED')),
    reason      TEXT   NOT NULL,
    restock     BIGINT NOT NULL DEFAULT 0 CHECK (restock IN (0, 1)),
    created_at  BIGINT NOT NULL,
    received_at BIGINT NOT NULL DEFAULT 0, -- 0: it isn't
    CHECK ((received_at > 0) = (state = 'RECEIVED')),
    CHECK (restock = 0 OR state = 'RECEIVED')
);

CREATE INDEX goods_return_by_order ON goods_return (order_id, created_at, id);

CREATE TABLE goods_return_line (
    return_id TEXT   NOT NULL REFERENCES goods_return (id),
    sku       TEXT   NOT NULL,
    quantity  BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (return_id, sku)
);

-- +goose Down
DROP TABLE goods_return_line;
DROP TABLE goods_return;
DROP TABLE shipment_line;
DROP TABLE shipment;
DROP TABLE buried_order;
DROP TABLE fulfilment_line;
DROP TABLE fulfilment;
