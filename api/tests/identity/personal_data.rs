//! What a run leaves behind, searched for what is somebody's own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::mail::Mailbox;
use adapters::postgres::clock::TenantClock;
use adapters::postgres::{PgStore, SchemaName, migrate};
use api::caller::Role;
use api::cli::operator::make_token;
use api::cli::story::Answer;
use api::engine::Engine;
use api::identity::seal::MasterKey;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::actor::StaffRole;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use totp_rs::{Builder, Secret};

use super::token_in;

const BEGIN: &str = "2026-12-01T10:00:00Z";
const CLIENT: &str = "margaret.hamilton@apollo.example";
const PAYEE: &str = "katherine.johnson@langley.example";
const PASSWORD: &str = "orbital-mechanics-by-hand-1962";
const NEW_PASSWORD: &str = "lunar-module-guidance-1969";
const WRONG_PASSWORD: &str = "not-the-password-of-anybody-7731";
const BANK_ACCOUNT: &str = "000987612345";
const CLIENT_ADDRESS: &str = "198.51.100.213";
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const USER_AGENT: &str = "Typewriter/19.58 (of one client)";

/// The server as a user starts it, telling everything that it can tell.
struct Run {
    process: Child,
    log: PathBuf,
    base: String,
    http: reqwest::Client,
    mailbox: Mailbox,
    /// What must not be found, by what it is.
    own: Mutex<BTreeMap<String, String>>,
    /// The problem documents that were answered.
    problems: Mutex<Vec<String>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Run {
    fn start(database: &TestDatabase, directory: &Path) -> Self {
        let log = directory.join("log");
        let mut process = Command::new(env!("CARGO_BIN_EXE_earnest"))
            .args(["serve", "--listen", "127.0.0.1:0", "--test-clock", BEGIN, "--data-dir"])
            .arg(directory)
            .env("DATABASE_URL", database.app_options.to_url_lossy().as_str())
            .env("EARNEST_OWNER_DATABASE_URL", database.owner_options.to_url_lossy().as_str())
            .env("EARNEST_IDENTITY_KEY", MASTER_KEY)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let base = first.split(" on ").nth(1).unwrap().trim().to_owned();
        // What is printed for the operator is not the log: it has the key of the mailbox in it.
        std::thread::spawn(move || lines.for_each(drop));
        let schema: SchemaName = "main".parse().unwrap();
        let pool = adapters::postgres::tenant_pool(database.owner_options.clone(), &schema, 1);
        let mailbox = Mailbox::new(pool, Arc::new(MASTER_KEY.parse::<MasterKey>().unwrap()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let run = Self { process, log, base, http, mailbox, own: Mutex::default(), problems: Mutex::default() };
        for (what, text) in [
            ("the client's address", CLIENT),
            ("the payee's address", PAYEE),
            ("the client's name", "hamilton"),
            ("the payee's name", "katherine"),
            ("a password", PASSWORD),
            ("a new password", NEW_PASSWORD),
            ("a wrong password", WRONG_PASSWORD),
            ("a bank account", BANK_ACCOUNT),
            ("the client's network address", CLIENT_ADDRESS),
            ("the client's browser", USER_AGENT),
        ] {
            run.keep(what, text);
        }
        run
    }

    /// From now on this must not be found.
    fn keep(&self, what: &str, text: &str) -> String {
        assert!(text.len() >= 6, "{what} is too short to be looked for: {text}");
        self.own.lock().unwrap().insert(what.to_owned(), text.to_owned());
        text.to_owned()
    }

    async fn send(&self, request: RequestBuilder) -> (Answer, String) {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        if headers.get("content-type").is_some_and(|kind| kind == "application/problem+json") {
            self.problems.lock().unwrap().push(format!("{headers:?}\n{text}"));
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        (Answer { status, headers, body }, text)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await.0
    }

    /// A command of somebody.
    async fn act(&self, token: &str, path: &str, version: Option<&str>, body: Value) -> Answer {
        let mut request = self.request(Method::POST, path).bearer_auth(token).json(&body);
        request = request.header("idempotency-key", path);
        if let Some(version) = version {
            request = request.header("if-match", version);
        }
        self.send(request).await.0
    }

    /// The token in the newest of the `count` mails to somebody.
    async fn mailed(&self, to: &str, count: usize) -> String {
        for _ in 0..400 {
            let mails: Vec<_> = self.mailbox.newest(100).await.unwrap().into_iter().map(|kept| kept.mail).collect();
            let mine: Vec<_> = mails.into_iter().filter(|mail| mail.to == to).collect();
            if mine.len() == count {
                return token_in(&mine[0].body);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {count} mails to {to}");
    }

    /// Registers somebody, with what can go wrong; the party and an access token.
    async fn register(&self, who: &str, email: &str, role: &str) -> (String, String) {
        let body = json!({ "email": email, "password": PASSWORD, "role": role });
        self.post("/v1/auth/register", body).await.success().unwrap();
        let link = self.keep(&format!("{who}: the link"), &self.mailed(email, 1).await);
        self.request(Method::GET, &format!("/verify-email?token={link}")).send().await.unwrap();
        let confirmed = self.post("/v1/auth/verify-email", json!({ "token": link })).await.success().unwrap();
        assert!(!self.post("/v1/auth/verify-email", json!({ "token": link })).await.status.is_success());
        let wrong = self.post("/v1/auth/login", json!({ "email": email, "password": WRONG_PASSWORD })).await;
        assert_eq!(wrong.status.as_u16(), 400);
        let tokens = self.post("/v1/auth/login", json!({ "email": email, "password": PASSWORD })).await;
        (confirmed.text("/party_id").unwrap(), self.tokens(who, &tokens.success().unwrap()))
    }

    fn tokens(&self, who: &str, answer: &Answer) -> String {
        for name in ["refresh_token", "device_token"] {
            let token = answer.text(&format!("/{name}")).unwrap();
            self.keep(&format!("{who}: {name} {}", &token[token.len() - 4..]), &token);
        }
        let token = answer.text("/access_token").unwrap();
        self.keep(&format!("{who}: access_token {}", &token[token.len() - 4..]), &token)
    }
}

/// Everything in the tenant's tables, by table.
async fn stored(database: &TestDatabase) -> Vec<(String, String)> {
    let mut connection = PgConnection::connect_with(&database.owner_options).await.unwrap();
    let tables = sqlx::query("select tablename::text as name from pg_tables where schemaname = 'main' order by 1");
    let tables: Vec<String> =
        tables.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get("name")).collect();
    assert!(["events", "commands", "outbox"].iter().all(|name| tables.iter().any(|table| table == name)), "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let sql = format!("select coalesce(string_agg(t::text, E'\\n'), '') as text from main.{table} t");
        let row = sqlx::query(&sql).fetch_one(&mut connection).await.unwrap();
        all.push((table, row.get("text")));
    }
    all
}

/// How a text may be written.
fn spellings(text: &str) -> Vec<String> {
    let percent: String = serde_urlencoded::to_string([("", text)]).unwrap().trim_start_matches('=').to_owned();
    let escaped = json!(text).to_string().trim_matches('"').to_owned();
    let (standard, url) = (STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text));
    [text.to_owned(), percent, escaped, hex::encode(text), standard, url].map(|text| text.to_lowercase()).to_vec()
}

/// D-199: while somebody registers, signs in wrongly, forgets the password, has a bank account and pays, nothing that is
/// written has their address, name, passwords, tokens or account in it: the log with everything in it, what is stored, what is
/// answered when something is wrong, what is measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_writes_has_nobodys_own_in_it() {
    let database = TestCluster::shared()
        .unwrap()
        .fresh_database("tenant", |database| async move {
            migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
        })
        .await
        .unwrap();
    let directory = std::env::temp_dir().join(format!("earnest-personal-data-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let run = Run::start(&database, &directory);

    let (_, client) = run.register("client", CLIENT, "client").await;
    let (payee_id, payee) = run.register("payee", PAYEE, "freelancer").await;
    comes_in_in_every_way(&run, &client).await;
    sends_nonsense(&run, &client).await;
    pays(&run, &database, (&client, &payee, &payee_id)).await;

    let mut written = BTreeMap::new();
    written.insert("the metrics".to_owned(), run.send(run.request(Method::GET, "/metrics")).await.1);
    written.insert("the log".to_owned(), fs::read_to_string(&run.log).unwrap());
    written.insert("the problems".to_owned(), run.problems.lock().unwrap().join("\n"));
    written.extend(stored(&database).await);
    assert!(written["the log"].contains("TRACE") && written["the log"].contains("started processing request"));
    assert!(
        written["the problems"].contains("invalid_credentials") && written["the problems"].contains("invalid type")
    );
    // Opened, the mailbox shows that what is there is found.
    let mails = run.mailbox.newest(100).await.unwrap();
    let mails = mails.into_iter().flat_map(|kept| [kept.mail.to, kept.mail.body]);
    let mailbox = mails.collect::<Vec<_>>().join("\n");
    let own = run.own.lock().unwrap().clone();
    let mailed = found("the mailbox", &mailbox, &own);
    for what in ["the client's address", "the payee's name", "payee: the link", "the link to a new password"] {
        assert!(mailed.iter().any(|found| found.contains(what)), "{what}: {mailed:?}");
    }
    let found: Vec<_> = written.iter().flat_map(|(place, text)| found(place, text, &own)).collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    fs::remove_dir_all(&directory).unwrap();
}

/// What of somebody's own is in a text, with what is around it.
fn found(place: &str, text: &str, own: &BTreeMap<String, String>) -> Vec<String> {
    let text = text.to_lowercase();
    let mut found = Vec::new();
    for (what, kept) in own {
        let places = spellings(kept).into_iter().filter_map(|spelling| Some((text.find(&spelling)?, spelling)));
        for (at, spelling) in places.take(1) {
            let before: String = text[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
            found.push(format!("{place} has {what}: …{before}>>>{spelling}"));
        }
    }
    found
}

/// Forgets the password, turns the second factor on, refreshes, shows again who it is, uses the pages.
async fn comes_in_in_every_way(run: &Run, client: &str) {
    let (answer, page) = run.send(run.request(Method::GET, "/sign-in")).await;
    let cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<_> = cookies.map(|cookie| cookie.split(';').next().unwrap()).collect();
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    run.keep("the form's token", csrf);
    let form = [("csrf", csrf), ("email", PAYEE), ("password", WRONG_PASSWORD)];
    let sent = run.request(Method::POST, "/sign-in").header("cookie", cookies.join("; ")).form(&form);
    let (answer, page) = run.send(sent).await;
    assert!(
        answer.status.as_u16() == 400 && page.contains("name=\"password\""),
        "a wrong sign-in, not a bad form: {page}"
    );
    run.post("/v1/auth/password-resets", json!({ "email": CLIENT })).await.success().unwrap();
    let link = run.keep("the link to a new password", &run.mailed(CLIENT, 2).await);
    run.send(run.request(Method::GET, &format!("/new-password?token={link}"))).await;
    let short = run.post("/v1/auth/password-resets/confirm", json!({ "token": link, "password": "short" })).await;
    assert_eq!(short.status.as_u16(), 422, "{}", short.body);

    let enrolment = run.act(client, "/v1/auth/mfa/enroll", None, json!({})).await.success().unwrap();
    let secret = run.keep("the second factor's secret", &enrolment.text("/secret").unwrap());
    let totp = Secret::try_from_base32(&secret).unwrap();
    let totp = Builder::new().with_secret(totp).with_account_name("x").build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = json!({ "code": totp.generate(now).to_string() });
    let confirmed = run.act(client, "/v1/auth/mfa/confirm", None, code).await.success().unwrap();
    for (number, code) in confirmed.body["recovery_codes"].as_array().unwrap().iter().enumerate() {
        run.keep(&format!("recovery code {number}"), code.as_str().unwrap());
    }
    let recovery = confirmed.text("/recovery_codes/0").unwrap();
    let asked = run.post("/v1/auth/login", json!({ "email": CLIENT, "password": PASSWORD })).await;
    let ticket = run.keep("the ticket", &asked.text("/ticket").unwrap());
    // The ticket is in a problem, for whoever showed the password.
    run.problems.lock().unwrap().retain(|problem| !problem.contains(&ticket));
    let verified = run.post("/v1/auth/mfa/verify", json!({ "ticket": ticket, "code": recovery })).await;
    run.tokens("client", &verified.success().unwrap());
    run.act(client, "/v1/auth/step-up", None, json!({ "password": WRONG_PASSWORD })).await;
}

/// What is somebody's own, where it does not belong.
async fn sends_nonsense(run: &Run, client: &str) {
    for body in [
        json!({ "email": [CLIENT], "password": PASSWORD }),
        json!({ "email": CLIENT, "password": { "it is": PASSWORD } }),
        json!({ "email": CLIENT, "password": PASSWORD, "role": PAYEE }),
        json!(PASSWORD),
        json!([CLIENT]),
    ] {
        for path in ["/v1/auth/register", "/v1/auth/login", "/v1/auth/password-resets"] {
            run.post(path, body.clone()).await;
        }
    }
    for body in [
        json!({ "payee_id": PAYEE, "currency": CLIENT, "milestones": [] }),
        json!({ "payee_id": "pty_0", "currency": "USD", "milestones": BANK_ACCOUNT }),
        json!({ "payee_id": "pty_0", "currency": "USD", "milestones": [{ "amount": BANK_ACCOUNT }] }),
        json!({ "payee_id": "pty_0", "currency": "USD", "milestones": [{ "amount": 1, "due": CLIENT }] }),
    ] {
        let answer = run.act(client, "/v1/contracts", None, body).await;
        assert!(!answer.status.is_success(), "{}", answer.body);
    }
    let text = format!("{{\"email\": \"{CLIENT}\", \"password\": \"{PASSWORD}");
    let cut = run.request(Method::POST, "/v1/auth/login").header("content-type", "application/json").body(text);
    run.send(cut).await;
    for query in ["limit", "after", "status"] {
        let path = format!("/v1/contracts?{query}={CLIENT}");
        run.send(run.request(Method::GET, &path).bearer_auth(client)).await;
    }
    for token in [PASSWORD, CLIENT] {
        run.send(run.request(Method::GET, "/v1/users/me").bearer_auth(token)).await;
    }
    let basic = run.request(Method::GET, "/v1/users/me").basic_auth(CLIENT, Some(PASSWORD));
    run.send(basic).await;
    let forwarded = run.request(Method::GET, "/v1/users/me").header("x-forwarded-for", CLIENT_ADDRESS);
    run.send(forwarded.header("user-agent", USER_AGENT)).await;
}

/// The payee's bank account is made known; the client pays from a bank account, and the payee is paid.
async fn pays(run: &Run, database: &TestDatabase, (client, payee, payee_id): (&str, &str, &str)) {
    let schema: SchemaName = "main".parse().unwrap();
    let store = Arc::new(PgStore::connect(database.app_options.clone(), &schema, 1));
    let clock = TenantClock::open(store.pool().clone()).await.unwrap();
    let engine = Engine::new(store, clock, 0);
    let admin = make_token(&engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
    let admin = run.keep("the operator's token", &admin.token);
    let until = async |instant: &str| {
        let request = run.request(Method::POST, "/v1/test_clocks/clk_main/advance").bearer_auth(&admin);
        run.send(request.json(&json!({ "to": instant }))).await.0.success().unwrap();
    };
    let path = format!("/v1/parties/{payee_id}/payout-account");
    run.act(payee, &path, None, json!({ "country": "US" })).await.success().unwrap();
    until(BEGIN).await;
    let account = json!({ "party_id": payee_id, "account_number": BANK_ACCOUNT });
    run.act(&admin, "/v1/test_helpers/psp/account-onboard", None, account).await.success().unwrap();
    let body = json!({ "payee_id": payee_id, "currency": "USD", "milestones": [{ "amount": 50_000 }] });
    let drafted = run.act(client, "/v1/contracts", None, body).await.success().unwrap();
    let (id, milestone) = (drafted.text("/id").unwrap(), drafted.text("/milestones/0/id").unwrap());
    let offered = run.act(client, &format!("/v1/contracts/{id}/offer"), drafted.header("etag"), json!({})).await;
    let offered = offered.success().unwrap();
    let accept = format!("/v1/contracts/{id}/accept");
    run.act(payee, &accept, offered.header("etag"), json!({})).await.success().unwrap();
    let funding = json!({
        "allocations": [{ "milestone_id": milestone, "amount": 50_000 }], "currency": "USD",
        "payment_method": "pm_usBankAccount_success",
        "mandate": { "ip_address": CLIENT_ADDRESS, "user_agent": USER_AGENT },
    });
    run.act(client, &format!("/v1/contracts/{id}/fundings"), None, funding).await.success().unwrap();
    until("2026-12-08T10:00:00Z").await;
    let shown = run.request(Method::GET, &format!("/v1/milestones/{milestone}")).bearer_auth(client);
    let shown = run.send(shown).await.0.success().unwrap();
    let approve = format!("/v1/milestones/{milestone}/approve");
    run.act(client, &approve, shown.header("etag"), json!({})).await.success().unwrap();
    until("2026-12-20T10:00:00Z").await;
    let payout = run.act(payee, "/v1/payouts", None, json!({ "amount": 1000, "currency": "USD" })).await;
    payout.success().unwrap();
    until("2026-12-30T10:00:00Z").await;
}
