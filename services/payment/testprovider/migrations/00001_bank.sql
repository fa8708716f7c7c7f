-- +goose Up
CREATE TABLE charge (
    key          TEXT   NOT NULL PRIMARY KEY, -- the idempotency key of its Authorize
    ref          TEXT   NOT NULL UNIQUE,
    order_id     TEXT   NOT NULL,
    currency     TEXT   NOT NULL,
    minor        BIGINT NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('held', 'captured', 'voided', 'declined')),
    decline_code TEXT   NOT NULL,
    captured     BIGINT NOT NULL DEFAULT 0,
    refunded     BIGINT NOT NULL DEFAULT 0,
    behaviour    TEXT   NOT NULL,
    events       BIGINT NOT NULL DEFAULT 0, -- how many were made of it
    created_at   BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    CHECK (captured <= minor AND refunded <= captured)
);

CREATE INDEX charge_by_order ON charge (order_id);

CREATE TABLE refund (
    key          TEXT   NOT NULL PRIMARY KEY,
    ref          TEXT   NOT NULL,
    minor        BIGINT NOT NULL,
    decline_code TEXT   NOT NULL
);

CREATE INDEX refund_by_ref ON refund (ref);

-- What happened to money. Declines and repetitions move none.
CREATE TABLE move (
    seq      BIGINT NOT NULL PRIMARY KEY,
    kind     TEXT   NOT NULL CHECK (kind IN ('hold', 'capture', 'void', 'refund')),
    key      TEXT   NOT NULL,
    ref      TEXT   NOT NULL,
    order_id TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    minor    BIGINT NOT NULL,
    at       BIGINT NOT NULL
);

-- How often a call with a key was made to fail.
CREATE TABLE failure (
    call  TEXT   NOT NULL,
    key   TEXT   NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (call, key)
);

CREATE TABLE event (
    id         TEXT   NOT NULL PRIMARY KEY,
    key        TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    deliver_at BIGINT NOT NULL,
    times      BIGINT NOT NULL -- how often it is still to be delivered
);

CREATE INDEX event_by_time ON event (deliver_at) WHERE times > 0;

-- +goose Down
DROP TABLE event;
DROP TABLE failure;
DROP TABLE move;
DROP TABLE refund;
DROP TABLE charge;
