-- Answers of the test helpers by idempotency key: what is asked of the built-in provider is no command, and not in the log.
create table helper_answers (
    request_id  uuid primary key,
    fingerprint text not null,
    claimed_at  timestamptz not null,
    status      int,
    body        text,
    constraint helper_answers_whole check ((status is null) = (body is null))
);
comment on column helper_answers.request_id is 'Follows from caller, route and key.';
comment on column helper_answers.claimed_at is 'Wall time. Without an answer a minute later whoever had it has died.';
