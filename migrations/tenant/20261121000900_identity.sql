-- Who may come in: accounts of the built-in issuer, their sessions, its keys, and whom other issuers' subjects stand for.
-- Instants are wall time. Addresses and secrets are ciphertext under the installation's master key; tokens are hashes.

create table identity_master_keys (
    fingerprint   bytea not null,
    first_used_at timestamptz not null,
    constraint identity_master_keys_pkey primary key (fingerprint)
);
comment on table identity_master_keys is 'A server with another master key refuses to start: it could open nothing.';

create table signing_keys (
    kid             text  not null,
    algorithm       text  not null,
    public_key      bytea not null,
    sealed_private  bytea not null,
    created_at      timestamptz not null,
    signs_from      timestamptz not null,
    published_until timestamptz,
    constraint signing_keys_pkey primary key (kid),
    constraint signing_keys_algorithm check (algorithm = 'EdDSA')
);
comment on column signing_keys.signs_from is 'Published before it signs, so that others have fetched it by then.';
comment on column signing_keys.published_until is 'Set when a successor is made: after the last token that it may have signed.';

create table registrations (
    token_hash    bytea not null,
    account_id    uuid  not null,
    email_index   bytea not null,
    email_sealed  bytea not null,
    password_hash text  not null,
    role          text  not null,
    kind          text  not null,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    used_at       timestamptz,
    constraint registrations_pkey primary key (token_hash)
);
comment on table registrations is 'Asked for, and not confirmed by mail yet. Several may wait for one address: the link says which.';

create table accounts (
    account_id          uuid  not null,
    party_id            text  not null,
    role                text  not null,
    kind                text  not null,
    email_index         bytea not null,
    email_sealed        bytea not null,
    password_hash       text  not null,
    status              text  not null default 'active',
    created_at          timestamptz not null,
    password_changed_at timestamptz not null,
    totp_sealed         bytea,
    totp_confirmed_at   timestamptz,
    totp_last_step      bigint not null default 0,
    constraint accounts_pkey primary key (account_id),
    constraint accounts_party_unique unique (party_id),
    constraint accounts_email_unique unique (email_index),
    constraint accounts_status check (status in ('active', 'suspended')),
    constraint accounts_totp check (totp_confirmed_at is null or totp_sealed is not null)
);
comment on column accounts.role is 'Of the engine: client, payee or a role of staff.';
comment on column accounts.kind is 'The word that the person chose: freelancer, seeker, provider, …';
comment on column accounts.email_index is 'HMAC of the address: finds it without telling it.';
comment on column accounts.totp_last_step is 'The 30-second step of the last code that was taken; only later ones are.';

create table recovery_codes (
    account_id uuid  not null references accounts,
    code_hash  bytea not null,
    used_at    timestamptz,
    constraint recovery_codes_pkey primary key (account_id, code_hash)
);

create table identity_tickets (
    token_hash bytea not null,
    account_id uuid  not null references accounts,
    purpose    text  not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz,
    constraint identity_tickets_pkey primary key (token_hash),
    constraint identity_tickets_purpose check (purpose in ('reset_password', 'second_factor'))
);
create index identity_tickets_account on identity_tickets (account_id);

create table sessions (
    session_id  uuid not null,
    account_id  uuid not null references accounts,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    auth_time   timestamptz not null,
    amr         text[] not null,
    revoked_at  timestamptz,
    revoked_for text,
    constraint sessions_pkey primary key (session_id)
);
comment on column sessions.auth_time is 'When the person last showed who it is; a refresh does not change it.';
create index sessions_account on sessions (account_id) where revoked_at is null;

create table refresh_tokens (
    token_hash bytea not null,
    session_id uuid  not null references sessions,
    created_at timestamptz not null,
    used_at    timestamptz,
    constraint refresh_tokens_pkey primary key (token_hash)
);
comment on column refresh_tokens.used_at is 'Shown once more after this: two have it, so the session ends.';

create table known_devices (
    device_hash  bytea not null,
    account_id   uuid  not null references accounts,
    last_used_at timestamptz not null,
    constraint known_devices_pkey primary key (device_hash)
);

create table login_attempts (
    counter     bytea not null,
    window_from timestamptz not null,
    attempts    int not null,
    constraint login_attempts_pkey primary key (counter)
);
comment on column login_attempts.counter is 'HMAC of what is counted: an address of the network, an account, a device.';

create table external_subjects (
    issuer     text not null,
    subject    text not null,
    party_id   text not null,
    created_at timestamptz not null,
    constraint external_subjects_pkey primary key (issuer, subject)
);

create table mailbox (
    mail_id    bigint generated always as identity,
    recipient  text not null,
    subject    text not null,
    body       text not null,
    created_at timestamptz not null,
    constraint mailbox_pkey primary key (mail_id)
);
comment on table mailbox is 'Mails that are kept to be read here instead of being sent: for a machine without a mail server.';
