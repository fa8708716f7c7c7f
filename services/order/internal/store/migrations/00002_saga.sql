-- +goose Up
-- The table is made anew: SQLite can't change a CHECK. Times are microseconds since 1970, UTC; 0 is never.
DROP INDEX orders_by_time;
DROP INDEX orders_by_state;
ALTER TABLE orders RENAME TO orders_v1;
ALTER TABLE order_lines RENAME TO order_lines_v1;

CREATE TABLE orders (
    id               TEXT   NOT NULL PRIMARY KEY,
    request_id       TEXT   UNIQUE, -- the caller's key, or NULL
    fingerprint      TEXT   NOT NULL, -- SHA-256 of the request; '' when it isn't compared
    cart_id          TEXT   NOT NULL,
    live_cart_id     TEXT   UNIQUE, -- cart_id while the order isn't cancelled, then NULL: a cart has one live order
    customer_id      TEXT   NOT NULL, -- '' of a guest
    state            TEXT   NOT NULL CHECK (state IN ('PENDING', 'RESERVED', 'AUTHORIZED', 'CONFIRMED', 'PAID', 'CANCELLED',
                                'PARTIALLY_SHIPPED', 'SHIPPED', 'DELIVERED', 'PARTIALLY_REFUNDED', 'REFUNDED', 'RETURNED')),
    cancel_code      BIGINT NOT NULL, -- google.rpc.Code of what the caller is told; 0 unless given up: then there is no way but to CANCELLED
    cancel_reason    TEXT   NOT NULL,
    cancel_message   TEXT   NOT NULL,
    promised         BIGINT NOT NULL CHECK (promised IN (0, 1)), -- 1: it was CONFIRMED once
    payment_id       TEXT   NOT NULL,
    quote_id         TEXT   NOT NULL,
    coupon_code      TEXT   NOT NULL,
    currency         TEXT   NOT NULL,
    subtotal_minor   BIGINT NOT NULL CHECK (subtotal_minor >= 0),
    discount_minor   BIGINT NOT NULL CHECK (discount_minor >= 0),
    tax_minor        BIGINT NOT NULL CHECK (tax_minor >= 0),
    total_minor      BIGINT NOT NULL CHECK (total_minor >= 0),
    captured_minor   BIGINT NOT NULL CHECK (captured_minor IN (0, total_minor)),
    refunded_minor   BIGINT NOT NULL CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    email            TEXT   NOT NULL,
    ship_name        TEXT   NOT NULL,
    ship_line1       TEXT   NOT NULL,
    ship_line2       TEXT   NOT NULL,
    ship_city        TEXT   NOT NULL,
    ship_postal_code TEXT   NOT NULL,
    ship_country     TEXT   NOT NULL,
    holds_stock      BIGINT NOT NULL CHECK (holds_stock IN (0, 1)), -- 1: the other module may hold something for the order
    holds_coupon     BIGINT NOT NULL CHECK (holds_coupon IN (0, 1)),
    holds_payment    BIGINT NOT NULL CHECK (holds_payment IN (0, 1)),
    epoch            BIGINT NOT NULL, -- counts the claims
    claim_until      BIGINT NOT NULL, -- until then a driver has it; 0: nobody
    next_at          BIGINT NOT NULL, -- when the worker looks at it; 0: it is at rest
    attempts         BIGINT NOT NULL, -- failures of its next step in a row
    last_error       TEXT   NOT NULL, -- the reason of the last one
    sequence         BIGINT NOT NULL, -- of the last event
    version          BIGINT NOT NULL, -- counts the writes
    create_time      BIGINT NOT NULL,
    update_time      BIGINT NOT NULL
);

-- What was left lying is picked up; who has neither a payment nor a chance of one is given up.
INSERT INTO orders
SELECT id, request_id, '', cart_id, live_cart_id, '', state, cancel_code, cancel_reason, cancel_message,
    CASE WHEN state IN ('CONFIRMED', 'PAID') THEN 1 ELSE 0 END, payment_id, '', '', currency, total_minor, 0, 0, total_minor,
    CASE WHEN state = 'PAID' THEN total_minor ELSE 0 END, 0,
    email, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country,
    CASE WHEN state = 'CANCELLED' THEN 0 ELSE 1 END, 0, CASE WHEN state IN ('PENDING', 'CANCELLED') THEN 0 ELSE 1 END,
    1, 0, CASE WHEN state IN ('PAID', 'CANCELLED') THEN 0 ELSE update_time END, 0, '', 1, 1, create_time, update_time
FROM orders_v1;

CREATE TABLE order_lines (
    order_id       TEXT   NOT NULL REFERENCES orders (id),
    position       BIGINT NOT NULL,
    sku            TEXT   NOT NULL,
    title          TEXT   NOT NULL,
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    currency       TEXT   NOT NULL,
    unit_minor     BIGINT NOT NULL CHECK (unit_minor >= 0),
    discount_minor BIGINT NOT NULL CHECK (discount_minor >= 0),
    tax_minor      BIGINT NOT NULL CHECK (tax_minor >= 0),
    total_minor    BIGINT NOT NULL CHECK (total_minor >= 0),
    shipped        BIGINT NOT NULL CHECK (shipped BETWEEN 0 AND quantity),
    delivered      BIGINT NOT NULL CHECK (delivered BETWEEN 0 AND quantity),
    returned       BIGINT NOT NULL CHECK (returned BETWEEN 0 AND quantity),
    PRIMARY KEY (order_id, position)
);

INSERT INTO order_lines
SELECT order_id, position, sku, title, quantity, currency, unit_minor, 0, 0, unit_minor * quantity, 0, 0, 0 FROM order_lines_v1;

DROP TABLE order_lines_v1;
DROP TABLE orders_v1;

CREATE INDEX orders_by_time ON orders (create_time, id);
CREATE INDEX orders_by_state ON orders (state, create_time, id);
CREATE INDEX orders_by_customer ON orders (customer_id) WHERE customer_id <> '';
CREATE INDEX orders_due ON orders (next_at) WHERE next_at > 0;

-- The audit trail: everything that happened to an order.
CREATE TABLE order_events (
    order_id   TEXT   NOT NULL REFERENCES orders (id),
    sequence   BIGINT NOT NULL, -- 1, 2, 3, ...
    from_state TEXT   NOT NULL, -- '' of the first
    to_state   TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (order_id, sequence)
);

INSERT INTO order_events SELECT id, 1, '', state, update_time, 'MIGRATED' FROM orders;

CREATE TABLE order_refunds (
    id           TEXT   NOT NULL PRIMARY KEY, -- the payment module's refund_id too
    order_id     TEXT   NOT NULL REFERENCES orders (id),
    position     BIGINT NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('ASKED', 'DONE', 'REFUSED')),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    reason       TEXT   NOT NULL,
    create_time  BIGINT NOT NULL,
    UNIQUE (order_id, position)
);

-- +goose Down
-- There is no way back: the older version knows neither refunds nor parcels.
SELECT 1;
