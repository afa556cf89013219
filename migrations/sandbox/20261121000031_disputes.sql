-- Disputes, early warnings of fraud, and payments that a bank returns. Amounts are minor units.

-- A bank takes its money whether it is there or not.
ALTER TABLE balances
    DROP CONSTRAINT balances_available_not_negative;

ALTER TABLE charges
    ADD COLUMN disputed boolean NOT NULL DEFAULT false,
    ADD COLUMN failure_balance_transaction text, -- the money that the bank took back
    DROP CONSTRAINT charges_success_has_balance_transaction,
    ADD CONSTRAINT charges_success_has_balance_transaction
        CHECK (status <> 'succeeded' OR num_nonnulls(balance_transaction, books_at) = 1);

-- A dispute has as many adjustments as the bank makes.
ALTER TABLE balance_transactions
    ADD COLUMN reporting_category text, -- where it is not the type
    DROP CONSTRAINT IF EXISTS balance_transactions_source_and_type_unique;
CREATE UNIQUE INDEX balance_transactions_source_and_type ON balance_transactions (source, type) WHERE type <> 'adjustment';

CREATE TABLE disputes (
    id               text PRIMARY KEY,
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    account_id       text NOT NULL REFERENCES accounts (id),
    charge           text NOT NULL REFERENCES charges (id),
    payment_intent   text REFERENCES payment_intents (id),
    amount           bigint NOT NULL,
    currency         text NOT NULL,
    status           text NOT NULL,
    reason           text NOT NULL,
    evidence         jsonb NOT NULL, -- texts by field
    submission_count bigint NOT NULL DEFAULT 0,
    due_by           timestamptz NOT NULL,
    metadata         jsonb NOT NULL,
    entries          jsonb NOT NULL, -- balance transactions as they are shown, oldest first
    taken            bigint NOT NULL DEFAULT 0, -- withdrawn and not reinstated
    created_at       timestamptz NOT NULL,
    CONSTRAINT disputes_amount_positive CHECK (amount > 0),
    CONSTRAINT disputes_status_known CHECK (status IN ('warning_needs_response', 'warning_under_review', 'warning_closed',
        'needs_response', 'under_review', 'won', 'lost'))
);

CREATE INDEX disputes_account_id_seq ON disputes (account_id, seq);
CREATE INDEX disputes_charge ON disputes (charge);
CREATE INDEX disputes_to_answer ON disputes (due_by) WHERE status = 'needs_response';

CREATE TABLE early_fraud_warnings (
    id             text PRIMARY KEY,
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    account_id     text NOT NULL REFERENCES accounts (id),
    charge         text NOT NULL REFERENCES charges (id),
    payment_intent text REFERENCES payment_intents (id),
    fraud_type     text NOT NULL,
    created_at     timestamptz NOT NULL
);

CREATE INDEX early_fraud_warnings_account_id_seq ON early_fraud_warnings (account_id, seq);
