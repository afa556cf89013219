//! Refunds by Stripe's adapter, against an HTTP server that answers what the test says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(
    clippy::large_futures,
    clippy::needless_pass_by_value,
    reason = "a test has stack enough, and hands JSON over"
)]

mod stripe_support;

use domain::exchange::Settled;
use domain::id::{FundingId, RefundId};
use domain::ports::PaymentProvider;
use domain::ports::provider::{
    PaymentReport, PaymentStatus, ProviderError, ProviderObject, ProviderOrder, ProviderReport, RefundReport,
    RefundStatus,
};
use ledger::{Currency, Minor};
use serde_json::{Value, json};
use stripe_support::{Answer, Server, error, fields, ok, with};
use uuid::Uuid;

const KEY: &str = "main:rfd_1:refund:1";

fn refund_id() -> RefundId {
    RefundId::from_uuid(Uuid::from_u128(1))
}

fn order() -> ProviderOrder {
    ProviderOrder::Refund {
        refund_id: refund_id(),
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        amount: Minor::new(10_500).unwrap(),
        currency: Currency::USD,
        asked_before: 0,
    }
}

/// What a refund did to our balance, expanded.
fn booking(amount: i64, currency: &str) -> Value {
    json!({
        "id": "txn_1", "object": "balance_transaction", "amount": amount, "available_on": 1_700_000_000,
        "balance_type": "payments", "created": 1_700_000_000, "currency": currency, "description": null,
        "exchange_rate": null, "fee": 0, "fee_details": [], "net": amount, "reporting_category": "refund",
        "source": "re_1", "status": "available", "type": "refund",
    })
}

fn refund(status: &str, fields: Value) -> Value {
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": 10_500, "balance_transaction": booking(-10_500, "usd"), "charge": "ch_1",
        "created": 1_700_000_000, "currency": "usd", "metadata": { "refund_id": refund_id() },
        "payment_intent": "pi_1", "reason": null, "receipt_number": null, "source_transfer_reversal": null,
        "status": status, "transfer_reversal": null,
    });
    with(refund, fields)
}

fn list(data: Value, has_more: bool) -> Answer {
    ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/refunds" }))
}

fn refused(code: &str) -> Answer {
    error(400, json!({ "type": "invalid_request_error", "code": code, "message": "No." }))
}

fn reported(status: RefundStatus) -> ProviderReport {
    ProviderReport::Refund(RefundReport { refund_ref: "re_1".to_owned(), refund_id: Some(refund_id()), status })
}

fn succeeded() -> ProviderReport {
    reported(RefundStatus::Succeeded { balance_transaction_ref: Some("txn_1".to_owned()), taken: None })
}

/// Sends the refund against these answers, and tells how many were asked for.
async fn sent(answers: Vec<Answer>) -> (Result<ProviderReport, ProviderError>, usize) {
    let server = Server::start(answers).await;
    let outcome = server.provider().carry_out(&order(), KEY).await;
    (outcome, server.seen().len())
}

/// D-71: a refund names its charge, and carries our id to be known again by.
#[tokio::test]
async fn a_part_of_a_charge_is_sent_back() {
    let server = Server::start([ok(refund("succeeded", json!({})))]).await;
    assert_eq!(server.provider().carry_out(&order(), KEY).await, Ok(succeeded()));
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/refunds"));
    assert_eq!(
        request.fields,
        fields(&[
            ("amount", "10500"),
            ("charge", "ch_1"),
            ("expand[0]", "balance_transaction"),
            ("expand[1]", "failure_balance_transaction"),
            ("metadata[refund_id]", "rfd_00000000000000000000000001"),
        ])
    );
    assert_eq!(request.header("idempotency-key"), Some(KEY));
    assert_eq!(request.header("stripe-account"), None, "the platform sends it back");
}

