-- Keys of machines: each acts for the party of the person who made it, in that role, with some of its scopes.
-- Instants are wall time. The key itself is not here, only its hash.

create table api_keys (
    key_id         uuid   not null,
    party_id       text   not null,
    role           text   not null,
    name           text   not null,
    scopes         text[] not null,
    step_up_exempt boolean not null,
    prefix         text   not null,
    key_hash       bytea  not null,
    created_at     timestamptz not null,
    expires_at     timestamptz not null,
    last_used_at   timestamptz,
    replaced_by    uuid,
    revoked_at     timestamptz,
    constraint api_keys_pkey primary key (key_id),
    constraint api_keys_hash_unique unique (key_hash),
    constraint api_keys_scopes check (cardinality(scopes) > 0),
    constraint api_keys_replaced_fkey foreign key (replaced_by) references api_keys
);
comment on column api_keys.role is 'Of the engine: client, payee or a role of staff.';
comment on column api_keys.step_up_exempt is 'May do what a person is asked for again to show who it is.';
comment on column api_keys.prefix is 'The first characters of the key, to tell keys apart by.';
comment on column api_keys.expires_at is 'Brought forward when the key is replaced: both are good until then.';
comment on column api_keys.last_used_at is 'To the minute.';
create index api_keys_owner on api_keys (party_id, role, created_at);
