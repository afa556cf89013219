-- Bank debits that take days, receipts that come late, captures of another amount, deliveries that wait for the clock.

ALTER TABLE payment_intents
    ADD COLUMN amount_received bigint NOT NULL DEFAULT 0, -- what was captured; another amount only by a planned fault
    ADD COLUMN settles_at timestamptz, -- when a bank debit is answered; null when it is not one, or never answered
    DROP CONSTRAINT payment_intents_status_known,
    ADD CONSTRAINT payment_intents_status_known CHECK (status IN
        ('requires_payment_method', 'requires_confirmation', 'requires_action', 'processing', 'succeeded', 'canceled')),
    ADD CONSTRAINT payment_intents_settle_while_processing CHECK (settles_at IS NULL OR status = 'processing');

UPDATE payment_intents SET amount_received = amount WHERE status = 'succeeded';

CREATE INDEX payment_intents_to_settle ON payment_intents (settles_at) WHERE settles_at IS NOT NULL;

ALTER TABLE charges
    ADD COLUMN fee bigint NOT NULL DEFAULT 0, -- what it costs when it succeeds
    ADD COLUMN available_after_seconds bigint NOT NULL DEFAULT 0, -- from its success to the availability of its funds
    ADD COLUMN booked_after_seconds bigint NOT NULL DEFAULT 0, -- from its success to its balance transaction
    ADD COLUMN books_at timestamptz, -- when a late balance transaction is written; null when it is, or never will be
    DROP CONSTRAINT charges_status_known,
    DROP CONSTRAINT charges_success_has_balance_transaction,
    ADD CONSTRAINT charges_status_known CHECK (status IN ('pending', 'succeeded', 'failed')),
    ADD CONSTRAINT charges_success_has_balance_transaction
        CHECK ((status = 'succeeded') = (num_nonnulls(balance_transaction, books_at) = 1));

CREATE INDEX charges_to_book ON charges (books_at) WHERE books_at IS NOT NULL;

ALTER TABLE webhook_deliveries
    ADD COLUMN due_at timestamptz, -- by the sandbox's clock: a delayed delivery is not sent before
    DROP CONSTRAINT webhook_deliveries_state_known,
    ADD CONSTRAINT webhook_deliveries_state_known
        CHECK (state IN ('pending', 'held', 'delayed', 'dropped', 'delivered')),
    ADD CONSTRAINT webhook_deliveries_delayed_until CHECK ((state = 'delayed') = (due_at IS NOT NULL));

CREATE INDEX webhook_deliveries_delayed ON webhook_deliveries (due_at) WHERE state = 'delayed';
