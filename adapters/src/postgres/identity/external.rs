//! Whom the subjects of other issuers stand for.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use crate::postgres::{corrupt, unavailable};

/// The party that a subject stands for.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, issuer: &str, subject: &str) -> Result<Option<PartyId>, StoreError> {
    let row = sqlx::query("select party_id from external_subjects where issuer = $1 and subject = $2")
        .bind(issuer)
        .bind(subject)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    row.map(|row| {
        let party_id: String = row.try_get("party_id").map_err(unavailable)?;
        party_id.parse().map_err(corrupt)
    })
    .transpose()
}

/// Links a subject to a party. One that is linked stays as it is.
///
/// # Errors
/// [`StoreError`].
pub async fn link(
    pool: &PgPool,
    issuer: &str,
    subject: &str,
    party_id: PartyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into external_subjects (issuer, subject, party_id, created_at) values ($1, $2, $3, $4)
         on conflict (issuer, subject) do nothing",
    )
    .bind(issuer)
    .bind(subject)
    .bind(party_id.to_string())
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}
