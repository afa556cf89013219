//! Disputes and warnings of fraud by Stripe's adapter, against an HTTP server that answers what the test says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(
    clippy::large_futures,
    clippy::needless_pass_by_value,
    reason = "a test has stack enough, and hands JSON over"
)]

mod stripe_support;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use domain::chargeback::statement::{FileField, TextField};
use domain::chargeback::{EvidenceBundle, Statement};
use domain::id::{ChargebackId, ContractId, FundingId, PartyId};
use domain::ports::PaymentProvider;
use domain::ports::provider::{
    DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, FraudWarningReport, ProviderError, ProviderObject,
    ProviderOrder, ProviderReport,
};
use ledger::{Currency, Minor};
use serde_json::{Value, json};
use stripe_support::{Answer, Server, error, ok, with};
use uuid::Uuid;

const KEY: &str = "main:cbk_1:submit_evidence:1";

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

fn funding_id() -> FundingId {
    FundingId::from_uuid(Uuid::from_u128(1))
}

fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "amount": 105_000, "amount_captured": 105_000, "amount_refunded": 0,
        "balance_transaction": null, "billing_details": {}, "captured": true, "created": 1_700_000_001,
        "currency": "usd", "disputed": true, "livemode": false, "metadata": { "funding_id": funding_id() },
        "paid": true, "refunded": false, "payment_intent": "pi_1", "status": "succeeded",
    })
}

fn entry(id: &str, created: i64, amount: i64, fee: i64, category: &str) -> Value {
    json!({
        "id": id, "object": "balance_transaction", "amount": amount, "available_on": created,
        "balance_type": "payments", "created": created, "currency": "usd", "fee": fee, "fee_details": [],
        "net": amount - fee, "reporting_category": category, "source": "dp_1", "status": "available",
        "type": "adjustment",
    })
}

