-- Who an order is leased to. A worker whose lease ran out while it waited for the provider must not touch the order
-- again once another one has taken it: its late refusal would make a new key while the other's key has paid already.
alter table outbox add column locked_by uuid;
comment on column outbox.locked_by is 'The worker that took it last; only it may change the order.';

-- Attempts count every try, also those in which the provider could not be asked; a notice is given up after so many
-- tries that found its object unknown.
alter table psp_inbox add column parked int not null default 0;
comment on column psp_inbox.parked is 'How often its object was not known yet.';

-- Staff list documents of all parties, newest first.
create index documents_by_creation on documents (aggregate_type, created_position);

-- The oldest open notice of an object goes first.
create index psp_inbox_open_by_object on psp_inbox (object_id, inbox_id) where status = 'received';
