-- What staff says to banks. It may say who somebody is, so it is not in the log, and can be taken away.

create table evidence_statements (
    digest        text not null,
    chargeback_id text not null,
    stored_at     timestamptz not null,
    body          json not null,
    constraint evidence_statements_pkey primary key (digest)
);
comment on column evidence_statements.digest is 'SHA-256 (hex) of the body as it was written, salt included; events have it.';
comment on column evidence_statements.stored_at is 'Wall time.';
create index evidence_statements_by_chargeback on evidence_statements (chargeback_id);
