-- Personal data under a key per person, so that destroying the key destroys the data wherever it lies (B.14).

create table subject_keys (
    kid          uuid  not null,
    subject_id   text  not null,
    master       bytea not null,
    wrapped_key  bytea,
    created_at   timestamptz not null,
    destroyed_at timestamptz,
    constraint subject_keys_pkey primary key (kid),
    constraint subject_keys_destroyed check ((wrapped_key is null) = (destroyed_at is not null))
);
comment on table subject_keys is 'The wrapping key is kept outside the database. Backups from before a destruction still have the key: keep them shortly.';
comment on column subject_keys.master is 'Fingerprint of the master key that it is wrapped with.';
create unique index subject_keys_in_use on subject_keys (subject_id, master) where destroyed_at is null;
create index subject_keys_destroyed on subject_keys (subject_id) where destroyed_at is not null;

-- What staff says to banks, under the key of the client whose payment it is about. What was written before is sealed when the
-- server starts; nobody reads `body` after that.
alter table evidence_statements
    alter column body drop not null,
    add column subject_id text,
    add column sealed bytea,
    add constraint evidence_statements_sealed check ((sealed is null) = (subject_id is null) and (sealed is null) <> (body is null));

-- Mails that were kept in clear go: they are for trying out, and can be asked for again.
delete from mailbox;
alter table mailbox drop column recipient, drop column subject, drop column body, add column sealed bytea not null;
comment on column mailbox.sealed is 'Recipient, subject and body, under a key of the master key; links in it open accounts. Kept for 30 days.';
create index mailbox_created_at on mailbox (created_at);
