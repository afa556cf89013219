-- Events and their deliveries, and the answers kept for idempotency keys.

CREATE TABLE events (
    id         text PRIMARY KEY,
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    account_id text NOT NULL REFERENCES accounts (id),
    type       text NOT NULL,
    created_at timestamptz NOT NULL,
    body       text NOT NULL -- the event as it is sent, byte for byte: it is what is signed
);

CREATE INDEX events_account_id_seq ON events (account_id, seq);

CREATE TABLE webhook_deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        text NOT NULL REFERENCES events (id),
    endpoint        text NOT NULL, -- platform/0, connect/0, …: the n-th target of its kind in the configuration
    state           text NOT NULL DEFAULT 'pending',
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL, -- wall time
    faulted         boolean NOT NULL DEFAULT false, -- a planned fault has been applied; there is not a second one
    last_status     integer, -- HTTP status of the last attempt; null when there was no answer
    delivered_at    timestamptz, -- wall time
    CONSTRAINT webhook_deliveries_once_per_endpoint UNIQUE (event_id, endpoint),
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('pending', 'held', 'dropped', 'delivered')),
    CONSTRAINT webhook_deliveries_delivered_at CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
);

CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (id) WHERE state <> 'delivered';

CREATE TABLE idempotency_keys (
    account_id  text NOT NULL REFERENCES accounts (id),
    key         text NOT NULL,
    fingerprint bytea NOT NULL, -- SHA-256 of method, path and parameters
    status      integer NOT NULL,
    body        text NOT NULL,
    request_id  text NOT NULL,
    created_at  timestamptz NOT NULL, -- the sandbox's clock
    PRIMARY KEY (account_id, key),
    CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255)
);
