-- Money that leaves the platform's balance, and money that leaves the sandbox. Amounts are minor units.

CREATE TABLE transfers (
    id                  text PRIMARY KEY,
    seq                 bigint GENERATED ALWAYS AS IDENTITY,
    account_id          text NOT NULL REFERENCES accounts (id),
    amount              bigint NOT NULL,
    currency            text NOT NULL,
    destination         text NOT NULL REFERENCES accounts (id),
    destination_payment text NOT NULL,
    balance_transaction text NOT NULL,
    description         text,
    transfer_group      text,
    metadata            jsonb NOT NULL,
    created_at          timestamptz NOT NULL,
    CONSTRAINT transfers_amount_positive CHECK (amount > 0),
    CONSTRAINT transfers_not_to_itself CHECK (account_id <> destination)
);

CREATE INDEX transfers_account_id_seq ON transfers (account_id, seq);
CREATE INDEX transfers_transfer_group ON transfers (transfer_group) WHERE transfer_group IS NOT NULL;
CREATE INDEX transfers_destination ON transfers (destination, seq);

CREATE TABLE payouts (
    id                   text PRIMARY KEY,
    seq                  bigint GENERATED ALWAYS AS IDENTITY,
    account_id           text NOT NULL REFERENCES accounts (id),
    amount               bigint NOT NULL,
    currency             text NOT NULL,
    destination          text NOT NULL,
    balance_transaction  text NOT NULL,
    description          text,
    statement_descriptor text,
    status               text NOT NULL,
    metadata             jsonb NOT NULL,
    created_at           timestamptz NOT NULL,
    submit_at            timestamptz NOT NULL, -- when it goes to the bank: pending becomes in_transit
    arrival_at           timestamptz NOT NULL, -- when the bank has it: in_transit becomes paid
    CONSTRAINT payouts_amount_positive CHECK (amount > 0),
    CONSTRAINT payouts_status_known CHECK (status IN ('pending', 'in_transit', 'paid')),
    CONSTRAINT payouts_times_in_order CHECK (created_at <= submit_at AND submit_at <= arrival_at)
);

CREATE INDEX payouts_account_id_seq ON payouts (account_id, seq);
CREATE INDEX payouts_to_submit ON payouts (submit_at) WHERE status = 'pending';
CREATE INDEX payouts_to_arrive ON payouts (arrival_at) WHERE status = 'in_transit';
