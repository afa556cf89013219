//! Stripe's adapter against an HTTP server that answers what the test says: what is sent, and what each answer becomes.
//!
//! The round trips against the sandbox are tests of `api`, where the sandbox is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(
    clippy::large_futures,
    clippy::needless_pass_by_value,
    reason = "a test has stack enough, and hands JSON over"
)]

mod stripe_support;

use adapters::stripe::webhook::{self, WebhookError};
use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use chrono::{DateTime, NaiveDate};
use domain::exchange::Settled;
use domain::id::{ContractId, FundingId, PartyId, PayoutId};
use domain::ports::PaymentProvider;
use domain::ports::mandate::Mandate;
use domain::ports::provider::{
    BankPayoutReport, BankPayoutStatus, PaymentReport, PaymentStatus, ProviderError, ProviderNotice, ProviderObject,
    ProviderOrder, ProviderReport, Receipt, TransferReport,
};
use ledger::{Currency, Minor};
use serde_json::{Value, json};
use stripe_support::{Answer, IDEMPOTENCY_KEY, KEY, Server, error, fields, ok, provider_at, with};
use stripe_webhook::Webhook;
use uuid::Uuid;

// ---- Stripe's objects, as far as async-stripe asks for them ----

fn funding_id() -> FundingId {
    FundingId::from_uuid(Uuid::from_u128(1))
}

fn payout_id() -> PayoutId {
    PayoutId::from_uuid(Uuid::from_u128(2))
}

fn intent(status: &str, fields: Value) -> Value {
    let intent = json!({
        "id": "pi_1", "object": "payment_intent", "amount": 10_550, "amount_capturable": 0, "amount_received": 0,
        "capture_method": "automatic_async", "confirmation_method": "automatic", "created": 1_700_000_000,
        "currency": "usd", "livemode": false, "metadata": { "funding_id": funding_id() },
        "payment_method_types": ["card"], "status": status, "latest_charge": null, "last_payment_error": null,
    });
    let mut intent = with(intent, fields);
    if status == "succeeded" && intent["amount_received"] == 0 {
        intent["amount_received"] = intent["amount"].clone();
    }
    intent
}

fn charge(fields: Value) -> Value {
    let charge = json!({
        "id": "ch_1", "object": "charge", "amount": 10_550, "amount_captured": 10_550, "amount_refunded": 0,
        "balance_transaction": null, "billing_details": {}, "captured": true, "created": 1_700_000_001,
        "currency": "usd", "disputed": false, "livemode": false, "metadata": {}, "paid": true, "refunded": false,
        "payment_intent": "pi_1", "status": "succeeded",
    });
    with(charge, fields)
}

fn balance_transaction(fields: Value) -> Value {
    let booked = json!({
        "id": "txn_1", "object": "balance_transaction", "amount": 10_550, "available_on": 1_700_172_800,
        "balance_type": "payments", "created": 1_700_000_001, "currency": "usd", "fee": 336, "fee_details": [],
        "net": 10_214, "reporting_category": "charge", "source": "ch_1", "status": "pending", "type": "charge",
    });
    with(booked, fields)
}

fn transfer(fields: Value) -> Value {
    let transfer = json!({
        "id": "tr_1", "object": "transfer", "amount": 9_000, "amount_reversed": 0, "created": 1_700_000_000,
        "currency": "usd", "livemode": false, "metadata": { "payout_id": payout_id() }, "reversed": false,
        "reversals": { "object": "list", "data": [], "has_more": false, "url": "/v1/transfers/tr_1/reversals" },
    });
    with(transfer, fields)
}

fn payout(status: &str, fields: Value) -> Value {
    let payout = json!({
        "id": "po_1", "object": "payout", "amount": 9_000, "arrival_date": 1_700_086_400, "automatic": false,
        "created": 1_700_000_000, "currency": "usd", "livemode": false, "metadata": { "payout_id": payout_id() },
        "method": "standard", "reconciliation_status": "not_applicable", "source_type": "card", "status": status,
        "type": "bank_account",
    });
    with(payout, fields)
}

/// The error of a card that the bank declines, with the payment that it leaves behind.
fn card_declined() -> Value {
    let declined = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.",
    });
    let left = intent("requires_payment_method", json!({ "last_payment_error": declined, "latest_charge": "ch_1" }));
    with(declined, json!({ "payment_intent": left }))
}

// ---- Orders and reports ----

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

fn collect_in(currency: Currency, amount: i64) -> ProviderOrder {
    ProviderOrder::CollectPayment {
        funding_id: funding_id(),
        contract_id: Some(ContractId::from_uuid(Uuid::from_u128(3))),
        amount: minor(amount),
        currency,
        payment_method: "pm_card_visa".to_owned(),
        mandate: None,
    }
}

fn collect() -> ProviderOrder {
    collect_in(Currency::USD, 10_550)
}

fn move_to_payee() -> ProviderOrder {
    ProviderOrder::MoveToPayee {
        payout_id: payout_id(),
        payee_id: PartyId::from_uuid(Uuid::from_u128(4)),
        amount: minor(9_000),
        currency: Currency::USD,
        account: "acct_1".to_owned(),
    }
}

