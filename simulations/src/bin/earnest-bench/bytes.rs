//! What a command writes, in bytes: less noisy than time, and often its cause.
//!
//! # What is deliberately absent
//! What is read. Bytes that Postgres writes a second time, when it writes its pages out.

use std::fmt::Write;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

use crate::BenchError;
use crate::database::Database;
use crate::whole;
use crate::workload::COMMANDS_PER_CONTRACT;

/// Contracts per caller, so that documents are rewritten and not only made.
const CONTRACTS_PER_CALLER: usize = 2;

/// Fewest contracts.
const LEAST: usize = 100;

/// Runs the whole command with so many callers, and says what each kind of event and each table took.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(database: &Database, callers: usize) -> Result<String, BenchError> {
    let contracts = callers.saturating_mul(CONTRACTS_PER_CALLER).max(LEAST);
    let commands = contracts * COMMANDS_PER_CONTRACT;
    let tenant = database.tenant().await?;
    let mut connection = PgConnection::connect_with(&tenant.admin).await?;
    sqlx::raw_sql("create extension if not exists pg_walinspect").execute(&mut connection).await?;
    // Not the first: it makes the tables' files larger, and every page that it touches is logged whole.
    whole::measure(&tenant, callers, callers.max(LEAST)).await?;
    sqlx::raw_sql("checkpoint").execute(&mut connection).await?;
    let from = place(&mut connection).await?;
    whole::measure(&tenant, callers, contracts).await?;
    let to = place(&mut connection).await?;

    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{callers} callers, {commands} commands");
    wal(&mut connection, &tenant.schema.to_string(), &from, &to, commands, &mut text).await?;
    connection.close().await?;
    events(tenant.owner.clone(), &tenant.schema.to_string(), &mut text).await?;
    tenant.drop().await?;
    Ok(text)
}

async fn place(connection: &mut PgConnection) -> Result<String, BenchError> {
    Ok(sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(connection).await?)
}

/// The write-ahead log, by table or index that a record is about; without copies of whole pages.
async fn wal(
    connection: &mut PgConnection,
    schema: &str,
    from: &str,
    to: &str,
    commands: usize,
    text: &mut String,
) -> Result<(), BenchError> {
    let rows = sqlx::query(
        "with records as (
             select record_length - fpi_length as bytes, fpi_length as pages,
                    substring(block_ref from 'rel [0-9]+/[0-9]+/([0-9]+)')::oid as node
             from pg_get_wal_records_info($2::pg_lsn, $3::pg_lsn)
         )
         select coalesce(c.relname, 'other') as name, count(*) as records, sum(bytes)::bigint as bytes,
                sum(pages)::bigint as pages
         from records r left join pg_class c
           on c.relfilenode = r.node and c.relnamespace = (select oid from pg_namespace where nspname = $1)
         group by 1 order by 3 desc",
    )
    .bind(schema)
    .bind(from)
    .bind(to)
    .fetch_all(connection)
    .await?;
    let per_command = |sum: i64| sum / i64::try_from(commands).unwrap_or(i64::MAX).max(1);
    let _ = writeln!(text, "{:<34}{:>10}{:>18}", "write-ahead log", "records", "bytes/command");
    let (mut sum, mut whole_pages) = (0, 0);
    for row in rows {
        let (name, records, bytes, pages): (String, i64, i64, i64) =
            (row.try_get("name")?, row.try_get("records")?, row.try_get("bytes")?, row.try_get("pages")?);
        sum += bytes;
        whole_pages += pages;
        let _ = writeln!(text, "  {name:<32}{records:>10}{:>18}", per_command(bytes));
    }
    let _ = writeln!(text, "  {:<32}{:>10}{:>18}", "copies of whole pages", "", per_command(whole_pages));
    let _ = writeln!(text, "  {:<32}{:>10}{:>18}", "together, without such copies", "", per_command(sum));
    Ok(())
}

/// What each kind of event takes on the average, and each kind of document at the end.
async fn events(options: PgConnectOptions, schema: &str, text: &mut String) -> Result<(), BenchError> {
    let mut connection = PgConnection::connect_with(&options.options([("search_path", schema)])).await?;
    let _ = writeln!(text, "{:<34}{:>10}{:>10}{:>10}{:>10}", "each", "number", "payload", "metadata", "journal");
    let rows = sqlx::query(
        "select event_type, count(*), avg(octet_length(payload::text))::bigint, avg(octet_length(metadata::text))::bigint,
                coalesce(avg(octet_length(journal::text)), 0)::bigint
         from events group by 1
         union all
         select 'document ' || aggregate_type, count(*), avg(octet_length(body::text))::bigint, 0, 0
         from documents group by 1
         union all
         select 'answers', count(*), avg(octet_length(answer::text))::bigint, 0, 0 from commands where answer is not null
         order by 1",
    )
    .fetch_all(&mut connection)
    .await?;
    for row in rows {
        let (name, number): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (payload, metadata, journal): (i64, i64, i64) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        let _ = writeln!(text, "  {name:<32}{number:>10}{payload:>10}{metadata:>10}{journal:>10}");
    }
    connection.close().await?;
    Ok(())
}
