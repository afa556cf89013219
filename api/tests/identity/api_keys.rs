//! Keys of machines: what they can do, how they are replaced and ended, what of them is shown.

use adapters::postgres::identity::step_up::{self, StoredStepUp};
use api::caller::Role;
use serde_json::{Value, json};

use super::{Site, User, refusal};

impl Site {
    async fn make_key(&self, user: &User, wish: Value) -> (String, String) {
        let made = self.post_as(&user.access, "/v1/api-keys", wish).await.success().unwrap();
        assert_eq!(made.status.as_u16(), 201);
        (made.text("/id").unwrap(), made.text("/key").unwrap())
    }

    /// Signs in again, for what asks who it is.
    async fn fresh(&self, user: &User) -> User {
        self.signed_in(&user.email, &user.party_id).await
    }
}

fn wish(scopes: &[&str]) -> Value {
    json!({ "name": "shop backend", "scopes": scopes })
}

/// What a key can do, and what ends it.
#[tokio::test]
async fn keys_of_machines() {
    let site = Site::new().await;
    a_key_does_what_it_was_made_for(&site).await;
    a_key_can_do_no_more_than_its_maker(&site).await;
    a_key_is_ended_at_once(&site).await;
}

/// What time does to a key, and to its maker.
#[tokio::test]
async fn keys_and_time() {
    let site = Site::new().await;
    // First: a server follows a new policy within seconds, and has seen none yet.
    a_tenant_has_a_policy_of_its_own(&site).await;
    making_keys_asks_who_it_is(&site).await;
    keys_are_replaced_with_overlap(&site).await;
    keys_are_not_made_without_end(&site).await;
}

/// A key acts for its maker in the same role with its own scopes, and is shown once.
async fn a_key_does_what_it_was_made_for(site: &Site) {
    let user = site.user("ada1@example.com", "client").await;
    let (id, key) = site.make_key(&user, wish(&["contracts:read", "milestones:read"])).await;
    assert!(key.starts_with("erk_") && key.len() == 4 + 64, "{key}");
    let me = site.me(&key).await.success().unwrap().body;
    assert_eq!((&me["party_id"], &me["role"]), (&json!(user.party_id), &json!("client")));
    assert_eq!(me["scopes"], json!(["contracts:read", "milestones:read"]));
    site.get_as(&key, "/v1/contracts").await.success().unwrap();
    let other = site.get_as(&key, "/v1/refunds").await;
    assert_eq!(refusal(&other), (403, "insufficient_scope"));
    // It makes no keys, sees none, and does nothing to the account.
    for path in ["/v1/api-keys", &format!("/v1/api-keys/{id}/rotate"), &format!("/v1/api-keys/{id}/revoke")] {
        assert_eq!(refusal(&site.post_as(&key, path, json!({})).await), (403, "insufficient_scope"), "{path}");
    }
    assert_eq!(refusal(&site.get_as(&key, "/v1/api-keys").await), (403, "insufficient_scope"));
    let again = site.post_as(&key, "/v1/auth/step-up", json!({ "password": super::PASSWORD })).await;
    assert_eq!(refusal(&again), (403, "forbidden"));
    assert_eq!(refusal(&site.post_as(&key, "/v1/auth/mfa/enroll", json!({})).await), (403, "insufficient_scope"));

    let shown = site.get_as(&user.access, &format!("/v1/api-keys/{id}")).await.success().unwrap().body;
    let listed = site.get_as(&user.access, "/v1/api-keys").await.success().unwrap().body;
    assert_eq!(listed["data"], json!([shown]));
    assert_eq!((&shown["status"], &shown["prefix"]), (&json!("active"), &json!(&key[..12])));
    assert!(shown["last_used_at"].is_string() && shown.get("key").is_none(), "{shown}");
    assert!(!listed.to_string().contains(&key[12..]), "the secret is shown once");
    let kept: Vec<String> = sqlx::query_scalar("select api_keys::text from main.api_keys")
        .fetch_all(site.world.server.app().pool())
        .await
        .unwrap();
    assert!(kept.iter().all(|row| !row.contains(&key[12..])), "only the hash is kept");
}

