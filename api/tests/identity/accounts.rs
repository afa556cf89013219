//! Registering, signing in, staying signed in, signing out, a new password.

use serde_json::json;

use super::{PASSWORD, Site, refusal, token_in};

/// D-199 (in part): who registers and confirms takes part, and the log knows a party and no address.
#[tokio::test]
async fn who_registers_confirms_and_signs_in_takes_part() {
    let site = Site::new().await;
    let email = "grace.hopper@example.com";
    let answer = site.register(email, PASSWORD, "freelancer").await;
    assert_eq!((answer.status.as_u16(), &answer.body), (202, &json!({ "status": "mail_sent" })));
    assert_eq!(refusal(&site.login(email, PASSWORD).await), (400, "invalid_credentials"), "not confirmed yet");
    let token = json!({ "token": token_in(&site.mails(email, 1).await[0].1) });
    let confirmed = site.post("/v1/auth/verify-email", token.clone()).await.success().unwrap();
    assert_eq!(refusal(&site.post("/v1/auth/verify-email", token).await), (400, "link_not_valid"), "good once");
    let user = site.signed_in(" Grace.Hopper@EXAMPLE.com", &confirmed.text("/party_id").unwrap()).await;
    let me = site.me(&user.access).await.success().unwrap().body;
    assert_eq!(
        (&me["party_id"], &me["role"], &me["kind"]),
        (&json!(user.party_id), &json!("payee"), &json!("freelancer"))
    );
    assert_eq!((&me["email"], &me["second_factor"]), (&json!(email), &json!(false)));
    assert!(me["scopes"].as_array().unwrap().contains(&json!("payouts:manage")));
    let party = site.get_as(&user.access, &format!("/v1/parties/{}", user.party_id)).await;
    assert_eq!(party.status.as_u16(), 200, "{}", party.body);
    let forbidden = site.get_as(&user.access, "/v1/reports/trial-balance").await;
    assert_eq!(refusal(&forbidden), (403, "forbidden"));
    let events = site.world.get(&site.world.admin, "/v1/events").await.success().unwrap().body;
    let registered = events["data"].as_array().unwrap().iter().filter(|event| event["type"] == "party.registered");
    assert!(registered.clone().any(|event| event.to_string().contains(&user.party_id)), "{events}");
    assert!(!events.to_string().to_lowercase().contains("hopper"));
}

/// Whether an address has an account is not told: not when registering, signing in, or forgetting a password.
#[tokio::test]
async fn no_answer_tells_whether_an_address_has_an_account() {
    let site = Site::new().await;
    site.user("known@example.com", "client").await;
    let known = site.register("known@example.com", "another good one", "client").await;
    let unknown = site.register("unknown@example.com", "another good one", "client").await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
    assert_eq!(site.mails("known@example.com", 2).await[0].0, "You have an account");
    let known = site.login("known@example.com", "not the password").await;
    let unknown = site.login("nobody@example.com", "not the password").await;
    assert_eq!(known.status, unknown.status);
    assert_eq!(known.body["detail"], unknown.body["detail"]);
    let forgotten = async |email: &str| {
        let answer = site.post("/v1/auth/password-resets", json!({ "email": email })).await;
        (answer.status.as_u16(), answer.body)
    };
    assert_eq!(forgotten("known@example.com").await, forgotten("nobody@example.com").await);
    site.mails("known@example.com", 3).await;
    site.mails("nobody@example.com", 0).await;
}

/// Whoever registers with a stranger's address first gets nothing when the stranger registers.
#[tokio::test]
async fn a_strangers_address_gives_nothing() {
    let site = Site::new().await;
    let email = "victim@example.com";
    site.register(email, "the thief's own words", "client").await.success().unwrap();
    let thiefs = token_in(&site.mails(email, 1).await[0].1);
    site.register(email, PASSWORD, "client").await.success().unwrap();
    let mails = site.mails(email, 2).await;
    let own = mails.iter().map(|mail| token_in(&mail.1)).find(|token| *token != thiefs).unwrap();
    site.post("/v1/auth/verify-email", json!({ "token": own })).await.success().unwrap();
    assert_eq!(refusal(&site.login(email, "the thief's own words").await), (400, "invalid_credentials"));
    site.login(email, PASSWORD).await.success().unwrap();
    let late = site.post("/v1/auth/verify-email", json!({ "token": thiefs })).await;
    assert_eq!(refusal(&late), (400, "link_not_valid"));
}