fn pay_to_bank(account: &str) -> ProviderOrder {
    ProviderOrder::PayToBank {
        payout_id: payout_id(),
        amount: minor(9_000),
        currency: Currency::USD,
        account: account.to_owned(),
    }
}

fn payment(payment_ref: &str) -> ProviderObject {
    ProviderObject::Payment { payment_ref: payment_ref.to_owned() }
}

fn reported(status: PaymentStatus) -> ProviderReport {
    ProviderReport::Payment(PaymentReport { payment_ref: "pi_1".to_owned(), funding_id: Some(funding_id()), status })
}

fn failed(code: &str) -> ProviderReport {
    reported(PaymentStatus::Failed { code: code.to_owned() })
}

fn succeeded(receipt: Option<Receipt>) -> ProviderReport {
    reported(PaymentStatus::Succeeded {
        charge_ref: "ch_1".to_owned(),
        captured: minor(10_550),
        currency: Currency::USD,
        collected_at: DateTime::from_timestamp(1_700_000_001, 0).unwrap(),
        receipt,
    })
}

/// Carries an order out against one answer.
async fn carried_out(order: &ProviderOrder, answer: Answer) -> Result<ProviderReport, ProviderError> {
    let server = Server::start([answer]).await;
    let outcome = server.provider().carry_out(order, IDEMPOTENCY_KEY).await;
    assert_eq!(server.seen().len(), 1, "one request, whatever the answer");
    outcome
}

/// Looks a payment up against one answer.
async fn looked_up(answer: Answer) -> Result<ProviderReport, ProviderError> {
    let server = Server::start([answer]).await;
    server.provider().look_up(&payment("pi_1")).await
}

#[track_caller]
fn assert_unknown(outcome: &Result<ProviderReport, ProviderError>) {
    assert!(matches!(outcome, Err(ProviderError::Unknown(_))), "{outcome:?}");
}

#[track_caller]
fn assert_unusable(outcome: &Result<ProviderReport, ProviderError>) {
    assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_payment_is_collected_with_one_confirmed_intent() {
    let paid = intent("succeeded", json!({ "latest_charge": charge(json!({})) }));
    let server = Server::start([ok(paid)]).await;
    let report = server.provider().carry_out(&collect(), IDEMPOTENCY_KEY).await.unwrap();
    assert_eq!(report, succeeded(None), "captured, and not booked yet");

    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/payment_intents"));
    assert_eq!(
        request.fields,
        fields(&[
            ("amount", "10550"),
            ("automatic_payment_methods[allow_redirects]", "never"),
            ("automatic_payment_methods[enabled]", "true"),
            ("confirm", "true"),
            ("currency", "usd"),
            ("expand[0]", "latest_charge.balance_transaction"),
            ("metadata[contract_id]", "ctr_00000000000000000000000003"),
            ("metadata[funding_id]", "fnd_00000000000000000000000001"),
            ("payment_method", "pm_card_visa"),
            ("transfer_group", "ctr_00000000000000000000000003"),
        ])
    );
    assert_eq!(request.header("authorization"), Some("Bearer sk_test_1234567890"));
    assert_eq!(request.header("idempotency-key"), Some(IDEMPOTENCY_KEY));
    assert_eq!(request.header("stripe-version"), Some("2026-09-30.endive"));
    assert_eq!(request.header("stripe-account"), None, "the platform collects");
}

/// A bank account is debited with its owner's consent, which is told to Stripe and written nowhere.
#[tokio::test]
async fn a_consent_to_a_debit_is_told() {
    let mut order = collect();
    let given = Mandate {
        accepted_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        ip_address: "203.0.113.7".parse().unwrap(),
        user_agent: "Testing/1.0".to_owned(),
    };
    assert!(!format!("{given:?}").contains("203.0.113.7"));
    let ProviderOrder::CollectPayment { mandate, .. } = &mut order else { unreachable!() };
    *mandate = Some(Box::new(given));
    assert_eq!(serde_json::to_string(&order).unwrap(), serde_json::to_string(&collect()).unwrap());
    let server = Server::start([ok(intent("processing", json!({})))]).await;
    server.provider().carry_out(&order, IDEMPOTENCY_KEY).await.unwrap();
    let [request] = server.seen().try_into().unwrap();
    for (name, value) in [
        ("[accepted_at]", "1700000000"),
        ("[online][ip_address]", "203.0.113.7"),
        ("[online][user_agent]", "Testing/1.0"),
        ("[type]", "online"),
    ] {
        assert_eq!(request.fields[&format!("mandate_data[customer_acceptance]{name}")], value);
    }
}

#[tokio::test]
async fn amounts_are_told_in_the_units_and_currencies_of_stripe() {
    for (currency, minor, amount, code) in [
        (Currency::ISK, 5_000, "500000", "isk"),
        (Currency::JPY, 5_000, "5000", "jpy"),
        (Currency::KWD, 10_630, "10630", "kwd"), // async-stripe has no name for it.
    ] {
        let server = Server::start([ok(intent("processing", json!({})))]).await;
        let outcome = server.provider().carry_out(&collect_in(currency, minor), "k").await;
        assert_eq!(outcome, Ok(reported(PaymentStatus::Processing)));
        let sent = &server.seen()[0].fields;
        assert_eq!((sent["amount"].as_str(), sent["currency"].as_str()), (amount, code));
    }
}

#[tokio::test]
async fn a_receipt_tells_cost_and_availability() {
    let receipt = |available| Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(336),
        net: minor(10_214),
        currency: Currency::USD,
        booked_on: NaiveDate::from_ymd_opt(2023, 11, 14).unwrap(),
        available_on: DateTime::from_timestamp(1_700_172_800, 0).unwrap(),
        available,
    };
    for (status, available) in [("pending", false), ("available", true)] {
        let booked = balance_transaction(json!({ "status": status }));
        let paid = intent("succeeded", json!({ "latest_charge": charge(json!({ "balance_transaction": booked })) }));
        let server = Server::start([ok(paid)]).await;
        let order = ProviderOrder::ReadReceipt {
            funding_id: funding_id(),
            payment_ref: "pi_1".to_owned(),
            until_available: available,
        };
        let report = server.provider().carry_out(&order, "read").await.unwrap();
        assert_eq!(report, succeeded(Some(receipt(available))));
        let [request] = server.seen().try_into().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/payment_intents/pi_1"));
        let expanded = [
            ("expand[0]", "latest_charge.balance_transaction"),
            ("expand[1]", "latest_charge.failure_balance_transaction"),
        ];
        assert_eq!(request.fields, fields(&expanded));
        assert_eq!(request.header("idempotency-key"), None, "reading needs none");
    }
}

