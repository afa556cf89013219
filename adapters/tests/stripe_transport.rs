//! The transport to Stripe against an HTTP server that answers what the test says: what every request carries, and what the
//! headers of an answer change.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test may fail loudly, and has stack enough")]

mod stripe_support;

use std::time::Duration;

use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use axum::Router;
use axum::http::HeaderMap;
use domain::id::{SweepId, TopUpId};
use domain::ports::PaymentProvider;
use domain::ports::history::{Found, ProviderHistory};
use domain::ports::provider::{
    BankPayoutStatus, PlatformPayoutReport, ProviderError, ProviderObject, ProviderOrder, ProviderReport, TopUpReport,
    TopUpStatus,
};
use ledger::{Currency, Minor};
use serde_json::{Value, json};
use stripe_support::{Answer, KEY, Server, error, fields, ok, provider_at, with};
use uuid::Uuid;

fn top_up_id() -> TopUpId {
    TopUpId::from_uuid(Uuid::from_u128(1))
}

fn sweep_id() -> SweepId {
    SweepId::from_uuid(Uuid::from_u128(2))
}

fn top_up() -> ProviderOrder {
    ProviderOrder::TopUp { top_up_id: top_up_id(), amount: Minor::new(200_000).unwrap(), currency: Currency::USD }
}

fn sweep() -> ProviderOrder {
    ProviderOrder::PayPlatform { sweep_id: sweep_id(), amount: Minor::new(11_925).unwrap(), currency: Currency::USD }
}

fn top_up_object(status: &str, fields: Value) -> Value {
    let top_up = json!({
        "id": "tu_1", "object": "topup", "amount": 200_000, "created": 1_700_000_000, "currency": "usd",
        "livemode": false, "metadata": { "top_up_id": top_up_id() }, "status": status,
    });
    with(top_up, fields)
}

fn payout_object(status: &str, fields: Value) -> Value {
    let payout = json!({
        "id": "po_1", "object": "payout", "amount": 11_925, "arrival_date": 1_700_086_400, "automatic": false,
        "created": 1_700_000_000, "currency": "usd", "livemode": false, "metadata": { "sweep_id": sweep_id() },
        "method": "standard", "reconciliation_status": "not_applicable", "source_type": "card", "status": status,
        "type": "bank_account",
    });
    with(payout, fields)
}

