//! Appending to the log on a real Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod postgres_support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::log::{Answer, Append, EventStore, Expected, StoreError, Verdict};
use futures::future::join_all;
use sqlx::Row;
use tokio::sync::Barrier;
use uuid::Uuid;

use postgres_support::{Building, accepted, append, check_log, database, pool, store, stream, top_up, withdrawal};

fn answer(body: &str) -> Answer {
    Answer {
        fingerprint: "f".to_owned(),
        status: 201,
        body: body.to_owned(),
        version: Some(1),
        location: Some("/v1/notes/1".to_owned()),
    }
}

/// I2.
#[tokio::test(flavor = "multi_thread")]
async fn positions_have_no_gap_with_64_appenders_on_two_servers() {
    let database = database().await;
    let servers = [Arc::new(store(&database)), Arc::new(store(&database))];
    let callers = (0..64).map(|caller| {
        let server = Arc::clone(&servers[caller % 2]);
        tokio::spawn(async move {
            let mut receipts = Vec::new();
            for turn in 0..10_u64 {
                let own = stream(&format!("own-{caller}"));
                let append = append().writes(own, Expected::At(2 * turn), 2).writes(stream("shared"), Expected::Any, 1);
                receipts.push(accepted(server.append(append).await));
            }
            receipts
        })
    });
    let mut positions = Vec::new();
    for receipts in join_all(callers).await {
        for (turn, receipt) in (1..).zip(receipts.unwrap()) {
            assert_eq!(receipt.last_position - receipt.first_position, 2);
            assert_eq!(receipt.versions[0], 2 * turn, "the stream of its own grows by two each turn");
            positions.extend(receipt.first_position..=receipt.last_position);
        }
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=64 * 10 * 3).collect::<Vec<_>>(), "every position was given out once");
    assert_eq!(check_log(servers[0].pool()).await, 64 * 10 * 3);
    assert_eq!(servers[1].head().await.unwrap(), 64 * 10 * 3);
}

#[tokio::test]
async fn a_receipt_says_what_the_table_says() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 3)).await);
    let both = append().writes(stream("b"), Expected::At(0), 1).writes(stream("a"), Expected::At(3), 2);
    let receipt = accepted(store.append(both).await);
    assert_eq!((receipt.first_position, receipt.last_position), (4, 6));
    assert_eq!(receipt.versions, [1, 5]);
    let read = store.read(3, 10).await.unwrap();
    let told: Vec<_> = read.iter().map(|e| (e.position, e.stream.aggregate_id.as_str(), e.sequence)).collect();
    assert_eq!(told, [(4, "b", 1), (5, "a", 4), (6, "a", 5)]);
    assert!(read.is_sorted_by_key(|event| event.recorded_at));
}

#[tokio::test]
async fn what_is_appended_is_read_as_it_was_written() {
    let database = database().await;
    let store = store(&database);
    let mut append = append().books(stream("a"), Expected::At(0), top_up("pty_1", 1234));
    let event = &mut append.events[0];
    event.payload = r#"{ "type":"taken",  "words":"Zürich \u0000 \"quoted\" 🦀" }"#.to_owned();
    event.metadata.idempotency_key = Some("a key with a NUL \0, {braces}, \"quotes\" and \\".to_owned());
    event.metadata.more.insert("somebody's".to_owned(), "own".to_owned());
    let written = append.clone();
    accepted(store.append(append).await);
    let read = store.read(0, 10).await.unwrap();
    assert_eq!(read[0].payload, written.events[0].payload, "kept to the byte, since it is what is hashed");
    assert_eq!(read[0].metadata, written.events[0].metadata);
    assert_eq!(read[0].journal, written.events[0].journal);
}

