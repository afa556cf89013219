//! Finding chargebacks, as staff looks for them.

use domain::chargeback;
use domain::id::{ContractId, FundingId};
use domain::log::{Position, StoreError};
use domain::time::Timestamp;
use sqlx::PgPool;

use super::document::{StoredDocument, document};
use super::{to_i64, unavailable};

/// Which chargebacks; what is absent is not asked for. Instants are the tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChargebackFilter {
    /// In this state.
    pub status: Option<String>,
    /// Of this contract.
    pub contract_id: Option<ContractId>,
    /// Of this payment.
    pub funding_id: Option<FundingId>,
    /// For this reason, in the provider's word.
    pub reason: Option<String>,
    /// That take evidence until before this instant.
    pub due_before: Option<Timestamp>,
    /// That began at this instant or later.
    pub created_from: Option<Timestamp>,
    /// That began before this instant.
    pub created_before: Option<Timestamp>,
}

/// Up to `limit` of them, newest first, that began before a position.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    pool: &PgPool,
    filter: &ChargebackFilter,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<StoredDocument>, StoreError> {
    let rows = sqlx::query(
        "select d.aggregate_type, d.aggregate_id, d.version, d.created_position, d.client_id, d.payee_id,
                d.body::text as body
         from documents d join events e on e.position = d.created_position
         where d.aggregate_type = $1
           and ($2::text is null or d.status = $2)
           and ($3::text is null or d.contract_id = $3)
           and ($4::text is null or coalesce(d.body #>> '{case,funding_id}', d.body #>> '{charged,funding_id}') = $4)
           and ($5::text is null or d.body #>> '{case,reason}' = $5)
           and ($6::timestamptz is null or (d.body #>> '{case,evidence_due_by}')::timestamptz < $6)
           and ($7::timestamptz is null or (e.metadata ->> 'occurred_at')::timestamptz >= $7)
           and ($8::timestamptz is null or (e.metadata ->> 'occurred_at')::timestamptz < $8)
           and ($9::bigint is null or d.created_position < $9)
         order by d.created_position desc limit $10",
    )
    .bind(chargeback::TYPE)
    .bind(filter.status.as_deref())
    .bind(filter.contract_id.map(|id| id.to_string()))
    .bind(filter.funding_id.map(|id| id.to_string()))
    .bind(filter.reason.as_deref())
    .bind(filter.due_before)
    .bind(filter.created_from)
    .bind(filter.created_before)
    .bind(before.map(to_i64))
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(document).collect()
}
