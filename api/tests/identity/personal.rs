//! Personal data: ciphertext in every table, under keys of persons that can be destroyed; who reads it; and what events say of
//! how somebody signed in.

use std::net::SocketAddr;

use adapters::postgres::identity::account;
use api::caller::Role;
use api::identity::rewrap::rewrap;
use api::identity::seal::{MasterKey, Purpose};
use api::identity::vault::{Opened, Vault, VaultError};
use api::identity::{IdentityConfig, IdentityError};
use api::server::{ProviderConfig, ServeError, Server, ServerConfig};
use api::view::EventView;
use chrono::DateTime;
use domain::actor::StaffRole;
use domain::id::PartyId;
use domain::subject::PersonalField;
use serde_json::{Value, json};
use sqlx::Row;

use super::factors::{code_of, enrolled, funded};
use super::{PASSWORD, Site, User, refusal, token_in};

const ADDRESS: &str = "ada.lovelace@example.com";

fn party(user: &User) -> PartyId {
    user.party_id.parse().unwrap()
}

async fn events(site: &Site, kind: &str) -> Vec<EventView> {
    let all = site.world.api.events(&site.world.admin.token, 0).await.unwrap();
    all.into_iter().filter(|event| event.r#type == kind).collect()
}

/// I9, B.14: after registering, signing in, a new password, a second factor and a release no table has an address in clear;
/// and the release says with which authentication it was done.
#[tokio::test]
async fn no_table_has_an_address_and_events_say_how_somebody_signed_in() {
    let site = Site::new().await;
    let (ada, bob) = (site.user(ADDRESS, "client").await, site.user("bob.builder@example.com", "seller").await);
    site.login(ADDRESS, "a wrong guess").await;
    site.register(ADDRESS, PASSWORD, "client").await.success().unwrap();
    site.post("/v1/auth/password-resets", json!({ "email": ADDRESS })).await.success().unwrap();
    let mails = site.mails(ADDRESS, 3).await;
    let reset = mails.iter().find(|(subject, _)| subject.contains("new password")).unwrap();
    let new = json!({ "token": token_in(&reset.1), "password": PASSWORD });
    site.post("/v1/auth/password-resets/confirm", new).await.success().unwrap();
    let ada = site.signed_in(ADDRESS, &ada.party_id).await;
    let (secret, _, _) = enrolled(&site, &ada, PASSWORD).await;
    let contract = funded(&site, &ada, &bob).await;
    // Long enough for what the token shows to be too old.
    site.clock.advance(20 * 60);
    let refreshed = site.post("/v1/auth/refresh", json!({ "refresh_token": ada.refresh })).await.success().unwrap();
    let stale = refreshed.text("/access_token").unwrap();
    let headers = [("Idempotency-Key", "release"), ("If-Match", "\"3\"")];
    let approve =
        async |token: &str| site.world.api.post(&contract.work("/approve"), token, &headers, &json!({})).await.unwrap();
    assert_eq!(refusal(&approve(&stale).await), (401, "insufficient_user_authentication"));
    let again = json!({ "password": PASSWORD, "code": code_of(&site, &secret) });
    let shown = site.post_as(&stale, "/v1/auth/step-up", again).await.success().unwrap();
    let stepped_up = shown.text("/access_token").unwrap();
    approve(&stepped_up).await.success().unwrap();

    let auth = |event: &EventView| serde_json::to_value(&event.auth).unwrap();
    let released = events(&site, "escrow.released").await;
    let released = auth(&released[0]);
    assert_eq!(released["acr"], "urn:earnest:acr:second-factor");
    assert_eq!(released["amr"], json!(["pwd", "otp", "mfa"]));
    let seen = site.me(&stepped_up).await.success().unwrap().body["auth_time"].as_i64().unwrap();
    let seen = DateTime::from_timestamp(seen, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(released["auth_time"], json!(seen));
    let session = released["credential"].as_str().unwrap();
    assert!(session.starts_with("session:"), "{session}");
    let accepted = auth(&events(&site, "contract.accepted").await[0]);
    assert_eq!((&accepted["acr"], &accepted["amr"]), (&json!("urn:earnest:acr:password"), &json!(["pwd"])));
    assert_ne!(accepted["credential"], released["credential"]);
    assert_eq!(
        auth(&events(&site, "escrow.funded").await[0]),
        Value::Null,
        "what the provider tells nobody signed for"
    );

    let words = ["ada.lovelace", "bob.builder", "otpauth"];
    assert_eq!(site.world.tables_with(&words).await, Vec::<String>::new());
    // The search finds what is there.
    let found = site.world.tables_with(&[&ada.party_id]).await;
    for table in ["accounts", "events", "subject_keys"] {
        assert!(found.iter().any(|known| known == table), "{found:?}");
    }
}

/// B.14: staff sees an address only with a purpose, and each time is told with how the reader signed in. A key that is
/// destroyed leaves nothing to be seen, and nothing that fails.
#[tokio::test]
async fn staff_says_what_for_and_what_was_erased_stays_erased() {
    let site = Site::new().await;
    let (world, ada) = (&site.world, site.user(ADDRESS, "client").await);
    let path = format!("/v1/users/{}", ada.party_id);
    let with = |purpose: &str| format!("{path}?purpose={purpose}");
    let support = world.other_role(&world.outsider, Role::Staff(StaffRole::Support)).await;
    let auditor = world.other_role(&world.outsider, Role::Staff(StaffRole::Auditor)).await;
    let finance = world.other_role(&world.outsider, Role::Staff(StaffRole::Finance)).await;
    for who in [&auditor, &finance, &world.client, &world.payee] {
        world.refused(403, "forbidden", world.get(who, &with("dispute"))).await;
    }
    assert_eq!(refusal(&site.get_as(&ada.access, &with("dispute")).await), (403, "forbidden"));
    for wrong in [path.clone(), with(""), with("curiosity")] {
        let refused = world.refused(422, "validation_failed", world.get(&support, &wrong)).await;
        assert_eq!(refused.body["errors"][0]["pointer"], "purpose", "{}", refused.body);
    }
    let nobody = format!("/v1/users/{}?purpose=dispute", world.client.party_id);
    world.refused(404, "not_found", world.get(&support, &nobody)).await;
    assert_eq!(world.count("subject.pii_accessed").await, 0);

    for _ in 0..2 {
        let seen = world.get(&support, &with("support_request")).await.success().unwrap().body;
        assert_eq!((&seen["email"], &seen["redacted"]), (&json!(ADDRESS), &Value::Null));
        assert_eq!((&seen["role"], &seen["status"]), (&json!("client"), &json!("active")));
    }
    world.get(&world.admin, &with("legal_request")).await.success().unwrap();
    let told = events(&site, "subject.pii_accessed").await;
    assert_eq!(told.len(), 3, "each reading is told");
    assert_eq!(
        (told[0].stream.as_str(), told[0].actor.r#type.as_str()),
        (&*format!("subject-{}", ada.party_id), "staff")
    );
    assert_eq!(told[0].data["staff_id"], json!(support.party_id.to_string()));
    assert_eq!(
        (&told[0].data["purpose"], &told[2].data["purpose"]),
        (&json!("support_request"), &json!("legal_request"))
    );
    assert!(!serde_json::to_string(&told).unwrap().contains("ada.lovelace"));
    for who in [&support, &finance, &world.client] {
        world.refused(403, "forbidden", world.get(who, "/v1/audit/access")).await;
    }
    let listed = world.get(&auditor, "/v1/audit/access?limit=2").await.success().unwrap().body;
    assert_eq!(listed["data"][0]["role"], "support");
    assert_eq!(listed["data"][0]["auth"]["credential"], "operator_token");
    assert_eq!(listed["data"][1]["subject_id"], json!(ada.party_id));
    let rest = format!("/v1/audit/access?after={}", listed["next_cursor"].as_str().unwrap());
    let rest = world.get(&auditor, &rest).await.success().unwrap().body;
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["data"][0]["fields"], json!(["email"]));

    let (app, now) = (world.server.app(), site.clock.now());
    assert!(app.identity.vault().destroy(party(&ada), now).await.unwrap());
    assert!(!app.identity.vault().destroy(party(&ada), now).await.unwrap(), "once");
    let seen = world.get(&support, &with("subject_request")).await.success().unwrap().body;
    assert_eq!(seen["email"], Value::Null);
    assert!(seen["redacted"]["kid"].is_string() && seen["redacted"]["at"].is_string(), "{seen}");
    let me = site.me(&ada.access).await.success().unwrap().body;
    assert_eq!(me["email"], Value::Null);
    site.login(ADDRESS, PASSWORD).await.success().unwrap();
    let enrolled = site.post_as(&ada.access, "/v1/auth/mfa/enroll", json!({})).await;
    assert!(enrolled.status.is_success(), "{}", enrolled.body);
    let sealed = app.identity.vault().seal(party(&ada), PersonalField::Email, b"again", now).await;
    assert!(matches!(sealed, Err(VaultError::Erased(_))), "no other key is made");
}

/// B.14: ciphertext opens for its tenant, person and field only, wherever it is put.
#[tokio::test]
async fn ciphertext_put_elsewhere_does_not_open() {
    let site = Site::new().await;
    let (ada, bob) = (site.user(ADDRESS, "client").await, site.user("bob.builder@example.com", "seller").await);
    let (app, now, email) = (site.world.server.app(), site.clock.now(), PersonalField::Email);
    let vault = app.identity.vault();
    let sealed = vault.seal(party(&ada), email, b"x", now).await.unwrap();
    assert_eq!(vault.open(party(&ada), email, &sealed).await.unwrap(), Opened::Clear(b"x".to_vec()));
    let misplaced = async |who: &User, field, sealed: &[u8]| {
        matches!(vault.open(party(who), field, sealed).await, Err(VaultError::Misplaced))
    };
    assert!(misplaced(&bob, email, &sealed).await);
    assert!(misplaced(&ada, PersonalField::EvidenceStatement, &sealed).await);
    assert!(misplaced(&ada, email, &sealed[..16]).await);
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(misplaced(&ada, email, &changed).await);
    let other_master = Vault::new(app.pool().clone(), MasterKey::random(), "main");
    assert!(matches!(other_master.open(party(&ada), email, &sealed).await, Err(VaultError::OtherMaster)));
    // In another person's row it is a defect that is told, and nobody's address is shown.
    sqlx::query("update accounts set email_sealed = (select email_sealed from accounts where party_id = $1) where party_id = $2")
        .bind(&ada.party_id)
        .bind(&bob.party_id)
        .execute(app.pool())
        .await
        .unwrap();
    let shown = site.me(&bob.access).await;
    assert_eq!(refusal(&shown), (500, "internal_error"));
    assert!(!shown.body.to_string().contains("ada"), "{}", shown.body);
}

/// Another server on the site's database, with this master key.
async fn server(site: &Site, key: &MasterKey) -> Result<Server, ServeError> {
    let provider = ProviderConfig::Remote {
        base_url: site.world.server.sandbox_url(),
        secret_key: adapters::stripe::Secret::new(site.world.server.sandbox_key().unwrap()),
        webhook_secrets: Vec::new(),
        connect_webhook_secrets: Vec::new(),
        onboarding_return_url: None,
    };
    let config = ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: site.world.database.app_options.clone(),
        tenant: "main".parse().unwrap(),
        test_clock: None,
        provider,
        allow_owner: false,
    };
    let identity =
        IdentityConfig { master_key: Some(key.clone()), clock: site.clock.clone(), ..IdentityConfig::default() };
    Server::start_with(config, identity).await
}

/// The address in an account's row, sealed as it was before persons had keys.
async fn put_back(site: &Site, user: &User, key: &MasterKey) {
    let pool = site.world.server.app().pool();
    let account = account::by_party(pool, party(user)).await.unwrap().unwrap();
    let sealed = key.seal(Purpose::Email, &account.email_index, user.email.as_bytes());
    assert!(account::reseal(pool, account.account_id, &account.email_sealed, &sealed).await.unwrap());
}

/// A master key is exchanged with everything that is under it; a server with the old one does not start. What an older
/// version kept otherwise is sealed with the person's key at the next start.
#[tokio::test]
async fn another_master_key_opens_everything_and_the_old_one_nothing() {
    let (old, new) = (MasterKey::random(), MasterKey::random());
    let site = Site::with(IdentityConfig { master_key: Some(old.clone()), ..IdentityConfig::default() }).await;
    let ada = site.user(ADDRESS, "client").await;
    let (secret, _, _) = enrolled(&site, &ada, PASSWORD).await;
    put_back(&site, &ada, &old).await;
    assert_eq!(site.me(&ada.access).await.success().unwrap().body["email"], ADDRESS, "read as it was");
    let pool = site.world.server.app().pool();
    let again = server(&site, &old).await.unwrap();
    let version =
        sqlx::query("select get_byte(email_sealed, 0) as version from accounts").fetch_one(pool).await.unwrap();
    assert_eq!(version.get::<i32, _>("version"), 2, "sealed at the start");
    again.shutdown().await;

    let now = site.clock.now();
    assert!(rewrap(pool, "main", &new, &old, now).await.unwrap().is_none(), "the first is not the tenant's");
    let done = rewrap(pool, "main", &old, &new, now).await.unwrap().unwrap();
    assert!(done.subject_keys >= 1, "{done:?}");
    assert!(rewrap(pool, "main", &old, &new, now).await.unwrap().is_none(), "once");
    assert!(matches!(server(&site, &old).await, Err(ServeError::Identity(IdentityError::OtherMasterKey))));
    let after = server(&site, &new).await.unwrap();
    site.clock.advance(30);
    let login = json!({ "email": ADDRESS, "password": PASSWORD, "code": code_of(&site, &secret) });
    let login = site.http.post(format!("{}/v1/auth/login", after.base_url())).json(&login);
    let signed_in = super::read(login).await.success().unwrap();
    let me = site.http.get(format!("{}/v1/users/me", after.base_url()));
    let me = super::read(me.bearer_auth(signed_in.text("/access_token").unwrap())).await.success().unwrap();
    assert_eq!(me.body["email"], ADDRESS);
    assert_eq!(
        site.me(&ada.access).await.success().unwrap().body["email"],
        Value::Null,
        "the old server reads nothing"
    );
    after.shutdown().await;
}
