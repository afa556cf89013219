-- The log, and what is written in the same transaction as it.

-- A superset of the table of postgres-es, so that its tools can read it.
create table events (
    aggregate_type text    not null,
    aggregate_id   text    not null,
    sequence       bigint  not null,
    position       bigint  not null,
    commuting      boolean not null,
    recorded_at    timestamptz not null,
    event_type     text    not null,
    event_version  text    not null,
    payload        json    not null,
    metadata       json    not null,
    journal        json,
    constraint events_pkey primary key (aggregate_type, aggregate_id, sequence),
    constraint events_position_unique unique (position),
    constraint events_sequence_from_one check (sequence > 0),
    constraint events_position_from_one check (position > 0)
);
comment on column events.sequence is 'Number in its stream, from 1, without a gap.';
comment on column events.position is 'Place in the log, from 1, without a gap, in the order of commits.';
comment on column events.commuting is 'Appended without looking at the stream; makes no decision on it wrong.';
comment on column events.payload is 'json, not jsonb: the text is kept as written, since it is what is hashed.';

create function events_are_for_ever() returns trigger language plpgsql as $$
begin
    raise exception 'events are never updated or deleted' using errcode = 'insufficient_privilege';
end
$$;
create trigger events_no_change before update or delete on events for each row execute function events_are_for_ever();
create trigger events_no_truncate before truncate on events for each statement execute function events_are_for_ever();

-- One row: the lock that orders all writers on all servers. Not a sequence: sequences have gaps and are not commit order.
create table log_head (
    only_row    boolean primary key default true,
    position    bigint not null,
    recorded_at timestamptz not null,
    constraint log_head_one_row check (only_row)
);
insert into log_head (position, recorded_at) values (0, 'epoch');

-- Totals per account and currency. The floor is a tripwire: a decision that needs it is a defect.
create table control_balances (
    account  smallint not null,
    currency text     not null,
    floor    smallint not null,
    debits   numeric(38, 0) not null default 0,
    credits  numeric(38, 0) not null default 0,
    constraint control_balances_pkey primary key (account, currency),
    constraint control_balances_floor check (
        floor = 0 or (floor = 1 and debits >= credits) or (floor = -1 and credits >= debits)
    )
);
comment on column control_balances.floor is '1: never net credit, -1: never net debit, 0: anything.';
comment on column control_balances.debits is 'Minor units of the currency.';

-- Every command that was ever accepted. The id stays for ever; the answer goes after its retention.
create table commands (
    command_id uuid   not null,
    position   bigint not null,
    answer     json,
    stored_at  timestamptz not null,
    constraint commands_pkey primary key (command_id)
);
comment on column commands.position is 'Position of the last event of the command.';

-- Which streams belong together: the parts of a contract are loaded with one query.
create table stream_scopes (
    scope          text not null,
    aggregate_type text not null,
    aggregate_id   text not null,
    constraint stream_scopes_pkey primary key (aggregate_type, aggregate_id)
);
create index stream_scopes_scope on stream_scopes (scope);
