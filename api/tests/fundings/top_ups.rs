//! Money that a client pays into the wallet.

use adapters::postgres::task;
use chrono::TimeDelta;
use domain::actor::StaffRole;
use serde_json::{Value, json};

use api::caller::Role;
use api::cli::operator::make_token;

use super::support::{World, mandate};
use super::{events, help, journal, payment, provider, seen, status};

const PATH: &str = "/v1/wallets/me/top-ups";

fn of(amount: i64, method: &str) -> Value {
    let mut body = json!({ "amount": amount, "currency": "USD", "payment_method": method });
    if method.starts_with("pm_usBankAccount") {
        body["mandate"] = mandate();
    }
    body
}

/// Asks for a top-up, and waits for what follows. The funding's id.
async fn top_up(world: &World, amount: i64, method: &str) -> String {
    let made = world.post(&world.client, PATH, None, of(amount, method)).await.success().unwrap();
    assert_eq!((made.status.as_u16(), &made.body["status"]), (201, &json!("created")));
    world.settled().await;
    made.text("/id").unwrap()
}

/// Balance of the wallet, and what of it can be spent.
async fn wallet(world: &World) -> (i64, i64) {
    let wallet = seen(world, "/v1/wallets/me").await["data"][0].clone();
    (wallet["balance"].as_i64().unwrap_or(0), wallet["spendable"].as_i64().unwrap_or(0))
}

/// One world: each step goes on where the one before has left it.
#[tokio::test]
async fn a_wallet_is_topped_up() {
    let world = World::new().await;
    refusals(&world).await;
    by_card(&world).await;
    as_something_else(&world).await;
    by_bank_debit(&world).await;
    given_back_to_a_bank(&world).await;
    world.close().await;
}

/// A card number, nothing, too much, another currency's name; a payee; an answer that is repeated.
async fn refusals(world: &World) {
    for (body, pointer) in [
        (of(0, "pm_card_visa"), "/amount"),
        (of(-1, "pm_card_visa"), "/amount"),
        (of(1000, "4242424242424242"), "/payment_method"),
        (of(1000, ""), "/payment_method"),
        (json!({ "amount": 1000, "currency": "usd!", "payment_method": "pm_card_visa" }), "/currency"),
    ] {
        let refused = world.refused(422, "validation_failed", world.post(&world.client, PATH, None, body)).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.body);
    }
    let too_much = world.post(&world.client, PATH, None, of(i64::MAX / 2, "pm_card_visa"));
    world.refused(422, "amount_too_large", too_much).await;
    world.refused(403, "forbidden", world.post(&world.payee, PATH, None, of(1000, "pm_card_visa"))).await;
    let without_key = world.raw(|http, base| {
        http.post(format!("{base}{PATH}")).bearer_auth(&world.client.token).json(&of(1000, "pm_card_visa"))
    });
    world.refused(400, "idempotency_key_required", without_key).await;
    assert_eq!(world.count("funding.created").await, 0);
}

