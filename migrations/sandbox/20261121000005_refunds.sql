-- Refunds, and what a charge and its balance know of them. Amounts are minor units.

ALTER TABLE charges
    ADD COLUMN amount_refunded bigint NOT NULL DEFAULT 0, -- refunds that have not failed
    ADD CONSTRAINT charges_refunded_at_most_whole CHECK (amount_refunded BETWEEN 0 AND amount);

CREATE TABLE refunds (
    id                          text PRIMARY KEY,
    seq                         bigint GENERATED ALWAYS AS IDENTITY,
    account_id                  text NOT NULL REFERENCES accounts (id),
    charge                      text NOT NULL REFERENCES charges (id),
    payment_intent              text REFERENCES payment_intents (id),
    amount                      bigint NOT NULL,
    currency                    text NOT NULL,
    status                      text NOT NULL,
    pending_reason              text,
    reason                      text,
    failure_reason              text,
    balance_transaction         text, -- null until the money was taken
    failure_balance_transaction text, -- the money that came back
    metadata                    jsonb NOT NULL,
    created_at                  timestamptz NOT NULL,
    behaviour                   text NOT NULL, -- what the test card does with refunds
    turns_after_seconds         bigint NOT NULL, -- from the taking of the money until the bank's answer changes
    turns_at                    timestamptz, -- when pending becomes succeeded, or succeeded failed; null when it stays
    CONSTRAINT refunds_amount_positive CHECK (amount > 0),
    CONSTRAINT refunds_status_known CHECK (status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    CONSTRAINT refunds_pending_has_reason CHECK ((status = 'pending') = (pending_reason IS NOT NULL)),
    CONSTRAINT refunds_failure_has_reason CHECK ((status = 'failed') = (failure_reason IS NOT NULL)),
    CONSTRAINT refunds_success_has_balance_transaction CHECK (status <> 'succeeded' OR balance_transaction IS NOT NULL),
    CONSTRAINT refunds_behaviour_known CHECK (behaviour IN ('at_once', 'later', 'fails_later'))
);

CREATE INDEX refunds_account_id_seq ON refunds (account_id, seq);
CREATE INDEX refunds_charge ON refunds (charge);
CREATE INDEX refunds_to_turn ON refunds (turns_at) WHERE turns_at IS NOT NULL;
CREATE INDEX refunds_without_funds ON refunds (seq) WHERE pending_reason = 'insufficient_funds';

-- A refund that fails after its money was taken has an entry for each way.
ALTER TABLE balance_transactions
    DROP CONSTRAINT balance_transactions_source_unique,
    DROP CONSTRAINT balance_transactions_type_known,
    ADD CONSTRAINT balance_transactions_source_and_type_unique UNIQUE (source, type),
    ADD CONSTRAINT balance_transactions_type_known
        CHECK (type IN ('charge', 'payment', 'transfer', 'payout', 'refund', 'refund_failure'));
