-- +goose Up
-- A payment token or anything of a card is never stored.
CREATE TABLE payment (
    id           TEXT   NOT NULL PRIMARY KEY, -- the provider's idempotency key, too
    order_id     TEXT   NOT NULL UNIQUE,
    state        TEXT   NOT NULL CHECK (state IN ('pending', 'authorized', 'captured', 'voided', 'declined')),
    voiding      BIGINT NOT NULL DEFAULT 0 CHECK (voiding IN (0, 1)),
    currency     TEXT   NOT NULL,
    minor        BIGINT NOT NULL CHECK (minor >= 0),
    provider_ref TEXT   NOT NULL DEFAULT '',
    decline_code TEXT   NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    updated_at   BIGINT NOT NULL,
    CHECK (provider_ref <> '' OR state NOT IN ('authorized', 'captured')),
    CHECK (voiding = 0 OR state = 'pending')
);

CREATE INDEX payment_by_time ON payment (created_at DESC, id DESC);

-- +goose Down
DROP TABLE payment;
