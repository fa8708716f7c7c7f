-- +goose Up
-- Times are microseconds since 1970, UTC.

-- A key is an aggregate's id. Its events are numbered from 1, whatever their topic.
CREATE TABLE outbox_key (
    key  TEXT   NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL, -- of the last event
    last TEXT   NOT NULL  -- of each topic the last event's seq: "topic=seq topic=seq"
);

CREATE TABLE outbox (
    key          TEXT   NOT NULL,
    seq          BIGINT NOT NULL,
    event_id     TEXT   NOT NULL UNIQUE,
    topic        TEXT   NOT NULL,
    prior        TEXT   NOT NULL, -- outbox_key.last before this event
    traceparent  TEXT   NOT NULL,
    body         BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    published_at BIGINT NOT NULL DEFAULT 0, -- 0: pending
    place        BIGINT NOT NULL DEFAULT 0, -- where the broker keeps it; 0 when the broker doesn't say
    again        BIGINT NOT NULL DEFAULT 0, -- how often the broker had lost it
    tries        BIGINT NOT NULL DEFAULT 0, -- that failed
    retry_at     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (key, seq)
);
CREATE INDEX outbox_pending ON outbox (created_at, key, seq) WHERE published_at = 0;
CREATE INDEX outbox_pending_by_key ON outbox (key, seq) WHERE published_at = 0;
CREATE INDEX outbox_published ON outbox (published_at, event_id) WHERE published_at > 0;

-- The durable consumers that the broker had of a topic.
CREATE TABLE outbox_consumer (
    topic   TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    made_at BIGINT NOT NULL, -- by the broker's clock
    gone_at BIGINT NOT NULL DEFAULT 0, -- since when the broker doesn't have it
    PRIMARY KEY (topic, name)
);

-- One row for each event that a consumer has applied.
CREATE TABLE inbox (
    consumer   TEXT   NOT NULL,
    event_id   TEXT   NOT NULL,
    topic      TEXT   NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_by_age ON inbox (applied_at);

-- How far a consumer is with a key.
CREATE TABLE inbox_key (
    consumer TEXT   NOT NULL,
    key      TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    seq      BIGINT NOT NULL, -- the highest applied or given up
    PRIMARY KEY (consumer, key, topic)
);

-- Positions of a key that a consumer went past without their events: after first, up to last.
CREATE TABLE inbox_gap (
    consumer TEXT   NOT NULL,
    key      TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    made_at  BIGINT NOT NULL,
    why      TEXT   NOT NULL DEFAULT 'missing' CHECK (why IN ('missing', 'dead', 'before')), -- before the consumer's first subscription
    PRIMARY KEY (consumer, key, topic, last)
);
CREATE INDEX inbox_gap_by_age ON inbox_gap (made_at);

-- Events that came before their predecessors and were handed back.
CREATE TABLE inbox_wait (
    consumer TEXT   NOT NULL,
    event_id TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    times    BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_wait_by_age ON inbox_wait (since);

-- When a consumer first asked for a topic.
CREATE TABLE inbox_topic (
    consumer TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    PRIMARY KEY (consumer, topic)
);

-- Package lease.
CREATE TABLE lease (
    name  TEXT   NOT NULL PRIMARY KEY,
    owner TEXT   NOT NULL, -- '' when it was given back
    epoch BIGINT NOT NULL  -- grows with each owner
);
-- Apart from lease, so that a heartbeat disturbs no transaction that reads the epoch.
CREATE TABLE lease_beat (
    name  TEXT   NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    beats BIGINT NOT NULL,
    at    BIGINT NOT NULL -- for people: nothing compares it
);

-- +goose Down
DROP TABLE lease_beat;
DROP TABLE lease;
DROP TABLE inbox_topic;
DROP TABLE inbox_wait;
DROP TABLE inbox_gap;
DROP TABLE inbox_key;
DROP TABLE inbox;
DROP TABLE outbox_consumer;
DROP TABLE outbox;
DROP TABLE outbox_key;
