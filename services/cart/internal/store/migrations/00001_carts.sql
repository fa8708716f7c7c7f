-- +goose Up
CREATE TABLE carts (
    id          TEXT   NOT NULL PRIMARY KEY,
    state       BIGINT NOT NULL CHECK (state IN (1, 2)), -- 1 open, 2 ordered
    create_time BIGINT NOT NULL,                         -- microseconds, UTC
    update_time BIGINT NOT NULL
);

CREATE TABLE cart_items (
    cart_id    TEXT   NOT NULL REFERENCES carts (id),
    sku        TEXT   NOT NULL,
    position   BIGINT NOT NULL, -- by the order they were added in; may have gaps
    title      TEXT   NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    currency   TEXT   NOT NULL,
    unit_minor BIGINT NOT NULL CHECK (unit_minor >= 0),
    PRIMARY KEY (cart_id, sku)
);

-- +goose Down
DROP TABLE cart_items;
DROP TABLE carts;
