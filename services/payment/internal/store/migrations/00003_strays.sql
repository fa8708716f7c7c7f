-- +goose Up
-- Charges at a provider that no payment knows. Times are microseconds since 1970, UTC.
CREATE TABLE stray_charge (
    provider   TEXT   NOT NULL,
    ref        TEXT   NOT NULL,
    key        TEXT   NOT NULL, -- its idempotency key, '' when this module didn't make it
    order_id   TEXT   NOT NULL,
    currency   TEXT   NOT NULL,
    minor      BIGINT NOT NULL,
    remedy     TEXT   NOT NULL CHECK (remedy IN ('void', 'refund', 'report')),
    made_at    BIGINT NOT NULL,
    found_at   BIGINT NOT NULL,
    settled_at BIGINT NOT NULL, -- 0: the provider keeps something of it
    PRIMARY KEY (provider, ref)
);

CREATE INDEX stray_charge_open ON stray_charge (provider, ref) WHERE settled_at = 0;

-- Up to when a provider's charges were looked at.
CREATE TABLE stray_search (
    provider  TEXT   NOT NULL PRIMARY KEY,
    sought_to BIGINT NOT NULL
);

-- +goose Down
DROP TABLE stray_search;
DROP TABLE stray_charge;
