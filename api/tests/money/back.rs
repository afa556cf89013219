//! What goes back to the client: held money by consent or by time, released money by the payee's grace.

use api::cli::story::Answer;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::{World, comes_back, funding_of};
use super::{accepted_on, answer, at, booked, lines, now, reach, status, wish};

/// D-71, J30: the client wants back what is held, the payee agrees, and the fee goes back with it.
#[tokio::test]
async fn what_is_held_goes_back_when_the_payee_agrees() {
    let world = World::new().await;
    let contract = world.funded().await;
    let (asked, id) = wish(&world, &contract, json!({ "amount": 100_000, "currency": "USD" })).await;
    assert_eq!(status(&asked), "refund_pending");
    let respond_by = json!(World::begin() + TimeDelta::days(7));
    assert_eq!(at(&asked, ["/refund_request/amount", "/refund_request/respond_by"]), [json!(100_000), respond_by]);
    let version = world.version(&world.payee, &contract.work("")).await;
    let path = format!("/v1/refund-requests/{id}/accept");
    let accept = async || world.post_with_key(&world.payee, &path, "yes", Some(&version), json!({})).await;
    let first = accept().await.success().unwrap();
    assert_eq!(status(&first), "refunded");
    assert_eq!(at(&first, ["/held", "/refunded", "/refund_request"]), [json!(0), json!(100_000), Value::Null]);
    // The wish is over and not to be found any more; the same key has its answer all the same.
    let again = accept().await.success().unwrap();
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    let mismatch = world.post_with_key(&world.payee, &path, "yes", Some(&version), json!({ "a": 1 })).await;
    assert_eq!(mismatch.status, 422);
    world.refused(404, "not_found", answer(&world, &contract, &id, "accept")).await;
    let booking = [("D", "2100", 100_000), ("D", "2300", 5000), ("C", "2260", 105_000)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));

    let refund = now(&world, &world.client, &format!("/v1/refunds/{id}")).await;
    assert!(["requested", "submitted", "succeeded"].contains(&status(&refund)), "{}", refund.body);
    assert_eq!(
        at(&refund, ["/amount", "/way", "/contract_id"]),
        [json!(105_000), json!("provider"), json!(contract.id)]
    );
    assert!(refund.body["charge"].as_str().unwrap().starts_with("ch_"));
    // By which way money goes back is none of the payee's business.
    world.refused(404, "not_found", world.get(&world.payee, &format!("/v1/refunds/{id}"))).await;
    let page = now(&world, &world.payee, &contract.at("/timeline?limit=500")).await;
    let events = page.body["data"].as_array().unwrap();
    assert!(events.iter().any(|event| event["type"] == "escrow.refund_initiated" && event["data"]["parts"].is_null()));
    assert!(!events.iter().any(|event| event["type"].as_str().unwrap().starts_with("refund.")));
    world.close().await;
}

/// The payee says nothing for seven days: the wish counts as agreed, at its instant.
#[tokio::test]
async fn silence_agrees_to_a_refund() {
    let world = World::new().await;
    let contract = world.funded().await;
    wish(&world, &contract, json!({ "amount": 40_000 })).await;
    world.at(World::begin() + TimeDelta::days(7) - TimeDelta::seconds(1)).await;
    assert_eq!(status(&now(&world, &world.client, &contract.work("")).await), "refund_pending");
    reach(&world, World::begin() + TimeDelta::days(7), "milestone.refunded").await;
    let shown = now(&world, &world.client, &contract.work("")).await;
    assert_eq!(status(&shown), "funded");
    assert_eq!(at(&shown, ["/held", "/refunded"]), [json!(60_000), json!(40_000)]);
    let booking = [("D", "2100", 40_000), ("D", "2300", 2000), ("C", "2260", 42_000)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));
    world.close().await;
}

/// D-40: the payee does not agree: the milestone is in dispute, its money locked; no work is submitted meanwhile, and
/// nothing is approved or given back.
#[tokio::test]
async fn a_wish_that_is_rejected_is_a_dispute() {
    let world = World::new().await;
    let contract = world.funded().await;
    let (_, id) = wish(&world, &contract, json!({ "amount": 60_000 })).await;
    let rejected = answer(&world, &contract, &id, "reject").await.success().unwrap();
    assert_eq!(status(&rejected), "disputed");
    let dispute = rejected.body["dispute"].clone();
    assert_eq!(dispute["amount"], 100_000);
    let shown = now(&world, &world.client, &contract.at("")).await;
    assert_eq!(at(&shown, ["/escrow/held", "/escrow/disputed"]), [json!(0), json!(100_000)]);
    for (who, path) in [
        (&world.payee, "/submit"),
        (&world.client, "/approve"),
        (&world.client, "/refund-requests"),
        (&world.payee, "/grant-refund"),
    ] {
        let problem = world.refused(409, "milestone_disputed", world.act(who, contract.work(path), json!({}))).await;
        assert_eq!(problem.body["dispute_id"], dispute["id"], "{path}");
    }
    world.close().await;
}

