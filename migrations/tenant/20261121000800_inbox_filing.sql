-- What is only kept, and what does not belong here, are told apart from what is to be worked on.
alter table psp_inbox drop constraint psp_inbox_status;
alter table psp_inbox add constraint psp_inbox_status
    check (status in ('received', 'done', 'foreign', 'kept', 'mismatch', 'blocked'));
comment on column psp_inbox.status is 'received: to be worked on. done, foreign: looked up; ours or not. kept: of a kind that tells us nothing. mismatch: of another mode or account. blocked: an operator has to look.';
alter table psp_inbox add column backfilled boolean not null default false;
comment on column psp_inbox.backfilled is 'Read from the provider''s list of events, and not delivered by it.';

-- The oldest open notices are handed out first, however many wait.
create index psp_inbox_open_in_order on psp_inbox (inbox_id) where status = 'received';
drop index psp_inbox_open;
