//! Commands that others have to approve: the tenant's rules, and finding requests.

use domain::actor::StaffRole;
use domain::approval::{self, FourEyes, Kind, KindRule, Rule};
use domain::id::PartyId;
use domain::log::{Position, StoreError};
use sqlx::{PgPool, Row};

use super::document::{StoredDocument, document};
use super::{corrupt, to_i64, unavailable};

/// What the tenant says of each kind of command: its own rules, and the built-in ones where it has none.
///
/// # Errors
/// [`StoreError`].
pub async fn rules(pool: &PgPool) -> Result<FourEyes, StoreError> {
    let rows = sqlx::query("select kind, approvers, roles, above_units, hours from four_eyes_rules")
        .fetch_all(pool)
        .await
        .map_err(unavailable)?;
    let mut rules = FourEyes::default();
    for row in rows {
        let kind: String = row.try_get("kind").map_err(unavailable)?;
        let kind: Kind = kind.parse().map_err(StoreError::Corrupt)?;
        let approvers: i16 = row.try_get("approvers").map_err(unavailable)?;
        if approvers == 0 {
            rules.rules.remove(&kind);
            continue;
        }
        let words: Vec<String> = row.try_get("roles").map_err(unavailable)?;
        let above_units: i64 = row.try_get("above_units").map_err(unavailable)?;
        let hours: i32 = row.try_get("hours").map_err(unavailable)?;
        let rule = Rule {
            approvers: u8::try_from(approvers).map_err(corrupt)?,
            roles: StaffRole::ALL.into_iter().filter(|role| words.iter().any(|word| word == role.word())).collect(),
            hours: u16::try_from(hours).map_err(corrupt)?,
        };
        rule.check(kind).map_err(corrupt)?;
        let above_units = u32::try_from(above_units).map_err(corrupt)?;
        rules.rules.insert(kind, KindRule { above_units, rule });
    }
    Ok(rules)
}

/// Sets the tenant's rule of a kind of command; `None`: nobody else is asked. What waits keeps the rule that it was proposed
/// under.
///
/// # Errors
/// [`StoreError`]; a rule that cannot be kept, too.
pub async fn set_rule(pool: &PgPool, kind: Kind, rule: Option<&KindRule>) -> Result<(), StoreError> {
    let standard = KindRule { above_units: 0, rule: Rule::standard(kind) };
    let KindRule { above_units, rule: Rule { approvers, roles, hours } } = rule.unwrap_or(&standard);
    let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    sqlx::query(
        "insert into four_eyes_rules (kind, approvers, roles, above_units, hours) values ($1, $2, $3, $4, $5)
         on conflict (kind) do update set approvers = excluded.approvers, roles = excluded.roles,
             above_units = excluded.above_units, hours = excluded.hours",
    )
    .bind(kind.word())
    .bind(if rule.is_some() { i16::from(*approvers) } else { 0 })
    .bind(words)
    .bind(i64::from(*above_units))
    .bind(i32::from(*hours))
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Which requests; what is absent is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// In this state.
    pub status: Option<String>,
    /// For a command of this kind.
    pub kind: Option<Kind>,
    /// Proposed by this member of staff.
    pub requested_by: Option<PartyId>,
}

/// Up to `limit` of them, newest first, that began before a position.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    pool: &PgPool,
    filter: &ApprovalFilter,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<StoredDocument>, StoreError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id, version, created_position, client_id, payee_id, body::text as body
         from documents where aggregate_type = $1
           and ($2::text is null or status = $2)
           and ($3::text is null or body #>> '{request,command,kind}' = $3)
           and ($4::text is null or body #>> '{request,requested_by}' = $4)
           and ($5::bigint is null or created_position < $5)
         order by created_position desc limit $6",
    )
    .bind(approval::TYPE)
    .bind(filter.status.as_deref())
    .bind(filter.kind.map(Kind::word))
    .bind(filter.requested_by.map(|id| id.to_string()))
    .bind(before.map(to_i64))
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(document).collect()
}
