-- +goose Up
CREATE TABLE orders (
    id               TEXT   NOT NULL PRIMARY KEY,
    request_id       TEXT   UNIQUE, -- the caller's, or NULL
    cart_id          TEXT   NOT NULL,
    live_cart_id     TEXT   UNIQUE, -- cart_id while the order isn't cancelled, then NULL: a cart has one live order
    state            TEXT   NOT NULL CHECK (state IN ('PENDING', 'RESERVED', 'AUTHORIZED', 'CONFIRMED', 'PAID', 'CANCELLED')),
    given_up         BIGINT NOT NULL CHECK (given_up IN (0, 1)), -- 1: no way but to CANCELLED
    cancel_code      BIGINT NOT NULL, -- google.rpc.Code of what the caller is told; 0 unless given up
    cancel_reason    TEXT   NOT NULL,
    cancel_message   TEXT   NOT NULL,
    payment_id       TEXT   NOT NULL,
    currency         TEXT   NOT NULL,
    total_minor      BIGINT NOT NULL CHECK (total_minor >= 0),
    email            TEXT   NOT NULL,
    ship_name        TEXT   NOT NULL,
    ship_line1       TEXT   NOT NULL,
    ship_line2       TEXT   NOT NULL,
    ship_city        TEXT   NOT NULL,
    ship_postal_code TEXT   NOT NULL,
    ship_country     TEXT   NOT NULL,
    create_time      BIGINT NOT NULL, -- microseconds, UTC
    update_time      BIGINT NOT NULL
);

CREATE INDEX orders_by_time ON orders (create_time, id);
CREATE INDEX orders_by_state ON orders (state, create_time, id);

CREATE TABLE order_lines (
    order_id   TEXT   NOT NULL REFERENCES orders (id),
    position   BIGINT NOT NULL,
    sku        TEXT   NOT NULL,
    title      TEXT   NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    currency   TEXT   NOT NULL,
    unit_minor BIGINT NOT NULL CHECK (unit_minor >= 0),
    PRIMARY KEY (order_id, position)
);

-- +goose Down
DROP TABLE order_lines;
DROP TABLE orders;
