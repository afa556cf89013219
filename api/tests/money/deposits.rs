//! Money that is paid in for no milestone yet, money that moves to another milestone, and what is paid from the wallet.

use serde_json::{Value, json};

use super::support::World;
use super::{at, booked, escrow, lines, now, second, status, with_wallet};

/// D-24, J07, J08: 1,500.00 are paid in where 1,000.00 are planned; the rest is a deposit, and later for a second
/// milestone.
#[tokio::test]
async fn a_deposit_gets_its_milestone_later() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let body = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }], "deposit": 50_000,
        "currency": "USD", "payment_method": "pm_card_visa",
    });
    let made = world.post(&world.client, &contract.at("/fundings"), None, body).await.success().unwrap();
    assert_eq!(at(&made, ["/amount", "/deposit"]), [json!(157_500), json!({ "amount": 50_000, "client_fee": 2500 })]);
    world.settled().await;
    let path = format!("/v1/fundings/{}", made.text("/id").unwrap());
    let paid = now(&world, &world.client, &path).await;
    assert_eq!((status(&paid), &paid.body["deposit"]), ("succeeded", &made.body["deposit"]));
    let booking = [("D", "1110", 157_500), ("C", "2100", 100_000), ("C", "2105", 50_000), ("C", "2300", 7500)];
    let mut seen = lines(&world, "escrow.funded").await;
    // The deferred fee of the milestone and that of the deposit are two lines.
    let fees: i64 = seen.iter().filter(|line| line.1 == "2300").map(|line| line.2).sum();
    seen.retain(|line| line.1 != "2300");
    seen.push(("C".to_owned(), "2300".to_owned(), fees));
    assert_eq!(seen, booked(&booking));

    let added = json!({ "changes": [{ "kind": "add_milestone", "amount": 50_000 }] });
    let proposed = world.act(&world.client, contract.at("/amendments"), added).await.success().unwrap();
    let version = world.version(&world.payee, &contract.at("")).await;
    let accept = format!("/v1/amendments/{}/accept", proposed.text("/amendment/id").unwrap());
    world.post(&world.payee, &accept, Some(&version), json!({})).await.success().unwrap();
    let other = second(&world, &contract).await;
    let give = async |amount: i64| {
        let body = json!({ "milestone_id": other.milestone, "amount": amount });
        world.act(&world.client, escrow(&contract, "/reallocate"), body).await
    };
    assert_eq!(world.refused(422, "exceeds_held", give(50_001)).await.body["held"], 50_000);
    let moved = give(50_000).await.success().unwrap();
    assert_eq!(at(&moved, ["/held", "/unallocated", "/moved"]), [json!(150_000), json!(0), json!(50_000)]);
    assert!(moved.body["hold_limits"].as_array().is_some_and(|limits| limits.len() == 1));
    let wanted = [("D", "2105", 50_000), ("D", "2300", 2500), ("C", "2100", 50_000), ("C", "2300", 2500)];
    let mut seen = lines(&world, "escrow.funds_reallocated").await;
    seen.sort_by(|a, b| (&b.0, &a.1).cmp(&(&a.0, &b.1)));
    assert_eq!(seen, booked(&wanted));
    let shown = now(&world, &world.payee, &other.work("")).await;
    assert_eq!((status(&shown), &shown.body["held"]), ("funded", &json!(50_000)));
    world.refused(422, "exceeds_held", give(1)).await;
    // The payee sees the sums, and not which payments they came by.
    let seen = now(&world, &world.payee, &escrow(&contract, "")).await;
    assert_eq!(at(&seen, ["/held", "/hold_limits"]), [json!(150_000), Value::Null]);
    assert!(seen.body["hold_limit_at"].is_string());
    world.close().await;
}