/// J06, J02: 5,000.00 by card are in the wallet, and pay for a milestone at once. Declined and paid by another card; 3-D
/// Secure; given up, and arrived all the same (J93).
async fn by_card(world: &World) {
    let key = "top-up-1";
    let first =
        world.post_with_key(&world.client, PATH, key, None, of(500_000, "pm_card_visa")).await.success().unwrap();
    let again =
        world.post_with_key(&world.client, PATH, key, None, of(500_000, "pm_card_visa")).await.success().unwrap();
    assert_eq!((&first.body, first.header("location")), (&again.body, again.header("location")));
    let other = world.post_with_key(&world.client, PATH, key, None, of(500_001, "pm_card_visa"));
    world.refused(422, "idempotency_mismatch", other).await;
    world.settled().await;
    let path = first.header("location").unwrap().to_owned();
    let shown = seen(world, &path).await;
    assert_eq!((&shown["status"], &shown["purpose"]), (&json!("succeeded"), &json!("top_up")));
    assert_eq!(
        (&shown["contract_id"], &shown["amount"], &shown["psp_fee"]),
        (&Value::Null, &json!(500_000), &json!(14_530))
    );
    assert_eq!(wallet(world).await, (500_000, 500_000));
    let [topped_up] = events(world, "wallet.topped_up").await.try_into().unwrap();
    assert_eq!(journal(&topped_up), ["D 1110 500000", "C 2120 500000"]);
    world.refused(404, "not_found", world.get(&world.outsider, &path)).await;
    world.get(&world.admin, &path).await.success().unwrap();
    let cancel = format!("{path}/cancel");
    world.refused(409, "funding_wrong_state", world.post(&world.client, &cancel, None, json!({}))).await;

    let contract = world.accepted().await;
    let body = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "USD", "paid_from": "wallet",
    });
    world.post(&world.client, &contract.at("/fundings"), None, body).await.success().unwrap();
    world.settled().await;
    assert_eq!(seen(world, &contract.work("")).await["status"], "funded");
    assert_eq!(wallet(world).await, (395_000, 395_000));

    let declined = top_up(world, 1000, "pm_card_visa_chargeDeclined").await;
    assert_eq!(seen(world, &format!("/v1/fundings/{declined}")).await["next_action"], "use_another_payment_method");
    let intent = payment(world, &declined).await;
    assert_eq!(intent["metadata"].get("contract_id"), None);
    let confirm = format!("payment_intents/{}/confirm", intent["id"].as_str().unwrap());
    provider(world, "POST", &confirm, &[("payment_method", "pm_card_visa")]).await;
    world.settled().await;
    assert_eq!((status(world, &declined).await.as_str(), wallet(world).await.0), ("succeeded", 396_000));

    let secure = top_up(world, 4000, "pm_card_threeDSecure2Required").await;
    assert_eq!(seen(world, &format!("/v1/fundings/{secure}")).await["next_action"], "confirm");
    help(world, "succeed", json!({ "funding_id": secure })).await;
    world.settled().await;
    assert_eq!(wallet(world).await, (400_000, 400_000));

    let late = top_up(world, 5000, "pm_card_authenticationRequired").await;
    help(world, "drop", json!({ "times": 100 })).await;
    help(world, "succeed", json!({ "funding_id": late })).await;
    let given_up = world.post(&world.client, &format!("/v1/fundings/{late}/cancel"), None, json!({})).await;
    assert_eq!(given_up.success().unwrap().body["status"], "cancelled");
    help(world, "clear", json!({})).await;
    world.settled().await;
    assert_eq!((status(world, &late).await.as_str(), wallet(world).await.0), ("sent_back", 400_000));
}

/// D-18: another amount than was asked for is under review, and not in the wallet.
async fn as_something_else(world: &World) {
    help(world, "capture-other", json!({ "amount": 700 })).await;
    let funding = top_up(world, 1000, "pm_card_visa").await;
    assert_eq!((status(world, &funding).await.as_str(), wallet(world).await.0), ("under_review", 400_000));
    let [suspended] = events(world, "funding.receipt_suspended").await.try_into().unwrap();
    assert_eq!(journal(&suspended), ["D 1110 700", "C 2900 700"]);
}

/// D-19: a bank debit is under way for four days. Meanwhile own money is missing for the provider's fees: it is told once,
/// is somebody's task, and is over when it was added (B.11).
async fn by_bank_debit(world: &World) {
    let begun = world.server.app().engine.now().await.unwrap();
    let debit = top_up(world, 100_000, "pm_usBankAccount_success").await;
    assert_eq!(status(world, &debit).await, "processing");
    world.at(begun + TimeDelta::hours(24) - TimeDelta::seconds(1)).await;
    assert_eq!(world.count("treasury.coverage_fell").await, 0, "it has not lasted");
    world.at(begun + TimeDelta::hours(24)).await;
    let [fell] = events(world, "treasury.coverage_fell").await.try_into().unwrap();
    let report = world.get(&world.admin, "/v1/reports/coverage").await.success().unwrap().body;
    let missing = report["currencies"][0]["required_float"].as_i64().unwrap();
    assert_eq!((&fell["data"]["required_float"], missing > 0), (&json!(missing), true));
    let tasks = task::list(world.server.app().pool(), 10).await.unwrap();
    let uncovered: Vec<_> = tasks.iter().filter(|task| task.kind == task::UNCOVERED).collect();
    let [alarm] = uncovered.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(alarm.subject, "USD");

    world.at(begun + TimeDelta::days(4)).await;
    assert_eq!((status(world, &debit).await.as_str(), wallet(world).await), ("succeeded", (500_000, 500_000)));
    assert_eq!(world.count("treasury.coverage_fell").await, 1, "once");
    let finance =
        make_token(&world.server.app().engine, Role::Staff(StaffRole::Finance), None, None, None).await.unwrap();
    let own = json!({ "amount": 1_000_000, "currency": "USD" });
    world.post(&finance, "/v1/treasury/top-ups", None, own).await.success().unwrap();
    world.at(begun + TimeDelta::days(10)).await;
    assert_eq!((world.count("treasury.coverage_restored").await, world.count("treasury.coverage_fell").await), (1, 1));
    assert_eq!(task::list(world.server.app().pool(), 10).await.unwrap(), []);
}