/// What the order becomes when the server answers with this status, headers and error.
async fn answered(status: u16, headers: &'static [(&'static str, &'static str)], error: Value) -> ProviderError {
    let body = json!({ "error": error }).to_string();
    let router = Router::new().fallback(move || {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        std::future::ready((axum::http::StatusCode::from_u16(status).unwrap(), map, body.clone()))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider_at(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    provider.carry_out(&top_up(), "key").await.unwrap_err()
}

fn unknown(why: &str) -> ProviderError {
    ProviderError::Unknown(why.to_owned())
}

fn unavailable(why: &str, seconds: u64) -> ProviderError {
    ProviderError::Unavailable { why: why.to_owned(), retry_after: Duration::from_secs(seconds) }
}

#[tokio::test]
async fn the_headers_of_an_answer_say_how_long_to_wait_and_what_is_decided() {
    let limit = || json!({ "type": "invalid_request_error", "code": "rate_limit" });
    let broken = || json!({ "type": "api_error" });
    let after = |seconds| ProviderError::RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    assert_eq!(answered(429, &[("retry-after", "7")], limit()).await, after(7));
    assert_eq!(answered(429, &[], limit()).await, ProviderError::RateLimited { retry_after: None });
    let at = &[("retry-after", "Sat, 21 Nov 2026 10:01:30 GMT"), ("date", "Sat, 21 Nov 2026 10:00:00 GMT")];
    assert_eq!(answered(429, at, limit()).await, after(90));
    // One object is busy: the order is sent again under its key, and nobody else slows down.
    let lock = json!({ "type": "invalid_request_error", "code": "lock_timeout" });
    assert_eq!(answered(429, &[("retry-after", "7")], lock).await, unknown("status 429: lock_timeout"));
    // Down for a while: nothing is known of the outcome.
    let headers = &[("retry-after", "30"), ("request-id", "req_1")];
    assert_eq!(answered(503, headers, broken()).await, unavailable("status 503, request req_1: api_error", 30));
    assert_eq!(answered(503, &[], broken()).await, unknown("status 503: api_error"));
    assert_eq!(answered(409, &[("retry-after", "1")], broken()).await, unavailable("status 409: api_error", 1));
    // What Stripe wants to be sent again has not been decided, whatever its status says.
    let wrong = || json!({ "type": "invalid_request_error", "code": "balance_insufficient" });
    let refused = ProviderError::Refused { code: "balance_insufficient".to_owned() };
    assert_eq!(answered(400, &[("stripe-should-retry", "false")], wrong()).await, refused);
    assert_eq!(answered(400, &[], wrong()).await, refused);
    let again = answered(400, &[("stripe-should-retry", "true")], wrong()).await;
    assert_eq!(again, unknown("status 400: balance_insufficient"));
    // A page of a proxy in between is no word of Stripe's, and its pause is heeded all the same.
    let page = Server::start([Answer::Text(502, "<html>")]).await;
    let told = page.provider().carry_out(&top_up(), "key").await;
    assert_eq!(told, Err(unknown("status 502: status 502")));
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let told = provider_at("http://127.0.0.1:1").carry_out(&top_up(), "key").await;
    assert!(matches!(&told, Err(ProviderError::Unknown(why)) if why.starts_with("no answer: ")), "{told:?}");
}

#[tokio::test]
async fn every_request_pins_the_version_and_names_who_asks() {
    let server = Server::start([ok(top_up_object("pending", json!({})))]).await;
    server.provider().carry_out(&top_up(), "main:top_1:top_up:1").await.unwrap();
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.path, "/v1/topups");
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen.header("idempotency-key"), Some("main:top_1:top_up:1"));
    assert_eq!(seen.header("stripe-version"), Some(stripe_client_core::VERSION.as_str()));
    assert!(seen.header("user-agent").unwrap().starts_with("Earnest/"));
    assert_eq!(seen.header("stripe-account"), None);
    let expected = [
        ("amount", "200000"),
        ("currency", "usd"),
        ("description", &format!("Earnest {}", top_up_id())),
        ("metadata[top_up_id]", &top_up_id().to_string()),
    ];
    assert_eq!(seen.fields, fields(&expected.map(|(name, value)| (name, value))));
}

#[test]
fn the_key_is_shown_nowhere_and_odd_ones_are_refused() {
    assert!(!format!("{:?}", provider_at("http://127.0.0.1:1")).contains(KEY));
    let odd = StripeConfig { base_url: None, secret_key: Secret::new("sk_test_\u{7f}1") };
    let told = StripeProvider::new(&odd).err();
    assert_eq!(told, Some(ProviderError::Unusable("the provider's URL or key".to_owned())));
}

fn top_up_report(status: TopUpStatus) -> ProviderReport {
    ProviderReport::TopUp(TopUpReport {
        psp: "stripe".to_owned(),
        top_up_ref: "tu_1".to_owned(),
        top_up_id: Some(top_up_id()),
        amount: Minor::new(200_000).unwrap(),
        currency: Currency::USD,
        status,
    })
}

/// J80: what Stripe says of a top-up.
#[tokio::test]
async fn a_top_up_is_what_stripe_says() {
    let failed = |code: &str| TopUpStatus::Failed { code: code.to_owned() };
    let object = || ProviderObject::TopUp { top_up_ref: "tu_1".to_owned() };
    for (status, fields, expected) in [
        ("pending", json!({}), TopUpStatus::Pending),
        ("succeeded", json!({}), TopUpStatus::Succeeded),
        ("failed", json!({ "failure_code": "no_account" }), failed("no_account")),
        ("failed", json!({}), failed("unknown")),
        ("canceled", json!({}), failed("canceled")),
        ("reversed", json!({}), TopUpStatus::Reversed),
    ] {
        let server = Server::start([ok(top_up_object(status, fields))]).await;
        assert_eq!(server.provider().look_up(&object()).await, Ok(top_up_report(expected)));
    }
    let server = Server::start([ok(top_up_object("resting", json!({})))]).await;
    let told = server.provider().look_up(&object()).await;
    assert_eq!(told, Err(ProviderError::Unusable("unknown status resting".to_owned())));
}

/// J81, D-129: a payout of the platform is ours by its metadata, or somebody else's.
#[tokio::test]
async fn a_payout_of_the_platform_is_ours_or_not() {
    let report = |sweep_id, automatic| {
        ProviderReport::PlatformPayout(PlatformPayoutReport {
            psp: "stripe".to_owned(),
            bank_payout_ref: "po_1".to_owned(),
            sweep_id,
            amount: Minor::new(11_925).unwrap(),
            currency: Currency::USD,
            automatic,
            status: BankPayoutStatus::Paid,
        })
    };
    let foreign = payout_object("paid", json!({ "automatic": true, "metadata": {} }));
    let server = Server::start([ok(payout_object("paid", json!({}))), ok(foreign)]).await;
    assert_eq!(server.provider().carry_out(&sweep(), "key").await, Ok(report(Some(sweep_id()), false)));
    let object = ProviderObject::PlatformPayout { bank_payout_ref: "po_1".to_owned() };
    assert_eq!(server.provider().look_up(&object).await, Ok(report(None, true)));
    let [made, read] = server.seen().try_into().unwrap();
    assert_eq!((made.path.as_str(), made.header("stripe-account")), ("/v1/payouts", None));
    assert_eq!((made.fields["amount"].as_str(), read.path.as_str()), ("11925", "/v1/payouts/po_1"));
}

/// C.2.8: the list of notices is asked for from an instant on, page by page.
#[tokio::test]
async fn the_list_of_notices_is_read_page_by_page() {
    let page = |id: &str, has_more: bool| {
        let event = json!({ "id": id, "object": "event", "type": "topup.succeeded", "livemode": false,
                            "data": { "object": { "id": "tu_1", "object": "topup" } } });
        ok(json!({ "object": "list", "data": [event], "has_more": has_more, "url": "/v1/events" }))
    };
    let server = Server::start([page("evt_2", true), page("evt_1", false)]).await;
    let since = chrono::DateTime::from_timestamp(1_600_000_000, 0).unwrap();
    let first = server.provider().notices(None, since, None).await.unwrap();
    assert_eq!((first.notices.len(), first.next.as_deref()), (1, Some("evt_2")));
    let last = server.provider().notices(Some("acct_1"), since, first.next.as_deref()).await.unwrap();
    assert_eq!(last.next, None);
    let [first, last] = server.seen().try_into().unwrap();
    let asked = [("created[gte]", "1600000000"), ("limit", "100")];
    assert_eq!((first.path.as_str(), first.fields), ("/v1/events", fields(&asked)));
    assert_eq!(last.fields, fields(&[asked[0], asked[1], ("starting_after", "evt_2")]));
    assert_eq!(last.header("stripe-account"), Some("acct_1"));
}

/// I8: what may have been made under a forgotten key is looked for by our id; a list that goes on proves nothing.
#[tokio::test]
async fn what_may_have_been_made_is_looked_for() {
    let since = chrono::DateTime::from_timestamp(1_600_000_000, 0).unwrap();
    let list =
        |data: Value, has_more: bool| ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": "/" }));
    let other = json!({ "metadata": { "top_up_id": "another", "sweep_id": "another" } });
    let (top_ups, payouts) = (top_up_object("succeeded", other.clone()), payout_object("paid", other));
    // A sweep is looked for however old it is: after a restore it is approved anew.
    for (order, object, others, path, any_age) in [
        (top_up(), top_up_object("succeeded", json!({})), top_ups, "/v1/topups", false),
        (sweep(), payout_object("paid", json!({})), payouts, "/v1/payouts", true),
    ] {
        let server = Server::start([
            list(json!([others, object]), true),
            list(json!([others]), false),
            list(json!([others]), true),
            list(json!([object]), false),
            list(json!([others]), true),
            error(500, json!({ "type": "api_error" })),
        ])
        .await;
        let provider = server.provider();
        let found = provider.find(&order, since).await;
        assert!(matches!(&found, Ok(Found::Reports(reports)) if reports.len() == 1), "{found:?}");
        assert_eq!(provider.find(&order, since).await, Ok(Found::Absent));
        // On the next page, which begins after the last that was seen.
        let found = provider.find(&order, since).await;
        assert!(matches!(&found, Ok(Found::Reports(reports)) if reports.len() == 1), "{found:?}");
        assert_eq!(provider.find(&order, since).await, Err(unknown("status 500: api_error")));
        let seen = server.seen();
        assert_eq!((seen[0].path.as_str(), seen[0].fields["limit"].as_str()), (path, "100"));
        assert_eq!(seen[3].fields["starting_after"].as_str(), others["id"].as_str().unwrap());
        // A list without an end proves nothing.
        let endless = Server::start(std::iter::repeat_with(|| list(json!([others]), true)).take(100)).await;
        assert!(matches!(endless.provider().find(&order, since).await, Ok(Found::Uncertain(_))));
        // What is older need not be looked through.
        let later = chrono::DateTime::from_timestamp(1_700_000_001, 0).unwrap();
        let older = Server::start([list(json!([others]), true), list(json!([object]), false)]).await.provider();
        let found = older.find(&order, later).await.unwrap();
        assert_eq!(matches!(found, Found::Reports(_)), any_age, "{found:?}");
    }
}