/// D-51, D-94: every way to pay is quoted by the decision that the payment then is: another server commits it, under the
/// same key, and the events and journals are those of the quote, except for the id of the funding.
#[tokio::test]
async fn every_payment_is_what_was_quoted() {
    let world = World::new().await;
    with_wallet(&world).await;
    let other = world.second_server().await;
    let ways = [
        (json!({ "deposit": 50_000, "payment_method": "pm_card_visa" }), false, 52_500),
        (json!({ "deposit": 50_000, "payment_method": "pm_card_visa" }), true, 157_500),
        (json!({ "deposit": 10_000, "paid_from": "wallet" }), false, 10_500),
        (json!({ "payment_method": "pm_card_visa" }), true, 105_000),
    ];
    for (number, (mut body, with_milestone, charge)) in ways.into_iter().enumerate() {
        let contract = world.accepted().await;
        world.settled().await;
        body["currency"] = json!("USD");
        if with_milestone {
            body["allocations"] = json!([{ "milestone_id": contract.milestone, "amount": 100_000 }]);
        }
        let mut thought = body.clone();
        thought["contract_id"] = json!(contract.id);
        let (key, before) = (format!("pay-{number}"), world.head().await);
        let quote = world.post_with_key(&world.client, "/v1/fundings:quote", &key, None, thought).await;
        let quote = quote.success().unwrap().body;
        assert_eq!((&quote["charge"], &quote["total"]), (&json!(charge), &json!(charge)), "{number}");
        assert_eq!(world.head().await, before, "a quote writes nothing");
        let url = format!("{}{}", other.base_url(), contract.at("/fundings"));
        let request = reqwest::Client::new().post(url).bearer_auth(&world.client.token).json(&body);
        let paid = request.header("Idempotency-Key", &key).send().await.unwrap();
        assert_eq!(paid.status().as_u16(), 201, "{number}");
        let paid: Value = paid.json().await.unwrap();
        assert_eq!(paid["amount"], charge, "{number}");
        let first = quote["preview"]["events"][0]["data"]["funding_id"].as_str().unwrap();
        let planned = quote["preview"]["events"].to_string().replace(first, paid["id"].as_str().unwrap());
        let planned: Vec<Value> = serde_json::from_str(&planned).unwrap();
        let events = world.api.events(&world.admin.token, before).await.unwrap();
        assert!(events.len() >= planned.len(), "{number}");
        for (event, planned) in events.iter().zip(&planned) {
            let event = serde_json::to_value(event).unwrap();
            for (name, value) in planned.as_object().unwrap() {
                assert_eq!(&event[name], value, "{number}: {name}");
            }
        }
        world.settled().await;
    }
    other.shutdown().await;

    let contract = world.accepted().await;
    let ask = |mut body: Value| {
        body["contract_id"] = json!(contract.id);
        body["currency"] = json!("USD");
        world.post(&world.client, "/v1/fundings:quote", None, body)
    };
    // 945.00 are left in the wallet.
    let much = ask(json!({ "deposit": 90_001, "paid_from": "wallet" }));
    assert_eq!(world.refused(422, "insufficient_wallet_balance", much).await.body["balance"], 94_500);
    for (wrong, pointer) in [
        (json!({}), "/allocations"),
        (json!({ "deposit": 0 }), "/deposit"),
        (json!({ "deposit": 1, "paid_from": "wallet", "payment_method": "pm_card_visa" }), "/payment_method"),
    ] {
        let problem = world.refused(422, "validation_failed", ask(wrong)).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer);
    }
    world.close().await;
}

/// A deposit is the client's to give, to a milestone of the contract.
#[tokio::test]
async fn a_deposit_is_given_by_the_client_only() {
    let world = World::new().await;
    let (contract, other) = (world.accepted().await, world.accepted().await);
    let deposit = json!({ "deposit": 50_000, "currency": "USD", "payment_method": "pm_card_visa" });
    world.post(&world.client, &contract.at("/fundings"), None, deposit).await.success().unwrap();
    world.settled().await;
    assert_eq!(status(&now(&world, &world.client, &contract.at("")).await), "active");
    let give = |milestone: &str| json!({ "milestone_id": milestone, "amount": 10_000 });
    let path = escrow(&contract, "/reallocate");
    world.refused(409, "consent_required", world.act(&world.payee, &path, give(&contract.milestone))).await;
    world.refused(404, "not_found", world.act(&world.outsider, &path, give(&contract.milestone))).await;
    let elsewhere = world.act(&world.client, &path, give(&other.milestone));
    let problem = world.refused(422, "validation_failed", elsewhere).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/milestone_id");
    world.act(&world.client, &path, give(&contract.milestone)).await.success().unwrap();
    world.close().await;
}