#[tokio::test]
async fn a_command_sent_again_is_answered_with_what_was_stored() {
    let database = database().await;
    let store = store(&database);
    let mut first = append().writes(stream("a"), Expected::At(0), 2);
    first.answer = Some(answer(r#"{"id":"n_1"}"#));
    accepted(store.append(first.clone()).await);
    let mut again = append().writes(stream("b"), Expected::At(0), 1);
    again.command_id = first.command_id;
    let Ok(Verdict::Replayed(stored)) = store.append(again).await else { panic!("not a replay") };
    assert_eq!(stored.position, 2);
    assert_eq!(stored.answer, first.answer);
    assert_eq!(store.command(first.command_id).await.unwrap(), Some(stored));
    assert_eq!(store.command(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(check_log(store.pool()).await, 2);
}

/// I6.
#[tokio::test(flavor = "multi_thread")]
async fn one_command_sent_many_times_at_once_is_accepted_once() {
    let database = database().await;
    let servers = [store(&database), store(&database)];
    let command = append().writes(stream("a"), Expected::Any, 1);
    let verdicts = join_all((0..32).map(|caller| servers[caller % 2].append(command.clone()))).await;
    let times = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Accepted(_)))).count();
    assert_eq!(times, 1);
    assert!(verdicts.iter().all(|v| matches!(v, Ok(Verdict::Accepted(_) | Verdict::Replayed(_)))), "{verdicts:?}");
    assert_eq!(check_log(servers[0].pool()).await, 1);
}

#[tokio::test]
async fn a_stream_that_moved_on_is_a_conflict() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    for expected in [0, 2, 99] {
        let verdict = store.append(append().writes(stream("a"), Expected::At(expected), 1)).await;
        assert_eq!(verdict.unwrap(), Verdict::Conflict, "the stream is at 1, not at {expected}");
    }
    let half = append().writes(stream("b"), Expected::At(0), 1).writes(stream("a"), Expected::At(0), 1);
    assert_eq!(store.append(half).await.unwrap(), Verdict::Conflict);
    assert_eq!(check_log(store.pool()).await, 1, "all or nothing");
    accepted(store.append(append().writes(stream("a"), Expected::At(1), 1)).await);
}

