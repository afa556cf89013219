//! Lists of objects, newest first, and the search for a payment by its metadata.
//!
//! # Invariants
//! - An account sees its own objects only.
//! - Lists go on after an object (<https://docs.stripe.com/api/pagination>).
//! - Columns and tables are named here; only values come from the request, and they are bound.
//!
//! # What is deliberately absent
//! `ending_before`, and filters that nobody has asked for: they are refused, since a filter that is passed over shows too
//! much.

use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};

use super::form::{Form, Page};
use super::object::{
    self, BalanceTransaction, Charge, Dispute, FraudWarning, PaymentIntent, Payout, Refund, StoredEvent, TopUp,
};
use super::reads::Resource;
use super::refusal::{Failure, Refusal};

/// How one kind of object is listed.
struct Listing {
    url: &'static str,
    select: &'static str,
    table: &'static str,
    /// The column, and the parameter that it must equal.
    filters: &'static [(&'static str, &'static str)],
    /// Whether `created[gte]` and its like are known.
    dated: bool,
    refused: &'static [&'static str],
}

impl Listing {
    const fn new(url: &'static str, table: &'static str) -> Self {
        Self { url, select: "*", table, filters: &[], dated: false, refused: &["created"] }
    }

    fn of(resource: Resource) -> Self {
        let of_charge: &[_] = &[("charge", "charge"), ("payment_intent", "payment_intent")];
        match resource {
            Resource::PaymentIntent => {
                Self { refused: &["created", "customer"], ..Self::new("/v1/payment_intents", "payment_intents") }
            }
            Resource::Charge => Self {
                filters: &[("payment_intent", "payment_intent"), ("transfer_group", "transfer_group")],
                refused: &["created", "customer"],
                ..Self::new("/v1/charges", "charges")
            },
            Resource::Refund => Self { filters: of_charge, ..Self::new("/v1/refunds", "refunds") },
            Resource::Dispute => Self { filters: of_charge, ..Self::new("/v1/disputes", "disputes") },
            Resource::FraudWarning => {
                Self { filters: of_charge, ..Self::new("/v1/radar/early_fraud_warnings", "early_fraud_warnings") }
            }
            Resource::BalanceTransaction => Self {
                filters: &[("source", "source"), ("type", "type"), ("currency", "currency")],
                dated: true,
                refused: &[],
                ..Self::new("/v1/balance_transactions", "balance_transactions")
            },
            Resource::Transfer => Self {
                select: "id",
                filters: &[("transfer_group", "transfer_group"), ("destination", "destination")],
                ..Self::new("/v1/transfers", "transfers")
            },
            Resource::Payout => Self {
                filters: &[("status", "status"), ("destination", "destination")],
                refused: &["created", "arrival_date"],
                ..Self::new("/v1/payouts", "payouts")
            },
            Resource::TopUp => Self {
                filters: &[("status", "status")],
                refused: &["created", "amount"],
                ..Self::new("/v1/topups", "topups")
            },
            Resource::Event => Self {
                select: "account_id, body, (SELECT count(*) FROM webhook_deliveries
                    WHERE event_id = events.id AND state <> 'delivered') AS undelivered",
                dated: true,
                refused: &[],
                ..Self::new("/v1/events", "events")
            },
            Resource::Account => Self { select: "id", ..Self::new("/v1/accounts", "accounts") },
        }
    }

    fn query(
        &self,
        resource: Resource,
        account: &str,
        page: &Page,
        form: &Form,
    ) -> Result<QueryBuilder<'static, Postgres>, Refusal> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(self.select).push(" FROM ").push(self.table);
        if matches!(resource, Resource::Account) {
            query.push(" WHERE NOT platform AND NOT deauthorized");
        } else {
            query.push(" WHERE account_id = ").push_bind(account.to_owned());
        }
        if let Some(after) = &page.starting_after {
            query.push(" AND seq < (SELECT seq FROM ").push(self.table).push(" WHERE id = ");
            query.push_bind(after.clone()).push(")");
        }
        for (column, parameter) in self.filters {
            if let Some(value) = form.text(parameter) {
                query.push(" AND ").push(*column).push(" = ").push_bind(value);
            }
        }
        // The sandbox's payouts are manual: Stripe says which entries a payout pays out for automatic ones only.
        if matches!(resource, Resource::BalanceTransaction)
            && let Some(payout) = form.text("payout")
        {
            query.push(" AND type = 'payout' AND source = ").push_bind(payout);
        }
        if matches!(resource, Resource::Event) {
            let mut kinds = form.texts("types");
            kinds.extend(form.text("type"));
            if !kinds.is_empty() {
                query.push(" AND type = ANY (").push_bind(kinds).push(")");
            }
        }
        if self.dated {
            for (bound, operator) in [("gte", " >= "), ("gt", " > "), ("lte", " <= "), ("lt", " < ")] {
                if let Some(instant) = form.instant("created", bound)? {
                    query.push(" AND created_at").push(operator).push_bind(instant);
                }
            }
        }
        // One more than asked for, to know whether there is more.
        query.push(" ORDER BY seq DESC LIMIT ").push_bind(page.limit + 1);
        Ok(query)
    }
}