/// D-22, D-174, J05: a wallet that lacks a cent pays nothing; with that cent it pays at once, and a read that asks for the
/// position of the payment shows it.
#[tokio::test]
async fn the_wallet_pays_all_or_nothing() {
    let world = World::new().await;
    with_wallet(&world).await;
    let cent = json!({ "amount": 1, "currency": "USD" });
    let taken = world.post(&world.client, "/v1/wallets/me/withdrawals", None, cent).await.success().unwrap();
    assert_eq!(
        (taken.status.as_u16(), status(&taken), &taken.body["way"]),
        (201, "requires_manual", &json!("undecided"))
    );
    let contract = world.accepted().await;
    let pay = async || {
        let body = json!({
            "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
            "currency": "USD", "paid_from": "wallet",
        });
        world.post(&world.client, &contract.at("/fundings"), None, body).await
    };
    let poor = world.refused(422, "insufficient_wallet_balance", pay()).await;
    assert_eq!(poor.body["balance"], 104_999);
    let back = format!("{}/redirect", taken.header("location").unwrap());
    world.refused(403, "forbidden", world.post(&world.payee, &back, None, json!({}))).await;
    world.refused(404, "not_found", world.post(&world.outsider, &back, None, json!({}))).await;
    let redirected = world.post(&world.client, &back, None, json!({})).await.success().unwrap();
    assert_eq!((status(&redirected), &redirected.body["way"]), ("redirected", &json!("wallet")));
    world.refused(409, "refund_wrong_state", world.post(&world.admin, &back, None, json!({}))).await;

    let paid = pay().await.success().unwrap();
    assert_eq!((paid.status.as_u16(), status(&paid), &paid.body["paid_from"]), (201, "succeeded", &json!("wallet")));
    assert_eq!(at(&paid, ["/amount", "/allocations/0/client_fee"]), [json!(105_000), json!(5000)]);
    let position = paid.header("log-position").unwrap().to_owned();
    let path = paid.header("location").unwrap().to_owned();
    let read = async |token: &str, path: &str| {
        let read = world.raw(|http, base| {
            http.get(format!("{base}{path}")).bearer_auth(token).header("Min-Log-Position", &position)
        });
        read.await
    };
    assert_eq!(read(&world.client.token, &path).await.body, paid.body);
    assert_eq!(read(&world.client.token, "/v1/wallets/me").await.body["data"][0]["balance"], 0);
    assert_eq!(read(&world.client.token, &contract.work("")).await.body["status"], "funded");
    // How the client pays is none of the payee's business.
    assert_eq!(read(&world.payee.token, &path).await.status, 404);
    assert_eq!(read(&world.outsider.token, &path).await.status, 404);
    let path = format!("{path}/cancel");
    let cancel = world.post(&world.client, &path, None, json!({}));
    world.refused(409, "funding_wrong_state", cancel).await;
    let booking = [("D", "2120", 105_000), ("C", "2100", 100_000), ("C", "2300", 5000)];
    assert_eq!(lines(&world, "wallet.paid_escrow").await, booked(&booking));
    world.close().await;
}

/// A payment that the client does not complete is given up, and the milestone can be paid for again.
#[tokio::test]
async fn a_payment_is_given_up() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let made = world.fund(&contract, "pm_card_authenticationRequired").await.success().unwrap();
    assert_eq!(made.body["expires_at"], json!(World::begin() + chrono::TimeDelta::hours(24)));
    world.settled().await;
    let path = made.header("location").unwrap().to_owned();
    let waiting = now(&world, &world.client, &path).await;
    assert_eq!((status(&waiting), &waiting.body["next_action"]), ("action_required", &json!("confirm")));
    let cancel = format!("{path}/cancel");
    world.refused(403, "forbidden", world.post(&world.payee, &cancel, None, json!({}))).await;
    world.refused(404, "not_found", world.post(&world.outsider, &cancel, None, json!({}))).await;
    let gone = world.post(&world.client, &cancel, None, json!({})).await.success().unwrap();
    assert_eq!((status(&gone), &gone.body["expires_at"]), ("cancelled", &Value::Null));
    assert_eq!(gone.body["allocations"], made.body["allocations"]);
    let twice = world.post(&world.client, &cancel, None, json!({}));
    assert_eq!(world.refused(409, "funding_wrong_state", twice).await.body["state"], "cancelled");
    assert_eq!(status(&now(&world, &world.client, &contract.work("")).await), "planned");
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.close().await;
}