#[tokio::test]
async fn what_commutes_conflicts_with_nobody() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    accepted(store.append(append().writes(stream("a"), Expected::Any, 2)).await);
    let receipt = accepted(store.append(append().writes(stream("a"), Expected::At(1), 1)).await);
    assert_eq!(receipt.versions, [4], "numbered after the notes that it did not see");
    accepted(store.append(append().writes(stream("b"), Expected::At(0), 1).reads(stream("a"), 4)).await);
    let blind = store.append(append().writes(stream("b"), Expected::At(1), 1).reads(stream("a"), 3)).await;
    assert_eq!(blind.unwrap(), Verdict::Conflict, "the fourth event does not commute");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notes_to_one_stream_share_batches() {
    let database = database().await;
    let store = store(&database);
    let receipts = join_all((0..300).map(|_| store.append(append().writes(stream("popular"), Expected::Any, 1)))).await;
    let mut versions: Vec<_> = receipts.into_iter().map(|verdict| accepted(verdict).versions[0]).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=300).collect::<Vec<_>>());
    let commits: i64 = sqlx::query("select count(distinct recorded_at) as n from events")
        .fetch_one(store.pool())
        .await
        .unwrap()
        .try_get("n")
        .unwrap();
    assert!(commits < 100, "300 appends took {commits} commits");
    check_log(store.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_that_read_each_others_stream_one_wins() {
    let database = database().await;
    let servers = [store(&database), store(&database)];
    for round in 0..20 {
        let (left, right) = (stream(&format!("left-{round}")), stream(&format!("right-{round}")));
        let one = append().writes(left.clone(), Expected::At(0), 1).reads(right.clone(), 0);
        let other = append().writes(right, Expected::At(0), 1).reads(left, 0);
        // In even rounds both may meet in one batch, in odd ones they come from two servers.
        let (one, other) = tokio::join!(servers[0].append(one), servers[round % 2].append(other));
        let winners = [&one, &other].iter().filter(|v| matches!(v, Ok(Verdict::Accepted(_)))).count();
        assert_eq!(winners, 1, "{one:?} {other:?}");
    }
    assert_eq!(check_log(servers[0].pool()).await, 20);
}

#[tokio::test]
async fn a_stream_read_before_it_existed_is_a_conflict_once_it_does() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    let late = append().writes(stream("b"), Expected::At(0), 1).reads(stream("a"), 0);
    assert_eq!(store.append(late).await.unwrap(), Verdict::Conflict);
    let ahead = append().writes(stream("b"), Expected::At(0), 1).reads(stream("a"), 2);
    assert_eq!(store.append(ahead).await.unwrap(), Verdict::Conflict, "nobody can have read what is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_append_that_cannot_be_stored_fails_alone() {
    let database = database().await;
    let store = store(&database);
    let mut appends: Vec<Append> =
        (0..40).map(|n| append().writes(stream(&format!("good-{n}")), Expected::At(0), 1)).collect();
    appends.insert(10, append().books(stream("overdrawn"), Expected::At(0), withdrawal("pty_1", 1)));
    let mut garbled = append().writes(stream("garbled"), Expected::At(0), 1);
    garbled.events[0].payload = "this is no JSON".to_owned();
    appends.insert(20, garbled);
    let verdicts = join_all(appends.into_iter().map(|append| store.append(append))).await;
    for (index, verdict) in verdicts.iter().enumerate() {
        match index {
            10 => assert!(matches!(verdict, Err(StoreError::BooksRefused(_))), "{verdict:?}"),
            20 => assert!(verdict.is_err(), "{verdict:?}"),
            _ => assert!(matches!(verdict, Ok(Verdict::Accepted(_))), "{verdict:?}"),
        }
    }
    assert_eq!(check_log(store.pool()).await, 40);
    accepted(store.append(append().writes(stream("after"), Expected::At(0), 1)).await);
}

#[tokio::test]
async fn a_nul_is_refused_before_the_database_sees_it() {
    let database = database().await;
    let store = store(&database);
    let mut append = append().writes(stream("a"), Expected::At(0), 1);
    append.events[0].payload = "{\"type\":\"\0\"}".to_owned();
    assert!(matches!(store.append(append).await, Err(StoreError::Corrupt(_))));
    let named = postgres_support::append().writes(stream("a\0b"), Expected::At(0), 1);
    assert!(store.append(named).await.is_err());
    assert_eq!(check_log(store.pool()).await, 0);
}

/// L4, in the commit: per account and currency.
#[tokio::test]
async fn a_control_total_never_goes_below_its_floor() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().books(stream("w"), Expected::At(0), top_up("pty_1", 100))).await);
    let too_much = append().books(stream("w"), Expected::At(1), withdrawal("pty_1", 101));
    let refused = store.append(too_much.clone()).await;
    assert!(matches!(refused, Err(StoreError::BooksRefused(_))), "{refused:?}");
    assert_eq!(store.command(too_much.command_id).await.unwrap(), None, "nothing of it was kept");
    accepted(store.append(append().books(stream("w"), Expected::At(1), withdrawal("pty_1", 100))).await);
    assert_eq!(check_log(store.pool()).await, 2);
}

/// L1, in the commit.
#[tokio::test]
async fn the_database_refuses_an_entry_that_does_not_balance() {
    let database = database().await;
    let app = pool(&database.app_options);
    // No `JournalEntry` is unbalanced: this is what a defect of ours would send.
    let call = sqlx::query(
        "select verdicts from append_batch(
             array[gen_random_uuid()], array[null]::text[], array[1],
             array[1], array['note'], array['a'], array[0::bigint], array[null]::text[],
             '{}'::int[], '{}'::text[], '{}'::text[], '{}'::bigint[],
             array[1], array[1], array['note'], array['a'], array[false], array['note.taken'], array['1'],
             array['{}'], array['{}'], array[null]::text[],
             array[1, 1], array[1010, 3000]::smallint[], array['USD', 'USD'], array[0, 0]::smallint[],
             array[100, 0]::bigint[], array[0, 99]::bigint[])",
    );
    let error = call.fetch_one(&app).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "EB001");
    assert_eq!(check_log(&app).await, 0);
}

