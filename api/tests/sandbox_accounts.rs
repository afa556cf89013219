//! The sandbox's connected accounts: onboarding, bank accounts, what comes back from them, payouts that fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sandbox_support;

use sandbox_support::*;
use serde_json::{Value, json};

const LINK: [(&str, &str); 3] = [
    ("type", "account_onboarding"),
    ("refresh_url", "https://example.com/again"),
    ("return_url", "https://example.com/done"),
];

/// An account that has to be onboarded.
async fn unfinished(client: &Client) -> String {
    let fields = [("controller[stripe_dashboard][type]", "none"), ("capabilities[transfers][requested]", "true")];
    id(&client.post("v1/accounts", &fields).await.ok()).to_owned()
}

/// 1,019.25 are available to the platform.
async fn with_funds(client: &Client) {
    let card = [("payment_method", "pm_card_bypassPending"), ("confirm", "true"), ("capture_method", "automatic")];
    let fields = [[("amount", "105000"), ("currency", "usd")].as_slice(), &card].concat();
    client.post("v1/payment_intents", &fields).await.ok();
}

async fn transfer(client: &Client, account: &str) -> Reply {
    client.post("v1/transfers", &[("amount", "90000"), ("currency", "usd"), ("destination", account)]).await
}

async fn pay(client: &Client, account: &str) -> Reply {
    client.on(account).post("v1/payouts", &[("amount", "90000"), ("currency", "usd")]).await
}

/// What the entries of an account add up to is its balance.
async fn is_sum_of_entries(client: &Client) {
    let list = client.get("v1/balance_transactions?limit=100").await.ok();
    let sum: i64 = list["data"].as_array().unwrap().iter().map(|entry| entry["net"].as_i64().unwrap()).sum();
    let (available, pending) = client.balance().await;
    assert_eq!(sum, available + pending);
}

/// An account that asks for capabilities can do nothing before everything is given; its link is a key that is used once.
#[tokio::test]
async fn an_account_is_onboarded_by_its_link() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let account = unfinished(&client).await;
    let shown = client.get(&format!("v1/accounts/{account}")).await.ok();
    shapes.check(&shown);
    let able = [&shown["payouts_enabled"], &shown["details_submitted"], &shown["charges_enabled"]];
    assert_eq!(able, [false, false, false]);
    assert_eq!(shown["capabilities"]["transfers"], "inactive");
    assert_eq!(shown["settings"]["payouts"]["schedule"]["interval"], "daily", "Stripe's own default");
    with_funds(&client).await;
    assert_eq!(transfer(&client, &account).await.code(), (400, "insufficient_capabilities_for_transfer".to_owned()));
    assert_eq!(pay(&client, &account).await.code(), (400, "payouts_not_allowed".to_owned()));

    let link = client.post("v1/account_links", &[LINK.as_slice(), &[("account", &account)]].concat()).await.ok();
    shapes.check(&link);
    let url = link["url"].as_str().unwrap();
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    assert_eq!(browser.get(url).send().await.unwrap().status(), 200, "without a key");
    let clicked = browser.post(url).form(&[("account_number", "000111111116")]).send().await.unwrap();
    assert_eq!(
        (clicked.status().as_u16(), clicked.headers()["location"].to_str().unwrap()),
        (303, "https://example.com/done")
    );
    assert_eq!(browser.post(url).send().await.unwrap().status(), 410);
    let expired = client.post("v1/account_links", &[LINK.as_slice(), &[("account", &account)]].concat()).await.ok();
    client.clock("2026-12-01T10:05:00Z").await;
    assert_eq!(browser.get(expired["url"].as_str().unwrap()).send().await.unwrap().status(), 410);
    let unknown = format!("{}_sandbox/onboarding/nothing", client.base);
    assert_eq!(browser.post(unknown).send().await.unwrap().status(), 410);

    let shown = client.get(&format!("v1/accounts/{account}")).await.ok();
    shapes.check(&shown);
    assert_eq!((&shown["payouts_enabled"], &shown["requirements"]["past_due"]), (&json!(true), &json!([])));
    assert_eq!(shown["external_accounts"]["data"][0]["last4"], "1116");
    assert_eq!(client.on(&account).event_types().await, ["account.external_account.created", "account.updated"]);
    for (fields, param) in [
        (vec![("account", account.as_str())], "type"),
        ([LINK.as_slice(), &[("account", &account), ("type", "gold")]].concat(), "type"),
        ([&LINK[..2], &[("account", &account)]].concat(), "return_url"),
        ([&LINK[..2], &[("account", &account), ("return_url", "nowhere")]].concat(), "return_url"),
    ] {
        let (status, error) = client.post("v1/account_links", &fields).await.error();
        assert_eq!((status, error["param"].as_str()), (400, Some(param)), "{fields:?}");
    }
}

