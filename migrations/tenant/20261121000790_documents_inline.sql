-- Documents are rewritten with nearly every event: up to half a page they stay in their row, neither compressed nor moved
-- to another table each time.
alter table documents set (toast_tuple_target = 4080);
