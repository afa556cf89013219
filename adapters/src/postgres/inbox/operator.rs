//! The inbox for the operator: what is in it, and working on it again.
//!
//! # Invariants
//! - Working on a notice again asks the provider again; what is in the log already is not recorded twice.
//! - A notice that does not belong here stays aside.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::Inbox;
use crate::postgres::{corrupt, task, to_i64, unavailable};
use crate::stripe::webhook;

/// A notice as it is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledNotice {
    /// Its number in the inbox, in the order of arrival.
    pub inbox_id: i64,
    /// `platform`, or the payee's account.
    pub account: String,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub event_type: String,
    /// The provider's object; empty when there is none.
    pub object_id: String,
    /// `received`, `done`, `foreign`, `kept`, `mismatch` or `blocked`.
    pub status: String,
    /// How often the provider delivered it.
    pub deliveries: u32,
    /// How often it was worked on.
    pub attempts: u32,
    /// Read from the provider's list, and not delivered.
    pub backfilled: bool,
    /// Version of the provider's API that it is written in.
    pub api_version: Option<String>,
    /// Wall time (UTC).
    pub received_at: Timestamp,
    /// Why it is not done.
    pub last_error: Option<String>,
}

/// Which notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// From this number to that one, both included.
    Range(i64, i64),
    /// All that an operator has to look at.
    Blocked,
}

const COLUMNS: &str =
    "inbox_id, psp_account, event_id, event_type, object_id, status, deliveries, attempts, backfilled,
                       api_version, received_at, last_error";

impl Inbox {
    /// Up to `limit` notices with this status, or with any, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, status: Option<&str>, limit: usize) -> Result<Vec<FiledNotice>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from psp_inbox where $1::text is null or status = $1 order by inbox_id desc limit $2"
        );
        let rows = sqlx::query(&sql)
            .bind(status)
            .bind(to_i64(limit as u64))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(filed).collect::<Result<_, _>>().map_err(unavailable)
    }

    /// A notice with its body, by its number or by the provider's id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn show(&self, id: &str) -> Result<Option<(FiledNotice, Vec<u8>)>, StoreError> {
        let sql = format!(
            "select {COLUMNS}, raw from psp_inbox where inbox_id = $1 or event_id = $2 order by inbox_id limit 1"
        );
        let row = sqlx::query(&sql)
            .bind(id.parse::<i64>().ok())
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        row.map(|row| Ok((filed(&row)?, row.try_get("raw")?))).transpose().map_err(unavailable)
    }

    /// Has notices worked on again, and tells how many. They are read anew: a kind that is understood only now is looked
    /// up. Nothing changes for what is in the log already. A notice that came to the wrong endpoint is worked on, one of
    /// another mode than the newest one that belongs here is not.
    ///
    /// # Errors
    /// [`StoreError`]; those before the failure are marked.
    pub async fn reprocess(&self, which: Which) -> Result<u64, StoreError> {
        let (from, to) = match which {
            Which::Range(from, to) => (from, to),
            Which::Blocked => (i64::MIN, i64::MAX),
        };
        let (mut after, mut count) = (from.saturating_sub(1), 0_u64);
        loop {
            // A few at a time: bodies are up to 256 kB.
            let rows = sqlx::query(
                "select inbox_id, psp_account, raw from psp_inbox
                 where inbox_id > $1 and inbox_id <= $2 and ($3 or status = 'blocked')
                   -- Of another mode it belongs to another tenant; at the wrong endpoint it does not.
                   and (status <> 'mismatch'
                        or livemode = (select o.livemode from psp_inbox o where o.status <> 'mismatch'
                                       order by o.inbox_id desc limit 1))
                 order by inbox_id limit 64",
            )
            .bind(after)
            .bind(to)
            .bind(which != Which::Blocked)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            if rows.is_empty() {
                return Ok(count);
            }
            for row in &rows {
                after = row.try_get("inbox_id").map_err(unavailable)?;
                self.mark(row).await?;
                count = count.saturating_add(1);
            }
        }
    }

    async fn mark(&self, row: &PgRow) -> Result<(), StoreError> {
        let inbox_id: i64 = row.try_get("inbox_id").map_err(unavailable)?;
        let account: String = row.try_get("psp_account").map_err(unavailable)?;
        let raw: Vec<u8> = row.try_get("raw").map_err(unavailable)?;
        let account = (account != "platform").then_some(account.as_str());
        let object = webhook::read(&raw, account).ok().and_then(|notice| notice.object);
        let object = object.map(|object| serde_json::to_string(&object)).transpose().map_err(corrupt)?;
        sqlx::query(
            "update psp_inbox set object = coalesce($2::json, object), parked = 0, retry_at = 'epoch',
                 status = case when coalesce($2::json, object) is null then 'kept' else 'received' end
             where inbox_id = $1",
        )
        .bind(inbox_id)
        .bind(object)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        task::close(&self.pool, task::UNKNOWN_PSP_OBJECT, &inbox_id.to_string()).await?;
        Ok(())
    }
}

fn filed(row: &PgRow) -> Result<FiledNotice, sqlx::Error> {
    let count = |column: &str| row.try_get::<i32, _>(column).map(|count| u32::try_from(count).unwrap_or(0));
    Ok(FiledNotice {
        inbox_id: row.try_get("inbox_id")?,
        account: row.try_get("psp_account")?,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        object_id: row.try_get("object_id")?,
        status: row.try_get("status")?,
        deliveries: count("deliveries")?,
        attempts: count("attempts")?,
        backfilled: row.try_get("backfilled")?,
        api_version: row.try_get("api_version")?,
        received_at: row.try_get("received_at")?,
        last_error: row.try_get("last_error")?,
    })
}