/// Bank accounts are named by themselves or by a token of use once; the default of a currency replaces the former one; a
/// bank account that does not take payouts gives them back, and is errored.
#[tokio::test]
async fn payouts_go_where_the_bank_account_says() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let account = client.account().await;
    with_funds(&client).await;
    transfer(&client, &account).await.ok();
    let path = format!("v1/accounts/{account}/external_accounts");
    let bank = [
        ("bank_account[country]", "US"),
        ("bank_account[currency]", "usd"),
        ("bank_account[account_number]", "000111111113"),
    ];
    let token = client.post("v1/tokens", &bank).await.ok();
    let by_token = [("external_account", id(&token)), ("default_for_currency", "true")];
    let added = client.post(&path, &by_token).await.ok();
    shapes.check(&added);
    assert_eq!((&added["last4"], &added["default_for_currency"]), (&json!("1113"), &json!(true)));
    assert_eq!(client.post(&path, &by_token).await.code(), (400, "token_already_used".to_owned()));
    assert_eq!(client.get(&path).await.ok()["data"].as_array().unwrap().len(), 1, "the former one is replaced");
    for (number, code) in [("12", "account_number_invalid"), ("DE89 3704", "account_number_invalid")] {
        let bank = [bank[0], bank[1], ("bank_account[account_number]", number)];
        assert_eq!(client.post("v1/tokens", &bank).await.code(), (400, code.to_owned()));
    }

    let payee = client.on(&account);
    let payout = pay(&client, &account).await.ok();
    client.clock("2026-12-02T10:00:00Z").await;
    let failed = payee.get(&format!("v1/payouts/{}", id(&payout))).await.ok();
    shapes.check(&failed);
    assert_eq!([&failed["status"], &failed["failure_code"]], ["failed", "account_closed"]);
    assert_eq!(payee.balance().await, (90_000, 0));
    let told = payee.event_types().await;
    assert!(told.contains(&"payout.failed".to_owned()) && !told.contains(&"payout.paid".to_owned()));
    assert!(told.contains(&"account.external_account.updated".to_owned()));
    is_sum_of_entries(&payee).await;

    // A good one again; and one payout is called off, one paid and given back.
    client.post(&path, &[("external_account", "btok_us_verified"), ("default_for_currency", "true")]).await.ok();
    let payout = pay(&client, &account).await.ok();
    let cancel = format!("v1/payouts/{}/cancel", id(&payout));
    assert_eq!(client.post(&cancel, &[]).await.status, 404, "it is not the platform's");
    assert_eq!(payee.post(&cancel, &[]).await.ok()["status"], "canceled");
    assert_eq!(payee.post(&cancel, &[]).await.status, 400, "once");
    let payout = pay(&client, &account).await.ok();
    client.clock("2026-12-03T10:00:00Z").await;
    assert_eq!(payee.balance().await, (0, 0));
    let turn = format!("_sandbox/payouts/{}/turn", id(&payout));
    let returned = client.post(&turn, &[("status", "failed"), ("failure_code", "could_not_process")]).await.ok();
    shapes.check(&returned);
    assert_eq!((&returned["status"], payee.balance().await), (&json!("failed"), (90_000, 0)));
    assert_eq!(client.post(&turn, &[("status", "paid")]).await.status, 400, "it has failed");
    is_sum_of_entries(&payee).await;
}

/// A transfer comes back in parts, and not more than it was, nor more than is there.
#[tokio::test]
async fn transfers_are_reversed() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let account = client.account().await;
    with_funds(&client).await;
    let moved = transfer(&client, &account).await.ok();
    let path = format!("v1/transfers/{}/reversals", id(&moved));
    let part = client.post(&path, &[("amount", "30000"), ("metadata[reversal_id]", "trr_1")]).await.ok();
    shapes.check(&part);
    assert_eq!((&part["amount"], &part["metadata"]["reversal_id"]), (&json!(30_000), &json!("trr_1")));
    assert_eq!((client.balance().await, client.on(&account).balance().await), ((41_925, 0), (60_000, 0)));
    assert_eq!(client.post(&path, &[("amount", "60001")]).await.status, 400, "more than is left");
    client.on(&account).post("v1/payouts", &[("amount", "50000"), ("currency", "usd")]).await.ok();
    let gone = client.post(&path, &[]).await;
    assert_eq!(gone.code(), (400, "balance_insufficient".to_owned()), "it is on its way to the bank");
    client.post(&path, &[("amount", "10000")]).await.ok();
    let shown = client.get(&format!("v1/transfers/{}", id(&moved))).await.ok();
    shapes.check(&shown);
    assert_eq!((&shown["amount_reversed"], &shown["reversed"]), (&json!(40_000), &json!(false)));
    let listed = client.get(&path).await.ok();
    let amounts: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|part| &part["amount"]).collect();
    assert_eq!(amounts, [10_000, 30_000]);
    assert_eq!(client.post("v1/transfers/tr_none/reversals", &[]).await.status, 404);
    for client in [&client, &client.on(&account)] {
        is_sum_of_entries(client).await;
    }
}

/// An account that is taken away cannot be read or paid any more; what was transferred to it still comes back.
#[tokio::test]
async fn an_account_is_taken_away() {
    let (_sandbox, client) = running().await;
    let account = client.account().await;
    with_funds(&client).await;
    let moved = transfer(&client, &account).await.ok();
    client.post(&format!("_sandbox/accounts/{account}/deauthorize"), &[]).await.ok();
    let gone = (403, "account_invalid".to_owned());
    assert_eq!(client.get(&format!("v1/accounts/{account}")).await.code(), gone);
    assert_eq!(client.on(&account).get("v1/balance").await.code(), gone);
    assert_eq!(pay(&client, &account).await.code(), gone);
    assert_eq!(transfer(&client, &account).await.code(), (400, "resource_missing".to_owned()));
    assert_eq!(client.get("v1/accounts").await.ok()["data"], json!([]));
    client.post(&format!("v1/transfers/{}/reversals", id(&moved)), &[]).await.ok();
    assert_eq!(client.balance().await, (101_925, 0));
}
