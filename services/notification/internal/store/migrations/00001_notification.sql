-- +goose Up
CREATE TABLE mail (
    id          TEXT   NOT NULL PRIMARY KEY,
    event_id    TEXT   NOT NULL,
    template    TEXT   NOT NULL,
    locale      TEXT   NOT NULL,
    recipient   TEXT   NOT NULL,
    customer_id TEXT   NOT NULL, -- may be empty
    order_id    TEXT   NOT NULL, -- may be empty
    subject     TEXT   NOT NULL,
    body        TEXT   NOT NULL, -- empty once it is erased, or was secret and is over
    html        TEXT   NOT NULL,
    secret      BIGINT NOT NULL CHECK (secret IN (0, 1)),
    state       TEXT   NOT NULL CHECK (state IN ('PENDING', 'HELD', 'SENT', 'DEAD', 'ERASED')),
    attempts    BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    again       BIGINT NOT NULL DEFAULT 0 CHECK (again >= 0),
    why         TEXT   NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL, -- microseconds since 1970, UTC, here and below
    updated_at  BIGINT NOT NULL,
    next_at     BIGINT NOT NULL, -- when it is sent; 0 unless pending
    expires_at  BIGINT NOT NULL, -- when its secret is of no more use; 0 without one
    UNIQUE (event_id, template),
    CHECK ((next_at > 0) = (state = 'PENDING')),
    CHECK (state <> 'ERASED' OR (recipient = '' AND subject = '' AND body = '' AND html = ''))
);

CREATE INDEX mail_due ON mail (state, next_at);
CREATE INDEX mail_over ON mail (state, updated_at);
CREATE INDEX mail_by_time ON mail (created_at DESC, id DESC);
CREATE INDEX mail_of_customer ON mail (customer_id);
CREATE INDEX mail_of_order ON mail (order_id, template);

-- Customers that were erased: a mail that is to be written later has no one to go to.
CREATE TABLE erased_customer (
    id        TEXT   NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE erased_customer;
DROP TABLE mail;
