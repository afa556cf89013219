-- What a person has to look at. One row per thing, however often it is seen.
create table operator_tasks (
    kind      text not null,
    subject   text not null,
    detail    text not null,
    opened_at timestamptz not null,
    seen_at   timestamptz not null,
    seen      int  not null default 1,
    closed_at timestamptz,
    constraint operator_tasks_pkey primary key (kind, subject)
);
comment on column operator_tasks.subject is 'The order, the notice or the object that it is about.';
create index operator_tasks_open on operator_tasks (opened_at) where closed_at is null;

-- How far the provider was asked without being told, on the tenant's clock.
create table psp_inquiries (
    only_row         boolean primary key default true,
    polled_at        timestamptz,
    poll_after       bigint not null default 0,
    backfilled_until timestamptz,
    constraint psp_inquiries_one_row check (only_row)
);
insert into psp_inquiries default values;
comment on column psp_inquiries.poll_after is 'Position of the last object that the last round came to; 0 when it came to all.';

-- Objects at the provider that are not at their end.
create index documents_unfinished on documents (position)
    where aggregate_type in ('funding', 'payout', 'refund')
      and status in ('created', 'action_required', 'processing', 'in_transit', 'submitted');
