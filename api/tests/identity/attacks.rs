//! Forged tokens, and tokens that are good elsewhere. Beside the server's own library another one makes and checks them.

use adapters::postgres::identity::key::{self, StoredKey};
use adapters::postgres::migrate;
use api::identity::IdentityConfig;
use api::identity::access_token::{Claims, TYPE};
use api::identity::keyring::{LEAD, rotate};
use api::identity::seal::MasterKey;
use api::server::{ProviderConfig, Server, ServerConfig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use jwt_simple::prelude::{Ed25519KeyPair, Ed25519PublicKey, EdDSAPublicKeyLike, NoCustomClaims};
use serde_json::{Value, json};

use super::{Site, User, refusal};

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims_of(token: &str) -> Claims {
    serde_json::from_value(part(token, 1)).unwrap()
}

/// A key of ours in the issuer's key set: whoever has it can sign anything, so that only the claims are judged.
async fn planted(site: &Site) -> (String, EncodingKey) {
    let pair = Ed25519KeyPair::generate();
    let now = site.clock.now();
    let stored = StoredKey {
        kid: "planted".to_owned(),
        public_key: pair.public_key().to_bytes(),
        sealed_private: Vec::new(),
        signs_from: now,
        published_until: None,
    };
    key::insert(site.world.server.app().pool(), &stored, now, None).await.unwrap();
    (stored.kid, EncodingKey::from_ed_der(&pair.to_der()))
}

fn signed(kid: &str, key: &EncodingKey, typ: &str, claims: &impl serde::Serialize) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(typ.to_owned());
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// A token that is refused, and why.
async fn why(site: &Site, token: &str) -> String {
    let answer = site.me(token).await;
    assert_eq!(refusal(&answer), (401, "unauthenticated"), "{}", answer.body);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm=\"earnest\", error=\"invalid_token\""), "{challenge}");
    answer.body["detail"].as_str().unwrap().to_owned()
}

/// A token of ours verifies with another library, by the published key set.
#[tokio::test]
async fn another_library_verifies_our_tokens() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let http = reqwest::Client::new();
    let get = async |url: String| -> Value { http.get(url).send().await.unwrap().json().await.unwrap() };
    let document = get(site.url("/.well-known/openid-configuration")).await;
    assert_eq!(document["issuer"], json!(site.world.server.base_url()));
    let set = get(document["jwks_uri"].as_str().unwrap().to_owned()).await;
    assert_eq!(set, get(site.url("/v1/.well-known/jwks.json")).await);
    assert!(!set.to_string().contains("\"d\""), "no private key");
    let header = part(&user.access, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    let keys = set["keys"].as_array().unwrap();
    let published = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let theirs = Ed25519PublicKey::from_jwk(&published.to_string()).unwrap();
    let verified = theirs.verify_token::<NoCustomClaims>(&user.access, None).unwrap();
    assert_eq!(verified.subject, Some(user.party_id.clone()));
    let other = Ed25519KeyPair::generate().public_key();
    assert!(other.verify_token::<NoCustomClaims>(&user.access, None).is_err());
    let claims = claims_of(&user.access);
    assert_eq!((claims.exp - claims.iat, claims.tenant.as_str(), claims.aud.as_str()), (600, "main", "earnest"));
    assert_eq!(claims.amr, ["pwd"]);
}

/// Signatures: none, by the public key as a secret, by another key under a known id, over other claims.
#[tokio::test]
async fn a_token_that_we_did_not_sign_opens_nothing() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let header = part(&user.access, 0);
    let kid = header["kid"].as_str().unwrap();
    let mut claims = part(&user.access, 1);
    claims["roles"] = json!(["admin"]);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({ "alg": "none", "typ": TYPE, "kid": kid });
    assert_eq!(
        why(&site, &format!("{}.{}.", encode(&none), encode(&claims))).await,
        "the token's algorithm is not allowed"
    );

    let set: Value = reqwest::get(site.url("/.well-known/jwks.json")).await.unwrap().json().await.unwrap();
    let x = set["keys"][0]["x"].as_str().unwrap();
    for secret in [URL_SAFE_NO_PAD.decode(x).unwrap(), x.as_bytes().to_vec()] {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(kid.to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(why(&site, &token).await, "the token's algorithm is not allowed");
    }

    let stranger = EncodingKey::from_ed_der(&Ed25519KeyPair::generate().to_der());
    for kid in [kid, "no-such-key"] {
        assert_eq!(why(&site, &signed(kid, &stranger, TYPE, &claims)).await, "the token's signature is not valid");
    }
    let parts: Vec<_> = user.access.split('.').collect();
    let changed = format!("{}.{}.{}", parts[0], encode(&claims), parts[2]);
    assert_eq!(why(&site, &changed).await, "the token's signature is not valid");
    for garbage in ["abc", "a.b.c", "..", &"x".repeat(9000)] {
        assert_eq!(why(&site, garbage).await, "the token is malformed");
    }
    site.me(&user.access).await.success().unwrap();
}