/// D-73, J34: on terms by which the client's fee stays, 1,000.00 go back and 50.00 are earned.
#[tokio::test]
async fn the_clients_fee_stays_where_the_terms_say_so() {
    let world = World::new().await;
    let percent = |percent: &str| json!({ "kind": "percent", "percent": percent });
    let schedule = json!({
        "id": "keeps_fee", "version": 1, "client_fee": percent("5"), "payee_fee": percent("10"),
        "refund_client_fee": "none",
    });
    let milestones = json!([{ "amount": 100_000 }]);
    let contract = accepted_on(&world, milestones, json!({ "fee_schedule": schedule })).await;
    let shown = now(&world, &world.client, &contract.at("")).await;
    assert_eq!(at(&shown, ["/fees/schedule", "/fees/refund_client_fee"]), [json!("keeps_fee@1"), json!("none")]);
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    world.act(&world.payee, contract.work("/grant-refund"), json!({})).await.success().unwrap();
    let booking = [("D", "2100", 100_000), ("D", "2300", 5000), ("C", "2260", 100_000), ("C", "4110", 5000)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));
    let refunds = now(&world, &world.client, "/v1/refunds").await;
    assert_eq!(at(&refunds, ["/data/0/amount", "/data/1"]), [json!(100_000), Value::Null]);
    world.close().await;
}

/// D-74, J32: a refund that had succeeded comes back: it is `failed`, and the client has 1,050.00 in the wallet.
#[tokio::test]
async fn a_refund_that_comes_back_is_in_the_wallet() {
    let world = World::new().await;
    let contract = world.funded().await;
    let (_, id) = wish(&world, &contract, json!({})).await;
    answer(&world, &contract, &id, "accept").await.success().unwrap();
    comes_back(&world, &id).await;
    let refund = now(&world, &world.client, &format!("/v1/refunds/{id}")).await;
    assert_eq!(status(&refund), "failed");
    assert_eq!(at(&refund, ["/way", "/failure_code"]), [json!("wallet"), json!("lost_or_stolen_card")]);
    let booking = [("D", "1120", 105_000), ("C", "2120", 105_000)];
    assert_eq!(lines(&world, "refund.failed").await, booked(&booking));
    let wallet = now(&world, &world.client, "/v1/wallets/me").await;
    let shown = at(&wallet, ["/data/0/balance", "/data/0/currency", "/data/0/decimal"]);
    assert_eq!(shown, [json!(105_000), json!("USD"), json!("1,050.00 USD")]);
    assert_eq!(now(&world, &world.payee, "/v1/wallets/me").await.body["data"], json!([]));
    let path = format!("/v1/refunds/{id}/redirect");
    let redirect = world.post(&world.client, &path, None, json!({}));
    assert_eq!(world.refused(409, "refund_wrong_state", redirect).await.body["state"], "failed");
    world.close().await;
}

/// D-75, D-77, J35: released and cleared, the payee gives 200.00 back: the client gets 210.00, the payee gives 180.00. More
/// than was released is refused.
#[tokio::test]
async fn the_payee_gives_back_what_was_released() {
    let world = World::new().await;
    let contract = world.released().await;
    world.at(World::begin() + TimeDelta::days(5)).await;
    let give = async |amount: i64| {
        let body = json!({ "milestone_id": contract.milestone, "amount": amount, "currency": "USD" });
        world.post(&world.payee, "/v1/refunds", None, body).await
    };
    let more = world.refused(422, "exceeds_released", give(100_001)).await;
    assert_eq!(more.body["released"], 100_000);
    let given = give(20_000).await.success().unwrap();
    assert_eq!(given.status, 201);
    assert_eq!(
        at(&given, ["/from_payee", "/payee_fee", "/client_fee", "/to_client"]),
        [json!(18_000), json!(2000), json!(1000), json!(21_000)]
    );
    let booking = [("D", "2210", 18_000), ("D", "4100", 2000), ("D", "4110", 1000), ("C", "2260", 21_000)];
    assert_eq!(lines(&world, "payee.payee_refund_granted").await, booked(&booking));
    let balance = now(&world, &world.payee, "/v1/balances/me").await;
    assert_eq!(at(&balance, ["/data/0/available", "/data/0/debt"]), [json!(72_000), json!(0)]);
    let refund = now(&world, &world.client, given.header("location").unwrap()).await;
    assert_eq!((&refund.body["amount"], &refund.body["id"]), (&json!(21_000), &given.body["id"]));
    let less = world.refused(422, "exceeds_released", give(80_001)).await;
    assert_eq!(less.body["released"], 80_000);
    let escrow = now(&world, &world.payee, &format!("/v1/escrows/{}", contract.id)).await;
    assert_eq!(at(&escrow, ["/given_back", "/milestones/0/given_back"]), [json!(20_000), json!(20_000)]);
    world.close().await;
}

