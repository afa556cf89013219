//! `earnest tenant`, as an operator uses it; and what the clock of a tenant lets its callers do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::net::SocketAddr;
use std::process::Command;

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::identity::step_up::{self, StoredStepUp};
use adapters::postgres::tenant::{self, CreateError, NewClock};
use adapters::postgres::{approvals, tenant_pool};
use api::caller::Role;
use api::cli::operator::make_token;
use api::cli::story::ApiClient;
use api::server::{ProviderConfig, Server, ServerConfig};
use domain::actor::StaffRole;
use domain::approval::{FourEyes, Kind, KindRule, Rule};
use serde_json::json;
use sqlx::ConnectOptions;

const BEGIN: &str = "2026-12-01T10:00:00Z";

/// What the binary prints, to both; whether it succeeded.
fn earnest(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_earnest"))
        .arg("tenant")
        .args(arguments)
        .env("DATABASE_URL", database.app_options.to_url_lossy().as_str())
        .env("EARNEST_OWNER_DATABASE_URL", database.owner_options.to_url_lossy().as_str())
        .env_remove("EARNEST_TENANT")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn serve(database: &TestDatabase, tenant: &str) -> Server {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(ServerConfig {
        listen: local,
        database: database.app_options.clone(),
        tenant: tenant.parse().unwrap(),
        test_clock: None,
        provider: ProviderConfig::Sandbox { listen: local, database: Box::new(database.owner_options.clone()) },
        allow_owner: false,
    })
    .await
    .unwrap()
}

/// A tenant is made once; the second time says that it is there, and leaves its clock alone.
#[tokio::test]
async fn a_tenant_is_made_once() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let (done, text) = earnest(&database, &["list"]);
    assert!(done && text.contains("There are no tenants"), "{text}");
    let (done, text) = earnest(&database, &["create", "--tenant", "acme", "--clock", "test", "--now", BEGIN]);
    assert!(done && text.contains("Its test clock shows 2026-12-01T10:00:00.000Z."), "{text}");
    let (done, text) = earnest(&database, &["create", "--tenant", "beta", "--clock", "system"]);
    assert!(done && text.contains("It lives by the system's clock."), "{text}");
    let before = tenant::list(&database.app_options).await.unwrap();
    let (done, text) = earnest(&database, &["create", "--tenant", "acme", "--clock", "system"]);
    assert!(!done && text.contains("the tenant acme is there already; nothing was changed"), "{text}");
    let (done, text) = earnest(&database, &["create", "--tenant", "public"]);
    assert!(!done && text.contains("a tenant's name has"), "{text}");
    let (done, text) = earnest(&database, &["create", "--tenant", "gamma", "--now", BEGIN]);
    assert!(!done && text.contains("say --clock test, too"), "{text}");
    assert_eq!(tenant::list(&database.app_options).await.unwrap(), before, "refusals make and change nothing");
    let shown: Vec<_> = before.iter().map(|tenant| (tenant.name.as_str(), tenant.test_clock)).collect();
    assert_eq!(shown, [("acme", Some(BEGIN.parse().unwrap())), ("beta", None)]);
    let (done, text) = earnest(&database, &["list"]);
    let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(done);
    assert_eq!(lines, ["acme test clock 2026-12-01T10:00:00.000Z 0 events", "beta system clock 0 events"]);
}

/// D-44: an operator says from which amount on people show again who they are; what makes no sense is not taken.
#[tokio::test]
async fn a_tenant_has_its_own_threshold() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let name = "acme".parse().unwrap();
    tenant::create(&database.owner_options, &name, "earnest_app", NewClock::System).await.unwrap();
    let pool = tenant_pool(database.app_options.clone(), &name, 1);
    assert_eq!(step_up::find(&pool).await.unwrap(), None);
    for (threshold, second_factor) in [("500", true), ("2000", false)] {
        let mut arguments = vec!["step-up", "--tenant", "acme", "--threshold", threshold, "--max-age", "60"];
        arguments.extend(second_factor.then_some("--second-factor"));
        let (done, text) = earnest(&database, &arguments);
        assert!(done && text.contains(&format!("From {threshold} units on")), "{text}");
        let threshold_units = threshold.parse().unwrap();
        let set = StoredStepUp { threshold_units, max_age_seconds: 60, second_factor };
        assert_eq!(step_up::find(&pool).await.unwrap(), Some(set));
    }
    let (done, _) = earnest(&database, &["step-up", "--tenant", "acme", "--threshold", "5", "--max-age", "29"]);
    assert!(!done);
    assert_eq!(step_up::find(&pool).await.unwrap().unwrap().threshold_units, 2000);
    pool.close().await;
}

