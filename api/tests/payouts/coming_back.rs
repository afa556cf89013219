//! Payouts that arrive, fail, come back; accounts that end.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::{World, books};
use super::{
    after, at_provider, balance, earned, helped, now, of_payee, onboarded, payout, provider_balance, psp_account, put,
    request, requested, requirements,
};

/// The books of D-118, and with 900.00 at the payee's account at the provider.
const PAID: [(&str, i128); 4] = [("1120", 11_925), ("5100", 3075), ("4100", -10_000), ("4110", -5000)];

/// PM11, D-118, D-122, D-133, J20, J21, J22, J24, J25: a payee is led to the provider, gives what is demanded by one click,
/// and is paid; the bank returns the payout three days later; the provider closes the account, the money comes back to the
/// platform, and goes by another way, whose owner then takes it away.
#[tokio::test]
async fn a_payee_is_onboarded_paid_returned_and_closed() {
    let world = World::without_account().await;
    click_through_onboarding(&world).await;
    earned(&world).await;

    // D-118.
    let id = requested(&world, 90_000).await;
    assert_eq!(balance(&world).await, [0, 90_000, 0]);
    after(&world, TimeDelta::days(2)).await;
    assert_eq!(payout(&world, &id).await["status"], "paid");
    assert_eq!(world.books().await, books(&PAID));

    // D-122: paid is not final.
    after(&world, TimeDelta::days(3)).await;
    let account = psp_account(&world).await;
    helped(&world, "payout-return", json!({ "payout_id": id, "code": "account_closed" })).await;
    let shown = payout(&world, &id).await;
    assert_eq!([&shown["status"], &shown["failure_code"]], ["returned", "account_closed"]);
    assert_eq!(balance(&world).await, [90_000, 0, 0]);
    let lies_there = [PAID.as_slice(), &[("1130", 90_000), ("2210", -90_000)]].concat();
    assert_eq!(world.books().await, books(&lies_there));
    assert_eq!(provider_balance(&world, &account).await, 90_000, "it lies there at the provider, too");

    // D-133: the provider closes its account.
    helped(&world, "account-close", json!({ "party_id": world.payee.party_id })).await;
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let ended = events.iter().find(|event| event.r#type == "party.psp_account_ended").unwrap();
    assert_eq!(ended.data["end"], "closed");
    let counts = [world.count("party.psp_account_ended").await, world.count("payout.transfer_reversed").await];
    assert_eq!(counts, [1, 1]);
    let back = [("1120", 101_925), ("2210", -90_000), ("5100", 3075), ("4100", -10_000), ("4110", -5000)];
    assert_eq!(world.books().await, books(&back));
    assert_eq!(balance(&world).await, [90_000, 0, 0], "the payable stays");
    assert_eq!(requirements(&world).await["status"], "no_account");
    world.refused(422, "payout_account_required", request(&world, 90_000)).await;

    // Another way is offered, after a while.
    let other = world.server.sandbox_account("US").await.unwrap();
    let link = json!({ "psp_account": other });
    world.post(&world.payee, &of_payee(&world, "/payout-account"), None, link).await.success().unwrap();
    world.refused(409, "destination_cooling", request(&world, 90_000)).await;
    after(&world, TimeDelta::hours(72)).await;
    let again = world.post(&world.payee, &format!("/v1/payouts/{id}/retry"), None, json!({})).await.success().unwrap();
    after(&world, TimeDelta::days(2)).await;
    assert_eq!(payout(&world, &again.text("/id").unwrap()).await["status"], "paid");
    assert_eq!(world.books().await, books(&PAID));

    // Nothing lies at the account that is taken away.
    helped(&world, "account-deauthorize", json!({ "party_id": world.payee.party_id })).await;
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let ended = events.iter().rfind(|event| event.r#type == "party.psp_account_ended").unwrap();
    assert_eq!(ended.data["end"], "deauthorized");
    assert_eq!(world.books().await, books(&PAID));
    world.close().await;
}

/// An account is made, everything is demanded of it, and given on the provider's own page, which is shown once.
async fn click_through_onboarding(world: &World) {
    assert_eq!(requirements(world).await["status"], "no_account");
    world.refused(422, "payout_account_required", request(world, 1)).await;
    let wish = json!({ "country": "US" });
    world.post(&world.payee, &of_payee(world, "/payout-account"), None, wish.clone()).await.success().unwrap();
    world.settled().await;
    let path = of_payee(world, "/payout-account");
    let again = world.post(&world.payee, &path, None, wish);
    world.refused(409, "payout_account_exists", again).await;
    let shown = requirements(world).await;
    assert_eq!((&shown["status"], &shown["restrictions"]), (&json!("incomplete"), &json!(["requirements"])));
    assert!(shown["past_due"].as_array().unwrap().contains(&json!("external_account")));
    let account = shown["psp_account"].as_str().unwrap();
    let made = at_provider(world, &format!("/v1/accounts/{account}"), None).await;
    assert_eq!(made["settings"]["payouts"]["schedule"]["interval"], "manual", "only the engine pays out");
    assert_eq!(made["metadata"]["party_id"], json!(world.payee.party_id));

    let path = of_payee(world, "/onboarding-links");
    // Whoever is asked has it made: no worker of this process or of another.
    let outbox = &world.server.app().outbox;
    outbox.pause().await.unwrap();
    let link = world.post_with_key(&world.payee, &path, "link", None, json!({})).await.success().unwrap();
    let url = link.text("/url").unwrap();
    outbox.resume().await.unwrap();
    let repeated = world.post_with_key(&world.payee, &path, "link", None, json!({})).await.success().unwrap();
    assert_eq!((&repeated.body["id"], &repeated.body["url"]), (&link.body["id"], &Value::Null), "shown once");
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let token = url.rsplit('/').next().unwrap();
    assert!(!serde_json::to_string(&events).unwrap().contains(token), "it is stored nowhere");

    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = browser.get(&url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<button>"));
    let click = || browser.post(&url).form(&[("account_number", "000123456789")]).send();
    let clicked = click().await.unwrap();
    assert_eq!(clicked.status(), 303);
    assert!(clicked.headers().contains_key("location"), "back to the platform");
    assert_eq!(click().await.unwrap().status(), 410);
    assert_eq!(browser.get(&url).send().await.unwrap().status(), 410);
    world.settled().await;
    let shown = requirements(world).await;
    assert_eq!(
        (&shown["status"], &shown["restrictions"], &shown["past_due"]),
        (&json!("in_order"), &json!([]), &json!([]))
    );
    assert_eq!(
        (&shown["destinations"][0]["currency"], &shown["destinations"][0]["available_at"]),
        (&json!("USD"), &Value::Null)
    );
}

/// D-119, D-120, D-124, J23: a payout to a closed bank account fails; the money stays at the provider, the payee is told
/// what to do; another bank account is used after 72 hours, and nothing is transferred a second time.
#[tokio::test]
async fn a_payout_to_a_closed_bank_account_is_made_again() {
    let world = World::without_account().await;
    onboarded(&world, "000111111113").await;
    earned(&world).await;
    let id = requested(&world, 90_000).await;
    after(&world, TimeDelta::days(2)).await;

    // D-119.
    let shown = payout(&world, &id).await;
    let told = [&shown["status"], &shown["failure_code"], &shown["next_action"]];
    assert_eq!(told, ["failed", "account_closed", "add_bank_account"]);
    assert_eq!(balance(&world).await, [90_000, 0, 0]);
    assert_eq!(world.books().await["1130"], 90_000);
    let blocked = requirements(&world).await["destinations"][0].clone();
    assert_eq!([&blocked["blocked"], &blocked["next_action"]], ["account_closed", "add_bank_account"]);
    let refused = world.refused(409, "destination_blocked", request(&world, 90_000)).await;
    assert_eq!(refused.body["failure_code"], "account_closed");

    // The provider knows no such bank account: the payee is told, and tries anew.
    let path = of_payee(&world, "/payout-destinations/USD");
    let version = world.version(&world.payee, &of_payee(&world, "/requirements")).await;
    let token = json!({ "bank_account_token": "btok_unknown" });
    put(&world, &world.payee, &path, Some(&version), token).await.success().unwrap();
    world.settled().await;
    let told = requirements(&world).await["destinations"][0].clone();
    assert_eq!([&told["refused"], &told["next_action"]], ["resource_missing", "add_bank_account"]);
    assert_eq!(told["fingerprint"], blocked["fingerprint"], "the one before stays");
    let outbox = &world.server.app().outbox;
    assert_eq!(outbox.list(Some("blocked"), 10).await.unwrap(), [], "no operator has to look");

    // D-124: another bank account, ten hours ago.
    let version = world.version(&world.payee, &of_payee(&world, "/requirements")).await;
    let token = json!({ "bank_account_token": "btok_us_verified" });
    put(&world, &world.payee, &path, Some(&version), token).await.success().unwrap();
    world.settled().await;
    assert_eq!(requirements(&world).await["destinations"][0]["refused"], json!(null));
    let changed = world.server.app().engine.now().await.unwrap();
    after(&world, TimeDelta::hours(10)).await;
    let refused = world.refused(409, "destination_cooling", request(&world, 90_000)).await;
    let available_at = changed + TimeDelta::hours(72);
    let told: chrono::DateTime<chrono::Utc> = refused.body["available_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(told, available_at);

    // D-120: transfer 0.
    world.at(available_at).await;
    let again = world.post(&world.payee, &format!("/v1/payouts/{id}/retry"), None, json!({})).await.success().unwrap();
    after(&world, TimeDelta::days(2)).await;
    assert_eq!(payout(&world, &again.text("/id").unwrap()).await["status"], "paid");
    assert_eq!(payout(&world, &id).await["status"], "failed", "it stays failed");
    let transfers = at_provider(&world, "/v1/transfers", None).await["data"].clone();
    let amounts: Vec<_> = transfers.as_array().unwrap().iter().map(|transfer| transfer["amount"].clone()).collect();
    assert_eq!(amounts, [json!(90_000)], "once");
    assert_eq!(world.books().await, books(&PAID));
    let path = format!("/v1/payouts/{}/retry", again.text("/id").unwrap());
    let again = world.post(&world.payee, &path, None, json!({}));
    world.refused(409, "payout_wrong_state", again).await;
    assert_eq!(now(&world, &world.payee, "/v1/payouts").await.body["data"].as_array().unwrap().len(), 2);
    world.close().await;
}