#[tokio::test]
async fn every_state_of_a_refund_has_its_meaning() {
    let failed = |code: &str| RefundStatus::Failed { code: code.to_owned(), came_back: None };
    let booked = |booked: Option<&str>| RefundStatus::Succeeded {
        balance_transaction_ref: booked.map(str::to_owned),
        taken: None,
    };
    for (status, fields, expected) in [
        ("pending", json!({}), RefundStatus::Pending),
        ("pending", json!({ "pending_reason": "processing" }), RefundStatus::Pending),
        ("pending", json!({ "pending_reason": "charge_pending" }), RefundStatus::Pending),
        ("pending", json!({ "pending_reason": "insufficient_funds" }), RefundStatus::WaitsForFunds),
        ("requires_action", json!({}), RefundStatus::Pending),
        ("succeeded", json!({}), booked(Some("txn_1"))),
        ("succeeded", json!({ "balance_transaction": null }), booked(None)),
        ("failed", json!({ "failure_reason": "expired_or_canceled_card" }), failed("expired_or_canceled_card")),
        ("failed", json!({}), failed("unknown")),
        ("canceled", json!({}), RefundStatus::Cancelled),
    ] {
        let read = ProviderOrder::ReadRefund { refund_id: refund_id(), refund_ref: "re_1".to_owned() };
        let object = ProviderObject::Refund { refund_ref: "re_1".to_owned() };
        let answer = || ok(refund(status, fields.clone()));
        let server = Server::start([answer(), answer(), answer()]).await;
        let provider = server.provider();
        let told = reported(expected);
        assert_eq!(provider.carry_out(&order(), KEY).await.as_ref(), Ok(&told), "{status} {fields}");
        assert_eq!(provider.carry_out(&read, KEY).await.as_ref(), Ok(&told), "{status} {fields}");
        assert_eq!(provider.look_up(&object).await.as_ref(), Ok(&told), "{status} {fields}");
        for request in &server.seen()[1..] {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/refunds/re_1"));
            assert_eq!(request.header("idempotency-key"), None, "reading needs none");
        }
    }
    for status in [json!("melted"), Value::Null] {
        let (outcome, _) = sent(vec![ok(refund("", json!({ "status": status })))]).await;
        assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?}");
    }
}

/// A refund that somebody makes at Stripe by hand has no id of ours.
#[tokio::test]
async fn a_refund_of_somebody_else_belongs_to_none_of_ours() {
    for metadata in [json!({}), json!({ "refund_id": "mine" }), Value::Null] {
        let server = Server::start([ok(refund("succeeded", json!({ "metadata": metadata })))]).await;
        let object = ProviderObject::Refund { refund_ref: "re_1".to_owned() };
        match server.provider().look_up(&object).await {
            Ok(ProviderReport::Refund(report)) => assert_eq!(report.refund_id, None, "{metadata}"),
            other => panic!("{other:?}"),
        }
    }
}

/// D-85: Stripe says in two ways that our balance is too low; it is one reason to us.
#[tokio::test]
async fn a_refusal_tells_why() {
    for (code, told) in [
        ("balance_insufficient", "balance_insufficient"),
        ("insufficient_funds", "balance_insufficient"),
        ("charge_disputed", "charge_disputed"),
        ("refund_disputed_payment", "refund_disputed_payment"),
        ("charge_not_refundable", "charge_not_refundable"),
        ("resource_missing", "resource_missing"),
    ] {
        let (outcome, requests) = sent(vec![refused(code)]).await;
        assert_eq!(outcome, Err(ProviderError::Refused { code: told.to_owned() }));
        assert_eq!(requests, 1, "{code}");
    }
    // More than is left of the charge: Stripe has no code for it.
    let too_large = json!({ "type": "invalid_request_error", "param": "amount", "message": "greater than unrefunded" });
    let (outcome, _) = sent(vec![error(400, too_large)]).await;
    assert_eq!(outcome, Err(ProviderError::Refused { code: "invalid_request_error".to_owned() }));
}

/// The key may be forgotten after a day; the charge still knows its refunds.
#[tokio::test]
async fn a_charge_refunded_already_may_be_so_by_this_very_refund() {
    let other =
        refund("succeeded", json!({ "id": "re_0", "metadata": { "refund_id": "rfd_00000000000000000000000009" } }));
    let mine = refund("failed", json!({ "failure_reason": "declined" }));
    let server = Server::start([refused("charge_already_refunded"), list(json!([other, mine]), false)]).await;
    let outcome = server.provider().carry_out(&order(), KEY).await;
    assert_eq!(outcome, Ok(reported(RefundStatus::Failed { code: "declined".to_owned(), came_back: None })));
    let [_, asked] = server.seen().try_into().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v1/refunds"));
    assert_eq!(
        asked.fields,
        fields(&[
            ("charge", "ch_1"),
            ("expand[0]", "data.balance_transaction"),
            ("expand[1]", "data.failure_balance_transaction"),
            ("limit", "100"),
        ])
    );

    let (outcome, _) = sent(vec![refused("charge_already_refunded"), list(json!([other]), false)]).await;
    assert_eq!(outcome, Err(ProviderError::Refused { code: "charge_already_refunded".to_owned() }));
    let (outcome, _) = sent(vec![refused("charge_already_refunded"), list(json!([other]), true)]).await;
    assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?}");
}

/// While the refunds of the charge cannot be seen, nothing is known.
#[tokio::test]
async fn a_list_that_does_not_come_proves_nothing() {
    for answer in [refused("resource_missing"), Answer::Text(500, "broken"), Answer::HangUp] {
        let (outcome, requests) = sent(vec![refused("charge_already_refunded"), answer]).await;
        assert!(matches!(outcome, Err(ProviderError::Unknown(_))), "{outcome:?}");
        assert_eq!(requests, 2);
    }
}

