-- The function runs with its owner's rights, so the caller's temporary tables come last. Not named, they come first: a
-- caller could put a table of its own in the place of the log's head.
do $$
begin
    execute format('alter function append_batch set search_path = %I, pg_temp', current_schema());
end
$$;
