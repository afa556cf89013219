-- Rows that are updated soon after they were written get room on their page: an update that stays there touches no index.
alter table documents set (fillfactor = 50);
alter table subledger_balances set (fillfactor = 60);
