//! A mailbox in the database: what would be sent is read here instead.
//!
//! # Invariants
//! - What is kept is ciphertext: it says whose address it is, and its links open accounts.
//! - It is kept for 30 days.

use std::sync::Arc;

use domain::log::StoreError;
use domain::ports::mail::{Mail, MailError, Mailer};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row};

use crate::postgres::unavailable;

/// Days that a mail is kept.
const KEPT_DAYS: i32 = 30;

/// Makes ciphertext of mails, and reads it.
pub trait Envelope: Send + Sync {
    /// Ciphertext of `plain`.
    fn seal(&self, plain: &[u8]) -> Vec<u8>;

    /// What was sealed; `None` when it was sealed with another key, or changed.
    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>>;
}

/// The tenant's mailbox.
#[derive(Clone)]
pub struct Mailbox {
    pool: PgPool,
    envelope: Arc<dyn Envelope>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

/// A mail that was kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptMail {
    /// The mail.
    pub mail: Mail,
    /// When it came.
    pub created_at: Timestamp,
}

/// What the ciphertext is of.
#[derive(Serialize, Deserialize)]
struct Inside {
    to: String,
    subject: String,
    body: String,
}

impl Mailbox {
    /// The mailbox of the tenant that the pool connects to.
    pub fn new(pool: PgPool, envelope: Arc<dyn Envelope>) -> Self {
        Self { pool, envelope }
    }

    /// The newest mails that can be read, newest first, of the newest `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, limit: u16) -> Result<Vec<KeptMail>, StoreError> {
        let rows = sqlx::query("select sealed, created_at from mailbox order by mail_id desc limit $1")
            .bind(i32::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        let mut mails = Vec::with_capacity(rows.len());
        for row in rows {
            let sealed: Vec<u8> = row.try_get("sealed").map_err(unavailable)?;
            let inside = self.envelope.open(&sealed);
            // One that another server sealed with a key of its own is not ours to read.
            let Some(Inside { to, subject, body }) = inside.and_then(|text| serde_json::from_slice(&text).ok()) else {
                continue;
            };
            let created_at = row.try_get("created_at").map_err(unavailable)?;
            mails.push(KeptMail { mail: Mail { to, subject, body }, created_at });
        }
        Ok(mails)
    }
}

impl Mailer for Mailbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let inside = Inside { to: mail.to, subject: mail.subject, body: mail.body };
        let text = serde_json::to_vec(&inside).map_err(|error| MailError::Refused(error.to_string()))?;
        sqlx::query(
            "with old as (delete from mailbox where created_at < clock_timestamp() - make_interval(days => $2))
             insert into mailbox (sealed, created_at) values ($1, clock_timestamp())",
        )
        .bind(self.envelope.seal(&text))
        .bind(KEPT_DAYS)
        .execute(&self.pool)
        .await
        .map_err(|error| MailError::Unavailable(error.to_string()))?;
        Ok(())
    }
}
