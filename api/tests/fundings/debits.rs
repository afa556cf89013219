//! Bank debits, which take days, and payments that need a second attempt.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::support::{World, books, funding_of, mandate};
use super::{ask, events, help, pay, payment, planned, provider, seen, status};

/// D-19: a bank debit is under way for four days. Nothing is booked and no work is taken in before it arrives; it does not
/// expire, and cannot be cancelled. Then J01 and J02.
#[tokio::test]
async fn a_bank_debit_takes_four_days() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let funding = pay(&world, &contract, "pm_usBankAccount_success").await;
    assert_eq!(status(&world, &funding).await, "processing");
    let path = format!("/v1/fundings/{funding}/cancel");
    let cancel = world.post(&world.client, &path, None, json!({}));
    assert_eq!(world.refused(409, "funding_wrong_state", cancel).await.body["state"], "processing");
    let four_days = World::begin() + TimeDelta::days(4);
    world.at(four_days - TimeDelta::seconds(1)).await;
    assert_eq!((status(&world, &funding).await.as_str(), world.books().await), ("processing", books(&[])));
    let submit = world.act(&world.payee, contract.work("/submit"), json!({}));
    world.refused(409, "milestone_not_funded", submit).await;
    world.at(four_days).await;
    assert_eq!(status(&world, &funding).await, "succeeded");
    let booked = [("1110", 101_925), ("2100", -100_000), ("2300", -5000), ("5100", 3075)];
    assert_eq!(world.books().await, books(&booked));
    let [funded] = events(&world, "escrow.funded").await.try_into().unwrap();
    assert_eq!(funded["occurred_at"], json!(four_days));
    world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();

    // Another one fails after its days, and a third arrives when the test says so: nothing is left of the one, and the
    // other is held.
    let failing = world.accepted().await;
    let failed = pay(&world, &failing, "pm_usBankAccount_insufficientFunds").await;
    world.at(four_days + TimeDelta::days(4)).await;
    let shown = seen(&world, &format!("/v1/fundings/{failed}")).await;
    assert_eq!((&shown["status"], &shown["failure_code"]), (&json!("failed"), &json!("insufficient_funds")));
    planned(&world, &failing).await;
    let arriving = pay(&world, &failing, "pm_usBankAccount_processing").await;
    help(&world, "succeed", json!({ "funding_id": arriving })).await;
    world.settled().await;
    assert_eq!(status(&world, &arriving).await, "succeeded");
    assert_eq!(world.books().await["2100"], -200_000);

    let refused = world.accepted().await;
    let debit = pay(&world, &refused, "pm_usBankAccount_success").await;
    help(&world, "decline", json!({ "funding_id": debit, "code": "debit_not_authorized" })).await;
    world.settled().await;
    assert_eq!(seen(&world, &format!("/v1/fundings/{debit}")).await["failure_code"], "debit_not_authorized");
    world.close().await;
}

