-- +goose Up
-- What was agreed, taken and given back, in minor units. refunding is what refunds that are under way may still take away.
ALTER TABLE payment ADD COLUMN authorized BIGINT NOT NULL DEFAULT 0 CHECK (authorized >= 0 AND authorized <= minor);
ALTER TABLE payment ADD COLUMN captured BIGINT NOT NULL DEFAULT 0 CHECK (captured >= 0 AND captured <= authorized);
ALTER TABLE payment ADD COLUMN refunded BIGINT NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND refunded <= captured);
ALTER TABLE payment ADD COLUMN refunding BIGINT NOT NULL DEFAULT 0 CHECK (refunding >= 0 AND refunded + refunding <= captured);
-- What the provider was asked for and has not answered yet.
ALTER TABLE payment ADD COLUMN asked TEXT NOT NULL DEFAULT '' CHECK (asked IN ('', 'capture', 'void'));
-- When the reconciler is to look at it; 0 for never.
ALTER TABLE payment ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;

CREATE INDEX payment_by_due ON payment (due_at) WHERE due_at > 0;

-- Refunds, by the id that is the provider's idempotency key, too.
CREATE TABLE refund (
    id         TEXT   NOT NULL PRIMARY KEY,
    payment_id TEXT   NOT NULL REFERENCES payment (id),
    state      TEXT   NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed')),
    minor      BIGINT NOT NULL CHECK (minor > 0),
    reason     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX refund_by_payment ON refund (payment_id, id);

-- The double-entry ledger: in each transaction debit and credit have the same sum. A transaction is a thing that happened to a
-- payment, and its id says which: it can't be posted twice. Rows are never changed.
CREATE TABLE ledger_entries (
    transaction_id TEXT   NOT NULL,
    account        TEXT   NOT NULL CHECK (account IN ('provider:held', 'customer:promised', 'provider:balance', 'revenue', 'refunds')),
    currency       TEXT   NOT NULL,
    debit          BIGINT NOT NULL CHECK (debit >= 0),
    credit         BIGINT NOT NULL CHECK (credit >= 0),
    payment_id     TEXT   NOT NULL REFERENCES payment (id),
    at             BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, account),
    CHECK (debit = 0 OR credit = 0)
);

CREATE INDEX ledger_by_payment ON ledger_entries (payment_id);

-- Events of the provider that were acted on. Old ones are deleted.
CREATE TABLE webhook_event (
    provider    TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    payment_id  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (provider, event_id)
);

CREATE INDEX webhook_event_by_time ON webhook_event (received_at);

-- Where the provider says otherwise than the ledger.
CREATE TABLE discrepancy (
    payment_id     TEXT   NOT NULL REFERENCES payment (id),
    what           TEXT   NOT NULL CHECK (what IN ('held', 'captured', 'refunded')),
    currency       TEXT   NOT NULL,
    ledger_minor   BIGINT NOT NULL,
    provider_minor BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (payment_id, what)
);

CREATE INDEX discrepancy_by_time ON discrepancy (created_at, payment_id, what);

-- What was there before there was a ledger.
UPDATE payment SET authorized = minor WHERE state IN ('authorized', 'captured');
UPDATE payment SET captured = minor WHERE state = 'captured';
UPDATE payment SET due_at = 1 WHERE state IN ('pending', 'authorized');
INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at)
    SELECT id || ':authorized', 'provider:held', currency, minor, 0, id, updated_at FROM payment WHERE state = 'authorized';
INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at)
    SELECT id || ':authorized', 'customer:promised', currency, 0, minor, id, updated_at FROM payment WHERE state = 'authorized';
INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at)
    SELECT id || ':captured', 'provider:balance', currency, minor, 0, id, updated_at FROM payment WHERE state = 'captured';
INSERT INTO ledger_entries (transaction_id, account, currency, debit, credit, payment_id, at)
    SELECT id || ':captured', 'revenue', currency, 0, minor, id, updated_at FROM payment WHERE state = 'captured';

-- +goose Down
DROP TABLE discrepancy;
DROP TABLE webhook_event;
DROP TABLE ledger_entries;
DROP TABLE refund;
DROP INDEX payment_by_due;
ALTER TABLE payment DROP COLUMN due_at;
ALTER TABLE payment DROP COLUMN asked;
ALTER TABLE payment DROP COLUMN refunding;
ALTER TABLE payment DROP COLUMN refunded;
ALTER TABLE payment DROP COLUMN captured;
ALTER TABLE payment DROP COLUMN authorized;
