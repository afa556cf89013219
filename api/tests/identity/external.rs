//! Tokens of other issuers. They are made by another library than the one that checks them here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use api::identity::IdentityConfig;
use api::identity::external::ExternalIssuerConfig;
use api::outgoing::{Lookup, OutgoingConfig};
use axum::routing::get;
use axum::{Json, Router};
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike, HS256Key, MACLike,
    RS256KeyPair, RSAKeyPairLike,
};
use serde_json::{Value, json};

use super::{Site, refusal};

/// Made once: that takes long.
static RSA: LazyLock<RS256KeyPair> = LazyLock::new(|| RS256KeyPair::generate(2048).unwrap().with_key_id("rsa"));

/// An issuer with one key of each kind, which counts how often its keys are asked for.
struct Issuer {
    url: String,
    rsa: RS256KeyPair,
    p256: ES256KeyPair,
    ed: Ed25519KeyPair,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let rsa = RSA.clone();
        let (p256, ed) = (ES256KeyPair::generate().with_key_id("p256"), Ed25519KeyPair::generate().with_key_id("ed"));
        let keys: Vec<Value> = [
            rsa.public_key().with_key_id("rsa").to_jwk(),
            p256.public_key().with_key_id("p256").to_jwk(),
            ed.public_key().with_key_id("ed").to_jwk(),
        ]
        .iter()
        .zip(["rsa", "p256", "ed"])
        .map(|(jwk, kid)| {
            let mut jwk: Value = serde_json::from_str(jwk).unwrap();
            jwk["kid"] = json!(kid);
            jwk
        })
        .collect();
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (document, counter) = (json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }), Arc::clone(&asked));
        let router = Router::new().route("/.well-known/openid-configuration", get(async move || Json(document))).route(
            "/keys",
            get(async move || {
                counter.fetch_add(1, Ordering::Relaxed);
                Json(json!({ "keys": keys }))
            }),
        );
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, rsa, p256, ed, asked }
    }

    fn claims(&self, custom: Value) -> jwt_simple::claims::JWTClaims<Value> {
        Claims::with_custom_claims(custom, Duration::from_mins(10)).with_issuer(&self.url).with_subject("sub|1")
    }

    fn rsa(&self, custom: Value) -> String {
        self.rsa.sign(self.claims(custom)).unwrap()
    }

    /// A server that takes its tokens, configured like this.
    async fn site(&self, more: Value) -> Site {
        let mut config = json!({
            "issuer": self.url,
            "roles": [["finance-team", "finance"], ["clients", "client"], ["freelancers", "payee"]],
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config: ExternalIssuerConfig = serde_json::from_value(config).unwrap();
        let outgoing = OutgoingConfig::development();
        Site::with(IdentityConfig { external: vec![config], outgoing, ..IdentityConfig::default() }).await
    }
}

/// D-162: an access token of Cognito has no audience: the application and the use of the token are looked at.
#[tokio::test]
async fn cognito() {
    let issuer = Issuer::start().await;
    let more = json!({ "profile": "cognito", "client_ids": ["app-1"], "scopes_of_role": true });
    let site = issuer.site(more).await;
    let token = |change: Value| {
        let mut claims = json!({ "token_use": "access", "client_id": "app-1", "cognito:groups": ["clients"] });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        issuer.rsa(claims)
    };
    let me = site.me(&token(json!({}))).await.success().unwrap().body;
    assert_eq!(me["role"], "client");
    assert!(me["scopes"].as_array().unwrap().contains(&json!("contracts:write")));
    for wrong in [
        json!({ "token_use": "id", "aud": "app-1" }),
        json!({ "token_use": "id" }),
        json!({ "client_id": "app-2" }),
        json!({ "client_id": null, "aud": "app-1" }),
        json!({ "aud": "somebody-else" }),
        json!({ "cognito:groups": ["strangers"] }),
    ] {
        assert_eq!(refusal(&site.me(&token(wrong.clone())).await), (401, "unauthenticated"), "{wrong}");
    }
}

/// D-163: an access token of Auth0 may have several audiences, and permissions beside its scopes. A role bounds them.
#[tokio::test]
async fn auth0() {
    let issuer = Issuer::start().await;
    let more = json!({ "profile": "auth0", "audiences": ["https://api"], "roles_claim": "https://market/roles" });
    let site = issuer.site(more).await;
    let token = |audience: Value, roles: &str| {
        issuer.rsa(json!({
            "aud": audience, "azp": "app", "scope": "openid contracts:read", "https://market/roles": [roles],
            "permissions": ["payouts:read", "ledger:adjust"],
        }))
    };
    let both = json!(["https://api", "https://tenant.auth0.example/userinfo"]);
    let me = site.me(&token(both.clone(), "freelancers")).await.success().unwrap().body;
    assert_eq!((&me["role"], &me["scopes"]), (&json!("payee"), &json!(["contracts:read", "payouts:read"])));
    let me = site.me(&token(json!("https://api"), "finance-team")).await.success().unwrap().body;
    assert_eq!(me["scopes"], json!(["contracts:read", "payouts:read", "ledger:adjust"]));
    for audience in [json!(["https://tenant.auth0.example/userinfo"]), json!("https://api/"), json!([]), Value::Null] {
        assert_eq!(refusal(&site.me(&token(audience, "freelancers")).await), (401, "unauthenticated"));
    }
    assert_eq!(refusal(&site.me(&token(both, "strangers")).await), (401, "unauthenticated"));
}

/// Other algorithms of the list are taken; a subject stands for the same party each time; without linking for nobody.
#[tokio::test]
async fn a_subject_stands_for_one_party() {
    let issuer = Issuer::start().await;
    let site = issuer.site(json!({ "audiences": ["earnest"] })).await;
    let claims = || issuer.claims(json!({ "aud": "earnest", "roles": "clients" }));
    let mut parties = Vec::new();
    for token in
        [issuer.rsa.sign(claims()).unwrap(), issuer.p256.sign(claims()).unwrap(), issuer.ed.sign(claims()).unwrap()]
    {
        parties.push(site.me(&token).await.success().unwrap().body["party_id"].clone());
    }
    assert!(parties.iter().all(|party| *party == parties[0]), "{parties:?}");
    let other = issuer.rsa.sign(claims().with_subject("sub|2")).unwrap();
    assert_ne!(site.me(&other).await.success().unwrap().body["party_id"], parties[0]);
    assert_eq!(site.world.count("party.registered").await, 3 + 2, "the world's own parties, and these");
    let strict = issuer.site(json!({ "audiences": ["earnest"], "linking": "never" })).await;
    assert_eq!(refusal(&strict.me(&issuer.rsa.sign(claims()).unwrap()).await), (401, "unauthenticated"));
}

/// Signatures and times of other issuers, and how often their keys are asked for.
#[tokio::test]
async fn forged_tokens_open_nothing_and_do_not_make_us_ask_at_will() {
    let issuer = Issuer::start().await;
    let site = issuer.site(json!({ "audiences": ["earnest"], "algorithms": ["RS256", "ES256"] })).await;
    let claims = || issuer.claims(json!({ "aud": "earnest", "roles": ["clients"] }));
    site.me(&issuer.rsa.sign(claims()).unwrap()).await.success().unwrap();
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1);
    for kid in ["p256", "rsa", "unknown-1", "unknown-2", "unknown-3"] {
        let stranger = ES256KeyPair::generate().with_key_id(kid);
        assert_eq!(refusal(&site.me(&stranger.sign(claims()).unwrap()).await), (401, "unauthenticated"), "{kid}");
    }
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1, "not again within half a minute");
    let pem = issuer.rsa.public_key().to_pem().unwrap();
    let confused = HS256Key::from_bytes(pem.as_bytes()).with_key_id("rsa").authenticate(claims()).unwrap();
    assert_eq!(refusal(&site.me(&confused).await), (401, "unauthenticated"));
    let not_listed = issuer.ed.sign(claims()).unwrap();
    assert_eq!(refusal(&site.me(&not_listed).await), (401, "unauthenticated"), "EdDSA is not on this issuer's list");
    let elsewhere = issuer.rsa.sign(claims().with_issuer("https://evil.example")).unwrap();
    assert_eq!(refusal(&site.me(&elsewhere).await), (401, "unauthenticated"));
    // Another token than the first, also within the same second: that one is believed for a moment.
    let good = issuer.rsa.sign(claims().with_jwt_id("late")).unwrap();
    site.clock.advance(631);
    assert_eq!(refusal(&site.me(&good).await), (401, "unauthenticated"), "expired");
    site.clock.advance(-631 - 60);
    assert_eq!(refusal(&site.me(&good).await), (401, "unauthenticated"), "not yet valid");
    site.clock.advance(60);
    site.me(&good).await.success().unwrap();
}