/// D-78: 600.00 by one card and 400.00 by another, 500.00 released; of a refund of 450.00 the newer card gets 420.00 and
/// the older 52.50, each with its part of the fee.
#[tokio::test]
async fn a_refund_goes_back_to_each_card() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 60_000 }])).await;
    let pay = async |amount: i64, card: &str| {
        let body = funding_of(&contract, amount, card);
        world.post(&world.client, &contract.at("/fundings"), None, body).await.success().unwrap();
        world.settled().await;
    };
    pay(60_000, "pm_card_visa").await;
    let worth = json!({ "kind": "change_amount", "milestone_id": contract.milestone, "amount": 100_000 });
    let proposed = world.act(&world.client, contract.at("/amendments"), json!({ "changes": [worth] })).await;
    let accept = format!("/amendments/{}/accept", proposed.text("/amendment/id").unwrap());
    world.act(&world.payee, contract.at(&accept), json!({})).await.success().unwrap();
    pay(40_000, "pm_card_visa").await;
    let part = json!({ "amount": 50_000 });
    world.act(&world.client, contract.work("/approve-partial"), part).await.success().unwrap();
    let back = json!({ "amount": 45_000 });
    world.act(&world.payee, contract.work("/grant-refund"), back).await.success().unwrap();
    let refunds = now(&world, &world.client, "/v1/refunds").await;
    let of = |refund: &Value| (refund["amount"].as_i64().unwrap(), refund["funding_id"].as_str().unwrap().to_owned());
    let mut parts: Vec<_> = refunds.body["data"].as_array().unwrap().iter().map(of).collect();
    parts.sort();
    let amounts: Vec<_> = parts.iter().map(|(amount, _)| *amount).collect();
    assert_eq!(amounts, [5250, 42_000]);
    let charged = async |funding: &str| now(&world, &world.client, &format!("/v1/fundings/{funding}")).await;
    let fundings: [Answer; 2] = [charged(&parts[0].1).await, charged(&parts[1].1).await];
    assert_eq!(fundings.map(|funding| funding.body["amount"].clone()), [json!(63_000), json!(42_000)]);
    let first = now(&world, &world.client, "/v1/refunds?limit=1").await;
    let cursor = first.text("/next_cursor").unwrap();
    let second = now(&world, &world.client, &format!("/v1/refunds?limit=1&cursor={cursor}")).await;
    assert_eq!((first.body["data"].as_array().unwrap().len(), &second.body["next_cursor"]), (1, &Value::Null));
    assert_ne!(first.body["data"], second.body["data"]);
    assert_eq!(now(&world, &world.outsider, "/v1/refunds").await.body["data"], json!([]));
    assert_eq!(now(&world, &world.admin, "/v1/refunds").await.body["data"].as_array().unwrap().len(), 2);
    world.close().await;
}

/// D-155, D-156: what the payee gives back under one key is given once, also by two requests at once; the key belongs to
/// one amount.
#[tokio::test]
async fn what_is_given_back_twice_under_one_key_is_given_once() {
    let world = World::new().await;
    let contract = world.released().await;
    let give = |amount: i64| {
        let body = json!({ "milestone_id": contract.milestone, "amount": amount });
        world.post_with_key(&world.payee, "/v1/refunds", "K", None, body)
    };
    let (one, two) = tokio::join!(give(20_000), give(20_000));
    for answer in [one, two] {
        let busy = answer.status == 409 && answer.body["code"] == "idempotency_in_progress";
        assert!(busy && answer.header("retry-after").is_some() || answer.status == 201, "{}", answer.body);
    }
    let again = give(20_000).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, Some("true")));
    world.refused(422, "idempotency_mismatch", give(99_900)).await;
    assert_eq!(world.count("escrow.release_returned").await, 1);
    world.close().await;
}
