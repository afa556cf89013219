//! Requests that change nothing: one object, a list of objects, a balance.
//!
//! # Invariants
//! - An account sees its own objects only; for anything else the answer is that there is no such object.
//! - Lists are newest first and go on after an object (<https://docs.stripe.com/api/pagination>).

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::clock;
use super::form::{Form, Page};
use super::object::{
    self, BalanceTransaction, Charge, Dispute, FraudWarning, PaymentIntent, Payout, Refund, Shown, StoredEvent, TopUp,
};
use super::refusal::{Failure, Refusal};

/// What can be fetched by its id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    PaymentIntent,
    Charge,
    Refund,
    Dispute,
    FraudWarning,
    BalanceTransaction,
    Transfer,
    Payout,
    Account,
    Event,
    TopUp,
}

impl Resource {
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::PaymentIntent => &["pi_"],
            Self::Charge => &["ch_", "py_"],
            Self::Refund => &["re_"],
            Self::Dispute => &["dp_"],
            Self::FraudWarning => &["issfr_"],
            Self::BalanceTransaction => &["txn_"],
            Self::Transfer => &["tr_"],
            Self::Payout => &["po_"],
            Self::Account => &["acct_"],
            Self::Event => &["evt_"],
            Self::TopUp => &["tu_"],
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::PaymentIntent => "payment_intent",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::FraudWarning => "early fraud warning",
            Self::BalanceTransaction => "balance transaction",
            Self::Transfer => "transfer",
            Self::Payout => "payout",
            Self::Account => "account",
            Self::Event => "event",
            Self::TopUp => "topup",
        }
    }
}

/// The account that a request acts on: the one named, or the platform.
pub(super) async fn acting_account(
    connection: &mut PgConnection,
    named: Option<&str>,
) -> Result<(String, bool), Failure> {
    let platform = clock::state(connection).await?.platform_account;
    match named {
        None => Ok((platform, true)),
        Some(id) if id == platform => Ok((platform, true)),
        Some(id) => match object::account(connection, id).await? {
            Some(account) if !account.deauthorized => Ok((account.id, false)),
            _ => Err(Refusal::NoAccess { account: id.to_owned() }.into()),
        },
    }
}

/// One object of `account`.
pub(super) async fn one(
    connection: &mut PgConnection,
    (account, platform): (&str, bool),
    resource: Resource,
    id: &str,
) -> Result<Value, Failure> {
    let not_found = || Refusal::NotFound { noun: resource.noun(), id: id.to_owned() };
    if !resource.prefixes().iter().any(|prefix| id.starts_with(prefix)) || id.contains('\0') {
        return Err(not_found().into());
    }
    if matches!(resource, Resource::Account)
        && object::account(connection, id).await?.is_some_and(|account| account.deauthorized)
    {
        return Err(Refusal::NoAccess { account: id.to_owned() }.into());
    }
    match object::load(connection, id).await? {
        Some(Shown { account: owner, value })
            if owner == account || (platform && matches!(resource, Resource::Account)) =>
        {
            Ok(value)
        }
        _ => Err(not_found().into()),
    }
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
    let (url, mut items) = match resource {
        Resource::PaymentIntent => {
            form.refuse(&["created", "customer"])?;
            ("/v1/payment_intents", intents(connection, account, &page).await?)
        }
        Resource::Charge => {
            form.refuse(&["created", "customer"])?;
            ("/v1/charges", charges(connection, account, &page, form).await?)
        }
        Resource::Refund => {
            form.refuse(&["created"])?;
            ("/v1/refunds", refunds(connection, account, &page, form).await?)
        }
        Resource::Dispute => {
            form.refuse(&["created"])?;
            ("/v1/disputes", disputes(connection, account, &page, form).await?)
        }
        Resource::FraudWarning => {
            form.refuse(&["created"])?;
            ("/v1/radar/early_fraud_warnings", fraud_warnings(connection, account, &page, form).await?)
        }
        Resource::BalanceTransaction => {
            ("/v1/balance_transactions", balance_transactions(connection, account, &page, form).await?)
        }
        Resource::Transfer => {
            form.refuse(&["created"])?;
            ("/v1/transfers", transfers(connection, account, &page, form).await?)
        }
        Resource::Payout => {
            form.refuse(&["created", "arrival_date"])?;
            ("/v1/payouts", payouts(connection, account, &page, form).await?)
        }
        Resource::TopUp => {
            form.refuse(&["created", "amount"])?;
            ("/v1/topups", top_ups(connection, account, &page, form).await?)
        }
        Resource::Event => ("/v1/events", events(connection, account, &page, form).await?),
        Resource::Account => {
            form.refuse(&["created"])?;
            ("/v1/accounts", accounts(connection, &page).await?)
        }
    };
    // One more than asked for was read, to know whether there is more.
    let limit = usize::try_from(page.limit).unwrap_or(items.len());
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(json!({ "object": "list", "data": items, "has_more": has_more, "url": url }))
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

/// Connected accounts that the platform has access to.
async fn accounts(connection: &mut PgConnection, page: &Page) -> Result<Vec<Value>, Failure> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM accounts WHERE NOT platform AND NOT deauthorized
            AND ($1::text IS NULL OR seq < (SELECT seq FROM accounts WHERE id = $1))
         ORDER BY seq DESC LIMIT $2",
    )
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .fetch_all(&mut *connection)
    .await?;
    let mut shown = Vec::new();
    for id in ids {
        shown.extend(object::account(connection, &id).await?.map(|account| account.show()));
    }
    Ok(shown)
}

