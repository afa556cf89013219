//! A mailbox in the database: what would be sent is read here instead.

use domain::log::StoreError;
use domain::ports::mail::{Mail, MailError, Mailer};
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use crate::postgres::unavailable;

/// The tenant's mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox {
    pool: PgPool,
}

/// A mail that was kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptMail {
    /// The mail.
    pub mail: Mail,
    /// When it came.
    pub created_at: Timestamp,
}

impl Mailbox {
    /// The mailbox of the tenant that the pool connects to.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The newest mails, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, limit: u16) -> Result<Vec<KeptMail>, StoreError> {
        let rows =
            sqlx::query("select recipient, subject, body, created_at from mailbox order by mail_id desc limit $1")
                .bind(i32::from(limit))
                .fetch_all(&self.pool)
                .await
                .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let mail = Mail {
                    to: row.try_get("recipient")?,
                    subject: row.try_get("subject")?,
                    body: row.try_get("body")?,
                };
                Ok(KeptMail { mail, created_at: row.try_get("created_at")? })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(unavailable)
    }
}

impl Mailer for Mailbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        sqlx::query(
            "insert into mailbox (recipient, subject, body, created_at) values ($1, $2, $3, clock_timestamp())",
        )
        .bind(&mail.to)
        .bind(&mail.subject)
        .bind(&mail.body)
        .execute(&self.pool)
        .await
        .map_err(|error| MailError::Unavailable(error.to_string()))?;
        Ok(())
    }
}
