-- Top-ups: money that the platform adds to its own balance. Amounts are minor units.

CREATE TABLE topups (
    id                  text PRIMARY KEY,
    seq                 bigint GENERATED ALWAYS AS IDENTITY,
    account_id          text NOT NULL REFERENCES accounts (id),
    amount              bigint NOT NULL,
    currency            text NOT NULL,
    status              text NOT NULL,
    failure_code        text,
    source              text, -- test bank account that the caller named
    balance_transaction text, -- null until the money is there
    description         text,
    statement_descriptor text,
    transfer_group      text,
    metadata            jsonb NOT NULL,
    created_at          timestamptz NOT NULL,
    arrival_at          timestamptz NOT NULL, -- when pending becomes succeeded, or failed
    CONSTRAINT topups_amount_positive CHECK (amount > 0),
    CONSTRAINT topups_status_known CHECK (status IN ('canceled', 'failed', 'pending', 'reversed', 'succeeded')),
    CONSTRAINT topups_failure_has_code CHECK ((status = 'failed') = (failure_code IS NOT NULL))
);

CREATE INDEX topups_account_id_seq ON topups (account_id, seq);
CREATE INDEX topups_to_arrive ON topups (arrival_at) WHERE status = 'pending';