/// D-66: what a refund takes out of a balance in another currency is what its balance transaction says, and what comes
/// back is said by the other one. An entry that is not shown is not guessed at.
#[tokio::test]
async fn a_refund_tells_what_it_took_in_another_currency() {
    let moved = |amount, currency| Some(Settled { amount: Minor::new(amount).unwrap(), currency });
    let taken = |taken| RefundStatus::Succeeded { balance_transaction_ref: Some("txn_1".to_owned()), taken };
    let back = |came_back| RefundStatus::Failed { code: "unknown".to_owned(), came_back };
    for (status, field, entry, expected) in [
        ("succeeded", "balance_transaction", booking(-11_472, "eur"), taken(moved(11_472, Currency::EUR))),
        ("succeeded", "balance_transaction", booking(-1_512, "jpy"), taken(moved(1_512, Currency::JPY))),
        ("failed", "failure_balance_transaction", booking(11_400, "eur"), back(moved(11_400, Currency::EUR))),
        ("failed", "failure_balance_transaction", booking(10_500, "usd"), back(None)),
    ] {
        let (outcome, _) = sent(vec![ok(refund(status, json!({ field: entry })))]).await;
        assert_eq!(outcome, Ok(reported(expected)), "{status} {entry}");
    }
    let (outcome, _) = sent(vec![ok(refund("succeeded", json!({ "balance_transaction": "txn_1" })))]).await;
    assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_proves_nothing_leaves_the_refund_unknown() {
    let in_use = json!({ "type": "idempotency_error", "code": "idempotency_key_in_use" });
    for answer in [error(409, in_use), Answer::Text(500, "broken"), Answer::Text(200, "{"), Answer::HangUp] {
        let (outcome, requests) = sent(vec![answer]).await;
        assert!(matches!(outcome, Err(ProviderError::Unknown(_))), "{outcome:?}");
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn a_reference_does_not_lead_elsewhere() {
    let server = Server::start([]).await;
    let provider = server.provider();
    for text in ["", "re_1/cancel", "../accounts", "re_1?expand[]=charge"] {
        let object = ProviderObject::Refund { refund_ref: text.to_owned() };
        assert!(matches!(provider.look_up(&object).await, Err(ProviderError::Unusable(_))), "{text}");
    }
    assert!(server.seen().is_empty());
}

/// D-16, D-10: a payment that nobody wants any more is called off; one that is past calling off tells what it became.
#[tokio::test]
async fn a_payment_is_called_off_unless_it_is_too_late() {
    let funding_id = FundingId::from_uuid(Uuid::from_u128(7));
    let intent = |status: &str, charge: Value| {
        json!({
            "id": "pi_1", "object": "payment_intent", "amount": 10_550, "amount_capturable": 0,
            "amount_received": 10_550, "capture_method": "automatic_async", "confirmation_method": "automatic",
            "created": 1_700_000_000, "currency": "usd", "livemode": false, "metadata": { "funding_id": funding_id },
            "payment_method_types": ["card"], "status": status, "latest_charge": charge, "last_payment_error": null,
        })
    };
    let cancel = ProviderOrder::CancelPayment { funding_id, payment_ref: "pi_1".to_owned() };
    let status_of = |report| match report {
        Ok(ProviderReport::Payment(PaymentReport { status, .. })) => status,
        other => panic!("{other:?}"),
    };
    let server = Server::start([ok(intent("canceled", Value::Null))]).await;
    let outcome = server.provider().carry_out(&cancel, "key").await;
    assert_eq!(status_of(outcome), PaymentStatus::Cancelled);
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/payment_intents/pi_1/cancel"));
    assert_eq!(request.header("idempotency-key"), Some("key"));

    let charge = json!({
        "id": "ch_1", "object": "charge", "amount": 10_550, "amount_captured": 10_550, "amount_refunded": 0,
        "balance_transaction": null, "billing_details": {}, "captured": true, "created": 1_700_000_001,
        "currency": "usd", "disputed": false, "livemode": false, "metadata": {}, "paid": true, "refunded": false,
        "payment_intent": "pi_1", "status": "succeeded",
    });
    let late = [refused("payment_intent_unexpected_state"), ok(intent("succeeded", charge))];
    let server = Server::start(late).await;
    let outcome = server.provider().carry_out(&cancel, "key").await;
    assert!(matches!(status_of(outcome), PaymentStatus::Succeeded { .. }));
    assert_eq!(server.seen()[1].path, "/v1/payment_intents/pi_1");

    let server = Server::start([refused("resource_missing")]).await;
    let outcome = server.provider().carry_out(&cancel, "key").await;
    assert_eq!(outcome, Err(ProviderError::Refused { code: "resource_missing".to_owned() }));
}
