-- Currencies that the platform's balance is not held in, and what is given for them.

CREATE TABLE settlements (
    currency         text PRIMARY KEY, -- that is paid
    settles_in       text NOT NULL,
    rate_billionths  bigint NOT NULL, -- units of settles_in for one unit of currency, in billionths
    CONSTRAINT settlements_exchange CHECK (settles_in <> currency),
    CONSTRAINT settlements_rate_positive CHECK (rate_billionths > 0)
);

-- Of an entry that was exchanged; null for all others.
ALTER TABLE balance_transactions ADD COLUMN rate_billionths bigint;
