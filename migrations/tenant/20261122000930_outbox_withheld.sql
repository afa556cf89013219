-- An order whose payee must not be paid any more when its turn comes is never sent.
alter table outbox add column withheld text;
comment on column outbox.withheld is 'The code of the gate that was shut before it was sent: it never is. Null: none was.';

-- Open orders are handed out in this order. With a backlog the oldest are found without sorting all that are due; with few
-- due among many that are due later, outbox_open finds these.
create index outbox_in_turn on outbox (retry_at, position, order_id) where status in ('pending', 'unknown');