/// D-96: an operator says what needs how many others; what asks nobody, or makes no sense, is told apart.
#[tokio::test]
async fn a_tenant_says_what_needs_others() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let name = "acme".parse().unwrap();
    tenant::create(&database.owner_options, &name, "earnest_app", NewClock::System).await.unwrap();
    let pool = tenant_pool(database.app_options.clone(), &name, 1);
    assert_eq!(approvals::rules(&pool).await.unwrap(), FourEyes::default());
    let say = |arguments: &[&str]| earnest(&database, &[&["four-eyes", "--tenant", "acme"], arguments].concat());
    let own = ["--kind", "write_off_debt", "--approvers", "2", "--roles", "finance,admin", "--above", "500"];
    for arguments in [own.as_slice(), &["--kind", "freeze_escrow", "--hours", "24"]] {
        let (done, text) = say(arguments);
        assert!(done && text.contains("others, within"), "{text}");
    }
    let (done, text) = say(&["--kind", "unfreeze_escrow", "--approvers", "0"]);
    assert!(done && text.contains("unfreeze_escrow needs nobody else."), "{text}");
    let set = approvals::rules(&pool).await.unwrap();
    let rule = Rule { approvers: 2, roles: vec![StaffRole::Finance, StaffRole::Admin], hours: 72 };
    assert_eq!(set.rules.get(&Kind::WriteOffDebt), Some(&KindRule { above_units: 500, rule }));
    let rule = Rule { hours: 24, ..Rule::standard(Kind::FreezeEscrow) };
    assert_eq!(set.rules.get(&Kind::FreezeEscrow), Some(&KindRule { above_units: 0, rule }));
    assert_eq!(set.rules.get(&Kind::UnfreezeEscrow), None);
    for wrong in [
        ["--kind", "pay_me", "--approvers", "1"],
        ["--kind", "freeze_escrow", "--approvers", "6"],
        ["--kind", "freeze_escrow", "--hours", "721"],
        ["--kind", "freeze_escrow", "--roles", "support"],
        ["--kind", "freeze_escrow", "--roles", "king"],
    ] {
        assert!(!say(&wrong).0, "{wrong:?}");
    }
    assert_eq!(approvals::rules(&pool).await.unwrap(), set);
    pool.close().await;
}

/// Of several who make the same tenant at once, one does, and the others are told.
#[tokio::test]
async fn of_several_makers_one_makes() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let name = "race".parse().unwrap();
    let attempt = || tenant::create(&database.owner_options, &name, "earnest_app", NewClock::System);
    let (a, b, c) = tokio::join!(attempt(), attempt(), attempt());
    let made = [&a, &b, &c].iter().filter(|result| result.is_ok()).count();
    let told = [&a, &b, &c].iter().filter(|result| matches!(result, Err(CreateError::Exists(_)))).count();
    assert_eq!((made, told), (1, 2), "{a:?} {b:?} {c:?}");
}

/// A tenant that cannot be made whole is not made: the role that is to serve it does not exist.
#[tokio::test]
async fn a_tenant_is_made_whole_or_not_at_all() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let name = "half".parse().unwrap();
    let made = tenant::create(&database.owner_options, &name, "nobody_of_that_name", NewClock::System).await;
    assert!(matches!(made, Err(CreateError::Migrate(_))), "{made:?}");
    assert_eq!(tenant::list(&database.owner_options).await.unwrap(), []);
    tenant::create(&database.owner_options, &name, "earnest_app", NewClock::System).await.unwrap();
}

/// A tenant with the system's clock has no clock to show or to move; one with a test clock does, from where it was set.
#[tokio::test]
async fn only_a_test_clock_is_moved() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    for (name, clock) in [("real", NewClock::System), ("play", NewClock::Test(BEGIN.parse().unwrap()))] {
        tenant::create(&database.owner_options, &name.parse().unwrap(), "earnest_app", clock).await.unwrap();
        let server = serve(&database, name).await;
        let engine = &server.app().engine;
        let admin = make_token(engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
        let api = ApiClient::new(server.base_url());
        let shown = api.get("/v1/test_clocks", &admin.token).await.unwrap();
        let path = format!("/v1/test_clocks/clk_{name}/advance");
        let moved = api.post(&path, &admin.token, &[], &json!({ "to": "2026-12-02T10:00:00Z" })).await.unwrap();
        if clock == NewClock::System {
            for answer in [shown, moved] {
                assert_eq!((answer.status.as_u16(), &answer.body["code"]), (409, &json!("not_in_test_mode")));
            }
        } else {
            assert_eq!(shown.success().unwrap().body["now"], BEGIN);
            assert_eq!(moved.success().unwrap().body["now"], "2026-12-02T10:00:00Z");
        }
        server.shutdown().await;
    }
}