#[tokio::test]
async fn control_totals_follow_the_entries() {
    let database = database().await;
    let store = store(&database);
    let appends = (0..50).map(|n| append().books(stream(&format!("w-{n}")), Expected::At(0), top_up("pty_1", 10 + n)));
    join_all(appends.map(|append| store.append(append))).await.into_iter().for_each(|verdict| {
        accepted(verdict);
    });
    let (position, balance) = adapters::postgres::log_reader::trial_balance(store.pool()).await.unwrap();
    assert_eq!(position, 50);
    let sum: i128 = (0..50).map(|n| 10 + n).sum();
    assert_eq!(balance.net(ledger::Account::BankOperating, ledger::Currency::USD), sum);
    assert_eq!(balance.net(ledger::Account::ClientWallet, ledger::Currency::USD), -sum);
    assert!(balance.is_balanced());
}

/// D-204, I3, L2: on the pool that serves.
#[tokio::test]
async fn the_serving_login_cannot_touch_an_event() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    for statement in [
        "update events set payload = '{}'",
        "update events set recorded_at = recorded_at",
        "delete from events",
        "truncate events",
        "insert into events (aggregate_type, aggregate_id, sequence, position, commuting, recorded_at, event_type,
                             event_version, payload, metadata)
         values ('note', 'a', 2, 2, false, now(), 'note.taken', '1', '{}', '{}')",
        "update log_head set position = 7",
        "delete from commands",
        "update control_balances set debits = 0",
        "insert into stream_scopes values ('s', 'note', 'a')",
        "alter table events disable trigger all",
        "drop table events",
        "create table mine (x int)",
        "create or replace function append_batch() returns int language sql as 'select 1'",
    ] {
        let error = sqlx::query(statement).execute(store.pool()).await.expect_err(statement);
        let code = error.as_database_error().expect(statement).code().unwrap().into_owned();
        assert_eq!(code, "42501", "{statement}: {error}");
    }
    assert_eq!(check_log(store.pool()).await, 1);
}

/// I3, L2.
#[tokio::test]
async fn not_even_the_owner_changes_an_event() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    for options in [&database.owner_options, &database.admin_options] {
        let pool = pool(options);
        for statement in ["update events set payload = '{}'", "delete from events", "truncate events"] {
            let error = sqlx::query(statement).execute(&pool).await.expect_err(statement);
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
        }
    }
    assert_eq!(check_log(store.pool()).await, 1);
}

