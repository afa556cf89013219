-- The sandbox's clock and platform account, its connected accounts and their balances.

CREATE TABLE sandbox_state (
    only_row         boolean PRIMARY KEY DEFAULT true,
    platform_account text NOT NULL,
    clock_mode       text NOT NULL,
    clock_now        timestamptz, -- UTC; the instant of a test clock, null while the clock is the system's
    CONSTRAINT sandbox_state_one_row CHECK (only_row),
    CONSTRAINT sandbox_state_clock_mode_known CHECK (clock_mode IN ('system', 'test')),
    CONSTRAINT sandbox_state_test_clock_has_instant CHECK ((clock_mode = 'test') = (clock_now IS NOT NULL))
);

CREATE TABLE accounts (
    id               text PRIMARY KEY,
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    platform         boolean NOT NULL,
    account_type     text NOT NULL,
    country          text NOT NULL, -- ISO 3166-1 alpha-2
    default_currency text NOT NULL, -- ISO 4217, lower case
    email            text,
    business_type    text,
    bank_account     text NOT NULL,
    metadata         jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    CONSTRAINT accounts_type_known CHECK (account_type IN ('standard', 'express', 'custom', 'none')),
    CONSTRAINT accounts_bank_account_unique UNIQUE (bank_account)
);

CREATE UNIQUE INDEX accounts_one_platform ON accounts (platform) WHERE platform;

ALTER TABLE sandbox_state
    ADD CONSTRAINT sandbox_state_platform_account_fkey FOREIGN KEY (platform_account) REFERENCES accounts (id);

CREATE TABLE balances (
    account_id text NOT NULL REFERENCES accounts (id),
    currency   text NOT NULL,
    pending    bigint NOT NULL DEFAULT 0, -- minor units
    available  bigint NOT NULL DEFAULT 0, -- minor units
    PRIMARY KEY (account_id, currency),
    CONSTRAINT balances_pending_not_negative CHECK (pending >= 0),
    CONSTRAINT balances_available_not_negative CHECK (available >= 0)
);