/// D-66: a charge that settles in another currency has its receipt in that one, and tells so with the success.
#[tokio::test]
async fn a_receipt_is_in_the_currency_of_the_settlement() {
    let booked = json!({ "amount": 9_700, "currency": "eur", "exchange_rate": 0.91943, "fee": 311, "net": 9_389 });
    let charged = charge(json!({ "balance_transaction": balance_transaction(booked) }));
    let outcome = looked_up(ok(intent("succeeded", json!({ "latest_charge": charged })))).await.unwrap();
    let ProviderReport::Payment(PaymentReport { status, .. }) = outcome else { panic!("no payment") };
    let PaymentStatus::Succeeded { captured, currency, receipt: Some(receipt), .. } = status else {
        panic!("{status:?}")
    };
    assert_eq!((captured, currency), (minor(10_550), Currency::USD), "what the client has paid");
    assert_eq!((receipt.fee, receipt.net, receipt.currency), (minor(311), minor(9_389), Currency::EUR));
    let settled = receipt.settled(currency).unwrap().unwrap();
    assert_eq!((settled.amount, settled.currency), (minor(9_700), Currency::EUR), "before the fee");
    assert_eq!(receipt.settled(Currency::EUR), Ok(None));
}

/// D-20: a charge that failed after it had succeeded was taken back by the bank. What it was before, and what it has
/// cost, is told with it: neither may have been told in its time.
#[tokio::test]
async fn a_payment_that_the_bank_returns_is_told_with_its_booking() {
    let booked = balance_transaction(json!({
        "id": "txn_2", "amount": -10_550, "fee": 0, "net": -10_550, "reporting_category": "charge_failure",
        "type": "payment_failure_refund", "status": "available",
    }));
    let error = json!({ "type": "invalid_request_error", "code": "insufficient_funds", "message": "Returned." });
    let charge = |booked: Value| {
        charge(json!({
            "status": "failed", "paid": false, "failure_code": "insufficient_funds",
            "balance_transaction": balance_transaction(json!({})), "failure_balance_transaction": booked,
        }))
    };
    let returned = |booked: Value| {
        let fields = json!({ "last_payment_error": error, "latest_charge": charge(booked) });
        looked_up(ok(intent("requires_payment_method", fields)))
    };
    let status = PaymentStatus::Returned {
        amount: minor(10_550),
        currency: Currency::USD,
        balance_transaction_ref: "txn_2".to_owned(),
        booked_on: NaiveDate::from_ymd_opt(2023, 11, 14).unwrap(),
        code: "insufficient_funds".to_owned(),
        settled: None,
        collected: Some(Box::new(PaymentStatus::Succeeded {
            charge_ref: "ch_1".to_owned(),
            captured: minor(10_550),
            currency: Currency::USD,
            collected_at: DateTime::from_timestamp(1_700_000_001, 0).unwrap(),
            receipt: Some(Receipt {
                balance_transaction_ref: "txn_1".to_owned(),
                fee: minor(336),
                net: minor(10_214),
                currency: Currency::USD,
                booked_on: NaiveDate::from_ymd_opt(2023, 11, 14).unwrap(),
                available_on: DateTime::from_timestamp(1_700_172_800, 0).unwrap(),
                available: false,
            }),
        })),
    };
    assert_eq!(returned(booked.clone()).await, Ok(reported(status.clone())));
    // R7: settled in another currency, it is the whole charge, and what that was in the balance.
    let mut exchanged = booked;
    (exchanged["currency"], exchanged["amount"]) = (json!("eur"), json!(-9_700));
    let PaymentStatus::Returned { balance_transaction_ref, booked_on, code, amount, currency, collected, .. } = status
    else {
        panic!()
    };
    let settled = Some(Settled { amount: minor(9_700), currency: Currency::EUR });
    let status =
        PaymentStatus::Returned { amount, currency, balance_transaction_ref, booked_on, code, settled, collected };
    assert_eq!(returned(exchanged).await, Ok(reported(status)));
    let unread = returned(json!("txn_2")).await;
    assert!(matches!(unread, Err(ProviderError::Unusable(_))), "{unread:?}");
    assert_eq!(returned(Value::Null).await, Ok(failed("insufficient_funds")), "never collected");
}

