//! Accounts at the provider that are there already: linked with their state, or refused; and what is no proof of their end.

use adapters::postgres::task;
use api::caller::Role;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::support::World;
use super::waiting::until;
use super::{ask_provider, helped, of_payee, requirements};

/// An account as the provider makes it, for the party that its metadata names.
async fn account_named(world: &World, party: &str) -> String {
    let fields = [("type", "express"), ("country", "GB"), ("metadata[party_id]", party)];
    let made: Value = ask_provider(world, "/v1/accounts", &fields).await.json().await.unwrap();
    made["id"].as_str().unwrap().to_owned()
}

/// PM11: an account that is there is linked with what the provider says of it, in one commit. One that is nobody's, another
/// party's or gone is refused, and so is one that the provider does not tell of.
#[tokio::test]
async fn an_account_is_linked_with_its_state_or_refused() {
    let world = World::without_account().await;
    let path = of_payee(&world, "/payout-account");
    let link = |account: &str| world.post(&world.payee, &path, None, json!({ "psp_account": account }));
    let others = account_named(&world, "pty_00000000000000000000000001").await;
    let gone = account_named(&world, &world.payee.party_id.to_string()).await;
    let left = ask_provider(&world, &format!("/_sandbox/accounts/{gone}/close"), &[]).await;
    assert!(left.status().is_success());
    for account in ["acct_unknown", &others, &gone] {
        let refused = world.refused(422, "payout_account_unknown", link(account)).await;
        assert_eq!(refused.body["errors"][0]["pointer"], "/psp_account", "{account}");
    }
    let own = account_named(&world, &world.payee.party_id.to_string()).await;
    world.sandbox(json!([{ "on": "GET /v1/accounts/{id}", "action": "error_500" }])).await;
    world.refused(503, "psp_unavailable", link(&own)).await;
    assert_eq!(requirements(&world).await["status"], "no_account");
    let as_client = world.post(&world.client, &path, None, json!({ "psp_account": own }));
    world.refused(403, "forbidden", as_client).await;
    let stranger = world.other_role(&world.outsider, Role::Payee).await;
    let as_stranger = world.post(&stranger, &path, None, json!({ "psp_account": own }));
    world.refused(404, "not_found", as_stranger).await;

    let key = "link-it";
    let body = json!({ "psp_account": own });
    let linked = world.post_with_key(&world.payee, &path, key, None, body.clone()).await.success().unwrap();
    assert_eq!(linked.body["psp_account"], json!(own));
    let shown = requirements(&world).await;
    let told = [&shown["status"], &shown["country"], &shown["default_currency"]];
    assert_eq!(told, [&json!("in_order"), &json!("GB"), &json!("GBP")], "known at once");
    assert_eq!(shown["destinations"][0]["currency"], "GBP");
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let of = |name: &str| events.iter().find(|event| event.r#type == name).unwrap().correlation_id.clone();
    assert_eq!(of("party.psp_account_linked"), of("party.psp_requirements_changed"), "one commit");

    // A repeat asks nobody.
    world.sandbox(json!([{ "on": "GET /v1/accounts/{id}", "action": "error_500" }])).await;
    let repeated = world.post_with_key(&world.payee, &path, key, None, body).await.success().unwrap();
    assert_eq!(repeated.body, linked.body);

    ends_only_by_proof(&world).await;
    world.close().await;
}

/// With the key of another platform every account is out of sight: none of them has ended.
#[tokio::test]
async fn the_key_of_another_platform_ends_nobodys_account() {
    let world = World::without_account().await;
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    // As if this database had been used with another platform before.
    sqlx::query("update main.outbox_control set platform = 'acct_other'").execute(&mut owner).await.unwrap();
    let own = account_named(&world, &world.payee.party_id.to_string()).await;
    let link = json!({ "psp_account": own });
    world.post(&world.payee, &of_payee(&world, "/payout-account"), None, link).await.success().unwrap();
    let path = "/v1/test_helpers/psp/account-close";
    world.post(&world.admin, path, None, json!({ "party_id": world.payee.party_id })).await.success().unwrap();
    let told = async || {
        let tasks = task::list(world.server.app().pool(), 10).await.unwrap();
        tasks.into_iter().find(|task| task.kind == task::PSP_KEY)
    };
    until("somebody is told", async || told().await.is_some()).await;
    assert!(told().await.unwrap().detail.contains("another platform"));
    assert_eq!(world.count("party.psp_account_ended").await, 0);
    // Not closed: with that key no notice about the account is ever worked off, and no money has moved.
}

/// A notice about an account while our key is not taken ends nobody's account: it is asked again, and somebody is told.
async fn ends_only_by_proof(world: &World) {
    let open = async || {
        let tasks = task::list(world.server.app().pool(), 10).await.unwrap();
        tasks.into_iter().any(|task| task.kind == task::PSP_KEY)
    };
    let fault = |path: &str| json!([{ "on": path, "action": "key_refused", "times": 1000 }]);
    in_order_again(world).await;
    world.sandbox(fault("GET /v1/accounts/{id}")).await;
    let path = "/v1/test_helpers/psp/account-restrict";
    let demand = json!({ "party_id": world.payee.party_id, "currently_due": ["external_account"] });
    world.post(&world.admin, path, None, demand).await.success().unwrap();
    until("somebody is told", async || open().await).await;
    assert_eq!(world.count("party.psp_account_ended").await, 0);
    assert_eq!(requirements(world).await["status"], "in_order", "nothing new is known");
    in_order_again(world).await;
    until("it is asked again", async || requirements(world).await["status"] == "incomplete").await;
    until("the task is closed", async || !open().await).await;

    // Closed, but the platform's own key is not taken: that is no proof.
    world.sandbox(fault("GET /v1/account")).await;
    let path = "/v1/test_helpers/psp/account-close";
    world.post(&world.admin, path, None, json!({ "party_id": world.payee.party_id })).await.success().unwrap();
    until("somebody is told", async || open().await).await;
    assert_eq!(world.count("party.psp_account_ended").await, 0);
    in_order_again(world).await;
    until("it has ended", async || world.count("party.psp_account_ended").await == 1).await;
}

/// The provider works well again.
async fn in_order_again(world: &World) {
    helped(world, "clear", json!({})).await;
}
