-- +goose Up
CREATE TABLE category (
    slug  TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL
);

-- A product is one document, in body as JSON; the columns beside it are what it is found by.
CREATE TABLE product (
    id          TEXT   NOT NULL PRIMARY KEY,
    handle      TEXT   NOT NULL UNIQUE,
    category    TEXT   NOT NULL, -- '' for none
    status      BIGINT NOT NULL CHECK (status IN (1, 2, 3)),
    search_text TEXT   NOT NULL, -- folded words
    body        TEXT   NOT NULL,
    revision    BIGINT NOT NULL CHECK (revision > 0),
    created_at  BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    updated_at  BIGINT NOT NULL
);
CREATE INDEX product_by_category ON product (category, handle);

CREATE TABLE variant (
    sku        TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES product (id)
);
CREATE INDEX variant_by_product ON variant (product_id);

-- A CreateProduct with a request id, and what it made.
CREATE TABLE request (
    id         TEXT   NOT NULL PRIMARY KEY,
    product_id TEXT   NOT NULL REFERENCES product (id),
    body       TEXT   NOT NULL, -- of the product that was asked for
    created_at BIGINT NOT NULL
);
CREATE INDEX request_by_age ON request (created_at);

-- +goose Down
DROP TABLE request;
DROP TABLE variant;
DROP TABLE product;
DROP TABLE category;
