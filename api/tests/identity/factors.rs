//! The second factor, and showing again who one is.

use serde_json::json;
use totp_rs::{Builder, Secret};

use super::support::Contract;
use super::{PASSWORD, Site, User, refusal};

/// The code of a secret at the site's time.
pub(super) fn code_of(site: &Site, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(u64::try_from(site.clock.now().timestamp()).unwrap()).to_string()
}

/// Turns the second factor on. Returns the secret, the recovery codes, and the code that has confirmed it.
pub(super) async fn enrolled(site: &Site, user: &User, password: &str) -> (String, Vec<String>, String) {
    let enrolment = site.post_as(&user.access, "/v1/auth/mfa/enroll", json!({})).await.success().unwrap();
    let secret = enrolment.text("/secret").unwrap();
    assert!(enrolment.text("/otpauth_url").unwrap().starts_with("otpauth://totp/"));
    let wrong = site.post_as(&user.access, "/v1/auth/mfa/confirm", json!({ "code": "abcdef" })).await;
    assert_eq!(refusal(&wrong), (400, "invalid_code"));
    site.login(&user.email, password).await.success().unwrap();
    let code = code_of(site, &secret);
    let body = json!({ "code": code });
    let confirmed = site.post_as(&user.access, "/v1/auth/mfa/confirm", body).await.success().unwrap();
    let codes = confirmed.body["recovery_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect(), code)
}

/// A code is asked for, is good once, and says so in the token.
#[tokio::test]
async fn a_code_is_asked_for_and_is_good_once() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let (secret, _, confirmed_by) = enrolled(&site, &user, PASSWORD).await;
    let again = site.post_as(&user.access, "/v1/auth/mfa/enroll", json!({})).await;
    assert_eq!(refusal(&again), (409, "mfa_wrong_state"));
    let ticket = async || {
        let asked = site.login(&user.email, PASSWORD).await;
        assert_eq!(refusal(&asked), (403, "mfa_required"));
        assert!(asked.body["access_token"].is_null());
        asked.text("/ticket").unwrap()
    };
    let verify = async |ticket: &str, code: &str| {
        site.post("/v1/auth/mfa/verify", json!({ "ticket": ticket, "code": code })).await
    };
    let first = ticket().await;
    let replayed = verify(&first, &confirmed_by).await;
    assert_eq!(refusal(&replayed), (400, "invalid_code"), "the code that confirmed it");
    site.clock.advance(30);
    let code = code_of(&site, &secret);
    let done = verify(&first, &code).await.success().unwrap();
    let me = site.me(&done.text("/access_token").unwrap()).await.success().unwrap().body;
    assert_eq!(me["acr"], "urn:earnest:acr:second-factor");
    assert_eq!(refusal(&verify(&first, &code).await), (400, "link_not_valid"), "the ticket is good once");
    assert_eq!(refusal(&verify(&ticket().await, &code).await), (400, "invalid_code"), "a replayed code");
    site.clock.advance(30);
    let at_once = json!({ "email": user.email, "password": PASSWORD, "code": code_of(&site, &secret) });
    site.post("/v1/auth/login", at_once).await.success().unwrap();
    let late = ticket().await;
    site.clock.advance(5 * 60 + 1);
    assert_eq!(refusal(&verify(&late, &code_of(&site, &secret)).await), (400, "link_not_valid"));
}

/// A recovery code is good once; wrong codes are counted; a code turns the second factor off.
#[tokio::test]
async fn recovery_codes_are_good_once_and_guessing_is_slowed_down() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let (secret, codes, _) = enrolled(&site, &user, PASSWORD).await;
    assert_eq!(codes.len(), 10);
    let login = async |code: &str| {
        site.post("/v1/auth/login", json!({ "email": user.email, "password": PASSWORD, "code": code })).await
    };
    let signed_in = login(&codes[0]).await.success().unwrap();
    assert_eq!(refusal(&login(&codes[0]).await), (400, "invalid_code"));
    login(&codes[1].to_uppercase().replace('-', " ")).await.success().unwrap();
    for _ in 0..5 {
        assert_eq!(refusal(&login("000000").await), (400, "invalid_code"));
    }
    assert_eq!(refusal(&login(&codes[2]).await), (429, "rate_limited"));
    site.clock.advance(15 * 60 + 1);
    let refresh = json!({ "refresh_token": signed_in.text("/refresh_token").unwrap() });
    let stale = site.post("/v1/auth/refresh", refresh).await.success().unwrap().text("/access_token").unwrap();
    let off = json!({ "code": codes[2] });
    let refused = site.post_as(&stale, "/v1/auth/mfa/disable", off.clone()).await;
    assert_eq!(refusal(&refused), (401, "insufficient_user_authentication"));
    let fresh = login(&code_of(&site, &secret)).await.success().unwrap().text("/access_token").unwrap();
    site.post_as(&fresh, "/v1/auth/mfa/disable", off).await.success().unwrap();
    site.login(&user.email, PASSWORD).await.success().unwrap();
}