/// A card is declined for every reason that there is; another card pays the same intent at the provider's own page, and the
/// milestone is funded once. 3-D Secure is completed, failed, and completed in vain.
#[tokio::test]
async fn a_declined_payment_is_paid_by_another_card() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let mut last = String::new();
    for (token, code) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
    ] {
        last = pay(&world, &contract, token).await;
        let shown = seen(&world, &format!("/v1/fundings/{last}")).await;
        assert_eq!((&shown["status"], &shown["failure_code"]), (&json!("failed"), &json!(code)), "{token}");
        planned(&world, &contract).await;
    }
    let intent = payment(&world, &last).await;
    let confirm = format!("payment_intents/{}/confirm", intent["id"].as_str().unwrap());
    provider(&world, "POST", &confirm, &[("payment_method", "pm_card_visa")]).await;
    world.settled().await;
    assert_eq!(status(&world, &last).await, "succeeded");
    assert_eq!((world.count("escrow.funded").await, world.books().await["2100"]), (1, -100_000));

    let other = world.accepted().await;
    let vain = pay(&world, &other, "pm_card_threeDSecureRequiredChargeDeclined").await;
    assert_eq!(status(&world, &vain).await, "action_required");
    help(&world, "succeed", json!({ "funding_id": vain })).await;
    world.settled().await;
    assert_eq!(seen(&world, &format!("/v1/fundings/{vain}")).await["failure_code"], "generic_decline");
    let failing = pay(&world, &other, "pm_card_threeDSecure2Required").await;
    help(&world, "decline", json!({ "funding_id": failing })).await;
    world.settled().await;
    assert_eq!(
        seen(&world, &format!("/v1/fundings/{failing}")).await["failure_code"],
        "payment_intent_authentication_failure"
    );
    let done = pay(&world, &other, "pm_card_authenticationRequired").await;
    help(&world, "succeed", json!({ "funding_id": done })).await;
    world.settled().await;
    assert_eq!((status(&world, &done).await.as_str(), world.count("escrow.funded").await), ("succeeded", 2));

    // D-10: a payment that was given up succeeds all the same: it goes back, and nobody sees a funded milestone.
    let gone = world.accepted().await;
    let late = pay(&world, &gone, "pm_card_authenticationRequired").await;
    help(&world, "drop", json!({ "times": 100 })).await;
    assert_eq!(help(&world, "succeed", json!({ "funding_id": late })).await, 1);
    world.post(&world.client, &format!("/v1/fundings/{late}/cancel"), None, json!({})).await.success().unwrap();
    help(&world, "clear", json!({})).await;
    world.settled().await;
    assert_eq!((status(&world, &late).await.as_str(), world.count("escrow.funded").await), ("sent_back", 2));
    planned(&world, &gone).await;
    ask(&world, "flush", json!({})).await.success().unwrap();
    world.settled().await;
    assert_eq!(world.count("funding.succeeded_after_cancel").await, 1);
    world.close().await;
}

/// A bank debit needs the client's consent: without it the provider does not take the payment. Where the client was is told
/// to the provider and to nobody else.
#[tokio::test]
async fn a_bank_debit_needs_the_clients_consent() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let path = contract.at("/fundings");
    let body = |mandate: Value| {
        let mut body = funding_of(&contract, 100_000, "pm_usBankAccount_success");
        body["mandate"] = mandate;
        body
    };
    let without = world.post(&world.client, &path, None, body(json!(null))).await.success().unwrap();
    world.settled().await;
    let shown = seen(&world, &format!("/v1/fundings/{}", without.text("/id").unwrap())).await;
    assert_eq!((&shown["status"], &shown["failure_code"]), (&json!("failed"), &json!("parameter_missing")));
    planned(&world, &contract).await;
    let later = World::begin() + TimeDelta::seconds(1);
    for (mandate, pointer) in [
        (json!({ "ip_address": "somewhere", "user_agent": "x" }), "/mandate/ip_address"),
        (json!({ "ip_address": "::1", "user_agent": "" }), "/mandate/user_agent"),
        (json!({ "ip_address": "::1", "user_agent": "a\nb" }), "/mandate/user_agent"),
        (json!({ "ip_address": "::1", "user_agent": "x".repeat(501) }), "/mandate/user_agent"),
        (json!({ "ip_address": "::1", "user_agent": "x", "accepted_at": later }), "/mandate/accepted_at"),
    ] {
        let answer = world.post(&world.client, &path, None, body(mandate));
        let refused = world.refused(422, "validation_failed", answer).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let by_wallet = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 1000 }], "currency": "USD",
        "paid_from": "wallet", "mandate": mandate(),
    });
    let refused = world.refused(422, "validation_failed", world.post(&world.client, &path, None, by_wallet)).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/mandate");

    let where_from = "198.51.100.23";
    let consent = json!({ "ip_address": where_from, "user_agent": "Secretive/1.0" });
    let paid = world.post_with_key(&world.client, &path, "debit", None, body(consent.clone())).await.success().unwrap();
    world.settled().await;
    assert_eq!(status(&world, &paid.text("/id").unwrap()).await, "processing");
    let repeated = world.post_with_key(&world.client, &path, "debit", None, body(consent)).await.success().unwrap();
    assert_eq!(repeated.body["id"], paid.body["id"]);
    let events = serde_json::to_string(&world.api.events(&world.admin.token, 0).await.unwrap()).unwrap();
    assert!(!events.contains(where_from) && !events.contains("Secretive"), "in no event");
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    for (what, sql) in [
        ("no order", "select count(*) from main.outbox where body::text like '%198.51.100.23%'"),
        ("kept no longer", "select count(*) from main.payment_mandates"),
    ] {
        let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut owner).await.unwrap();
        assert_eq!(found, 0, "{what}");
    }
    world.close().await;
}
