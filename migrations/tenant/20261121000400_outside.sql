-- Records of the outside: never truncated, never rebuilt.

create table outbox (
    order_id      uuid   not null,
    position      bigint not null,
    aggregate_id  text   not null,
    action        text   not null,
    body          json   not null,
    not_before    timestamptz not null,
    retry_at      timestamptz not null default 'epoch',
    attempt       int    not null default 1,
    failures      int    not null default 0,
    status        text   not null default 'pending',
    first_sent_at timestamptz,
    locked_until  timestamptz not null default 'epoch',
    last_error    text,
    constraint outbox_pkey primary key (order_id),
    constraint outbox_status check (status in ('pending', 'unknown', 'done', 'blocked'))
);
comment on column outbox.not_before is 'On the tenant''s clock.';
comment on column outbox.retry_at is 'On the wall clock.';
comment on column outbox.attempt is 'Part of the idempotency key; grows only after the provider proved that nothing happened.';
comment on column outbox.status is 'unknown: sent, outcome not known; only the same key may be sent again. blocked: an operator has to look.';
create index outbox_open on outbox (not_before) where status in ('pending', 'unknown');

create table outbox_control (
    only_row boolean primary key default true,
    paused   boolean not null,
    constraint outbox_control_one_row check (only_row)
);
insert into outbox_control (paused) values (false);

-- Every call to the provider, stored before it is made.
create table provider_requests (
    request_id      bigint generated always as identity,
    order_id        uuid not null,
    idempotency_key text not null,
    body_digest     text not null,
    created_at      timestamptz not null,
    constraint provider_requests_pkey primary key (request_id)
);
create index provider_requests_order on provider_requests (order_id);

create table psp_inbox (
    inbox_id    bigint generated always as identity,
    psp         text not null,
    psp_account text not null,
    event_id    text not null,
    event_type  text not null,
    object_id   text not null,
    object      json,
    livemode    boolean not null,
    api_version text,
    raw         bytea not null,
    received_at timestamptz not null,
    deliveries  int  not null default 1,
    status      text not null default 'received',
    attempts    int  not null default 0,
    retry_at    timestamptz not null default 'epoch',
    last_error  text,
    constraint psp_inbox_pkey primary key (inbox_id),
    constraint psp_inbox_event_unique unique (psp, psp_account, event_id),
    constraint psp_inbox_status check (status in ('received', 'done', 'foreign', 'blocked'))
);
comment on column psp_inbox.raw is 'The body as received; may hold personal data, so it is read by nobody but the operator.';
create index psp_inbox_open on psp_inbox (retry_at) where status = 'received';

create table access_tokens (
    token_hash bytea not null,
    party_id   text  not null,
    role       text  not null,
    label      text,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint access_tokens_pkey primary key (token_hash)
);
comment on column access_tokens.token_hash is 'SHA-256 of the token; the token itself is shown once and kept nowhere.';

create table tenant_clock (
    only_row  boolean primary key default true,
    test_mode boolean not null,
    now       timestamptz,
    constraint tenant_clock_one_row check (only_row),
    constraint tenant_clock_now check (test_mode = (now is not null))
);
insert into tenant_clock (test_mode, now) values (false, null);
