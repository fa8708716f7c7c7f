-- +goose Up
-- Times are microseconds since 1970, UTC. A token is kept as the SHA-256 of it, a password as its argon2id hash: nothing else gets in.
CREATE TABLE customer (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   UNIQUE, -- in lower case; NULL for an erased one
    name          TEXT   NOT NULL,
    phone         TEXT   NOT NULL,
    locale        TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    staff         BIGINT NOT NULL CHECK (staff IN (0, 1)),
    admin         BIGINT NOT NULL CHECK (admin IN (0, 1)),
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    erased_at     BIGINT NOT NULL DEFAULT 0,
    -- An erased one is empty.
    CHECK (erased_at = 0 AND email IS NOT NULL AND password_hash LIKE '$argon2id$%'
        OR erased_at <> 0 AND email IS NULL AND password_hash = '' AND name = '' AND phone = '' AND locale = '' AND staff = 0 AND admin = 0)
);

CREATE TABLE registration (
    token_hash    TEXT   NOT NULL PRIMARY KEY CHECK (LENGTH(token_hash) = 64),
    customer_id   TEXT   NOT NULL UNIQUE,
    email         TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    locale        TEXT   NOT NULL,
    password_hash TEXT   NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);

CREATE INDEX registration_by_email ON registration (email);
CREATE INDEX registration_by_expiry ON registration (expires_at);

CREATE TABLE password_reset (
    token_hash  TEXT   NOT NULL PRIMARY KEY CHECK (LENGTH(token_hash) = 64),
    customer_id TEXT   NOT NULL, -- '' for an e-mail address without an account: so much work is done for it, too
    expires_at  BIGINT NOT NULL
);

CREATE INDEX password_reset_by_customer ON password_reset (customer_id);
CREATE INDEX password_reset_by_expiry ON password_reset (expires_at);

CREATE TABLE session (
    id          TEXT   NOT NULL PRIMARY KEY,
    customer_id TEXT   NOT NULL REFERENCES customer (id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

CREATE INDEX session_by_customer ON session (customer_id, id);
CREATE INDEX session_by_expiry ON session (expires_at);

CREATE TABLE refresh_token (
    token_hash TEXT   NOT NULL PRIMARY KEY CHECK (LENGTH(token_hash) = 64),
    session_id TEXT   NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
CREATE INDEX refresh_token_by_expiry ON refresh_token (expires_at);

CREATE TABLE address (
    id          TEXT   NOT NULL PRIMARY KEY,
    customer_id TEXT   NOT NULL REFERENCES customer (id),
    label       TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    line1       TEXT   NOT NULL,
    line2       TEXT   NOT NULL,
    city        TEXT   NOT NULL,
    postal_code TEXT   NOT NULL,
    country     TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE INDEX address_by_customer ON address (customer_id, id);

CREATE TABLE attempt (
    key          TEXT   NOT NULL PRIMARY KEY, -- kind, and the SHA-256 of an e-mail address or a source
    count        BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    not_before   BIGINT NOT NULL
);

CREATE INDEX attempt_by_time ON attempt (last_at);

CREATE TABLE signing_key (
    id          TEXT   NOT NULL PRIMARY KEY, -- the kid
    private_key TEXT   NOT NULL, -- aesgcm: sealed with the operator's secret; plain: there is none
    public_key  TEXT   NOT NULL, -- base64url
    created_at  BIGINT NOT NULL,
    signs_from  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE signing_key;
DROP TABLE attempt;
DROP TABLE address;
DROP TABLE refresh_token;
DROP TABLE session;
DROP TABLE password_reset;
DROP TABLE registration;
DROP TABLE customer;