async fn rows<R>(
    connection: &mut PgConnection,
    mut query: QueryBuilder<'_, Postgres>,
    show: impl Fn(&R) -> Value,
) -> Result<Vec<Value>, sqlx::Error>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let rows: Vec<R> = query.build_query_as().fetch_all(connection).await?;
    Ok(rows.iter().map(show).collect())
}

/// Objects whose rows do not hold all that is shown of them.
async fn whole(
    connection: &mut PgConnection,
    mut query: QueryBuilder<'_, Postgres>,
) -> Result<Vec<Value>, sqlx::Error> {
    let ids: Vec<(String,)> = query.build_query_as().fetch_all(&mut *connection).await?;
    let mut items = Vec::with_capacity(ids.len());
    for (id,) in ids {
        items.extend(object::load(connection, &id).await?.map(|shown| shown.value));
    }
    Ok(items)
}

/// A list of objects of `account`, filtered by what the form says.
pub(super) async fn list(
    connection: &mut PgConnection,
    account: &str,
    resource: Resource,
    form: &Form,
) -> Result<Value, Failure> {
    let page = form.page()?;
    if let Some(after) = &page.starting_after {
        let known = object::load(connection, after)
            .await?
            .is_some_and(|shown| shown.account == account || matches!(resource, Resource::Account));
        if !known {
            return Err(Refusal::NoSuch { noun: resource.noun(), id: after.clone(), param: "starting_after" }.into());
        }
    }
    let listing = Listing::of(resource);
    form.refuse(listing.refused)?;
    let query = listing.query(resource, account, &page, form)?;
    let mut items = match resource {
        Resource::PaymentIntent => rows(connection, query, PaymentIntent::show).await?,
        Resource::Charge => rows(connection, query, Charge::show).await?,
        Resource::Refund => rows(connection, query, Refund::show).await?,
        Resource::Dispute => rows(connection, query, Dispute::show).await?,
        Resource::FraudWarning => rows(connection, query, FraudWarning::show).await?,
        Resource::BalanceTransaction => rows(connection, query, BalanceTransaction::show).await?,
        Resource::Payout => rows(connection, query, Payout::show).await?,
        Resource::TopUp => rows(connection, query, TopUp::show).await?,
        Resource::Event => rows(connection, query, StoredEvent::show).await?,
        Resource::Transfer | Resource::Account => whole(connection, query).await?,
    };
    let limit = usize::try_from(page.limit).unwrap_or(items.len());
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(json!({ "object": "list", "data": items, "has_more": has_more, "url": listing.url }))
}

/// `GET /v1/payment_intents/search` for what we search: intents with a value in their metadata, newest first
/// (<https://docs.stripe.com/search#search-query-language>). Unlike Stripe's index it is never behind.
pub(super) async fn search_intents(
    connection: &mut PgConnection,
    account: &str,
    form: &Form,
) -> Result<Value, Failure> {
    form.refuse(&["page"])?;
    let page = form.page()?;
    let query = form.required("query")?;
    let (key, value) = metadata_query(&query).ok_or_else(|| {
        Refusal::invalid("query", "The sandbox searches for one value of metadata: metadata['key']:'value'.")
    })?;
    let rows: Vec<PaymentIntent> = sqlx::query_as(
        "SELECT * FROM payment_intents WHERE account_id = $1 AND metadata ->> $2 = $3 ORDER BY seq DESC LIMIT $4",
    )
    .bind(account)
    .bind(key)
    .bind(value)
    .bind(page.limit)
    .fetch_all(connection)
    .await?;
    let items: Vec<Value> = rows.iter().map(PaymentIntent::show).collect();
    let url = "/v1/payment_intents/search";
    Ok(json!({ "object": "search_result", "data": items, "has_more": false, "next_page": null, "url": url }))
}

/// Key and value of `metadata['key']:'value'`, with either kind of quotes.
fn metadata_query(query: &str) -> Option<(&str, &str)> {
    let rest = query.trim().strip_prefix("metadata[")?;
    let (key, value) = rest.split_once("]:")?;
    let bare = |quoted: &'static str, text: &str| text.len() > 1 && text.starts_with(quoted) && text.ends_with(quoted);
    let unquoted = |text| (bare("'", text) || bare("\"", text)).then(|| text.get(1..text.len() - 1)).flatten();
    let (key, value) = (unquoted(key)?, unquoted(value)?);
    (!key.contains(['\'', '"']) && !value.contains(['\'', '"'])).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_metadata_is_searched_for() {
        assert_eq!(metadata_query("metadata['order']:'a-1'"), Some(("order", "a-1")));
        assert_eq!(metadata_query(r#"metadata["order"]:"a 1""#), Some(("order", "a 1")));
        for other in
            ["status:'succeeded'", "metadata['a']:'b' AND metadata['c']:'d'", "metadata[a]:'b'", "metadata['a']:'"]
        {
            assert_eq!(metadata_query(other), None, "{other}");
        }
    }
}
