-- +goose Up
ALTER TABLE orders ADD COLUMN trace TEXT NOT NULL DEFAULT ''; -- W3C traceparent of the request that made it; '' is none

-- +goose Down
ALTER TABLE orders DROP COLUMN trace;
