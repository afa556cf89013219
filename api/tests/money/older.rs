//! Routes under older or shorter names: they do the same.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::{Contract, World};
use super::{at, now, second, status};

fn payments(contract: &Contract) -> String {
    format!("/api/v1/contracts/{}/payments", contract.id)
}

/// D-170: the older route pays what is missing for a milestone, answers with the funding, and names the newer route.
#[tokio::test]
async fn the_older_route_pays_for_a_milestone() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    let body = json!({ "milestone_id": contract.milestone, "payment_method": "pm_card_visa" });
    let paid = world.post_with_key(&world.client, &payments(&contract), "K", None, body.clone()).await;
    let paid = paid.success().unwrap();
    assert_eq!((paid.status.as_u16(), status(&paid), &paid.body["amount"]), (201, "created", &json!(105_000)));
    let link = format!("</v1/contracts/{}/fundings>; rel=\"successor-version\"", contract.id);
    assert_eq!(paid.header("link"), Some(link.as_str()));
    world.settled().await;
    // Nothing is missing any more, and still the same key has the same answer.
    let again = world.post_with_key(&world.client, &payments(&contract), "K", None, body.clone()).await;
    assert_eq!((again.header("idempotent-replayed"), again.header("link")), (Some("true"), Some(link.as_str())));
    assert_eq!(again.body, paid.body);
    let shown = now(&world, &world.client, paid.header("location").unwrap()).await;
    assert_eq!(at(&shown, ["/id", "/allocations"]), [paid.body["id"].clone(), paid.body["allocations"].clone()]);
    world.refused(409, "milestone_wrong_state", world.post(&world.client, &payments(&contract), None, body)).await;

    let all = json!({ "final": true, "payment_method": "pm_card_visa" });
    let rest = world.post(&world.client, &payments(&contract), None, all.clone()).await.success().unwrap();
    let other = second(&world, &contract).await;
    assert_eq!(
        at(&rest, ["/allocations/0/milestone_id", "/allocations/0/amount", "/allocations/1"]),
        [json!(other.milestone), json!(50_000), Value::Null]
    );
    world.settled().await;
    let problem =
        world.refused(422, "validation_failed", world.post(&world.client, &payments(&contract), None, all)).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/final");
    world.close().await;
}

/// D-170: without a key the same request pays once within ten minutes of the clock; another body, or another caller, is
/// another request.
#[tokio::test]
async fn the_older_route_makes_its_own_key() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let pay = async |token: &str, body: &Value| world.api.post(&payments(&contract), token, &[], body).await.unwrap();
    let body = json!({ "milestone_id": contract.milestone, "payment_method": "pm_card_authenticationRequired" });
    let first = pay(&world.client.token, &body).await.success().unwrap();
    let again = pay(&world.client.token, &body).await.success().unwrap();
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(world.count("funding.created").await, 1);
    world.settled().await;
    world.refused(404, "not_found", pay(&world.outsider.token, &body)).await;
    world.refused(403, "forbidden", pay(&world.payee.token, &body)).await;
    let card = json!({ "milestone_id": contract.milestone, "payment_method": "pm_card_visa" });
    world.refused(409, "milestone_wrong_state", pay(&world.client.token, &card)).await;
    world.at(World::begin() + TimeDelta::minutes(10)).await;
    world.refused(409, "milestone_wrong_state", pay(&world.client.token, &body)).await;
    world.close().await;
}

/// D-170, D-173: exactly one way of saying what is paid for.
#[tokio::test]
async fn the_older_route_says_what_is_wrong() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let other = world.accepted().await;
    let listed = json!([{ "milestone_id": contract.milestone, "amount": 100_000 }]);
    let cases = [
        (json!({ "payment_method": "pm_card_visa" }), "/milestone_id"),
        (json!({ "milestone_id": contract.milestone, "final": true, "payment_method": "p" }), "/milestone_id"),
        (json!({ "final": true, "allocations": listed, "payment_method": "p" }), "/milestone_id"),
        (json!({ "milestone_id": other.milestone, "payment_method": "p" }), "/milestone_id"),
        (json!({ "milestone_id": "mst_1", "payment_method": "p" }), "/milestone_id"),
        (json!({ "final": true }), "/payment_method"),
        (json!({ "final": true, "payment_method": "4242424242424242" }), "/payment_method"),
        (json!({ "final": true, "paid_from": "wallet", "payment_method": "p" }), "/payment_method"),
        (json!({ "final": true, "currency": "usd", "payment_method": "p" }), "/currency"),
    ];
    for (body, pointer) in cases {
        let path = payments(&contract);
        let problem = world.refused(422, "validation_failed", world.post(&world.client, &path, None, body)).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{}", problem.body);
    }
    let euros = json!({ "final": true, "currency": "EUR", "payment_method": "pm_card_visa" });
    world.refused(422, "currency_mismatch", world.post(&world.client, &payments(&contract), None, euros)).await;
    let body = json!({ "allocations": listed, "payment_method": "pm_card_visa" });
    let paid = world.post(&world.client, &payments(&contract), None, body).await.success().unwrap();
    assert_eq!(paid.body["allocations"][0]["amount"], 100_000);
    world.close().await;
}

/// An amendment is answered by its own id, under the contract's version; a repeat has its answer, a stranger finds
/// nothing.
#[tokio::test]
async fn an_amendment_is_answered_by_its_id() {
    let world = World::new().await;
    let contract = world.funded().await;
    let propose = async || {
        let raise = json!({ "changes": [
            { "kind": "change_amount", "milestone_id": contract.milestone, "amount": 120_000 },
        ]});
        let proposed = world.act(&world.client, contract.at("/amendments"), raise).await.success().unwrap();
        (proposed.text("/amendment/id").unwrap(), world.version(&world.payee, &contract.at("")).await)
    };
    let (id, version) = propose().await;
    let path = |verb: &str, id: &str| format!("/v1/amendments/{id}/{verb}");
    for verb in ["accept", "reject"] {
        let path = path(verb, &id);
        world.refused(404, "not_found", world.post(&world.outsider, &path, Some(&version), json!({}))).await;
        let bare = async { world.api.post(&path, &world.payee.token, &[], &json!({})).await.unwrap() };
        world.refused(400, "idempotency_key_required", bare).await;
        world.refused(428, "precondition_required", world.post(&world.payee, &path, None, json!({}))).await;
        world.refused(412, "version_mismatch", world.post(&world.payee, &path, Some("\"1\""), json!({}))).await;
    }
    world.refused(403, "forbidden", world.post(&world.client, &path("accept", &id), Some(&version), json!({}))).await;
    let rejected = world.post(&world.payee, &path("reject", &id), Some(&version), json!({})).await.success().unwrap();
    assert_eq!(at(&rejected, ["/amendment", "/amount"]), [Value::Null, json!(100_000)]);
    let (id, version) = propose().await;
    let accept =
        async || world.post_with_key(&world.payee, &path("accept", &id), "yes", Some(&version), json!({})).await;
    let first = accept().await.success().unwrap();
    assert_eq!(first.body["amount"], 120_000);
    let again = accept().await.success().unwrap();
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    world.refused(404, "not_found", world.post(&world.payee, &path("accept", &id), Some(&version), json!({}))).await;
    world.close().await;
}
