-- A document is rewritten with nearly every event. It stays on its page, and no index is touched, only as long as no
-- column changes that any index of the table looks at, be it in its condition and for other rows. The index before this
-- one looked at `position`, which always changes, and at `status`.
drop index documents_unfinished;
alter table documents add column unfinished boolean not null generated always as (
    aggregate_type in ('funding', 'payout', 'refund')
    and status in ('created', 'action_required', 'processing', 'in_transit', 'submitted')
) stored;
comment on column documents.unfinished is 'An object at the provider that is not at its end.';
create index documents_unfinished on documents (created_position) where unfinished;

-- Rounds go by creation now; the one under way begins anew.
update psp_inquiries set poll_after = 0;
comment on column psp_inquiries.poll_after is 'Position of the first event of the last object that the last round came to; 0 when it came to all.';
