//! Guessing passwords: it is slowed down, and locks nobody out.

use serde_json::json;

use super::{PASSWORD, Site, refusal};

/// However many guess, the right password gets in from a device that its owner used, and later from anywhere.
#[tokio::test]
async fn guessing_locks_the_guesser_out_and_not_the_owner() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    for _ in 0..10 {
        assert_eq!(refusal(&site.login(&user.email, "wrong guess").await), (400, "invalid_credentials"));
    }
    let refused = site.login(&user.email, PASSWORD).await;
    assert_eq!(refusal(&refused), (429, "rate_limited"), "the right guess is not told from the others");
    let seconds: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&seconds));
    let from_device =
        |device: &str| json!({ "email": "ada@example.com", "password": PASSWORD, "device_token": device });
    site.post("/v1/auth/login", from_device(&user.device)).await.success().unwrap();
    let made_up = site.post("/v1/auth/login", from_device("ern_device_made_up")).await;
    assert_eq!(refusal(&made_up), (429, "rate_limited"));
    // Another account's device is none of this one's; that account is as it was.
    let other = site.user("eve@example.com", "client").await;
    let stolen = site.post("/v1/auth/login", from_device(&other.device)).await;
    assert_eq!(refusal(&stolen), (429, "rate_limited"));
    site.clock.advance(15 * 60 + 1);
    site.login(&user.email, PASSWORD).await.success().unwrap();
}

/// An address without an account is slowed down in the same way: that tells nothing either.
#[tokio::test]
async fn guessing_at_nobody_is_answered_like_guessing_at_somebody() {
    let site = Site::new().await;
    for _ in 0..10 {
        assert_eq!(refusal(&site.login("nobody@example.com", "wrong guess").await), (400, "invalid_credentials"));
    }
    assert_eq!(refusal(&site.login("nobody@example.com", "wrong guess").await), (429, "rate_limited"));
}

/// One password tried on many accounts: the address is slowed down, and good sign-ins from it do not help.
#[tokio::test]
async fn spraying_one_password_is_slowed_down_by_address() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let mut refused = 0;
    for number in 0..54 {
        let answer = site.login(&format!("user{number}@example.com"), "Spring has come").await;
        refused += i32::from(refusal(&answer) == (429, "rate_limited"));
        if number == 20 {
            site.login(&user.email, PASSWORD).await.success().unwrap();
        }
    }
    assert_eq!(refused, 4, "50 are let through");
    assert_eq!(refusal(&site.login(&user.email, PASSWORD).await), (429, "rate_limited"));
    let known = json!({ "email": user.email, "password": PASSWORD, "device_token": user.device });
    site.post("/v1/auth/login", known).await.success().unwrap();
}
