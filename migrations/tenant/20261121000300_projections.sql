-- Projections: derived from the log, thrown away and rebuilt at will.

create table projections (
    name     text   not null,
    position bigint not null,
    constraint projections_pkey primary key (name)
);
comment on column projections.position is 'Everything up to here is in the projection.';
insert into projections (name, position) values ('books', 0), ('views', 0), ('orders', 0);

create table postings (
    position bigint   not null,
    line     smallint not null,
    account  smallint not null,
    currency text     not null,
    side     text     not null,
    minor    bigint   not null,
    dims     text     not null,
    constraint postings_pkey primary key (position, line),
    constraint postings_side check (side in ('D', 'C')),
    constraint postings_amount_positive check (minor > 0)
);
comment on column postings.minor is 'Minor units of the currency.';
comment on column postings.dims is 'Dimensions as key=value, by key, separated by semicolons.';

create table subledger_balances (
    account  smallint not null,
    currency text     not null,
    dims     text     not null,
    debits   numeric(38, 0) not null,
    credits  numeric(38, 0) not null,
    constraint subledger_balances_pkey primary key (account, currency, dims)
);

-- The present state of every aggregate.
create table documents (
    aggregate_type   text   not null,
    aggregate_id     text   not null,
    version          bigint not null,
    position         bigint not null,
    created_position bigint not null,
    contract_id      text,
    client_id        text,
    payee_id         text,
    status           text   not null,
    body             json   not null,
    constraint documents_pkey primary key (aggregate_type, aggregate_id)
);
comment on column documents.position is 'Position of the last event in it.';
comment on column documents.created_position is 'Position of its first event; what lists are ordered by.';
create index documents_by_contract on documents (contract_id) where contract_id is not null;
create index documents_by_client on documents (client_id, aggregate_type, created_position) where client_id is not null;
create index documents_by_payee on documents (payee_id, aggregate_type, created_position) where payee_id is not null;

-- Which events are about a contract.
create table contract_events (
    contract_id text   not null,
    position    bigint not null,
    constraint contract_events_pkey primary key (contract_id, position)
);

-- When to look at a scope again. Looking in vain is harmless.
create table wakeups (
    aggregate_type text not null,
    aggregate_id   text not null,
    due_at         timestamptz not null,
    constraint wakeups_pkey primary key (aggregate_type, aggregate_id, due_at)
);
create index wakeups_due on wakeups (due_at);
