//! The inbox: webhooks of the payment provider, stored before they are answered.
//!
//! # Invariants
//! - A notice is in it once for the life of the log, by the provider's id; a further delivery is counted.
//! - A notice is on disk when [`Inbox::receive`] returns.
//! - Notices about one object are handed out one after the other.
//! - A notice whose object is not known yet is tried again; then it is an operator's task. Nothing is dropped.
//! - A notice that does not belong here (another mode, another endpoint) is kept, and not worked on: until it comes where it
//!   belongs, or an operator asks for it and its mode is that of the others.
//!
//! # What is deliberately absent
//! Bodies whose signature is bad: nothing of them is stored.

mod operator;
mod receiver;

use std::time::Duration;

use domain::log::StoreError;
use domain::ports::provider::{ProviderNotice, ProviderObject};
use sqlx::{PgPool, Row};

use self::receiver::{Arrived, Receiver};
use super::{corrupt, task, to_i64, to_u64, unavailable};

pub use operator::{FiledNotice, Which};

/// When a notice about something unknown is looked at again (`process-managers.md` C.2.6).
const RETRIES: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(300), Duration::from_secs(1800)];

/// A notice to work on.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredNotice {
    /// Its row.
    pub inbox_id: i64,
    /// The provider's id of it.
    pub event_id: String,
    /// What to look up; `None` when it is about nothing of ours.
    pub object: Option<ProviderObject>,
    /// How often it was tried.
    pub attempts: u32,
}

/// What is to be done with a notice that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filing {
    /// Its object is to be looked up.
    ToWork,
    /// It is of a kind that tells us nothing; it is there when somebody wants to know.
    Kept,
    /// It is genuine, and not for this tenant: of another mode, or at the endpoint of other accounts.
    Mismatch,
}

impl Filing {
    /// The word for it, as in the column `status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::ToWork => "received",
            Self::Kept => "kept",
            Self::Mismatch => "mismatch",
        }
    }

    /// How a notice is filed that belongs here.
    pub fn of(notice: &ProviderNotice) -> Self {
        if notice.object.is_some() { Self::ToWork } else { Self::Kept }
    }
}

/// A tenant's inbox.
#[derive(Debug, Clone)]
pub struct Inbox {
    pool: PgPool,
    receiver: Receiver,
}

impl Inbox {
    /// The inbox of the tenant of this pool. Has to be called within a tokio runtime.
    pub fn new(pool: PgPool) -> Self {
        Self { receiver: Receiver::start(pool.clone()), pool }
    }

    /// Stores a notice with its body. Durable when it returns; `false` when it was there already: then only its
    /// deliveries are counted. `backfilled`: it was read from the provider's list, and not delivered.
    ///
    /// # Errors
    /// [`StoreError`]; the notice must then not be acknowledged.
    pub async fn receive(
        &self,
        psp: &str,
        notice: &ProviderNotice,
        raw: &[u8],
        filing: Filing,
        backfilled: bool,
    ) -> Result<bool, StoreError> {
        let object = notice.object.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
        let arrived = Arrived {
            psp: psp.to_owned(),
            account: notice.account.clone().unwrap_or_else(|| "platform".to_owned()),
            event_id: notice.notice_id.clone(),
            event_type: notice.notice_type.clone(),
            object_id: notice.object_ref.clone().unwrap_or_default(),
            object,
            livemode: notice.livemode,
            api_version: notice.api_version.clone(),
            raw: raw.to_owned(),
            filing,
            backfilled,
        };
        self.receiver.store(arrived).await
    }

    /// Up to `limit` notices that are due, the oldest of each object, for the caller alone during `lease`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(&self, limit: usize, lease: Duration) -> Result<Vec<StoredNotice>, StoreError> {
        let rows = sqlx::query(
            "with due as materialized (
                 select p.inbox_id from psp_inbox p
                 where p.status = 'received' and p.retry_at <= clock_timestamp()
                   and (p.object_id = ''
                        or not exists (select 1 from psp_inbox earlier where earlier.object_id = p.object_id
                                       and earlier.status = 'received' and earlier.inbox_id < p.inbox_id))
                 order by p.inbox_id limit $1 for update skip locked
             ), taken as (
                 update psp_inbox i
                 set retry_at = clock_timestamp() + make_interval(secs => $2), attempts = i.attempts + 1
                 from due where i.inbox_id = due.inbox_id
                 returning i.inbox_id, i.event_id, i.object::text as object, i.attempts
             )
             select * from taken order by inbox_id",
        )
        .bind(to_i64(limit as u64))
        .bind(lease.as_secs_f64())
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let object: Option<String> = row.try_get("object").map_err(unavailable)?;
                let attempts: i32 = row.try_get("attempts").map_err(unavailable)?;
                Ok(StoredNotice {
                    inbox_id: row.try_get("inbox_id").map_err(unavailable)?,
                    event_id: row.try_get("event_id").map_err(unavailable)?,
                    object: object.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
                    attempts: u32::try_from(attempts).unwrap_or(0),
                })
            })
            .collect()
    }

    /// What the notice tells is in the log. `ours` is false when it was about nothing of ours.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn done(&self, inbox_id: i64, ours: bool) -> Result<(), StoreError> {
        sqlx::query("update psp_inbox set status = $2, last_error = null where inbox_id = $1")
            .bind(inbox_id)
            .bind(if ours { "done" } else { "foreign" })
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Puts a notice off, or aside as an operator's task when it was tried often enough.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn park(&self, notice: &StoredNotice, why: &str) -> Result<(), StoreError> {
        // Counted apart from the attempts: tries in which the provider could not be asked say nothing about the object.
        let pauses: Vec<i64> = RETRIES.iter().map(|pause| to_i64(pause.as_secs())).collect();
        let row = sqlx::query(
            "update psp_inbox set
                 status = case when parked < cardinality($2) then 'received' else 'blocked' end,
                 retry_at = clock_timestamp() + make_interval(secs => coalesce($2[parked + 1], 0)),
                 parked = parked + 1, last_error = $3
             where inbox_id = $1 and status = 'received'
             returning status = 'blocked' as blocked",
        )
        .bind(notice.inbox_id)
        .bind(&pauses)
        .bind(why)
        .fetch_optional(&self.pool)
        .await
        .map_err(unavailable)?;
        if row.map(|row| row.try_get("blocked")).transpose().map_err(unavailable)? == Some(true) {
            let detail = format!("{why}; the notice is {}", notice.event_id);
            let subject = notice.inbox_id.to_string();
            task::open(&self.pool, task::UNKNOWN_PSP_OBJECT, &subject, &detail).await?;
        }
        Ok(())
    }

    /// Puts a notice off because the provider cannot be asked now. It is not given up for that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, notice: &StoredNotice, after: Duration, why: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update psp_inbox set retry_at = clock_timestamp() + make_interval(secs => $2), last_error = $3
             where inbox_id = $1 and status = 'received'",
        )
        .bind(notice.inbox_id)
        .bind(after.as_secs_f64())
        .bind(why)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    /// How many notices are still to be worked on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("select count(*) as open from psp_inbox where status = 'received'")
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(to_u64(row.try_get("open").map_err(unavailable)?))
    }

    /// When the newest webhook was delivered, wall time (UTC); what was read from the provider's list does not count.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_delivery(&self) -> Result<Option<domain::time::Timestamp>, StoreError> {
        let row = sqlx::query("select received_at from psp_inbox where not backfilled order by inbox_id desc limit 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        row.map(|row| row.try_get("received_at")).transpose().map_err(unavailable)
    }
}