/// Claims, with a good signature: time, issuer, audience, tenant, kind, role, session.
#[tokio::test]
async fn a_good_signature_over_wrong_claims_opens_nothing() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let (kid, key) = planted(&site).await;
    // The key set is read again at most once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let good = claims_of(&user.access);
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        signed(&kid, &key, TYPE, &claims)
    };
    site.me(&with(&|_| {})).await.success().unwrap();
    assert_eq!(why(&site, &with(&|claims| claims.exp = claims.iat - 60)).await, "the token has expired");
    assert_eq!(why(&site, &with(&|claims| claims.nbf += 120)).await, "the token is not valid yet");
    assert_eq!(why(&site, &with(&|claims| claims.iat += 120)).await, "the token is not valid yet");
    for change in [
        (|claims: &mut Claims| claims.aud = "somebody-else".to_owned()) as fn(&mut Claims),
        |claims| claims.tenant = "other".to_owned(),
        |claims| claims.iss = "https://evil.example".to_owned(),
    ] {
        assert_eq!(why(&site, &with(&change)).await, "the token is not meant for this service");
    }
    assert_eq!(why(&site, &with(&|claims| claims.roles = Vec::new())).await, "the token's subject has no role here");
    let gone = |claims: &mut Claims| claims.sid = uuid::Uuid::now_v7();
    assert_eq!(why(&site, &with(&gone)).await, "the session is over");
    assert_eq!(why(&site, &signed(&kid, &key, "JWT", &good)).await, "the token is malformed", "an ID token");
    assert_eq!(why(&site, &signed(&kid, &key, TYPE, &json!({ "iss": good.iss }))).await, "the token is malformed");
}

/// A token is good for ten minutes, also when it was found good a moment before.
#[tokio::test]
async fn a_token_ends_with_its_time() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    site.me(&user.access).await.success().unwrap();
    // Half a minute is given for clocks that differ; the rest is for a machine that is slow.
    site.clock.advance(615);
    site.me(&user.access).await.success().unwrap();
    site.clock.advance(16);
    assert_eq!(why(&site, &user.access).await, "the token has expired");
    let again = site.post("/v1/auth/refresh", json!({ "refresh_token": user.refresh })).await.success().unwrap();
    site.me(&again.text("/access_token").unwrap()).await.success().unwrap();
}

/// A token of another tenant on the same database opens nothing, although its issuer has the same name.
#[tokio::test]
async fn a_token_of_another_tenant_opens_nothing() {
    let key = MasterKey::random();
    let config = || IdentityConfig {
        public_url: Some("https://earnest.example".to_owned()),
        master_key: Some(key.clone()),
        ..IdentityConfig::default()
    };
    let site = Site::with(config()).await;
    let database = &site.world.database;
    migrate::migrate(&database.owner_options, &"other".parse().unwrap(), "earnest_app").await.unwrap();
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let other = ServerConfig {
        listen: local,
        database: database.app_options.clone(),
        tenant: "other".parse().unwrap(),
        test_clock: None,
        provider: ProviderConfig::Sandbox { listen: local, database: Box::new(database.owner_options.clone()) },
        allow_owner: false,
    };
    let other = Server::start_with(other, config()).await.unwrap();
    let user: User = site.user("ada@example.com", "client").await;
    let answer = reqwest::Client::new().get(format!("{}/v1/users/me", other.base_url())).bearer_auth(&user.access);
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 401);
    site.me(&user.access).await.success().unwrap();
    other.shutdown().await;
}

/// A new key is published before it signs, and the old one until its last token is over.
#[tokio::test]
async fn keys_are_rotated_with_overlap() {
    let master = MasterKey::random();
    let site = Site::with(IdentityConfig { master_key: Some(master.clone()), ..IdentityConfig::default() }).await;
    let user = site.user("ada@example.com", "client").await;
    let old = part(&user.access, 0)["kid"].as_str().unwrap().to_owned();
    let now = site.clock.now();
    let new = rotate(site.world.server.app().pool(), &master, now, now + LEAD).await.unwrap();
    let read_again = || tokio::time::sleep(std::time::Duration::from_millis(1100));
    let kids = async || -> Vec<String> {
        let set: Value = reqwest::get(site.url("/.well-known/jwks.json")).await.unwrap().json().await.unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let refresh = async |token: &str| -> (String, String, String) {
        let answer = site.post("/v1/auth/refresh", json!({ "refresh_token": token })).await.success().unwrap();
        let access = answer.text("/access_token").unwrap();
        let kid = part(&access, 0)["kid"].as_str().unwrap().to_owned();
        (kid, access, answer.text("/refresh_token").unwrap())
    };
    read_again().await;
    assert_eq!(kids().await, [old.clone(), new.clone()], "published before it signs");
    site.clock.advance(LEAD.num_seconds() - 60);
    let (kid, last_of_old, next) = refresh(&user.refresh).await;
    assert_eq!(kid, old);
    site.clock.advance(61);
    let (kid, first_of_new, _) = refresh(&next).await;
    assert_eq!(kid, new);
    site.me(&last_of_old).await.success().unwrap();
    site.me(&first_of_new).await.success().unwrap();
    site.clock.advance(20 * 60);
    read_again().await;
    assert_eq!(kids().await, [new]);
}

/// A server with another master key could open nothing: it refuses to start.
#[tokio::test]
async fn a_server_with_another_master_key_does_not_start() {
    let site = Site::with(IdentityConfig { master_key: Some(MasterKey::random()), ..IdentityConfig::default() }).await;
    let pool = site.world.server.app().pool().clone();
    let other = IdentityConfig { master_key: Some(MasterKey::random()), ..IdentityConfig::default() };
    let opened = api::identity::Identity::open(other, pool, "main", String::new()).await;
    assert!(matches!(opened, Err(api::identity::IdentityError::OtherMasterKey)));
}