/// A configuration that would take anybody's tokens is refused.
#[test]
fn an_issuer_without_an_audience_is_no_configuration() {
    let of = |more: Value| {
        let mut config = json!({ "issuer": "https://issuer.example" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config: ExternalIssuerConfig = serde_json::from_value(config).unwrap();
        let outgoing = OutgoingConfig::default();
        api::identity::external::ExternalIssuer::new(config, &outgoing).map(|_| ()).map_err(|error| error.what)
    };
    assert!(of(json!({})).is_err());
    assert!(of(json!({ "profile": "cognito", "audiences": ["a"] })).is_err());
    assert!(of(json!({ "audiences": ["a"], "algorithms": ["HS256"] })).is_err());
    assert!(of(json!({ "audiences": ["a"], "default_role": "king" })).is_err());
    assert_eq!(of(json!({ "audiences": ["a"], "default_role": "client" })), Ok(()));
    let keys_at = |url: &str| of(json!({ "audiences": ["a"], "jwks_url": url }));
    assert_eq!(keys_at("https://issuer.example/keys"), Ok(()));
    for own in
        ["http://issuer.example/keys", "https://169.254.169.254/keys", "https://[::1]/keys", "https://10.0.0.1/keys"]
    {
        assert!(keys_at(own).is_err(), "{own}");
    }
}

/// D-168 (in part: of the URLs that are named to us so far): an issuer's document names where its keys are, and may lie: what
/// is not the public's is not asked, by number or by name.
#[tokio::test]
async fn keys_are_not_fetched_from_where_only_we_come() {
    let trap = Issuer::start().await;
    let inside = |host: &str| format!("{}/keys", trap.url.replace("127.0.0.1", host));
    // What is the public's in this test: this machine under its second address.
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let hosts = ["issuer-a.example", "issuer-b.example", "issuer-c.example"];
    let targets = [inside("127.0.0.1"), inside("inside.example"), inside("[::ffff:127.0.0.1]")];
    let issuer = |host: &str| format!("http://{host}:{port}");
    let (counter, served) = (Arc::clone(&asked), hosts.into_iter().zip(targets).collect::<Vec<_>>());
    let document = get(async move |headers: axum::http::HeaderMap| {
        counter.fetch_add(1, Ordering::Relaxed);
        let asked = headers["host"].to_str().unwrap().to_owned();
        let (_, keys) = served.iter().find(|(host, _)| asked.starts_with(host)).unwrap();
        Json(json!({ "issuer": format!("http://{asked}"), "jwks_uri": keys }))
    });
    let router = Router::new().route("/.well-known/openid-configuration", document);
    tokio::spawn(async { axum::serve(listener, router).await });
    let lookup = |host: &str| {
        let address = if host == "inside.example" { [127, 0, 0, 1] } else { [127, 0, 0, 2] };
        vec![std::net::IpAddr::from(address)]
    };
    let outgoing = OutgoingConfig {
        allow_http: true,
        allowed_networks: vec!["127.0.0.2".parse().unwrap()],
        lookup: Lookup::Stub(Arc::new(lookup)),
    };
    let config = |host: &str| json!({ "issuer": issuer(host), "audiences": ["a"], "default_role": "client" });
    let external = hosts.iter().map(|host| serde_json::from_value(config(host)).unwrap()).collect();
    let site = Site::with(IdentityConfig { external, outgoing, ..IdentityConfig::default() }).await;
    for host in hosts {
        let token = trap.rsa.sign(trap.claims(json!({ "aud": "a" })).with_issuer(issuer(host))).unwrap();
        assert_eq!(refusal(&site.me(&token).await), (401, "unauthenticated"), "{host}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3, "each issuer's document is read");
    assert_eq!(trap.asked.load(Ordering::Relaxed), 0, "and where it leads is not asked");
}