/// D-44: releasing 1,000.00 twenty minutes after signing in asks to show again who one is; afterwards the same request
/// under the same key succeeds. Less is not asked about, and a token of the operator is not asked.
#[tokio::test]
async fn releasing_much_asks_who_it_is() {
    let site = Site::new().await;
    let (client, payee) =
        (site.user("ada@example.com", "client").await, site.user("bob@example.com", "provider").await);
    let contract = funded(&site, &client, &payee).await;
    site.clock.advance(20 * 60);
    let answer = site.post("/v1/auth/refresh", json!({ "refresh_token": client.refresh })).await.success().unwrap();
    let stale = answer.text("/access_token").unwrap();
    let approve = async |token: &str, key: &str, body: serde_json::Value| {
        let headers = [("Idempotency-Key", key), ("If-Match", "\"3\"")];
        site.world.api.post(&contract.work("/approve"), token, &headers, &body).await.unwrap()
    };
    for body in [json!({}), json!({ "amount": 100_000 })] {
        let head = site.world.head().await;
        let refused = approve(&stale, "release-1", body).await;
        assert_eq!(refusal(&refused), (401, "insufficient_user_authentication"));
        assert_eq!(refused.body["max_age"], 300);
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_user_authentication\"") && challenge.contains("max_age=\"300\"")
        );
        assert_eq!(site.world.head().await, head, "nothing was written");
    }
    let wrong = site.post_as(&stale, "/v1/auth/step-up", json!({ "password": "not the password" })).await;
    assert_eq!(refusal(&wrong), (400, "invalid_credentials"));
    let shown = site.post_as(&stale, "/v1/auth/step-up", json!({ "password": PASSWORD })).await.success().unwrap();
    let released = approve(&shown.text("/access_token").unwrap(), "release-1", json!({})).await;
    assert_eq!(released.status.as_u16(), 200, "{}", released.body);
    assert_eq!(released.body["released"], 100_000);
    let stranger = site.user("eve@example.com", "client").await;
    assert_eq!(refusal(&approve(&stranger.access, "release-2", json!({})).await), (404, "not_found"));
}

/// D-44: below the threshold nothing is asked.
#[tokio::test]
async fn releasing_little_asks_nothing() {
    let site = Site::new().await;
    let (client, payee) = (site.user("ada@example.com", "client").await, site.user("bob@example.com", "seller").await);
    let contract = funded(&site, &client, &payee).await;
    site.clock.advance(20 * 60);
    let answer = site.post("/v1/auth/refresh", json!({ "refresh_token": client.refresh })).await.success().unwrap();
    let headers = [("Idempotency-Key", "part"), ("If-Match", "\"3\"")];
    let stale = answer.text("/access_token").unwrap();
    let part = json!({ "amount": 99_999 });
    let released = site.world.api.post(&contract.work("/approve"), &stale, &headers, &part).await.unwrap();
    assert_eq!(released.status.as_u16(), 200, "{}", released.body);
}

/// A contract of 1,000.00 between two users that is paid for.
pub(super) async fn funded(site: &Site, client: &User, payee: &User) -> Contract {
    let post = async |who: &User, path: &str, version: Option<&str>, body: serde_json::Value| {
        let key = format!("key-{path}");
        let mut headers = vec![("Idempotency-Key", key.as_str())];
        headers.extend(version.map(|version| ("If-Match", version)));
        site.world.api.post(path, &who.access, &headers, &body).await.unwrap().success().unwrap()
    };
    let draft = json!({ "payee_id": payee.party_id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
    let drafted = post(client, "/v1/contracts", None, draft).await;
    let contract = Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() };
    post(client, &contract.at("/offer"), Some("\"1\""), json!({})).await;
    post(payee, &contract.at("/accept"), Some("\"2\""), json!({})).await;
    let funding = super::support::funding_of(&contract, 100_000, "pm_card_visa");
    post(client, &contract.at("/fundings"), None, funding).await;
    site.world.settled().await;
    contract
}
