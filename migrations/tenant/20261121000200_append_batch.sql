-- Appends a batch: judge all, then insert what is accepted so that the insert cannot fail.
--
-- Verdict per append: 0 accepted, 1 replay of a command known, 2 conflict. Positions follow from the head and the
-- verdicts: accepted appends get theirs in their order. Bases are the versions of the written streams before the batch.
--
-- The head is locked in its own statement: under READ COMMITTED the statements after it see what was committed before.
-- Joins go through indexes whatever the statistics say: the plan is made once, when the tables may still be empty.
create function append_batch(
    p_commands uuid[], p_answers text[], p_event_counts int[],
    p_stream_append int[], p_stream_type text[], p_stream_id text[], p_stream_expected bigint[], p_stream_scope text[],
    p_read_append int[], p_read_type text[], p_read_id text[], p_read_version bigint[],
    p_event_append int[], p_event_stream int[], p_event_aggregate_type text[], p_event_aggregate_id text[],
    p_event_commuting boolean[], p_event_type text[], p_event_version text[],
    p_event_payload text[], p_event_metadata text[], p_event_journal text[],
    p_delta_append int[], p_delta_account smallint[], p_delta_currency text[], p_delta_floor smallint[],
    p_delta_debit bigint[], p_delta_credit bigint[],
    out head bigint, out verdicts int[], out bases bigint[]
)
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_at timestamptz;
    v_accepted bigint;
begin
    select h.position, greatest(h.recorded_at, clock_timestamp()) into head, v_at from log_head h for update;

    select coalesce(array_agg(coalesce(last.sequence, 0) order by s.ord), '{}') into bases
    from unnest(p_stream_type, p_stream_id) with ordinality as s (t, i, ord)
    left join lateral (
        select e.sequence from events e where e.aggregate_type = s.t and e.aggregate_id = s.i
        order by e.sequence desc limit 1
    ) last on true;

    select array_agg(case when known.command_id is not null then 1 else 0 end order by a.ord) into verdicts
    from unnest(p_commands) with ordinality as a (command_id, ord)
    left join lateral (select c.command_id from commands c where c.command_id = a.command_id) known on true;

    for v_accepted in
        select s.append from unnest(p_stream_append, p_stream_type, p_stream_id, p_stream_expected, bases)
            as s (append, t, i, expected, base)
        where s.expected >= 0 and s.base <> s.expected
          and (s.base < s.expected or exists (
              select 1 from events e where e.aggregate_type = s.t and e.aggregate_id = s.i
                 and e.sequence > s.expected and not e.commuting))
        union all
        select r.append from unnest(p_read_append, p_read_type, p_read_id, p_read_version) as r (append, t, i, version)
        left join lateral (
            select e.sequence from events e where e.aggregate_type = r.t and e.aggregate_id = r.i
            order by e.sequence desc limit 1
        ) last on true
        where coalesce(last.sequence, 0) <> r.version
          and (coalesce(last.sequence, 0) < r.version or exists (
              select 1 from events e where e.aggregate_type = r.t and e.aggregate_id = r.i
                 and e.sequence > r.version and not e.commuting))
    loop
        if verdicts[v_accepted] = 0 then
            verdicts[v_accepted] := 2;
        end if;
    end loop;

    insert into events (aggregate_type, aggregate_id, sequence, position, commuting, recorded_at,
                        event_type, event_version, payload, metadata, journal)
    select e.t, e.i,
           bases[e.stream] + row_number() over (partition by e.t, e.i order by e.ord),
           head + row_number() over (order by e.ord),
           e.commuting, v_at, e.event_type, e.event_version, e.payload::json, e.metadata::json, e.journal::json
    from unnest(p_event_append, p_event_stream, p_event_aggregate_type, p_event_aggregate_id, p_event_commuting,
                p_event_type, p_event_version, p_event_payload, p_event_metadata, p_event_journal) with ordinality
        as e (append, stream, t, i, commuting, event_type, event_version, payload, metadata, journal, ord)
    where verdicts[e.append] = 0
    order by e.ord;
    get diagnostics v_accepted = row_count;
    if v_accepted = 0 then
        return;
    end if;

    insert into stream_scopes (scope, aggregate_type, aggregate_id)
    select s.scope, s.t, s.i from unnest(p_stream_append, p_stream_type, p_stream_id, p_stream_scope, bases)
        as s (append, t, i, scope, base)
    where verdicts[s.append] = 0 and s.base = 0 and s.scope is not null
    on conflict do nothing;

    if cardinality(p_delta_append) > 0 then
        if exists (
            select 1 from unnest(p_delta_append, p_delta_currency, p_delta_debit, p_delta_credit)
                as d (append, currency, debit, credit)
            where verdicts[d.append] = 0
            group by d.append, d.currency having sum(d.debit) <> sum(d.credit)
        ) then
            raise exception 'debits and credits of an append differ' using errcode = 'EB001';
        end if;
        -- Accounts are opened first: a check on an upsert would judge the bare delta.
        insert into control_balances (account, currency, floor)
        select distinct d.account, d.currency, d.floor
        from unnest(p_delta_append, p_delta_account, p_delta_currency, p_delta_floor)
            as d (append, account, currency, floor)
        where verdicts[d.append] = 0
        on conflict do nothing;
        update control_balances b set debits = b.debits + d.debit, credits = b.credits + d.credit
        from (
            select d.account, d.currency, sum(d.debit) as debit, sum(d.credit) as credit
            from unnest(p_delta_append, p_delta_account, p_delta_currency, p_delta_debit, p_delta_credit)
                as d (append, account, currency, debit, credit)
            where verdicts[d.append] = 0
            group by d.account, d.currency
        ) d
        where b.account = d.account and b.currency = d.currency;
    end if;

    insert into commands (command_id, position, answer, stored_at)
    select c.command_id, head + sum(c.events) over (order by c.ord), c.answer::json, v_at
    from unnest(p_commands, p_answers, p_event_counts) with ordinality as c (command_id, answer, events, ord)
    where verdicts[c.ord] = 0;

    update log_head set position = head + v_accepted, recorded_at = v_at;
end
$$;
revoke all on function append_batch from public;