/// Nobody gets by a key what it has not: unknown scopes, scopes of others, those that no key has; and bad wishes are refused
/// with their place.
async fn a_key_can_do_no_more_than_its_maker(site: &Site) {
    let user = site.user("ada2@example.com", "client").await;
    let cases = [
        (wish(&["contracts:read", "ledger:adjust"]), 403, "insufficient_scope", "/scopes/1"),
        (wish(&["admin:manage"]), 403, "insufficient_scope", "/scopes/0"),
        (wish(&["nonsense"]), 422, "validation_failed", "/scopes/0"),
        (wish(&["keys:manage"]), 422, "validation_failed", "/scopes/0"),
        (wish(&["users:self"]), 422, "validation_failed", "/scopes/0"),
        (wish(&[]), 422, "validation_failed", "/scopes"),
        (json!({ "name": " ", "scopes": ["contracts:read"] }), 422, "validation_failed", "/name"),
        (json!({ "name": "a\nb", "scopes": ["contracts:read"] }), 422, "validation_failed", "/name"),
        (json!({ "name": "x".repeat(65), "scopes": ["contracts:read"] }), 422, "validation_failed", "/name"),
        (
            json!({ "name": "x", "scopes": ["contracts:read"], "expires_in_days": 366 }),
            422,
            "validation_failed",
            "/expires_in_days",
        ),
        (json!({ "name": "x", "scopes": ["contracts:read"], "role": "admin" }), 422, "validation_failed", "/role"),
    ];
    for (body, status, code, pointer) in cases {
        let refused = site.post_as(&user.access, "/v1/api-keys", body.clone()).await;
        assert_eq!(refusal(&refused), (status, code), "{body}: {}", refused.body);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!(site.get_as(&user.access, "/v1/api-keys").await.body["data"], json!([]));
    // What was granted and is no longer the role's is not granted any more.
    let (_, key) = site.make_key(&user, wish(&["contracts:read"])).await;
    sqlx::query("update main.api_keys set scopes = array['contracts:read', 'ledger:adjust'] where party_id = $1")
        .bind(&user.party_id)
        .execute(site.world.server.app().pool())
        .await
        .unwrap();
    assert_eq!(site.me(&key).await.success().unwrap().body["scopes"], json!(["contracts:read"]));
}

/// A replaced key is good beside the new one for as long as was asked; a key that is over is not replaced.
async fn keys_are_replaced_with_overlap(site: &Site) {
    let user = site.user("bob1@example.com", "client").await;
    let (id, old) = site.make_key(&user, wish(&["contracts:read"])).await;
    let path = format!("/v1/api-keys/{id}/rotate");
    let bad = site.post_as(&user.access, &path, json!({ "overlap_hours": 169 })).await;
    assert_eq!(refusal(&bad), (422, "validation_failed"));
    let made = site.post_as(&user.access, &path, json!({ "overlap_hours": 2 })).await.success().unwrap();
    let new = made.text("/key").unwrap();
    assert_ne!(new, old);
    assert_eq!(made.body["scopes"], json!(["contracts:read"]));
    for key in [&old, &new] {
        site.me(key).await.success().unwrap();
    }
    let shown = site.get_as(&user.access, &format!("/v1/api-keys/{id}")).await.body;
    assert_eq!((&shown["status"], &shown["replaced_by"]), (&json!("replaced"), &made.body["id"]));
    let twice = site.post_as(&user.access, &path, json!({})).await;
    assert_eq!(refusal(&twice), (409, "api_key_wrong_state"));
    site.clock.advance(2 * 3600 + 60);
    assert_eq!(refusal(&site.me(&old).await), (401, "unauthenticated"));
    site.me(&new).await.success().unwrap();

    let user = site.fresh(&user).await;
    let twice = site.post_as(&user.access, &path, json!({})).await;
    assert_eq!((refusal(&twice), &twice.body["state"]), ((409, "api_key_wrong_state"), &json!("expired")));
    site.clock.advance(90 * 24 * 3600);
    assert_eq!(refusal(&site.me(&new).await), (401, "unauthenticated"), "every key ends");
}

/// A revoked key opens nothing from then on. Others' keys are not found; an administrator ends anybody's.
async fn a_key_is_ended_at_once(site: &Site) {
    let (ada, eve) = (site.user("ada@example.com", "client").await, site.user("eve@example.com", "client").await);
    let (id, key) = site.make_key(&ada, wish(&["contracts:read"])).await;
    site.me(&key).await.success().unwrap();
    let path = |rest: &str| format!("/v1/api-keys/{id}{rest}");
    assert_eq!(refusal(&site.get_as(&eve.access, &path("")).await), (404, "not_found"));
    for rest in ["/rotate", "/revoke"] {
        assert_eq!(refusal(&site.post_as(&eve.access, &path(rest), json!({})).await), (404, "not_found"));
    }
    assert_eq!(refusal(&site.get_as(&ada.access, "/v1/api-keys/key_1").await), (400, "not_a_valid_id"));
    let ended = site.post_as(&ada.access, &path("/revoke"), json!({})).await.success().unwrap();
    assert_eq!(ended.body["status"], "revoked");
    assert_eq!(refusal(&site.me(&key).await), (401, "unauthenticated"));
    site.post_as(&ada.access, &path("/revoke"), json!({})).await.success().unwrap();
    let again = site.post_as(&ada.access, &path("/rotate"), json!({})).await;
    assert_eq!(refusal(&again), (409, "api_key_wrong_state"));

    let (id, key) = site.make_key(&ada, wish(&["contracts:read"])).await;
    let admin = &site.world.admin.token;
    let stolen = site.post_as(admin, &format!("/v1/api-keys/{id}/rotate"), json!({})).await;
    assert_eq!(refusal(&stolen), (403, "forbidden"), "an administrator cannot have it");
    site.post_as(admin, &format!("/v1/api-keys/{id}/revoke"), json!({})).await.success().unwrap();
    assert_eq!(refusal(&site.me(&key).await), (401, "unauthenticated"));

    // A key ends with its owner's account.
    let (_, key) = site.make_key(&ada, wish(&["contracts:read"])).await;
    sqlx::query("update main.accounts set status = 'suspended' where party_id = $1")
        .bind(&ada.party_id)
        .execute(site.world.server.app().pool())
        .await
        .unwrap();
    assert_eq!(refusal(&site.me(&key).await), (401, "unauthenticated"));
}

/// Making a key asks to show again who one is; a key is listed page by page, newest first.
async fn making_keys_asks_who_it_is(site: &Site) {
    let user = site.user("bob2@example.com", "client").await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.insert(0, site.make_key(&user, wish(&["contracts:read"])).await.0);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/api-keys?limit=2".to_owned());
    loop {
        let page = site.get_as(&user.access, &path).await.success().unwrap();
        seen.extend(page.body["data"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/api-keys?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
    let bad = site.get_as(&user.access, "/v1/api-keys?cursor=p1").await;
    assert_eq!(refusal(&bad), (422, "validation_failed"));
    site.clock.advance(9 * 60);
    for path in ["/v1/api-keys".to_owned(), format!("/v1/api-keys/{}/rotate", made[0])] {
        let refused = site.post_as(&user.access, &path, json!({})).await;
        assert_eq!(refusal(&refused), (401, "insufficient_user_authentication"), "{path}");
    }
    site.post_as(&user.access, &format!("/v1/api-keys/{}/revoke", made[0]), json!({})).await.success().unwrap();
}

/// An owner has at most 50 keys that are good.
async fn keys_are_not_made_without_end(site: &Site) {
    let user = site.user("bob3@example.com", "client").await;
    sqlx::query(
        "insert into main.api_keys (key_id, party_id, role, name, scopes, step_up_exempt, prefix, key_hash, created_at,
             expires_at)
         select gen_random_uuid(), $1, 'client', 'x', array['contracts:read'], false, 'erk_0', sha256(n::text::bytea), $2,
             $2 + interval '10 days' from generate_series(1, 50) n",
    )
    .bind(&user.party_id)
    .bind(site.clock.now())
    .execute(site.world.server.app().pool())
    .await
    .unwrap();
    let refused = site.post_as(&user.access, "/v1/api-keys", wish(&["contracts:read"])).await;
    assert_eq!(refusal(&refused), (409, "api_key_wrong_state"));
    site.clock.advance(11 * 24 * 3600);
    let user = site.fresh(&user).await;
    site.make_key(&user, wish(&["contracts:read"])).await;
}

/// D-44: the tenant says itself from which amount on, how lately, and whether with a second factor.
async fn a_tenant_has_a_policy_of_its_own(site: &Site) {
    let user = site.user("bob4@example.com", "freelancer").await;
    let pool = site.world.server.app().pool();
    let strict = StoredStepUp { threshold_units: 10, max_age_seconds: 60, second_factor: false };
    step_up::set(pool, strict).await.unwrap();
    let out = async |amount: i64| {
        let body = json!({ "amount": amount, "currency": "USD" });
        site.world.api.post("/v1/payouts", &user.access, &[("Idempotency-Key", "k")], &body).await.unwrap()
    };
    site.clock.advance(120);
    let refused = out(1000).await;
    assert_eq!((refusal(&refused), &refused.body["max_age"]), ((401, "insufficient_user_authentication"), &json!(60)));
    assert_eq!(refusal(&out(999).await).1, "payout_account_required", "below the threshold nothing is asked");
    let other = site.world.other_role(&site.world.payee, Role::Payee).await;
    let body = json!({ "amount": 1000, "currency": "USD" });
    let of_operator = site.world.post(&other, "/v1/payouts", None, body).await;
    assert_ne!(of_operator.status.as_u16(), 401, "a token of the operator is not asked");
}
