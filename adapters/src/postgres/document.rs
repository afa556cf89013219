//! Reading documents: the present state of aggregates.

use domain::id::{ContractId, PartyId};
use domain::log::{Position, StoreError, StreamId};
use domain::view::Document;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::{corrupt, to_i64, to_u64, unavailable};

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Its stream.
    pub stream: StreamId,
    /// Version of the stream that it shows.
    pub version: u64,
    /// Position of the stream's first event; what lists are ordered by.
    pub created_position: Position,
    /// The state.
    pub document: Document,
    /// The paying party, if it has one.
    pub client_id: Option<String>,
    /// The paid party, if it has one.
    pub payee_id: Option<String>,
}

/// Which documents a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// All.
    ToStaff,
    /// Those in which this party pays or is paid.
    To(PartyId),
}

impl Visible {
    fn party(self) -> Option<String> {
        match self {
            Self::ToStaff => None,
            Self::To(party) => Some(party.to_string()),
        }
    }
}

/// One document, if the caller may see it.
///
/// # Errors
/// [`StoreError`].
pub async fn one(pool: &PgPool, stream: &StreamId, visible: Visible) -> Result<Option<StoredDocument>, StoreError> {
    let row = sqlx::query(
        "select aggregate_type, aggregate_id, version, created_position, client_id, payee_id, body::text as body
         from documents where aggregate_type = $1 and aggregate_id = $2
           and ($3::text is null or client_id = $3 or payee_id = $3)",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(visible.party())
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(document).transpose()
}

/// All documents of some contracts.
///
/// # Errors
/// [`StoreError`].
pub async fn of_contracts(pool: &PgPool, contracts: &[ContractId]) -> Result<Vec<StoredDocument>, StoreError> {
    let ids: Vec<String> = contracts.iter().map(ToString::to_string).collect();
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id, version, created_position, client_id, payee_id, body::text as body
         from documents where contract_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(document).collect()
}

/// Up to `limit` documents of a kind, newest first, created before a position.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    pool: &PgPool,
    aggregate_type: &str,
    visible: Visible,
    status: Option<&str>,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<StoredDocument>, StoreError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id, version, created_position, client_id, payee_id, body::text as body
         from documents where aggregate_type = $1
           and ($2::text is null or client_id = $2 or payee_id = $2)
           and ($3::text is null or status = $3)
           and ($4::bigint is null or created_position < $4)
         order by created_position desc limit $5",
    )
    .bind(aggregate_type)
    .bind(visible.party())
    .bind(status)
    .bind(before.map(to_i64))
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(document).collect()
}

/// The document of a kind that has `value` at this place of its body now, if the caller may see it. It looks through
/// what the caller may see of that kind.
///
/// # Errors
/// [`StoreError`].
pub async fn holding(
    pool: &PgPool,
    aggregate_type: &str,
    place: &[&str],
    value: &str,
    visible: Visible,
) -> Result<Option<StreamId>, StoreError> {
    let found: Option<(String, String)> = sqlx::query_as(
        "select aggregate_type, aggregate_id from documents
         where aggregate_type = $1 and ($2::text is null or client_id = $2 or payee_id = $2)
           and body #>> $3::text[] = $4
         limit 1",
    )
    .bind(aggregate_type)
    .bind(visible.party())
    .bind(place)
    .bind(value)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    Ok(found.map(|(aggregate_type, aggregate_id)| StreamId::new(aggregate_type, aggregate_id)))
}

pub(super) fn document(row: &PgRow) -> Result<StoredDocument, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
    let stream = StreamId::new(text("aggregate_type")?, text("aggregate_id")?);
    let document = Document::from_json(&stream, &text("body")?).map_err(corrupt)?;
    Ok(StoredDocument {
        version: to_u64(row.try_get("version").map_err(unavailable)?),
        created_position: to_u64(row.try_get("created_position").map_err(unavailable)?),
        client_id: row.try_get("client_id").map_err(unavailable)?,
        payee_id: row.try_get("payee_id").map_err(unavailable)?,
        stream,
        document,
    })
}
