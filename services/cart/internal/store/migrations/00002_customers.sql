-- +goose Up
-- A CHECK can't be altered everywhere, so the carts move to a table with the new one.
CREATE TABLE carts_next (
    id          TEXT   NOT NULL PRIMARY KEY,
    state       BIGINT NOT NULL CHECK (state IN (1, 2, 3)), -- 1 open, 2 ordered, 3 merged
    create_time BIGINT NOT NULL,                            -- microseconds, UTC
    update_time BIGINT NOT NULL,
    customer_id TEXT   NOT NULL, -- '' for a guest's
    coupon_code TEXT   NOT NULL, -- '' for none
    merged_into TEXT   NOT NULL, -- '' unless merged
    CHECK ((state = 3) = (merged_into <> ''))
);
CREATE TABLE cart_items_next (
    cart_id    TEXT   NOT NULL REFERENCES carts_next (id),
    sku        TEXT   NOT NULL,
    position   BIGINT NOT NULL, -- by the order they were added in; may have gaps
    title      TEXT   NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    currency   TEXT   NOT NULL,
    unit_minor BIGINT NOT NULL CHECK (unit_minor >= 0),
    PRIMARY KEY (cart_id, sku)
);
INSERT INTO carts_next (id, state, create_time, update_time, customer_id, coupon_code, merged_into)
    SELECT id, state, create_time, update_time, '', '', '' FROM carts;
INSERT INTO cart_items_next (cart_id, sku, position, title, quantity, currency, unit_minor)
    SELECT cart_id, sku, position, title, quantity, currency, unit_minor FROM cart_items;
DROP TABLE cart_items;
DROP TABLE carts;
ALTER TABLE carts_next RENAME TO carts;
ALTER TABLE cart_items_next RENAME TO cart_items;
-- A customer has one open cart.
CREATE UNIQUE INDEX carts_open ON carts (customer_id) WHERE state = 1 AND customer_id <> '';
CREATE INDEX carts_customer ON carts (customer_id) WHERE customer_id <> '';

-- +goose Down
DROP INDEX carts_customer;
DROP INDEX carts_open;
