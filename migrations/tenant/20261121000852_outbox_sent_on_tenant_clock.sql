-- When an order was sent first, also by the tenant's clock: a built-in provider forgets keys by that one.
alter table outbox add column first_sent_on timestamptz;
comment on column outbox.first_sent_on is 'When it was sent first under its key, by the tenant''s clock. Null where first_sent_at is, and for orders of before.';