fn dispute(status: &str, fields: Value) -> Value {
    let dispute = json!({
        "id": "dp_1", "object": "dispute", "amount": 105_000, "balance_transactions": [], "charge": charge(),
        "created": 1_700_000_000, "currency": "usd", "enhanced_eligibility_types": [],
        "evidence": { "enhanced_evidence": {} },
        "evidence_details": {
            "due_by": 1_701_000_000, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": "pi_1",
        "reason": "product_not_received", "status": status,
    });
    with(dispute, fields)
}

fn report(status: DisputeStatus, movements: Vec<DisputeMovement>) -> DisputeReport {
    let waits = matches!(status, DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse);
    DisputeReport {
        dispute_ref: "dp_1".to_owned(),
        funding_id: Some(funding_id()),
        charge_ref: "ch_1".to_owned(),
        status,
        reason: "product_not_received".to_owned(),
        amount: minor(105_000),
        currency: Currency::USD,
        evidence_due_by: waits.then(|| DateTime::from_timestamp(1_701_000_000, 0).unwrap()),
        movements,
    }
}

fn movement(id: &str, direction: DisputeDirection, amount: i64, fee: i64, fee_returned: i64) -> DisputeMovement {
    DisputeMovement {
        balance_transaction_ref: id.to_owned(),
        direction,
        amount: minor(amount),
        fee: minor(fee),
        fee_returned: minor(fee_returned),
        currency: Currency::USD,
        paid: None,
        booked_on: NaiveDate::from_ymd_opt(2023, 11, 14).unwrap(),
    }
}

async fn looked_up(answer: Answer) -> Result<ProviderReport, ProviderError> {
    let server = Server::start([answer]).await;
    server.provider().look_up(&ProviderObject::Dispute { dispute_ref: "dp_1".to_owned() }).await
}

fn order() -> ProviderOrder {
    ProviderOrder::SubmitEvidence {
        chargeback_id: ChargebackId::from_uuid(Uuid::from_u128(2)),
        dispute_ref: "dp_1".to_owned(),
        evidence: Box::new(EvidenceBundle {
            version: 1,
            dispute_ref: "dp_1".to_owned(),
            contract_id: ContractId::from_uuid(Uuid::from_u128(3)),
            client_id: PartyId::from_uuid(Uuid::from_u128(4)),
            payee_id: PartyId::from_uuid(Uuid::from_u128(5)),
            currency: Currency::USD,
            accepted_at: DateTime::from_timestamp(1_699_000_000, 0).unwrap(),
            terms_digest: Some("ab".repeat(32)),
            milestones: Vec::new(),
            payments: Vec::new(),
        }),
        statement: None,
        words: None,
    }
}

#[tokio::test]
async fn every_state_of_a_dispute_has_its_meaning() {
    use DisputeStatus as S;
    for (status, expected) in [
        ("warning_needs_response", S::WarningNeedsResponse),
        ("warning_under_review", S::WarningUnderReview),
        ("warning_closed", S::WarningClosed),
        ("needs_response", S::NeedsResponse),
        ("under_review", S::UnderReview),
        ("won", S::Won),
        ("lost", S::Lost),
    ] {
        let told = looked_up(ok(dispute(status, json!({})))).await;
        assert_eq!(told, Ok(ProviderReport::Dispute(report(expected, Vec::new()))), "{status}");
    }
    let unknown = looked_up(ok(dispute("prevented", json!({})))).await;
    assert!(matches!(unknown, Err(ProviderError::Unusable(_))), "{unknown:?}");
}

/// J50, J51, J57: what moved is told oldest first, with fees that were taken and fees that came back.
#[tokio::test]
async fn what_moved_is_told_whatever_the_status() {
    let booked = json!({ "balance_transactions": [
        entry("txn_2", 1_700_000_200, 105_000, -1500, "dispute_reversal"),
        entry("txn_1", 1_700_000_100, -105_000, 1500, "dispute"),
    ]});
    let movements = vec![
        movement("txn_1", DisputeDirection::Withdrawn, 105_000, 1500, 0),
        movement("txn_2", DisputeDirection::Reinstated, 105_000, 0, 1500),
    ];
    let told = looked_up(ok(dispute("won", booked))).await;
    assert_eq!(told, Ok(ProviderReport::Dispute(report(DisputeStatus::Won, movements))));
    for wrong in [entry("txn_1", 1, 105_000, 0, "dispute"), entry("txn_1", 1, -105_000, 0, "charge")] {
        let told = looked_up(ok(dispute("lost", json!({ "balance_transactions": [wrong] })))).await;
        assert!(matches!(told, Err(ProviderError::Unusable(_))), "{told:?}");
    }
    let bare = looked_up(ok(dispute("lost", json!({ "charge": "ch_1" })))).await;
    assert!(matches!(bare, Err(ProviderError::Unusable(_))), "{bare:?}");
}

#[tokio::test]
async fn evidence_is_submitted_once_and_at_once() {
    let server = Server::start([ok(dispute("under_review", json!({})))]).await;
    let told = server.provider().carry_out(&order(), KEY).await;
    assert_eq!(told, Ok(ProviderReport::Dispute(report(DisputeStatus::UnderReview, Vec::new()))));
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/disputes/dp_1"));
    assert_eq!(request.header("idempotency-key"), Some(KEY));
    assert_eq!(request.fields.get("submit").map(String::as_str), Some("true"));
    let agreed = &request.fields["evidence[product_description]"];
    assert!(agreed.contains("ctr_00000000000000000000000003") && agreed.contains(&"ab".repeat(32)), "{agreed}");
    assert!(request.fields["evidence[uncategorized_text]"].contains("SHA-256"));
    assert!(!request.fields.contains_key("evidence[access_activity_log]"), "nothing was done yet");
}

/// What staff says takes the place of what is drawn up, files go by their names, and all together is not more than Stripe
/// takes.
#[tokio::test]
async fn what_staff_says_goes_with_it() {
    let long = |letter: &str| letter.repeat(20_000);
    let fields = [
        TextField::ProductDescription,
        TextField::RefundPolicyDisclosure,
        TextField::RefundRefusalExplanation,
        TextField::CancellationRebuttal,
        TextField::CancellationPolicyDisclosure,
        TextField::DuplicateChargeExplanation,
        TextField::ShippingAddress,
    ];
    let mut texts: BTreeMap<_, _> = fields.into_iter().map(|field| (field, long("a"))).collect();
    texts.insert(TextField::ServiceDate, "b".repeat(9_990));
    let files = BTreeMap::from([(FileField::CustomerCommunication, "file_1".to_owned())]);
    let said = Statement { salt: "salt".to_owned(), texts, files };
    assert_eq!(format!("{said:?}").matches("aaa").count(), 0, "no words in logs");
    let mut order = order();
    let ProviderOrder::SubmitEvidence { words, .. } = &mut order else { panic!() };
    *words = Some(Box::new(said));
    let server = Server::start([ok(dispute("under_review", json!({})))]).await;
    server.provider().carry_out(&order, KEY).await.unwrap();
    let [request] = server.seen().try_into().unwrap();
    let sent = |name: &str| request.fields.get(&format!("evidence[{name}]")).map(String::as_str);
    assert_eq!(sent("product_description"), Some(long("a").as_str()), "instead of what is drawn up");
    assert_eq!(sent("customer_communication"), Some("file_1"));
    assert_eq!(sent("uncategorized_text").map(str::len), Some(10), "150,000 in all");
}

/// A dispute that is conceded is lost; one that is past that is told as it stands; any other refusal is one.
#[tokio::test]
async fn a_dispute_is_conceded_once() {
    let order = ProviderOrder::CloseDispute {
        chargeback_id: ChargebackId::from_uuid(Uuid::from_u128(2)),
        dispute_ref: "dp_1".to_owned(),
    };
    let server = Server::start([ok(dispute("lost", json!({})))]).await;
    let lost = Ok(ProviderReport::Dispute(report(DisputeStatus::Lost, Vec::new())));
    assert_eq!(server.provider().carry_out(&order, KEY).await, lost);
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/disputes/dp_1/close"));
    assert_eq!(request.header("idempotency-key"), Some(KEY));
    let refused = || error(400, json!({ "type": "invalid_request_error", "message": "This dispute is closed." }));
    let server = Server::start([refused(), ok(dispute("lost", json!({})))]).await;
    assert_eq!(server.provider().carry_out(&order, KEY).await, lost);
    let server = Server::start([refused(), ok(dispute("needs_response", json!({})))]).await;
    let told = server.provider().carry_out(&order, KEY).await;
    assert!(matches!(told, Err(ProviderError::Refused { .. })), "{told:?}");
}

/// R7: a dispute in dollars whose bookings are in euros moves as a whole, and says so.
#[tokio::test]
async fn what_is_settled_in_another_currency_says_of_how_much_it_is() {
    let mut taken = entry("txn_1", 1_700_000_100, -97_000, 1400, "dispute");
    taken["currency"] = json!("eur");
    let told = looked_up(ok(dispute("needs_response", json!({ "balance_transactions": [taken] })))).await;
    let mut expected = movement("txn_1", DisputeDirection::Withdrawn, 97_000, 1400, 0);
    (expected.currency, expected.paid) = (Currency::EUR, Some(minor(105_000)));
    assert_eq!(told, Ok(ProviderReport::Dispute(report(DisputeStatus::NeedsResponse, vec![expected]))));
}

/// An answer that comes too late is told as what has become of the dispute; any other refusal is one.
#[tokio::test]
async fn an_answer_that_is_refused_is_looked_into() {
    let refused = || error(400, json!({ "type": "invalid_request_error", "message": "This dispute is closed." }));
    let server = Server::start([refused(), ok(dispute("lost", json!({})))]).await;
    let told = server.provider().carry_out(&order(), KEY).await;
    assert_eq!(told, Ok(ProviderReport::Dispute(report(DisputeStatus::Lost, Vec::new()))));
    let server = Server::start([refused(), ok(dispute("needs_response", json!({})))]).await;
    let told = server.provider().carry_out(&order(), KEY).await;
    assert!(matches!(told, Err(ProviderError::Refused { .. })), "{told:?}");
}

/// D-114: the warning names the charge, which says whose payment it is.
#[tokio::test]
async fn a_warning_names_the_payment() {
    let warning = json!({
        "id": "issfr_1", "object": "radar.early_fraud_warning", "actionable": true, "charge": charge(),
        "created": 1_700_000_000, "fraud_type": "misc", "livemode": false,
    });
    let object = ProviderObject::FraudWarning { warning_ref: "issfr_1".to_owned() };
    let server = Server::start([ok(warning.clone())]).await;
    let expected = FraudWarningReport {
        warning_ref: "issfr_1".to_owned(),
        funding_id: Some(funding_id()),
        charge_ref: "ch_1".to_owned(),
    };
    assert_eq!(server.provider().look_up(&object).await, Ok(ProviderReport::FraudWarning(expected)));
    let [request] = server.seen().try_into().unwrap();
    assert_eq!(request.path, "/v1/radar/early_fraud_warnings/issfr_1");
    assert_eq!(request.fields.get("expand[0]").map(String::as_str), Some("charge"));
    let server = Server::start([ok(with(warning, json!({ "charge": "ch_1" })))]).await;
    let bare = server.provider().look_up(&object).await;
    assert!(matches!(bare, Err(ProviderError::Unusable(_))), "{bare:?}");
}