async fn intents(connection: &mut PgConnection, account: &str, page: &Page) -> Result<Vec<Value>, Failure> {
    let rows: Vec<PaymentIntent> = sqlx::query_as(
        "SELECT * FROM payment_intents WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM payment_intents WHERE id = $2))
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(PaymentIntent::show).collect())
}

async fn charges(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<Charge> = sqlx::query_as(
        "SELECT * FROM charges WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM charges WHERE id = $2))
            AND ($4::text IS NULL OR payment_intent = $4) AND ($5::text IS NULL OR transfer_group = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("payment_intent"))
    .bind(form.text("transfer_group"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Charge::show).collect())
}

async fn refunds(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<Refund> = sqlx::query_as(
        "SELECT * FROM refunds WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM refunds WHERE id = $2))
            AND ($4::text IS NULL OR charge = $4) AND ($5::text IS NULL OR payment_intent = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("charge"))
    .bind(form.text("payment_intent"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Refund::show).collect())
}

async fn disputes(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<Dispute> = sqlx::query_as(
        "SELECT * FROM disputes WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM disputes WHERE id = $2))
            AND ($4::text IS NULL OR charge = $4) AND ($5::text IS NULL OR payment_intent = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("charge"))
    .bind(form.text("payment_intent"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Dispute::show).collect())
}

async fn fraud_warnings(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<FraudWarning> = sqlx::query_as(
        "SELECT * FROM early_fraud_warnings WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM early_fraud_warnings WHERE id = $2))
            AND ($4::text IS NULL OR charge = $4) AND ($5::text IS NULL OR payment_intent = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("charge"))
    .bind(form.text("payment_intent"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(FraudWarning::show).collect())
}

/// `payout` names a payout's own entry: the sandbox's payouts are manual, and Stripe says which entries a payout pays out
/// only for automatic ones.
async fn balance_transactions(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<BalanceTransaction> = sqlx::query_as(
        "SELECT * FROM balance_transactions WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM balance_transactions WHERE id = $2))
            AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR (source = $5 AND type = 'payout'))
            AND ($6::text IS NULL OR type = $6) AND ($7::text IS NULL OR currency = $7)
            AND ($8::timestamptz IS NULL OR created_at >= $8) AND ($9::timestamptz IS NULL OR created_at > $9)
            AND ($10::timestamptz IS NULL OR created_at <= $10) AND ($11::timestamptz IS NULL OR created_at < $11)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("source"))
    .bind(form.text("payout"))
    .bind(form.text("type"))
    .bind(form.text("currency"))
    .bind(form.instant("created", "gte")?)
    .bind(form.instant("created", "gt")?)
    .bind(form.instant("created", "lte")?)
    .bind(form.instant("created", "lt")?)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(BalanceTransaction::show).collect())
}

async fn transfers(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM transfers WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM transfers WHERE id = $2))
            AND ($4::text IS NULL OR transfer_group = $4) AND ($5::text IS NULL OR destination = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("transfer_group"))
    .bind(form.text("destination"))
    .fetch_all(&mut *connection)
    .await?;
    let mut shown = Vec::new();
    for id in ids {
        shown.extend(object::transfer(connection, &id).await?.map(|transfer| transfer.show()));
    }
    Ok(shown)
}

async fn payouts(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<Payout> = sqlx::query_as(
        "SELECT * FROM payouts WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM payouts WHERE id = $2))
            AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR destination = $5)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("status"))
    .bind(form.text("destination"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Payout::show).collect())
}

async fn top_ups(
    connection: &mut PgConnection,
    account: &str,
    page: &Page,
    form: &Form,
) -> Result<Vec<Value>, Failure> {
    let rows: Vec<TopUp> = sqlx::query_as(
        "SELECT * FROM topups WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM topups WHERE id = $2))
            AND ($4::text IS NULL OR status = $4)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(form.text("status"))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(TopUp::show).collect())
}

async fn events(connection: &mut PgConnection, account: &str, page: &Page, form: &Form) -> Result<Vec<Value>, Failure> {
    let mut kinds = form.texts("types");
    kinds.extend(form.text("type"));
    let rows: Vec<StoredEvent> = sqlx::query_as(
        "SELECT account_id, body,
            (SELECT count(*) FROM webhook_deliveries WHERE event_id = events.id AND state <> 'delivered') AS undelivered
         FROM events WHERE account_id = $1
            AND ($2::text IS NULL OR seq < (SELECT seq FROM events WHERE id = $2))
            AND ($4::text[] = '{}' OR type = ANY ($4))
            AND ($5::timestamptz IS NULL OR created_at >= $5) AND ($6::timestamptz IS NULL OR created_at > $6)
            AND ($7::timestamptz IS NULL OR created_at <= $7) AND ($8::timestamptz IS NULL OR created_at < $8)
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(account)
    .bind(&page.starting_after)
    .bind(page.limit + 1)
    .bind(kinds)
    .bind(form.instant("created", "gte")?)
    .bind(form.instant("created", "gt")?)
    .bind(form.instant("created", "lte")?)
    .bind(form.instant("created", "lt")?)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(StoredEvent::show).collect())
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
