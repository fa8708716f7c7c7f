-- +goose Up
-- Times are microseconds since 1970, UTC. valid_from is 0 for "since ever", valid_until the largest BIGINT for "for ever".
-- Amounts are minor units.
CREATE TABLE price (
    id          TEXT   NOT NULL PRIMARY KEY,
    sku         TEXT   NOT NULL,
    currency    TEXT   NOT NULL,
    amount      BIGINT NOT NULL CHECK (amount BETWEEN 0 AND 1000000000000000),
    valid_from  BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    UNIQUE (sku, currency, valid_from),
    CHECK (valid_from < valid_until)
);

CREATE TABLE tax_rate (
    country      TEXT   NOT NULL PRIMARY KEY,
    basis_points BIGINT NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
    inclusive    BIGINT NOT NULL CHECK (inclusive IN (0, 1)),
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);

-- The law of the coupons holds here too, whatever the program above gets wrong.
CREATE TABLE coupon (
    code             TEXT   NOT NULL PRIMARY KEY,
    basis_points     BIGINT NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
    amount_currency  TEXT   NOT NULL, -- '' when it is a percentage
    amount           BIGINT NOT NULL CHECK (amount >= 0),
    minimum_currency TEXT   NOT NULL, -- '' for any cart
    minimum          BIGINT NOT NULL CHECK (minimum >= 0),
    valid_from       BIGINT NOT NULL,
    valid_until      BIGINT NOT NULL,
    usage_limit      BIGINT NOT NULL CHECK (usage_limit >= 0), -- 0 for none
    used             BIGINT NOT NULL CHECK (used >= 0),
    reserved         BIGINT NOT NULL CHECK (reserved >= 0),
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    revision         BIGINT NOT NULL,
    CHECK (usage_limit = 0 OR used + reserved <= usage_limit),
    CHECK (valid_from < valid_until)
);

CREATE TABLE quote (
    id               TEXT   NOT NULL PRIMARY KEY,
    currency         TEXT   NOT NULL,
    country          TEXT   NOT NULL,
    coupon           TEXT   NOT NULL,
    tax_basis_points BIGINT NOT NULL,
    tax_inclusive    BIGINT NOT NULL,
    subtotal         BIGINT NOT NULL,
    discount         BIGINT NOT NULL CHECK (discount >= 0 AND discount <= subtotal),
    tax              BIGINT NOT NULL CHECK (tax >= 0),
    total            BIGINT NOT NULL CHECK (total >= 0),
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    request_id       TEXT   NOT NULL, -- '' when the caller gave none
    asked            TEXT   NOT NULL  -- a hash of what was asked for
);
CREATE UNIQUE INDEX quote_request ON quote (request_id) WHERE request_id <> '';
CREATE INDEX quote_expiry ON quote (expires_at);

CREATE TABLE quote_line (
    quote_id TEXT   NOT NULL REFERENCES quote (id),
    position BIGINT NOT NULL,
    sku      TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    unit     BIGINT NOT NULL,
    subtotal BIGINT NOT NULL,
    discount BIGINT NOT NULL CHECK (discount >= 0 AND discount <= subtotal),
    tax      BIGINT NOT NULL,
    total    BIGINT NOT NULL,
    PRIMARY KEY (quote_id, position)
);

-- A redemption outlives its quote, which is forgotten after a while.
CREATE TABLE redemption (
    id         TEXT   NOT NULL PRIMARY KEY,
    state      TEXT   NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
    quote_id   TEXT   NOT NULL, -- '' when it was released before it was redeemed
    coupon     TEXT   NOT NULL, -- '' when the quote has none
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX redemption_coupon ON redemption (coupon);

-- +goose Down
DROP TABLE redemption;
DROP TABLE quote_line;
DROP TABLE quote;
DROP TABLE coupon;
DROP TABLE tax_rate;
DROP TABLE price;
