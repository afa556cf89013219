-- Consents to bank debits on their way to the provider. Personal, and not part of the log: a row goes when the provider has
-- it, and after 30 days in any case.
create table payment_mandates (
    funding_id  uuid primary key,
    accepted_at timestamptz not null,
    ip_address  text not null,
    user_agent  text not null,
    kept_at     timestamptz not null
);
comment on column payment_mandates.accepted_at is 'By the tenant''s clock, or as the marketplace says.';
comment on column payment_mandates.kept_at is 'Wall time.';
create index payment_mandates_kept_at on payment_mandates (kept_at);
