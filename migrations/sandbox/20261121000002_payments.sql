-- Payment intents, charges and balance transactions. Amounts are minor units of the row's currency.

CREATE TABLE payment_intents (
    id                        text PRIMARY KEY,
    seq                       bigint GENERATED ALWAYS AS IDENTITY,
    account_id                text NOT NULL REFERENCES accounts (id),
    amount                    bigint NOT NULL,
    currency                  text NOT NULL,
    status                    text NOT NULL,
    capture_method            text NOT NULL,
    payment_method            text, -- id that the intent shows
    payment_method_token      text, -- test payment method that the caller named, e.g. pm_card_visa
    payment_method_types      text[] NOT NULL,
    automatic_payment_methods boolean NOT NULL,
    description               text,
    receipt_email             text,
    statement_descriptor      text,
    transfer_group            text,
    client_secret             text NOT NULL,
    metadata                  jsonb NOT NULL,
    latest_charge             text,
    last_payment_error        jsonb,
    next_action               jsonb,
    cancellation_reason       text,
    canceled_at               timestamptz,
    created_at                timestamptz NOT NULL,
    CONSTRAINT payment_intents_amount_positive CHECK (amount > 0),
    CONSTRAINT payment_intents_status_known CHECK (status IN
        ('requires_payment_method', 'requires_confirmation', 'requires_action', 'succeeded', 'canceled')),
    CONSTRAINT payment_intents_capture_method_known CHECK (capture_method IN ('automatic', 'automatic_async')),
    CONSTRAINT payment_intents_success_has_charge CHECK (status <> 'succeeded' OR latest_charge IS NOT NULL),
    CONSTRAINT payment_intents_canceled_at_when_canceled CHECK ((status = 'canceled') = (canceled_at IS NOT NULL))
);

CREATE INDEX payment_intents_account_id_seq ON payment_intents (account_id, seq);

CREATE TABLE charges (
    id                   text PRIMARY KEY,
    seq                  bigint GENERATED ALWAYS AS IDENTITY,
    account_id           text NOT NULL REFERENCES accounts (id),
    payment_intent       text REFERENCES payment_intents (id),
    source_transfer      text, -- transfer that paid a connected account, when it was no card
    amount               bigint NOT NULL,
    currency             text NOT NULL,
    status               text NOT NULL,
    payment_method       text,
    payment_method_token text,
    balance_transaction  text,
    description          text,
    receipt_email        text,
    statement_descriptor text,
    transfer_group       text,
    failure_code         text,
    failure_message      text,
    decline_code         text,
    metadata             jsonb NOT NULL,
    created_at           timestamptz NOT NULL,
    CONSTRAINT charges_amount_positive CHECK (amount > 0),
    CONSTRAINT charges_status_known CHECK (status IN ('succeeded', 'failed')),
    CONSTRAINT charges_success_has_balance_transaction CHECK ((status = 'succeeded') = (balance_transaction IS NOT NULL)),
    CONSTRAINT charges_failure_has_code CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CONSTRAINT charges_one_origin CHECK (num_nonnulls(payment_intent, source_transfer) = 1)
);

CREATE INDEX charges_account_id_seq ON charges (account_id, seq);
CREATE INDEX charges_payment_intent ON charges (payment_intent) WHERE payment_intent IS NOT NULL;
-- However often an intent is confirmed, it is paid once.
CREATE UNIQUE INDEX charges_one_success_per_payment_intent ON charges (payment_intent)
    WHERE status = 'succeeded' AND payment_intent IS NOT NULL;

CREATE TABLE balance_transactions (
    id           text PRIMARY KEY,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    account_id   text NOT NULL REFERENCES accounts (id),
    amount       bigint NOT NULL, -- signed: what came in, or went out
    fee          bigint NOT NULL,
    net          bigint NOT NULL,
    currency     text NOT NULL,
    type         text NOT NULL,
    source       text NOT NULL, -- charge, transfer or payout
    description  text,
    status       text NOT NULL,
    available_on timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT balance_transactions_net CHECK (net = amount - fee),
    CONSTRAINT balance_transactions_fee_not_negative CHECK (fee >= 0),
    CONSTRAINT balance_transactions_type_known CHECK (type IN ('charge', 'payment', 'transfer', 'payout')),
    CONSTRAINT balance_transactions_status_known CHECK (status IN ('pending', 'available')),
    CONSTRAINT balance_transactions_source_unique UNIQUE (source)
);

CREATE INDEX balance_transactions_account_id_seq ON balance_transactions (account_id, seq);
CREATE INDEX balance_transactions_due ON balance_transactions (available_on) WHERE status = 'pending';
