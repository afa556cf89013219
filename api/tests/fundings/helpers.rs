//! The test helpers themselves: who may use them, where, and with what.

use std::net::SocketAddr;

use adapters::stripe::Secret;
use api::caller::Role;
use api::cli::operator::make_token;
use api::cli::story::ApiClient;
use api::server::{ProviderConfig, Server, ServerConfig};
use domain::actor::StaffRole;
use serde_json::json;

use super::support::World;
use super::{ask, pay};

/// What a helper does not take, needs, or cannot mean is refused with a pointer, and nothing is done.
#[tokio::test]
async fn a_helper_refuses_what_it_does_not_take() {
    let world = World::new().await;
    let wrong = [
        ("succeed", json!({}), "/funding_id"),
        ("succeed", json!({ "funding_id": "nobody" }), "/funding_id"),
        ("succeed", json!({ "funding_id": "fnd_00000000000000000000000000", "code": "x" }), "/code"),
        ("duplicate", json!({ "copies": 65 }), "/copies"),
        ("duplicate", json!({ "times": 0 }), "/times"),
        ("reorder", json!({ "call": "refund" }), "/call"),
        ("delay", json!({ "event": "payout.paid" }), "/seconds"),
        ("delay", json!({ "seconds": 2_592_001 }), "/seconds"),
        ("drop", json!({ "seconds": 1 }), "/seconds"),
        ("flush", json!({ "times": 1 }), "/times"),
        ("time-out", json!({ "times": 1 }), "/call"),
        ("fail", json!({ "call": "refund", "event": "*" }), "/event"),
        ("rate-limit", json!({ "call": "refund", "seconds": 0 }), "/seconds"),
        ("low-balance", json!({}), "/call"),
        ("capture-other", json!({}), "/amount"),
        ("capture-other", json!({ "amount": 0 }), "/amount"),
        ("capture-other", json!({ "currency": "usd" }), "/currency"),
        ("late-receipt", json!({}), "/seconds"),
        ("prune-keys", json!({ "amount": 1 }), "/amount"),
        ("clear", json!({ "code": "x" }), "/code"),
    ];
    for (helper, body, pointer) in wrong {
        let problem = world.refused(422, "validation_failed", ask(&world, helper, body.clone())).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{helper} {body}");
    }
    let large = json!({ "amount": 9_007_199_254_740_991_i64 });
    world.refused(422, "amount_too_large", ask(&world, "capture-other", large)).await;
    for body in [json!({ "call": "collect" }), json!({ "nothing": 1 })] {
        world.refused(422, "validation_failed", ask(&world, "fail", body)).await;
    }
    world.refused(404, "not_found", ask(&world, "explode", json!({}))).await;
    let nobody = json!({ "funding_id": "fnd_00000000000000000000000000" });
    world.refused(404, "not_found", ask(&world, "succeed", nobody)).await;
    world.close().await;
}

/// Only an admin plays with the provider, and only where no real money moves: elsewhere there is no such route.
#[tokio::test]
async fn only_an_admin_in_test_mode_has_helpers() {
    let world = World::new().await;
    let path = "/v1/test_helpers/psp/clear";
    let auditor = make_token(&world.server.app().engine, Role::Staff(StaffRole::Auditor), None, None, None).await;
    for who in [&world.client, &world.payee, &auditor.unwrap()] {
        world.refused(403, "forbidden", world.post(who, path, None, json!({}))).await;
    }
    // Nobody waits: a payment that succeeded is not answered a second time.
    let contract = world.accepted().await;
    let funding = pay(&world, &contract, "pm_card_visa").await;
    for helper in ["succeed", "decline"] {
        world.refused(409, "funding_wrong_state", ask(&world, helper, json!({ "funding_id": funding }))).await;
    }
    let waiting = world.accepted().await;
    let waiting = pay(&world, &waiting, "pm_card_authenticationRequired").await;
    let unknown = json!({ "funding_id": waiting, "code": "bad_mood" });
    let problem = world.refused(422, "validation_failed", ask(&world, "decline", unknown)).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/code");
    world.settled().await;
    a_key_is_heeded(&world, &waiting).await;

    let live = Server::start(ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: world.database.app_options.clone(),
        tenant: "main".parse().unwrap(),
        test_clock: None,
        provider: ProviderConfig::Remote {
            onboarding_return_url: None,
            // Nobody is there: nothing is to be asked of it.
            base_url: Some("https://127.0.0.1:9".to_owned()),
            secret_key: Secret::new("sk_live_nobody"),
            webhook_secrets: Vec::new(),
            connect_webhook_secrets: Vec::new(),
        },
        allow_owner: false,
    })
    .await
    .unwrap();
    let answer = ApiClient::new(live.base_url())
        .post(path, &world.admin.token, &[("Idempotency-Key", "live")], &json!({}))
        .await
        .unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("not_found")));
    live.shutdown().await;
    world.close().await;
}

/// A helper that is asked for twice with one key does it once; what was refused is judged anew.
async fn a_key_is_heeded(world: &World, waiting: &str) {
    let path = "/v1/test_helpers/psp/succeed";
    let with_key = |key, body| world.post_with_key(&world.admin, path, key, None, body);
    let nothing = json!({});
    let without = async { world.api.post(path, &world.admin.token, &[], &nothing).await.unwrap() };
    world.refused(400, "idempotency_key_required", without).await;
    world.refused(422, "validation_failed", with_key("once", json!({}))).await;
    let first = with_key("once", json!({ "funding_id": waiting })).await.success().unwrap();
    world.settled().await;
    let again = with_key("once", json!({ "funding_id": waiting })).await.success().unwrap();
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    world.refused(422, "idempotency_mismatch", with_key("once", json!({ "funding_id": "fnd_1" }))).await;
    world.refused(409, "funding_wrong_state", with_key("twice", json!({ "funding_id": waiting }))).await;
}