/// C.2: what is taken back of a transfer with an id of ours was ordered here; the rest was not.
#[tokio::test]
async fn what_is_taken_back_of_a_transfer_by_hand_is_told() {
    let reversal = |id: &str, amount: i64, metadata: Value| {
        json!({ "id": id, "object": "transfer_reversal", "amount": amount, "created": 1_700_000_000, "currency": "usd",
                "metadata": metadata, "transfer": "tr_1" })
    };
    let reversals = json!({ "object": "list", "has_more": false, "url": "/v1/transfers/tr_1/reversals", "data": [
        reversal("trr_1", 1_000, json!({ "reversal_id": "trv_1" })), reversal("trr_2", 2_500, json!({})),
    ] });
    let answer = ok(transfer(json!({ "amount_reversed": 3_500, "reversals": reversals })));
    let server = Server::start([answer]).await;
    let object = ProviderObject::Transfer { transfer_ref: "tr_1".to_owned() };
    let ProviderReport::Transfer(report) = server.provider().look_up(&object).await.unwrap() else {
        panic!("a transfer")
    };
    assert_eq!(report.reversed_by_hand, minor(2_500));
}

#[tokio::test]
async fn money_moves_to_a_payee_by_a_transfer() {
    let server = Server::start([ok(transfer(json!({})))]).await;
    let report = server.provider().carry_out(&move_to_payee(), "key").await.unwrap();
    let expected = TransferReport {
        transfer_ref: "tr_1".to_owned(),
        payout_id: Some(payout_id()),
        amount: minor(9_000),
        currency: Currency::USD,
        reversed_by_hand: Minor::ZERO,
    };
    assert_eq!(report, ProviderReport::Transfer(expected));
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/transfers"));
    assert_eq!(
        request.fields,
        fields(&[
            ("amount", "9000"),
            ("currency", "usd"),
            ("destination", "acct_1"),
            ("metadata[payee_id]", "pty_00000000000000000000000004"),
            ("metadata[payout_id]", "pot_00000000000000000000000002"),
            ("transfer_group", "pot_00000000000000000000000002"),
        ])
    );
    assert_eq!(request.header("idempotency-key"), Some("key"));
    assert_eq!(request.header("stripe-account"), None, "the platform moves it");
}

#[tokio::test]
async fn a_payout_leaves_the_account_of_the_payee() {
    let server = Server::start([ok(payout("pending", json!({}))), ok(payout("in_transit", json!({})))]).await;
    let provider = server.provider();
    let report = |status| {
        ProviderReport::BankPayout(BankPayoutReport {
            bank_payout_ref: "po_1".to_owned(),
            payout_id: Some(payout_id()),
            account: "acct_1".to_owned(),
            status,
        })
    };
    let arrival_at = DateTime::from_timestamp(1_700_086_400, 0).unwrap();
    let made = provider.carry_out(&pay_to_bank("acct_1"), "key").await;
    assert_eq!(made, Ok(report(BankPayoutStatus::Pending { arrival_at })));
    let order = ProviderOrder::ReadBankPayout {
        payout_id: payout_id(),
        bank_payout_ref: "po_1".to_owned(),
        account: "acct_1".to_owned(),
    };
    let read = provider.carry_out(&order, "read").await;
    assert_eq!(read, Ok(report(BankPayoutStatus::InTransit { arrival_at })));

    let [made, read] = server.seen().try_into().unwrap();
    assert_eq!((made.method.as_str(), made.path.as_str()), ("POST", "/v1/payouts"));
    assert_eq!(
        made.fields,
        fields(&[("amount", "9000"), ("currency", "usd"), ("metadata[payout_id]", "pot_00000000000000000000000002"),])
    );
    assert_eq!((made.header("stripe-account"), made.header("idempotency-key")), (Some("acct_1"), Some("key")));
    assert_eq!((read.method.as_str(), read.path.as_str()), ("GET", "/v1/payouts/po_1"));
    assert_eq!((read.header("stripe-account"), read.header("idempotency-key")), (Some("acct_1"), None));
}

#[tokio::test]
async fn a_declined_card_is_a_report() {
    assert_eq!(carried_out(&collect(), error(402, card_declined())).await, Ok(failed("insufficient_funds")));
    let without_reason = with(card_declined(), json!({ "decline_code": null }));
    assert_eq!(carried_out(&collect(), error(402, without_reason)).await, Ok(failed("card_declined")));
    let without_payment = with(card_declined(), json!({ "payment_intent": null }));
    assert_eq!(
        carried_out(&collect(), error(402, without_payment)).await,
        Err(ProviderError::Refused { code: "insufficient_funds".to_owned() })
    );
}

