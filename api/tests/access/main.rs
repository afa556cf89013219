//! The table of who may do what, asked over HTTP: every route, as nobody, in every wrong role, without the scope, as another
//! party, with a key that cannot show who it is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

#[path = "../support/mod.rs"]
mod support;

mod parties;
mod step_up;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use api::access::rule::{Access, Grant, Open, RoleSet, Rule, Strength};
use api::access::table::TABLE;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::Answer;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use serde_json::{Value, json};
use support::World;

/// Routes that the description leaves out: itself, and what shows it.
const OF_THE_DESCRIPTION: &[&str] = &["/openapi.json", "/docs", "/docs/", "/docs/{*rest}", "/pages.css"];

/// The routes that ask for a token.
fn granted() -> impl Iterator<Item = (&'static Rule, Grant)> {
    TABLE.iter().filter_map(|rule| match rule.access {
        Access::Granted(grant) => Some((rule, grant)),
        Access::Open(_) => None,
    })
}

/// Made once: that takes long, and there are a thousand requests.
static HTTP: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

/// A request with a key of idempotency, and a version where one is given.
async fn ask(
    world: &World,
    rule: &Rule,
    path: &str,
    token: Option<&str>,
    version: Option<&str>,
    body: &Value,
) -> Answer {
    let request = HTTP.request(rule.method.parse().unwrap(), format!("{}{path}", world.server.base_url()));
    let request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
    let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    let request = version.into_iter().fold(request, |request, version| request.header("If-Match", version));
    let request = if rule.method == "GET" { request } else { request.json(body) };
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.json().await.unwrap() }
}

/// Asks for something that need not be there: the table is looked at first.
async fn knock(world: &World, rule: &Rule, token: Option<&str>) -> (u16, String, Answer) {
    let path = rule.path.replace(['{', '}'], "");
    let answer = ask(world, rule, &path, token, None, &json!({})).await;
    (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default().to_owned(), answer)
}

/// A key of a machine that acts for the bearer of a token.
async fn key(world: &World, of: &MadeToken, scopes: &[&str], exempt: bool) -> MadeToken {
    let wish = json!({ "name": "machine", "scopes": scopes, "step_up_exempt": exempt });
    let made = world.post(of, "/v1/api-keys", None, wish).await.success().unwrap();
    MadeToken { party_id: of.party_id, token: made.text("/key").unwrap() }
}

/// A token of every role.
async fn everybody(world: &World) -> BTreeMap<&'static str, MadeToken> {
    let mut tokens = BTreeMap::new();
    for role in Role::all() {
        let made = make_token(&world.server.app().engine, role, None, None, None).await.unwrap();
        tokens.insert(role.word(), made);
    }
    tokens
}

/// Every operation is in the table, every route of the table is described, and the description says what the table says.
#[test]
fn the_description_says_what_the_table_says() {
    let description = serde_json::to_value(api::router::description()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let rule = TABLE.iter().find(|rule| rule.method == method && rule.path == path);
            let rule = rule.unwrap_or_else(|| panic!("{method} {path} is in no line of the table"));
            let security = match rule.access {
                Access::Open(_) => json!([]),
                Access::Granted(grant) => json!([{ "bearer": grant.scope.into_iter().collect::<Vec<_>>() }]),
            };
            assert_eq!(operation["security"], security, "{method} {path}");
            described.insert((rule.method, rule.path));
        }
    }
    for rule in TABLE {
        let left_out = matches!(rule.access, Access::Open(Open::Page))
            || rule.successor.is_some()
            || OF_THE_DESCRIPTION.contains(&rule.path);
        assert!(
            left_out || described.contains(&(rule.method, rule.path)),
            "{} {} is not described",
            rule.method,
            rule.path
        );
    }
}

/// D-165: every route of the table on one server: as nobody, in a wrong role, without the scope, as another party.
#[tokio::test]
async fn every_route_refuses_who_may_not() {
    let world = World::new().await;
    roles_and_scopes(&world).await;
    a_route_outside_the_table_is_nobodys(&world).await;
    parties::other_parties_find_nothing(&world).await;
}

/// Without a token, and with one that is none: 401. In a wrong role: 403. Without the scope: 403, with what is needed.
async fn roles_and_scopes(world: &World) {
    let tokens = everybody(world).await;
    let mut narrow = BTreeMap::new();
    for (role, token) in &tokens {
        narrow.insert((*role, "users:read"), key(world, token, &["users:read"], true).await);
        narrow.insert((*role, "contracts:read"), key(world, token, &["contracts:read"], true).await);
    }
    let head = world.head().await;
    for (rule, grant) in granted() {
        let name = format!("{} {}", rule.method, rule.path);
        let no_tokens = [None, Some("ern_0000"), Some("erk_0000"), Some("a.b.c"), Some("")];
        for token in no_tokens {
            let (status, code, answer) = knock(world, rule, token).await;
            assert_eq!((status, code.as_str()), (401, "unauthenticated"), "{name}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{name}");
        }
        for (role, token) in &tokens {
            if !grant.roles.words().contains(role) {
                let (status, code, _) = knock(world, rule, Some(&token.token)).await;
                assert_eq!((status, code.as_str()), (403, "forbidden"), "{name} as {role}");
            }
        }
        let Some(scope) = grant.scope else { continue };
        let other = if scope == "users:read" { "contracts:read" } else { "users:read" };
        for role in grant.roles.words() {
            let (status, code, answer) = knock(world, rule, Some(&narrow[&(role, other)].token)).await;
            assert_eq!((status, code.as_str()), (403, "insufficient_scope"), "{name} as {role}");
            assert_eq!(answer.body["scope"], scope);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains(scope), "{challenge}");
        }
    }
    assert_eq!(world.head().await, head, "nothing was written");
    // A read is refused alike when only its headers are asked for.
    let bare = reqwest::Client::new().head(format!("{}/v1/contracts", world.server.base_url()));
    assert_eq!(bare.send().await.unwrap().status().as_u16(), 401);
    let wrong = world.raw(|http, base| http.delete(format!("{base}/v1/contracts"))).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, Some("POST, GET, HEAD")));
}

/// Deny is the default: a route that nobody has put into the table is refused, whoever asks, and its handler does not run.
async fn a_route_outside_the_table_is_nobodys(world: &World) {
    let app = world.server.app().clone();
    let router =
        Router::new().route("/v1/forgotten", get(async || "secret")).layer(from_fn_with_state(app, api::access::guard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/forgotten", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    for token in ["", world.admin.token.as_str()] {
        let answer = reqwest::Client::new().get(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 403);
        assert!(!answer.text().await.unwrap().contains("secret"));
    }
}

/// Who only reads the platform's things, and who moves money, are not the same: the sets of the table differ as they should.
#[test]
fn money_is_moved_by_who_decides() {
    for (rule, grant) in granted().filter(|(rule, _)| rule.method != "GET") {
        let scope = grant.scope.unwrap_or_default();
        if ["treasury:manage", "risk:manage", "escrow:manage", "chargebacks:manage"].contains(&scope) {
            assert!(grant.roles == RoleSet::MONEY || grant.roles == RoleSet::FINANCE, "{}", rule.path);
        }
        let moves = ["/payout-account", "/payout-destinations/{currency}", "/onboarding-links"];
        if moves.iter().any(|end| rule.path.ends_with(end)) {
            assert_eq!(grant.strength, Strength::Recent, "{}", rule.path);
        }
    }
}