/// J59, J50, J55: a debit that is returned comes out of the wallet; what a bank contests cannot be spent, and is gone when
/// it is lost, the wallet's part by the wallet, the rest by the platform.
async fn given_back_to_a_bank(world: &World) {
    let debit = top_up(world, 20_000, "pm_usBankAccount_success").await;
    help(world, "succeed", json!({ "funding_id": debit })).await;
    world.settled().await;
    assert_eq!(wallet(world).await, (520_000, 520_000));
    let test_helper = async |helper: &str, body: Value| {
        let path = format!("/v1/test_helpers/psp/{helper}");
        let answer = world.post(&world.admin, &path, None, body).await.success().unwrap();
        world.settled().await;
        answer.body["id"].as_str().unwrap().to_owned()
    };
    test_helper("return", json!({ "funding_id": debit })).await;
    assert_eq!((status(world, &debit).await.as_str(), wallet(world).await), ("returned", (500_000, 500_000)));
    let [returned] = events(world, "wallet.top_up_returned").await.try_into().unwrap();
    assert_eq!(journal(&returned), ["D 2120 20000", "C 1120 20000"]);

    let card = top_up(world, 300_000, "pm_card_visa").await;
    let withdraw = async |amount: i64| {
        let body = json!({ "amount": amount, "currency": "USD" });
        world.post(&world.client, "/v1/wallets/me/withdrawals", None, body).await
    };
    withdraw(600_000).await.success().unwrap();
    let dispute = test_helper("dispute", json!({ "funding_id": card })).await;
    assert_eq!(wallet(world).await, (200_000, 0));
    let refused = world.refused(422, "insufficient_wallet_balance", withdraw(1)).await;
    assert_eq!(refused.body["balance"], 0);
    let cases = world.get(&world.admin, "/v1/chargebacks").await.success().unwrap().body;
    let case = cases["data"].as_array().unwrap().last().unwrap();
    assert_eq!((&case["contract_id"], &case["funding_id"]), (&Value::Null, &json!(card)));
    let of_case = |what: &str| format!("/v1/chargebacks/{}/{what}", case["id"].as_str().unwrap());
    world.refused(501, "not_supported", world.get(&world.admin, &of_case("evidence"))).await;
    world.refused(501, "not_supported", world.post(&world.admin, &of_case("submit"), None, json!({}))).await;
    let evidence = of_case("evidence");
    let said = json!({ "texts": { "refund_refusal_explanation": "It was asked for." } });
    let draft = world.post(&world.admin, &evidence, Some("\"1\""), said);
    world.refused(501, "not_supported", draft).await;
    test_helper("lose", json!({ "dispute": dispute })).await;
    assert_eq!(wallet(world).await, (0, 0));
    let [absorbed] = events(world, "wallet.chargeback_absorbed").await.try_into().unwrap();
    assert_eq!(journal(&absorbed), ["D 2120 200000", "C 1200 200000"]);
    let [lost] = events(world, "chargeback.loss_absorbed").await.try_into().unwrap();
    assert_eq!(journal(&lost), ["D 5200 100000", "C 1200 100000"]);
}
