-- Since when what is owed is not covered, as far as anybody has looked: by currency, on the tenant's clock. Lost, it is
-- seen again; then a shortage is told later.
create table coverage_watch (
    currency    text not null,
    below_since timestamptz not null,
    constraint coverage_watch_pkey primary key (currency)
);
