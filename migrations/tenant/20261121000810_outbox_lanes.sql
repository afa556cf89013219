-- Orders of one lane are carried out one after the other, oldest first, on whatever server: transfers out of one balance.
alter table outbox add column lane text;
update outbox set lane = 'transfer:' || (body ->> 'currency') where action = 'move_to_payee';
comment on column outbox.lane is 'Only the oldest open order of a lane is handed out. Null: waits for no other.';
create index outbox_open_by_lane on outbox (lane, position, order_id)
    where lane is not null and status in ('pending', 'unknown');

-- Accounts that were paid from lately are asked what became of it.
create index outbox_bank_payouts on outbox (not_before) where action = 'pay_to_bank';