/// A function that runs with its owner's rights must not be led astray by tables of its caller.
#[tokio::test]
async fn a_temporary_table_of_the_caller_does_not_deceive_the_append() {
    let database = database().await;
    let admin = pool(&database.admin_options);
    let grant = format!("grant temporary on database {} to public", database.name);
    sqlx::raw_sql(&grant).execute(&admin).await.unwrap();
    let app = adapters::postgres::tenant_pool(database.app_options.clone(), &postgres_support::schema(), 1);
    sqlx::raw_sql("create temporary table log_head (position bigint, recorded_at timestamptz); insert into log_head values (41, now())")
        .execute(&app)
        .await
        .unwrap();
    let call = sqlx::query(
        "select head from append_batch(
             array[gen_random_uuid()], array[null]::text[], array[1],
             array[1], array['note'], array['a'], array[0::bigint], array[null]::text[],
             '{}'::int[], '{}'::text[], '{}'::text[], '{}'::bigint[],
             array[1], array[1], array['note'], array['a'], array[false], array['note.taken'], array['1'],
             array['{}'], array['{}'], array[null]::text[],
             '{}'::int[], '{}'::smallint[], '{}'::text[], '{}'::smallint[], '{}'::bigint[], '{}'::bigint[])",
    );
    let head = call.fetch_one(&app).await.map(|row| row.get::<i64, _>("head"));
    assert_eq!(head.expect("the append works"), 0, "the head is the tenant's, not the caller's");
    assert_eq!(check_log(&admin).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_mid_commit_lose_nothing_and_double_nothing() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let admin = pool(&database.admin_options);
    let name = database.name.clone();
    let killer = tokio::spawn(async move {
        let mut cut = 0_i64;
        while !*stopped.borrow_and_update() {
            let row = sqlx::query(
                "select count(pg_terminate_backend(pid)) as cut from pg_stat_activity
                 where datname = $1 and query like '%append_batch%' and pid <> pg_backend_pid()",
            )
            .bind(&name)
            .fetch_one(&admin)
            .await
            .unwrap();
            cut += row.get::<i64, _>("cut");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cut
    });
    let callers = (0..16).map(|caller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for _ in 0..60 {
                let append = append().writes(stream(&format!("s-{caller}")), Expected::Any, 2);
                // What a caller does whose answer was an unknown outcome: the same command again.
                loop {
                    match store.append(append.clone()).await {
                        Ok(Verdict::Accepted(_) | Verdict::Replayed(_)) => break,
                        Ok(Verdict::Conflict) => panic!("nothing here conflicts"),
                        Err(StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                acknowledged.push(append.command_id);
            }
            acknowledged
        })
    });
    let mut acknowledged = HashSet::new();
    for ids in join_all(callers).await {
        acknowledged.extend(ids.unwrap());
    }
    stop.send_replace(true);
    let cut = killer.await.unwrap();
    assert!(cut > 0, "no connection was cut, so nothing was tried");
    assert_eq!(check_log(store.pool()).await, 16 * 60 * 2);
    let mut events: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut after = 0;
    loop {
        let read = store.read(after, 500).await.unwrap();
        let Some(last) = read.last() else { break };
        after = last.position;
        for event in read {
            *events.entry(event.metadata.command_id).or_default() += 1;
        }
    }
    assert_eq!(events.len(), acknowledged.len());
    assert!(events.iter().all(|(id, count)| *count == 2 && acknowledged.contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_every_caller_is_told_soon() {
    let database = database().await;
    let store = Arc::new(store(&database));
    accepted(store.append(append().writes(stream("before"), Expected::At(0), 1)).await);
    // The tests' cluster serves others too, so this database alone is taken away.
    let admin = sqlx::PgPool::connect_with(database.admin_options.clone().database("postgres")).await.unwrap();
    let close = format!("alter database {} allow_connections false", database.name);
    sqlx::raw_sql(&close).execute(&admin).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
        .bind(&database.name)
        .fetch_all(&admin)
        .await
        .unwrap();
    let barrier = Arc::new(Barrier::new(50));
    let callers = (0..50).map(|caller| {
        let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            store.append(append().writes(stream(&format!("s-{caller}")), Expected::At(0), 1)).await
        })
    });
    // One batch's patience is about five seconds; fifty times that is an outage of the server's own making.
    let told =
        tokio::time::timeout(Duration::from_secs(40), join_all(callers)).await.expect("callers are kept waiting");
    for verdict in told {
        let verdict = verdict.unwrap();
        assert!(matches!(verdict, Err(StoreError::Unavailable(_))), "{verdict:?}");
    }
    let open = format!("alter database {} allow_connections true", database.name);
    sqlx::raw_sql(&open).execute(&admin).await.unwrap();
    accepted(store.append(append().writes(stream("after"), Expected::At(0), 1)).await);
    assert_eq!(check_log(store.pool()).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_go_away_disturb_nobody() {
    let database = database().await;
    let store = Arc::new(store(&database));
    for round in 0..20 {
        let callers: Vec<_> = (0..10)
            .map(|caller| {
                let store = Arc::clone(&store);
                let append = append().writes(stream(&format!("s-{round}-{caller}")), Expected::At(0), 1);
                tokio::spawn(async move { store.append(append).await })
            })
            .collect();
        tokio::task::yield_now().await;
        callers.iter().for_each(tokio::task::JoinHandle::abort);
    }
    accepted(store.append(append().writes(stream("last"), Expected::At(0), 1)).await);
    check_log(store.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_commits_what_waits() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let callers: Vec<_> = (0..200)
        .map(|caller| {
            let store = Arc::clone(&store);
            let append = append().writes(stream(&format!("s-{caller}")), Expected::At(0), 1);
            tokio::spawn(async move { store.append(append).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.shutdown().await;
    let mut committed = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(Verdict::Accepted(_)) => committed += 1,
            Err(StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(check_log(&pool(&database.owner_options)).await, committed);
    assert!(matches!(
        store.append(append().writes(stream("late"), Expected::At(0), 1)).await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn an_append_of_nothing_is_refused() {
    let database = database().await;
    let store = store(&database);
    assert!(store.append(append()).await.is_err());
    assert_eq!(check_log(store.pool()).await, 0);
}
