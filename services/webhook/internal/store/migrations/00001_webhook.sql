-- +goose Up
CREATE TABLE endpoint (
    id          TEXT   NOT NULL PRIMARY KEY,
    url         TEXT   NOT NULL,
    types       TEXT   NOT NULL, -- separated by spaces; empty for every one
    description TEXT   NOT NULL,
    disabled    BIGINT NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    why         TEXT   NOT NULL DEFAULT '', -- GONE when the endpoint answered 410
    created_at  BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    updated_at  BIGINT NOT NULL,
    CHECK (why = '' OR disabled = 1)
);

CREATE INDEX endpoint_by_time ON endpoint (created_at DESC, id DESC);

-- A secret is needed to sign, so it is here as it is. Who may read this table may sign.
CREATE TABLE endpoint_secret (
    endpoint_id TEXT   NOT NULL REFERENCES endpoint (id),
    secret      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    until_at    BIGINT NOT NULL DEFAULT 0, -- 0: the current one
    PRIMARY KEY (endpoint_id, secret)
);

-- An event, once for all endpoints.
CREATE TABLE message (
    id         TEXT   NOT NULL PRIMARY KEY, -- the event's
    type       TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE delivery (
    id          TEXT   NOT NULL PRIMARY KEY,
    endpoint_id TEXT   NOT NULL REFERENCES endpoint (id),
    message_id  TEXT   NOT NULL REFERENCES message (id),
    state       TEXT   NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD')),
    attempts    BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    status      BIGINT NOT NULL DEFAULT 0,
    why         TEXT   NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    next_at     BIGINT NOT NULL, -- when it is sent; 0 unless pending
    UNIQUE (endpoint_id, message_id),
    CHECK ((next_at > 0) = (state = 'PENDING'))
);

CREATE INDEX delivery_due ON delivery (endpoint_id, state, next_at);
CREATE INDEX delivery_by_time ON delivery (endpoint_id, created_at DESC, id DESC);
CREATE INDEX delivery_over ON delivery (state, updated_at);
CREATE INDEX delivery_of_message ON delivery (message_id);

-- +goose Down
DROP TABLE delivery;
DROP TABLE message;
DROP TABLE endpoint_secret;
DROP TABLE endpoint;