#[tokio::test]
async fn every_state_of_a_payment_has_its_meaning() {
    let declined = json!({ "type": "card_error", "code": "card_declined", "decline_code": "lost_card" });
    for (status, fields, expected) in [
        ("requires_payment_method", json!({}), PaymentStatus::Created),
        (
            "requires_payment_method",
            json!({ "last_payment_error": declined }),
            PaymentStatus::Failed { code: "lost_card".to_owned() },
        ),
        ("requires_confirmation", json!({}), PaymentStatus::Created),
        ("requires_action", json!({}), PaymentStatus::ActionRequired),
        ("processing", json!({}), PaymentStatus::Processing),
        ("canceled", json!({}), PaymentStatus::Cancelled),
    ] {
        assert_eq!(looked_up(ok(intent(status, fields))).await, Ok(reported(expected)), "{status}");
    }
}

#[tokio::test]
async fn every_state_of_a_bank_payout_has_its_meaning() {
    let arrival_at = DateTime::from_timestamp(1_700_086_400, 0).unwrap();
    let failed = |code: &str| BankPayoutStatus::Failed { code: code.to_owned() };
    for (status, fields, expected) in [
        ("pending", json!({}), BankPayoutStatus::Pending { arrival_at }),
        ("in_transit", json!({}), BankPayoutStatus::InTransit { arrival_at }),
        ("paid", json!({}), BankPayoutStatus::Paid),
        ("failed", json!({ "failure_code": "account_closed" }), failed("account_closed")),
        ("failed", json!({}), failed("unknown")),
        ("canceled", json!({ "metadata": null }), BankPayoutStatus::Cancelled),
    ] {
        let server = Server::start([ok(payout(status, fields))]).await;
        let object = ProviderObject::BankPayout { bank_payout_ref: "po_1".to_owned(), account: "acct_1".to_owned() };
        match server.provider().look_up(&object).await {
            Ok(ProviderReport::BankPayout(report)) => assert_eq!(report.status, expected, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_charge_leads_to_its_payment() {
    let paid = intent("succeeded", json!({ "latest_charge": charge(json!({})) }));
    let server = Server::start([ok(charge(json!({}))), ok(paid)]).await;
    let object = ProviderObject::Charge { charge_ref: "ch_1".to_owned() };
    assert_eq!(server.provider().look_up(&object).await, Ok(succeeded(None)));
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/charges/ch_1", "/v1/payment_intents/pi_1"]);

    let alone = Server::start([ok(charge(json!({ "payment_intent": null })))]).await;
    assert_unusable(&alone.provider().look_up(&object).await);
}

#[tokio::test]
async fn a_transfer_of_somebody_else_belongs_to_no_payout() {
    for metadata in [json!({}), json!({ "payout_id": "not one of ours" })] {
        let server = Server::start([ok(transfer(json!({ "metadata": metadata })))]).await;
        let object = ProviderObject::Transfer { transfer_ref: "tr_1".to_owned() };
        match server.provider().look_up(&object).await {
            Ok(ProviderReport::Transfer(report)) => assert_eq!(report.payout_id, None),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_unusable() {
    let booked_as = |fields| {
        let booked = balance_transaction(fields);
        intent("succeeded", json!({ "latest_charge": charge(json!({ "balance_transaction": booked })) }))
    };
    let charged_as = |fields| intent("succeeded", json!({ "latest_charge": charge(fields) }));
    let received = |fields| with(charged_as(json!({})), fields);
    for odd in [
        intent("resting", json!({})),
        intent("succeeded", json!({})),
        intent("succeeded", json!({ "latest_charge": "ch_1" })),
        charged_as(json!({ "created": i64::MAX })),
        booked_as(json!({ "net": -1 })),
        booked_as(json!({ "currency": "zzz" })),
        received(json!({ "currency": "zzz" })),
        received(json!({ "amount_received": -1 })),
        received(json!({ "currency": "isk" })),
    ] {
        let described = odd.to_string();
        let outcome = looked_up(ok(odd)).await;
        assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?} for {described}");
    }
}

#[tokio::test]
async fn a_refusal_proves_that_nothing_moved() {
    for (status, body, code) in [
        (400, json!({ "type": "invalid_request_error", "code": "balance_insufficient" }), "balance_insufficient"),
        (400, json!({ "type": "invalid_request_error", "code": "a_code_of_next_year" }), "a_code_of_next_year"),
        (400, json!({ "type": "invalid_request_error", "message": "You cannot." }), "invalid_request_error"),
        (404, json!({ "type": "invalid_request_error", "code": "resource_missing" }), "resource_missing"),
    ] {
        assert_eq!(
            carried_out(&move_to_payee(), error(status, body)).await,
            Err(ProviderError::Refused { code: code.to_owned() }),
            "{status}"
        );
    }
}

/// A key that expired says nothing about the order that it was used for.
#[tokio::test]
async fn a_key_that_is_not_accepted_refuses_no_order() {
    for status in [401, 403] {
        let refused = json!({ "type": "invalid_request_error", "code": "api_key_expired" });
        assert_eq!(
            carried_out(&collect(), error(status, refused)).await,
            Err(ProviderError::NotAuthorized(format!("status {status}: api_key_expired")))
        );
    }
}

#[tokio::test]
async fn too_many_requests_are_told_as_such() {
    let limited = json!({ "type": "invalid_request_error", "code": "rate_limit" });
    assert_eq!(
        carried_out(&collect(), error(429, limited)).await,
        Err(ProviderError::RateLimited { retry_after: None })
    );
}

#[tokio::test]
async fn an_answer_that_proves_nothing_leaves_the_outcome_unknown() {
    for (status, kind, code) in [
        (400, "idempotency_error", json!(null)), // The key was used before: that request may have moved money.
        (408, "api_error", json!(null)),
        (409, "idempotency_error", json!("idempotency_key_in_use")),
        (424, "api_error", json!(null)),
        (500, "api_error", json!(null)),
        (503, "api_error", json!(null)),
    ] {
        let body = json!({ "type": kind, "code": code, "message": "Something." });
        assert_unknown(&carried_out(&collect(), error(status, body)).await);
    }
    for (status, body) in [
        (200, "<html>a proxy's page</html>"),
        (200, "{}"),
        (200, r#"{"id":"pi_1","object":"payment_intent"}"#),
        (302, ""),
        (400, "<html>a proxy's page</html>"),
        (502, "Bad Gateway"),
    ] {
        assert_unknown(&carried_out(&collect(), Answer::Text(status, body)).await);
    }
}

#[tokio::test]
async fn no_answer_leaves_the_outcome_unknown() {
    assert_unknown(&carried_out(&collect(), Answer::HangUp).await);

    // A port that was free a moment ago, and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = provider_at(&format!("http://{port}"));
    assert_unknown(&nobody.carry_out(&collect(), IDEMPOTENCY_KEY).await);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let server = Server::start([]).await;
    let provider = server.provider();
    assert_unusable(&provider.carry_out(&collect(), "").await);
    assert_unusable(&provider.carry_out(&collect(), &"k".repeat(256)).await);
    let much = collect_in(Currency::ISK, i64::MAX);
    assert_unusable(&provider.carry_out(&much, IDEMPOTENCY_KEY).await);
    assert_unusable(&provider.carry_out(&pay_to_bank("acct_1\r\nX: y"), "key").await);
    assert!(server.seen().is_empty());
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for (url, key) in [("http://", KEY), ("http://a b", KEY), ("http://localhost:1", "sk_test_\n1")] {
        let config = StripeConfig { base_url: Some(url.to_owned()), secret_key: Secret::new(key) };
        let error = StripeProvider::new(&config).unwrap_err();
        assert!(matches!(error, ProviderError::Unusable(_)), "{error}");
        assert!(!error.to_string().contains("sk_test"), "{error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let config = StripeConfig { base_url: Some("http://localhost:1".to_owned()), secret_key: Secret::new(KEY) };
    let provider = StripeProvider::new(&config).unwrap();
    for printed in [format!("{config:?}"), format!("{provider:?}")] {
        assert!(!printed.contains(KEY), "{printed}");
    }
}

// ---- Notices ----

const SIGNED_AT: i64 = 1_700_000_000;
const OLD: &str = "whsec_old";
const NEW: &str = "whsec_new";
const TOLERANCE_SECONDS: i64 = 300;

fn event(notice_type: &str, object: Value, fields: Value) -> String {
    let event = json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.endive", "created": SIGNED_AT,
        "data": { "object": object }, "livemode": false, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null }, "type": notice_type,
    });
    with(event, fields).to_string()
}

/// Signs as Stripe does (with async-stripe-webhook, which is not used for verifying) and verifies a second later.
fn notice_of(body: &str) -> Result<ProviderNotice, WebhookError> {
    let header = Webhook::generate_test_header(body, NEW, Some(SIGNED_AT));
    webhook::verify(body.as_bytes(), &header, &[Secret::new(NEW)], SIGNED_AT + 1, TOLERANCE_SECONDS)
}

fn verified(header: &str, secrets: &[&str], now_unix: i64) -> Result<ProviderNotice, WebhookError> {
    let body = event("payment_intent.succeeded", intent("succeeded", json!({})), json!({}));
    let secrets: Vec<Secret> = secrets.iter().map(Secret::new).collect();
    webhook::verify(body.as_bytes(), header, &secrets, now_unix, TOLERANCE_SECONDS)
}

fn signature(secret: &str, signed_at: i64) -> String {
    let body = event("payment_intent.succeeded", intent("succeeded", json!({})), json!({}));
    Webhook::generate_test_header(&body, secret, Some(signed_at))
}

#[test]
fn a_signed_notice_tells_what_to_look_up() {
    assert_eq!(
        verified(&signature(NEW, SIGNED_AT), &[NEW], SIGNED_AT),
        Ok(ProviderNotice {
            notice_id: "evt_1".to_owned(),
            notice_type: "payment_intent.succeeded".to_owned(),
            account: None,
            object: Some(payment("pi_1")),
            object_ref: Some("pi_1".to_owned()),
            livemode: false,
            api_version: Some("2026-09-30.endive".to_owned()),
        })
    );
}

#[test]
fn the_signature_is_the_documented_one() {
    // Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
    let header = "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91";
    let outcome = webhook::verify(b"{}", header, &[Secret::new("whsec_test")], SIGNED_AT, TOLERANCE_SECONDS);
    assert_eq!(outcome, Err(WebhookError::MalformedNotice), "signed, but empty");
}

#[test]
fn while_a_secret_is_replaced_both_are_good() {
    for signer in [OLD, NEW] {
        assert!(verified(&signature(signer, SIGNED_AT), &[OLD, NEW], SIGNED_AT).is_ok(), "{signer}");
    }
    // Stripe signs with each of its active secrets.
    let new = signature(NEW, SIGNED_AT);
    let both = format!("{},{}", signature(OLD, SIGNED_AT), new.split_once(',').unwrap().1);
    assert!(verified(&both, &[NEW], SIGNED_AT).is_ok());
    assert_eq!(verified(&signature(OLD, SIGNED_AT), &[NEW], SIGNED_AT), Err(WebhookError::BadSignature));
}

#[test]
fn a_notice_that_is_not_signed_by_a_secret_of_ours_is_refused() {
    let good = signature(NEW, SIGNED_AT);
    let digits = good.split_once("v1=").unwrap().1;
    assert_eq!(verified(&good, &[], SIGNED_AT), Err(WebhookError::BadSignature));
    for header in [
        format!("t={},v1={digits}", SIGNED_AT + 1),
        format!("t={SIGNED_AT},v0={digits}"),
        format!("t={SIGNED_AT},v1={}", &digits[..62]),
        format!("t={SIGNED_AT},v1="),
        format!("t={SIGNED_AT}"),
    ] {
        assert_eq!(verified(&header, &[NEW], SIGNED_AT), Err(WebhookError::BadSignature), "{header}");
    }
    let body = event("payment_intent.succeeded", intent("succeeded", json!({})), json!({})) + " ";
    assert_eq!(
        webhook::verify(body.as_bytes(), &good, &[Secret::new(NEW)], SIGNED_AT, TOLERANCE_SECONDS),
        Err(WebhookError::BadSignature),
        "one byte more"
    );
}

#[test]
fn a_header_that_is_missing_or_not_a_signature_is_told_apart() {
    assert_eq!(verified("", &[NEW], SIGNED_AT), Err(WebhookError::MissingSignature));
    for header in ["nonsense", "v1=00", "t=soon,v1=00", "t=1,v1=0g", "t=1,,v1=00"] {
        assert!(matches!(verified(header, &[NEW], SIGNED_AT), Err(WebhookError::MalformedSignature)), "{header}");
    }
}

#[test]
fn a_notice_is_good_for_five_minutes() {
    let header = signature(NEW, SIGNED_AT);
    for now in [SIGNED_AT - 300, SIGNED_AT, SIGNED_AT + 300] {
        assert!(verified(&header, &[NEW], now).is_ok(), "{now}");
    }
    for now in [SIGNED_AT - 301, SIGNED_AT + 301, i64::MIN, i64::MAX] {
        assert_eq!(verified(&header, &[NEW], now), Err(WebhookError::TooOld), "{now}");
    }
    assert_eq!(
        verified(&signature(OLD, 0), &[NEW], SIGNED_AT),
        Err(WebhookError::BadSignature),
        "a stranger does not learn our time"
    );
}

#[test]
fn each_type_leads_to_its_object() {
    let account = json!({ "account": "acct_1" });
    let platform = json!({});
    let dispute = json!({ "id": "du_1", "object": "dispute", "charge": "ch_1" });
    let dispute_object = ProviderObject::Dispute { dispute_ref: "du_1".to_owned() };
    let refund = |id: &str| json!({ "id": id, "object": "refund", "charge": "ch_1", "status": "succeeded" });
    let refund_object = |id: &str| ProviderObject::Refund { refund_ref: id.to_owned() };
    let charge_object = ProviderObject::Charge { charge_ref: "ch_1".to_owned() };
    let transfer_object = ProviderObject::Transfer { transfer_ref: "tr_1".to_owned() };
    let payout_object = ProviderObject::BankPayout { bank_payout_ref: "po_1".to_owned(), account: "acct_1".to_owned() };
    let platform_payout = ProviderObject::PlatformPayout { bank_payout_ref: "po_1".to_owned() };
    let top_up = ProviderObject::TopUp { top_up_ref: "tu_1".to_owned() };
    for (notice_type, object, fields, expected) in [
        ("payment_intent.created", intent("x", json!({})), &platform, Some(payment("pi_1"))),
        ("charge.updated", charge(json!({})), &platform, Some(charge_object.clone())),
        ("transfer.created", transfer(json!({})), &platform, Some(transfer_object)),
        ("payment_intent.canceled", intent("canceled", json!({})), &platform, Some(payment("pi_1"))),
        ("charge.refunded", charge(json!({})), &platform, Some(charge_object)),
        ("refund.created", refund("re_1"), &platform, Some(refund_object("re_1"))),
        ("refund.updated", refund("re_1"), &platform, Some(refund_object("re_1"))),
        ("refund.failed", refund("pyr_1"), &platform, Some(refund_object("pyr_1"))),
        ("charge.refund.updated", refund("re_1"), &platform, Some(refund_object("re_1"))),
        ("charge.refund.updated", refund("pyr_1"), &platform, Some(refund_object("pyr_1"))),
        ("refund.failed", refund("re_1"), &account, None),
        ("charge.refund.updated", refund("re_1"), &account, None),
        ("payout.paid", payout("paid", json!({})), &account, Some(payout_object)),
        // Whoever has ordered it: a payout of the platform's own balance.
        ("payout.paid", payout("paid", json!({})), &platform, Some(platform_payout)),
        ("topup.succeeded", json!({ "id": "tu_1", "object": "topup" }), &platform, Some(top_up)),
        ("topup.succeeded", json!({ "id": "tu_1", "object": "topup" }), &account, None),
        // Charges on payees' accounts are none of ours.
        ("charge.succeeded", charge(json!({})), &account, None),
        ("payment_intent.succeeded", intent("x", json!({})), &account, None),
        ("charge.dispute.created", dispute, &platform, Some(dispute_object)),
        ("payout", payout("paid", json!({})), &account, None),
        ("something.new", json!({ "id": "new_1", "object": "new" }), &platform, None),
        ("balance.available", json!({ "object": "balance" }), &platform, None),
    ] {
        let object_ref = object["id"].as_str().map(str::to_owned);
        let notice = notice_of(&event(notice_type, object, fields.clone())).unwrap();
        assert_eq!(notice.object, expected, "{notice_type}");
        assert_eq!(notice.object_ref, object_ref, "{notice_type}");
        assert_eq!(notice.notice_type, notice_type);
        assert_eq!(notice.account.as_deref(), fields["account"].as_str());
    }
}

#[test]
fn a_signed_body_that_is_no_notice_is_malformed() {
    let odd = |fields| event("payment_intent.created", intent("x", json!({})), fields);
    for body in [
        String::new(),
        "not JSON".to_owned(),
        "[]".to_owned(),
        odd(json!({ "id": null })),
        odd(json!({ "type": 7 })),
        odd(json!({ "livemode": "no" })),
    ] {
        assert!(matches!(notice_of(&body), Err(WebhookError::MalformedNotice)), "{body}");
    }
    let not_text = b"\xff\xfe";
    let header = "t=1700000000,v1=00";
    assert_eq!(
        webhook::verify(not_text, header, &[Secret::new(NEW)], SIGNED_AT, TOLERANCE_SECONDS),
        Err(WebhookError::BadSignature)
    );
}

#[tokio::test]
async fn a_card_error_about_a_payment_in_another_state_is_looked_up() {
    let answered =
        with(card_declined(), json!({ "payment_intent": intent("succeeded", json!({ "latest_charge": "ch_1" })) }));
    let paid = intent("succeeded", json!({ "latest_charge": charge(json!({})) }));
    let server = Server::start([error(402, answered), ok(paid)]).await;
    let outcome = server.provider().carry_out(&collect(), IDEMPOTENCY_KEY).await;
    assert_eq!(outcome, Ok(succeeded(None)));
    assert_eq!(server.seen()[1].path, "/v1/payment_intents/pi_1");
}

#[test]
fn an_envelope_of_another_kind_is_still_a_notice() {
    let thin = json!({
        "id": "evt_2", "object": "v2.core.event", "type": "v2.core.account.updated", "livemode": true,
        "created": "2026-11-20T10:00:00.000Z", "related_object": { "id": "acct_1" },
    });
    let notice = notice_of(&thin.to_string()).unwrap();
    assert_eq!((notice.object, notice.object_ref, notice.livemode), (None, None, true));
    assert_eq!(notice.api_version, None);
}

#[test]
fn an_empty_secret_is_none() {
    assert_eq!(verified(&signature("", SIGNED_AT), &[""], SIGNED_AT), Err(WebhookError::BadSignature));
}

#[test]
fn a_notice_with_odd_names_is_malformed() {
    let odd = |fields| event("payment_intent.created", intent("x", json!({})), fields);
    for body in [
        odd(json!({ "id": "" })),
        odd(json!({ "id": "evt_\u{0}" })),
        odd(json!({ "account": "" })),
        odd(json!({ "data": { "object": { "id": "pi_\u{0}", "object": "payment_intent" } } })),
    ] {
        assert!(matches!(notice_of(&body), Err(WebhookError::MalformedNotice)), "{body}");
    }
}

#[tokio::test]
async fn a_reference_does_not_lead_elsewhere() {
    let server = Server::start([]).await;
    for payment_ref in ["", "../accounts", "pi_1?expand[]=customer", "pi_1/cancel"] {
        assert_unusable(&server.provider().look_up(&payment(payment_ref)).await);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_state_that_is_not_known_is_unusable() {
    let charged_as = |fields| intent("succeeded", json!({ "latest_charge": charge(fields) }));
    let resting = balance_transaction(json!({ "status": "resting" }));
    for odd in [
        intent("requires_capture", json!({})),
        charged_as(json!({ "balance_transaction": "txn_1" })),
        charged_as(json!({ "balance_transaction": resting })),
    ] {
        assert_unusable(&looked_up(ok(odd)).await);
    }
}

#[test]
fn a_live_key_is_not_sent_in_clear() {
    for (url, key) in [("http://localhost:1", "sk_live_1"), ("ftp://localhost:1", KEY)] {
        let config = StripeConfig { base_url: Some(url.to_owned()), secret_key: Secret::new(key) };
        assert!(StripeProvider::new(&config).is_err(), "{url}");
    }
}