/// Bad passwords, roles nobody may choose, members that are not asked for.
#[tokio::test]
async fn a_registration_that_makes_no_sense_is_refused() {
    let site = Site::new().await;
    let with = async |email: &str, password: &str, role: &str| {
        let answer = site.register(email, password, role).await;
        (answer.status.as_u16(), answer.body["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(with("a@example.com", "short", "client").await, (422, "/password".to_owned()));
    assert_eq!(with("a@example.com", "Password123!", "client").await, (422, "/password".to_owned()));
    assert_eq!(with("not an address", PASSWORD, "client").await, (422, "/email".to_owned()));
    assert_eq!(with("a@example.com", PASSWORD, "admin").await, (422, "/role".to_owned()));
    let more = json!({ "email": "a@example.com", "password": PASSWORD, "role": "client", "party_id": "pty_x" });
    assert_eq!(refusal(&site.post("/v1/auth/register", more).await), (422, "validation_failed"));
    site.mails("a@example.com", 0).await;
}

/// A refresh token is good once; shown twice, everything of its session is over.
#[tokio::test]
async fn a_refresh_token_that_is_shown_twice_ends_its_session() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let other = site.signed_in("ada@example.com", &user.party_id).await;
    let refresh = async |token: &str| site.post("/v1/auth/refresh", json!({ "refresh_token": token })).await;
    let second = refresh(&user.refresh).await.success().unwrap();
    let third = refresh(&second.text("/refresh_token").unwrap()).await.success().unwrap();
    let newest = third.text("/access_token").unwrap();
    site.me(&newest).await.success().unwrap();
    assert_eq!(refusal(&refresh(&user.refresh).await), (400, "invalid_credentials"), "the thief, or the victim");
    assert_eq!(refusal(&refresh(&third.text("/refresh_token").unwrap()).await), (400, "invalid_credentials"));
    let out = site.me(&newest).await;
    assert_eq!(refusal(&out), (401, "unauthenticated"));
    assert!(out.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    site.me(&other.access).await.success().unwrap();
}

/// Signing out ends the session at once, and doing it again does nothing.
#[tokio::test]
async fn who_signs_out_is_out() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    site.me(&user.access).await.success().unwrap();
    for _ in 0..2 {
        let out = site.post("/v1/auth/logout", json!({ "refresh_token": user.refresh })).await.success().unwrap();
        assert_eq!(out.body["status"], "signed_out");
    }
    assert_eq!(refusal(&site.me(&user.access).await), (401, "unauthenticated"));
    let refreshed = site.post("/v1/auth/refresh", json!({ "refresh_token": user.refresh })).await;
    assert_eq!(refusal(&refreshed), (400, "invalid_credentials"));
}

/// A new password ends every session; its link is good once and for an hour.
#[tokio::test]
async fn a_new_password_ends_every_session() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let ask = async || {
        site.post("/v1/auth/password-resets", json!({ "email": "ada@example.com" })).await.success().unwrap();
    };
    ask().await;
    let token = token_in(&site.mails("ada@example.com", 2).await[0].1);
    let choose = async |token: &str, password: &str| {
        site.post("/v1/auth/password-resets/confirm", json!({ "token": token, "password": password })).await
    };
    assert_eq!(refusal(&choose(&token, "12345678").await), (422, "validation_failed"), "the link stays good");
    choose(&token, "eleven red pears").await.success().unwrap();
    assert_eq!(refusal(&choose(&token, "twelve red pears").await), (400, "link_not_valid"));
    assert_eq!(refusal(&site.me(&user.access).await), (401, "unauthenticated"));
    assert_eq!(refusal(&site.login("ada@example.com", PASSWORD).await), (400, "invalid_credentials"));
    site.login("ada@example.com", "eleven red pears").await.success().unwrap();
    assert_eq!(site.mails("ada@example.com", 3).await[0].0, "Your password was changed");
    site.clock.advance(16 * 60);
    ask().await;
    let token = token_in(&site.mails("ada@example.com", 4).await[0].1);
    site.clock.advance(61 * 60);
    assert_eq!(refusal(&choose(&token, "twelve red pears").await), (400, "link_not_valid"));
}

/// The seeds' names do the same, and say which route they stand for.
#[tokio::test]
async fn the_seeds_names_work() {
    let site = Site::new().await;
    for (prefix, email, role, here) in
        [("/auth", "s2@example.com", "freelancer", "payee"), ("/api/v1/auth", "s3@example.com", "seeker", "client")]
    {
        let body = json!({ "email": email, "password": PASSWORD, "role": role });
        let answer = site.post(&format!("{prefix}/register"), body).await.success().unwrap();
        assert_eq!(answer.header("link"), Some("</v1/auth/register>; rel=\"successor-version\""));
        let token = json!({ "token": token_in(&site.mails(email, 1).await[0].1) });
        site.post("/v1/auth/verify-email", token).await.success().unwrap();
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = site.post(&format!("{prefix}/login"), body).await.success().unwrap();
        assert_eq!(answer.header("link"), Some("</v1/auth/login>; rel=\"successor-version\""));
        assert_eq!(site.me(&answer.text("/access_token").unwrap()).await.body["role"], here);
    }
}
