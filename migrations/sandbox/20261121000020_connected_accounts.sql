-- Onboarding of connected accounts, their bank accounts, reversals of transfers, payouts that fail. Amounts are minor units.

ALTER TABLE accounts
    ADD COLUMN transfers       text NOT NULL DEFAULT 'active', -- the capability
    ADD COLUMN payouts_enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN submitted       boolean NOT NULL DEFAULT true, -- the details that onboarding asks for
    ADD COLUMN currently_due   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN past_due        text[] NOT NULL DEFAULT '{}',
    ADD COLUMN due_by          timestamptz,
    ADD COLUMN disabled_reason text,
    ADD COLUMN payout_interval text NOT NULL DEFAULT 'manual',
    ADD COLUMN deauthorized    boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT accounts_transfers_known CHECK (transfers IN ('active', 'inactive', 'pending'));

CREATE TABLE bank_accounts (
    id                   text PRIMARY KEY,
    seq                  bigint GENERATED ALWAYS AS IDENTITY,
    account_id           text NOT NULL REFERENCES accounts (id),
    country              text NOT NULL,
    currency             text NOT NULL,
    account_number       text NOT NULL, -- a test number: it says what becomes of payouts
    routing_number       text,
    account_holder_name  text,
    default_for_currency boolean NOT NULL,
    status               text NOT NULL DEFAULT 'new',
    metadata             jsonb NOT NULL DEFAULT '{}',
    created_at           timestamptz NOT NULL,
    CONSTRAINT bank_accounts_status_known CHECK (status IN ('new', 'errored'))
);

CREATE INDEX bank_accounts_account_id_seq ON bank_accounts (account_id, seq);
CREATE UNIQUE INDEX bank_accounts_one_default ON bank_accounts (account_id, currency) WHERE default_for_currency;

INSERT INTO bank_accounts (id, account_id, country, currency, account_number, routing_number, default_for_currency, created_at)
SELECT bank_account, id, country, default_currency, '000123456789', '110000000', true, created_at FROM accounts;

ALTER TABLE accounts DROP COLUMN bank_account;

CREATE TABLE bank_tokens (
    id                  text PRIMARY KEY,
    country             text NOT NULL,
    currency            text NOT NULL,
    account_number      text NOT NULL,
    routing_number      text,
    account_holder_name text,
    used                boolean NOT NULL DEFAULT false
);

CREATE TABLE account_links (
    token      text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id),
    return_url text NOT NULL,
    expires_at timestamptz NOT NULL,
    used       boolean NOT NULL DEFAULT false
);

CREATE TABLE transfer_reversals (
    id                         text PRIMARY KEY,
    seq                        bigint GENERATED ALWAYS AS IDENTITY,
    account_id                 text NOT NULL REFERENCES accounts (id),
    transfer                   text NOT NULL REFERENCES transfers (id),
    amount                     bigint NOT NULL,
    currency                   text NOT NULL,
    balance_transaction        text NOT NULL,
    destination_payment_refund text NOT NULL,
    metadata                   jsonb NOT NULL,
    created_at                 timestamptz NOT NULL,
    CONSTRAINT transfer_reversals_amount_positive CHECK (amount > 0)
);

CREATE INDEX transfer_reversals_transfer ON transfer_reversals (transfer, seq);

ALTER TABLE transfers
    ADD COLUMN amount_reversed bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT transfers_reversed_at_most_whole CHECK (amount_reversed BETWEEN 0 AND amount);

ALTER TABLE payouts
    DROP CONSTRAINT payouts_status_known,
    ADD CONSTRAINT payouts_status_known CHECK (status IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')),
    ADD COLUMN fails_with                  text, -- what the bank says when it arrives; null: it takes it
    ADD COLUMN failure_code                text,
    ADD COLUMN failure_balance_transaction text,
    ADD CONSTRAINT payouts_failure_has_code CHECK ((status = 'failed') = (failure_code IS NOT NULL));

-- What is taken from a connected account by others than its owner may bring it below zero.
ALTER TABLE balances
    DROP CONSTRAINT balances_available_not_negative,
    ADD COLUMN may_be_negative boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT balances_available_not_negative CHECK (available >= 0 OR may_be_negative);

-- The types that Stripe has and the sandbox may use (https://docs.stripe.com/reports/balance-transaction-types).
ALTER TABLE balance_transactions
    DROP CONSTRAINT balance_transactions_type_known,
    ADD CONSTRAINT balance_transactions_type_known CHECK (type IN (
        'adjustment', 'charge', 'payment', 'payment_failure_refund', 'payment_refund', 'payment_reversal', 'payout',
        'payout_cancel', 'payout_failure', 'refund', 'refund_failure', 'stripe_fee', 'topup', 'topup_reversal', 'transfer',
        'transfer_refund'));
