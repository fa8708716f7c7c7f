-- What was answered to a command that carried a key. outcome: 0 is being worked on (nobody but the one transaction that works on it ever
-- sees that), 1 body is the response, 2 body is the refusal. body is base64 of protobuf. Times are microseconds since 1970.

-- +goose Up
CREATE TABLE idempotency_keys (
    scope       TEXT   NOT NULL,
    client_key  TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    outcome     BIGINT NOT NULL CHECK (outcome BETWEEN 0 AND 2),
    body        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, client_key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
