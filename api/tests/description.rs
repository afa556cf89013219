//! The description of the API (OpenAPI): every route is in it, with examples that have the shape of real answers.
//!
//! The examples are written from the answers of the story told here: `UPDATE_EXAMPLES=1 cargo test -p api --test
//! description`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::Answer;
use api::code::ErrorCode;
use chrono::TimeDelta;
use domain::actor::StaffRole;
use serde_json::{Map, Value, json};
use support::{World, funding_of};

/// Operations that this version always refuses.
const NEVER: &[&str] = &["POST /v1/contracts/{id}/end/dispute"];

/// Operations by method and route, such as `GET /v1/contracts/{id}`.
fn operations() -> BTreeMap<String, Value> {
    let description = serde_json::to_value(api::router::description()).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = BTreeMap::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", method.to_uppercase()), operation.clone());
        }
    }
    operations
}

/// The real answer of every operation but the provider's own.
struct Told<'a> {
    world: &'a World,
    answers: Map<String, Value>,
}

impl Told<'_> {
    fn keep(&mut self, route: &str, answer: Answer) -> Answer {
        let answer = answer.success().unwrap();
        self.answers.insert(route.to_owned(), answer.body.clone());
        answer
    }

    async fn get(&mut self, who: &MadeToken, route: &str, id: &str) {
        let path = route.replace("{id}", id);
        let answer = self.world.get(who, &path).await;
        self.keep(&format!("GET {}", route.split('?').next().unwrap()), answer);
    }

    async fn post(&mut self, who: &MadeToken, route: &str, id: &str, version: Option<&str>, body: Value) -> Answer {
        let answer = self.world.post(who, &route.replace("{id}", id), version, body).await;
        self.keep(&format!("POST {route}"), answer)
    }

    async fn put(&mut self, who: &MadeToken, route: &str, id: &str, version: Option<&str>, body: Value) {
        let path = route.replace("{id}", id).replace("{currency}", "USD");
        let answer = self.world.raw(|http, base| {
            let request = http.put(format!("{base}{path}")).bearer_auth(&who.token);
            let request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
            let request = version.into_iter().fold(request, |request, version| request.header("If-Match", version));
            request.json(&body)
        });
        let answer = answer.await;
        self.keep(&format!("PUT {route}"), answer);
    }

    /// A command under the version of this moment.
    async fn act(&mut self, who: &MadeToken, route: &str, id: &str, body: Value) -> Answer {
        let answer = self.world.act(who, &route.replace("{id}", id), body).await;
        self.keep(&format!("POST {route}"), answer)
    }
}

/// The way of a contract, looked at from everywhere.
async fn story(world: &World) -> Map<String, Value> {
    let (client, payee, admin) = (&world.client, &world.payee, &world.admin);
    let mut told = Told { world, answers: Map::new() };
    let account = json!({ "psp_account": world.server.sandbox_account("US").await.unwrap() });
    let party = payee.party_id.to_string();
    told.post(payee, "/v1/parties/{id}/payout-account", &party, None, account).await;
    told.get(payee, "/v1/parties/{id}", &party).await;
    let due_at = World::begin() + TimeDelta::days(30);
    let draft = json!({
        "payee_id": party, "currency": "USD", "reference": "order-4711",
        "milestones": [{ "amount": 100_000, "due_at": due_at, "review_days": 14, "reference": "order-4711/1" }],
    });
    let drafted = told.post(client, "/v1/contracts", "", None, draft).await;
    let (id, milestone) = (drafted.text("/id").unwrap(), drafted.text("/milestones/0/id").unwrap());
    told.post(client, "/v1/contracts/{id}/offer", &id, Some("\"1\""), json!({})).await;
    told.post(payee, "/v1/contracts/{id}/accept", &id, Some("\"2\""), json!({})).await;
    let contract = support::Contract { id: id.clone(), milestone: milestone.clone() };
    let fund = funding_of(&contract, 100_000, "pm_card_visa");
    let mut quote = fund.clone();
    quote["contract_id"] = json!(id);
    told.post(client, "/v1/fundings:quote", "", None, quote).await;
    let funding = told.post(client, "/v1/contracts/{id}/fundings", &id, None, fund).await.text("/id").unwrap();
    world.at(World::begin()).await;
    told.get(client, "/v1/fundings/{id}", &funding).await;
    told.post(payee, "/v1/milestones/{id}/submit", &milestone, Some("\"3\""), json!({})).await;
    told.get(payee, "/v1/milestones/{id}", &milestone).await;
    told.get(client, "/v1/contracts/{id}", &id).await;
    told.get(payee, "/v1/escrows/{id}", &id).await;
    told.post(client, "/v1/milestones/{id}/approve:preview", &milestone, None, json!({})).await;
    told.post(client, "/v1/milestones/{id}/approve", &milestone, Some("\"4\""), json!({})).await;
    world.at(World::begin() + TimeDelta::days(5)).await;
    told.get(payee, "/v1/balances/me", "").await;
    let payout = json!({ "amount": 90_000, "currency": "USD" });
    let payout = told.post(payee, "/v1/payouts", "", None, payout).await.text("/id").unwrap();
    let to = json!({ "to": World::begin() + TimeDelta::days(7) });
    told.post(admin, "/v1/test_clocks/{id}/advance", "clk_main", None, to).await;
    told.get(admin, "/v1/test_clocks", "").await;
    let twice = world.post(admin, "/v1/test_helpers/psp/duplicate", None, json!({ "event": "payout.paid" })).await;
    told.keep("POST /v1/test_helpers/psp/{helper}", twice);
    told.get(payee, "/v1/payouts/{id}", &payout).await;
    told.get(payee, "/v1/payouts", "").await;
    told.get(client, "/v1/contracts", "").await;
    told.get(client, "/v1/contracts/{id}/timeline?limit=1", &id).await;
    told.get(client, "/v1/contracts/{id}/journal?limit=1", &id).await;
    told.get(admin, "/v1/events?types=escrow.released", "").await;
    told.get(admin, "/v1/reports/trial-balance", "").await;
    told.get(admin, "/v1/ledger/balances?account=2210&limit=1", "").await;
    treasury(&mut told).await;
    for list in ["currencies", "event-types", "error-codes", "state-machines", "policies", "fee-presets"] {
        let path = format!("/v1/meta/{list}");
        let mut answer = world.get(admin, &path).await;
        // One item of a list that is long: the machine with the fewest words, elsewhere the first.
        let items = answer.body["data"].as_array().unwrap();
        let shown = items.iter().find(|item| item["aggregate"] == "payout").unwrap_or(&items[0]).clone();
        answer.body["data"] = json!([shown]);
        told.keep(&format!("GET {path}"), answer);
    }
    for path in ["/healthz", "/readyz", "/version"] {
        told.get(admin, path, "").await;
    }
    let metrics = world.get(admin, "/metrics").await.success().unwrap();
    let lines = metrics.body.as_str().unwrap().lines();
    let of_log: Vec<_> = lines.filter(|line| line.contains("log_position")).collect();
    assert!(!of_log.is_empty());
    told.answers.insert("GET /metrics".to_owned(), json!(format!("{}\n", of_log.join("\n"))));
    side_stories(&mut told).await;
    stories_of_money(&mut told).await;
    stories_of_payees(&mut told).await;
    stories_of_banks(&mut told).await;
    story_of_a_debt(&mut told).await;
    identity_story(&mut told).await;
    keys_story(&mut told).await;
    // The provider's answer is to a signed notice; `http.rs` and the sandbox's tests see it.
    told.answers.insert("POST /v1/psp/webhooks/{endpoint}".to_owned(), json!({ "received": true }));
    told.answers
}

/// The token of the link in the mail with this subject, once it is there.
async fn mailed(world: &World, subject: &str) -> String {
    for _ in 0..100 {
        let (mailbox, _) = world.server.app().identity.mailbox().unwrap();
        let mails = mailbox.newest(10).await.unwrap();
        if let Some(kept) = mails.iter().find(|kept| kept.mail.subject == subject) {
            let rest = kept.mail.body.split("token=").nth(1).unwrap();
            return rest.split_whitespace().next().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no mail: {subject}");
}

/// Somebody registers, signs in, sets up a second factor, turns it off, forgets the password, signs out.
async fn identity_story(told: &mut Told<'_>) {
    let world = told.world;
    let nobody = &world.client;
    let (email, password) = ("ada@example.com", "seven green apples");
    let credentials = json!({ "email": email, "password": password });
    let register = json!({ "email": email, "password": password, "role": "freelancer" });
    told.post(nobody, "/v1/auth/register", "", None, register).await;
    let token = json!({ "token": mailed(world, "Confirm your address").await });
    told.post(nobody, "/v1/auth/verify-email", "", None, token).await;
    let tokens = told.post(nobody, "/v1/auth/login", "", None, credentials.clone()).await;
    let refresh = json!({ "refresh_token": tokens.text("/refresh_token").unwrap() });
    let tokens = told.post(nobody, "/v1/auth/refresh", "", None, refresh).await;
    let ada = MadeToken { party_id: world.client.party_id, token: tokens.text("/access_token").unwrap() };
    told.get(&ada, "/v1/users/me", "").await;
    let party = world.get(&ada, "/v1/users/me").await.text("/party_id").unwrap();
    told.get(&world.admin, "/v1/users/{id}?purpose=support_request", &party).await;
    told.get(&world.admin, "/v1/audit/access", "").await;
    told.post(&ada, "/v1/auth/step-up", "", None, json!({ "password": password })).await;
    let enrolment = told.post(&ada, "/v1/auth/mfa/enroll", "", None, json!({})).await;
    let totp = totp_rs::Totp::from_url(enrolment.text("/otpauth_url").unwrap()).unwrap();
    let code = json!({ "code": totp.generate_current().to_string() });
    let codes = told.post(&ada, "/v1/auth/mfa/confirm", "", None, code).await.body["recovery_codes"].clone();
    let ticket = world.post(nobody, "/v1/auth/login", None, credentials).await.text("/ticket").unwrap();
    told.post(nobody, "/v1/auth/mfa/verify", "", None, json!({ "ticket": ticket, "code": codes[0] })).await;
    told.post(&ada, "/v1/auth/mfa/disable", "", None, json!({ "code": codes[1] })).await;
    told.post(nobody, "/v1/auth/password-resets", "", None, json!({ "email": email })).await;
    let token = json!({ "token": mailed(world, "Choose a new password").await, "password": "eleven red pears" });
    told.post(nobody, "/v1/auth/password-resets/confirm", "", None, token).await;
    let refresh = json!({ "refresh_token": tokens.text("/refresh_token").unwrap() });
    told.post(nobody, "/v1/auth/logout", "", None, refresh).await;
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        told.get(nobody, path, "").await;
    }
}

/// A machine gets a key, a new one in its place, and loses it.
async fn keys_story(told: &mut Told<'_>) {
    let client = &told.world.client;
    let wish = json!({ "name": "shop backend", "scopes": ["contracts:read", "contracts:write"] });
    let id = told.post(client, "/v1/api-keys", "", None, wish).await.text("/id").unwrap();
    let new = told.post(client, "/v1/api-keys/{id}/rotate", &id, None, json!({ "overlap_hours": 1 })).await;
    told.get(client, "/v1/api-keys/{id}", &id).await;
    told.get(client, "/v1/api-keys?limit=1", "").await;
    told.post(client, "/v1/api-keys/{id}/revoke", &new.text("/id").unwrap(), None, json!({})).await;
}

/// What becomes of other contracts: an offer that is countered and declined, one that is withdrawn, a draft that is thrown
/// away, and one that is amended, paused, sent back and given up in part.
async fn side_stories(told: &mut Told<'_>) {
    let world = told.world;
    let (client, payee) = (&world.client, &world.payee);
    let countered = world.offered().await;
    let dearer = json!({ "kind": "change_amount", "milestone_id": countered.milestone, "amount": 120_000 });
    told.act(payee, "/v1/contracts/{id}/counter-offer", &countered.id, json!({ "changes": [dearer] })).await;
    told.act(payee, "/v1/contracts/{id}/decline", &countered.id, json!({ "reason": "too.cheap" })).await;
    let withdrawn = world.offered().await;
    told.act(client, "/v1/contracts/{id}/withdraw", &withdrawn.id, json!({})).await;
    let thrown_away = world.drafted().await;
    told.act(client, "/v1/contracts/{id}/cancel", &thrown_away.id, json!({ "reason": "not.needed" })).await;

    let contract = world.funded().await;
    let more = json!({ "kind": "add_milestone", "amount": 50_000, "reference": "order-4711/2" });
    for verb in ["reject", "accept"] {
        let proposed =
            told.act(client, "/v1/contracts/{id}/amendments", &contract.id, json!({ "changes": [more] })).await;
        let amendment = proposed.text("/amendment/id").unwrap();
        let path = contract.at(&format!("/amendments/{amendment}/{verb}"));
        let answer = world.act(payee, &path, json!({})).await;
        let answer = told.keep(&format!("POST /v1/contracts/{{id}}/amendments/{{amendment_id}}/{verb}"), answer);
        if let Ok(second) = answer.text("/milestones/1/id") {
            told.act(payee, "/v1/milestones/{id}/cancel", &second, json!({})).await;
        }
    }
    told.act(client, "/v1/contracts/{id}/pause", &contract.id, json!({ "reason": "holidays" })).await;
    told.act(client, "/v1/contracts/{id}/resume", &contract.id, json!({})).await;
    world.act(payee, &contract.work("/submit"), json!({})).await.success().unwrap();
    told.act(payee, "/v1/milestones/{id}/withdraw-submission", &contract.milestone, json!({})).await;
    world.act(payee, &contract.work("/submit"), json!({})).await.success().unwrap();
    let wish = json!({ "note_ref": "note-17" });
    told.act(client, "/v1/milestones/{id}/request-changes", &contract.milestone, wish).await;
}

/// Money beside the usual way: it goes back, moves on, is held, is given, comes out of the wallet.
async fn stories_of_money(told: &mut Told<'_>) {
    let world = told.world;
    let (client, payee, admin) = (&world.client, &world.payee, &world.admin);
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    let shown = world.get(client, &contract.at("")).await;
    let second = shown.text("/milestones/1/id").unwrap();
    let unpaid = world.fund(&contract, "pm_card_authenticationRequired").await.success().unwrap().text("/id").unwrap();
    world.settled().await;
    told.post(client, "/v1/fundings/{id}/cancel", &unpaid, None, json!({})).await;
    let pay = json!({ "milestone_id": contract.milestone, "payment_method": "pm_card_visa" });
    told.post(client, "/api/v1/contracts/{id}/payments", &contract.id, None, pay).await;
    let deposit = json!({ "deposit": 50_000, "currency": "USD", "payment_method": "pm_card_visa" });
    world.post(client, &contract.at("/fundings"), None, deposit).await.success().unwrap();
    world.settled().await;
    let more = json!({ "kind": "add_milestone", "amount": 50_000, "reference": "order-4711/2" });
    for verb in ["reject", "accept"] {
        let proposed = world.act(client, contract.at("/amendments"), json!({ "changes": [more] })).await;
        let amendment = proposed.text("/amendment/id").unwrap();
        let version = world.version(payee, &contract.at("")).await;
        let route = format!("/v1/amendments/{{id}}/{verb}");
        told.post(payee, &route, &amendment, Some(&version), json!({})).await;
    }
    told.act(admin, "/v1/escrows/{id}/freeze", &contract.id, json!({ "reason": "court_order" })).await;
    approvals(told, &contract).await;
    let allocation = json!({ "milestone_id": second, "amount": 20_000 });
    told.act(client, "/v1/escrows/{id}/reallocate", &contract.id, allocation).await;
    told.get(client, "/v1/escrows/{id}", &contract.id).await;
    for verb in ["reject", "accept"] {
        let to = json!({ "kind": "roll_forward", "milestone_id": second });
        let part = json!({ "amount": 30_000, "currency": "USD", "remainder": to });
        told.act(client, "/v1/milestones/{id}/approve-partial", &contract.milestone, part).await;
        let route = format!("/v1/milestones/{{id}}/roll-forward/{verb}");
        told.act(payee, &route, &contract.milestone, json!({})).await;
    }
    let gift = json!({ "amount": 5000, "currency": "USD", "payment_method": "pm_card_visa" });
    told.post(client, "/v1/contracts/{id}/bonuses", &contract.id, None, gift.clone()).await;
    told.post(client, "/v1/contracts/{id}/tips", &contract.id, None, gift).await;
    world.settled().await;
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + TimeDelta::days(5)).await;
    let hold = json!({ "currency": "USD", "amount": 1000, "reason": "kyc" });
    let payee_id = payee.party_id.to_string();
    told.post(admin, "/v1/parties/{id}/balance/hold", &payee_id, None, hold.clone()).await;
    told.get(payee, "/v1/parties/{id}/balance", &payee_id).await;
    told.post(admin, "/v1/parties/{id}/balance/release", &payee_id, None, hold).await;
    stories_of_refunds(told, &contract, &second).await;
}

/// A frozen escrow is let go by two, after somebody has taken the proposal back, and somebody has rejected it.
async fn approvals(told: &mut Told<'_>, contract: &support::Contract) {
    let world = told.world;
    let admin = &world.admin;
    let other =
        make_token(&world.server.app().engine, Role::Staff(StaffRole::Moderator), None, None, None).await.unwrap();
    for (verb, who) in [("withdraw", admin), ("reject", &other), ("approve", &other)] {
        let proposed = told.act(admin, "/v1/escrows/{id}/unfreeze", &contract.id, json!({})).await;
        let route = format!("/v1/approvals/{{id}}/{verb}");
        told.post(who, &route, &proposed.text("/id").unwrap(), None, json!({})).await;
    }
    world.settled().await;
    let newest = world.get(admin, "/v1/approvals?limit=1").await.text("/data/0/id").unwrap();
    told.get(admin, "/v1/approvals/{id}", &newest).await;
    told.get(admin, "/v1/approvals?limit=1", "").await;
}

/// A bank takes what a payee has withdrawn, and staff proposes to give that up.
async fn story_of_a_debt(told: &mut Told<'_>) {
    let world = told.world;
    let (client, admin, engine) = (&world.client, &world.admin, &world.server.app().engine);
    let payee = &make_token(engine, Role::Payee, None, None, None).await.unwrap();
    let id = payee.party_id.to_string();
    let account = json!({ "psp_account": world.server.sandbox_account("US").await.unwrap() });
    world.post(payee, &format!("/v1/parties/{id}/payout-account"), None, account).await.success().unwrap();
    // Banks have taken of the money of all: without this, the payout would wait.
    let other = world.accepted_with(json!([{ "amount": 1_000_000 }])).await;
    let pay = funding_of(&other, 1_000_000, "pm_card_visa");
    world.post(client, &other.at("/fundings"), None, pay).await.success().unwrap();
    let draft = json!({ "payee_id": id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
    let drafted = world.post(client, "/v1/contracts", None, draft).await.success().unwrap();
    let milestone = drafted.text("/milestones/0/id").unwrap();
    let contract = support::Contract { id: drafted.text("/id").unwrap(), milestone };
    world.act(client, contract.at("/offer"), json!({})).await.success().unwrap();
    world.act(payee, contract.at("/accept"), json!({})).await.success().unwrap();
    let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap().text("/id").unwrap();
    world.settled().await;
    world.act(client, contract.work("/approve"), json!({})).await.success().unwrap();
    world.at(engine.now().await.unwrap() + TimeDelta::days(5)).await;
    let payout = json!({ "amount": 90_000, "currency": "USD" });
    world.post(payee, "/v1/payouts", None, payout).await.success().unwrap();
    world.at(engine.now().await.unwrap() + TimeDelta::days(2)).await;
    let body = json!({ "funding_id": funding, "reason": "product_not_received" });
    let dispute = world.post(admin, "/v1/test_helpers/psp/dispute", None, body).await.text("/id").unwrap();
    world.settled().await;
    world.post(admin, "/v1/test_helpers/psp/lose", None, json!({ "dispute": dispute })).await.success().unwrap();
    world.settled().await;
    let cause = world.get(admin, "/v1/chargebacks?limit=1").await.text("/data/0/id").unwrap();
    let write_off = json!({ "currency": "USD", "cause": cause, "amount": 90_000 });
    told.post(admin, "/v1/parties/{id}/balance/write-off", &id, None, write_off).await;
}

/// A bank disagrees with a payment and loses, disagrees with another and wins, and returns a third.
async fn stories_of_banks(told: &mut Told<'_>) {
    let world = told.world;
    let admin = &world.admin;
    let mut payments = Vec::new();
    for _ in 0..4 {
        let contract = world.accepted().await;
        payments.push(world.fund(&contract, "pm_card_visa").await.success().unwrap().text("/id").unwrap());
        world.settled().await;
    }
    for verb in ["win", "lose"] {
        let body = json!({ "funding_id": payments.pop(), "reason": "product_not_received" });
        let route = "/v1/test_helpers/psp/dispute";
        let dispute = told.post(admin, route, "", None, body).await.text("/id").unwrap();
        world.settled().await;
        let newest = world.get(admin, "/v1/chargebacks?limit=1").await.text("/data/0/id").unwrap();
        told.get(admin, "/v1/chargebacks/{id}", &newest).await;
        let version = world.version(admin, &format!("/v1/chargebacks/{newest}")).await;
        let words = json!({ "texts": { "refund_refusal_explanation": "The client had approved the work." } });
        told.post(admin, "/v1/chargebacks/{id}/evidence", &newest, Some(&version), words).await;
        world.settled().await;
        told.get(admin, "/v1/chargebacks/{id}/evidence", &newest).await;
        told.post(admin, "/v1/chargebacks/{id}/submit", &newest, None, json!({})).await;
        world.settled().await;
        let verdict = json!({ "dispute": dispute });
        told.post(admin, &format!("/v1/test_helpers/psp/{verb}"), "", None, verdict).await;
        world.settled().await;
    }
    let body = json!({ "funding_id": payments.pop(), "reason": "product_not_received" });
    world.post(admin, "/v1/test_helpers/psp/dispute", None, body).await.success().unwrap();
    world.settled().await;
    let newest = world.get(admin, "/v1/chargebacks?limit=1").await.text("/data/0/id").unwrap();
    told.post(admin, "/v1/chargebacks/{id}/accept", &newest, None, json!({})).await;
    world.settled().await;
    told.get(admin, "/v1/chargebacks?limit=1", "").await;
    told.post(admin, "/v1/test_helpers/psp/return", "", None, json!({ "funding_id": payments.pop() })).await;
    world.settled().await;
}

/// What goes back: asked for, granted, given back, withdrawn. Last the end of contracts.
async fn stories_of_refunds(told: &mut Told<'_>, contract: &support::Contract, second: &str) {
    let world = told.world;
    let (client, payee) = (&world.client, &world.payee);
    let forgotten = world.drafted().await;
    let quick = json!({ "dormancy": {
        "warn_days": 1, "warn_again_days": 2, "dormant_days": 3, "escalate_days": 1, "request_days": 1,
    }});
    let terms = json!({ "fee_schedule": "two_sided", "policy": quick });
    world.act(client, forgotten.at("/offer"), terms).await.success().unwrap();
    world.act(payee, forgotten.at("/accept"), json!({})).await.success().unwrap();
    world.fund(&forgotten, "pm_card_visa").await.success().unwrap();
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + TimeDelta::days(4)).await;
    told.act(payee, "/v1/contracts/{id}/dormancy/request-release", &forgotten.id, json!({})).await;

    let other = world.funded().await;

    let part = json!({ "amount": 20_000, "currency": "USD" });
    for verb in ["accept", "reject"] {
        let asked = told.act(client, "/v1/milestones/{id}/refund-requests", second, part.clone()).await;
        let wish = asked.text("/refund_request/id").unwrap();
        let version = world.version(payee, &format!("/v1/milestones/{second}")).await;
        let route = format!("/v1/refund-requests/{{id}}/{verb}");
        told.post(payee, &route, &wish, Some(&version), json!({})).await;
    }
    let back = json!({ "milestone_id": contract.milestone, "amount": 20_000, "currency": "USD" });
    let given = told.post(payee, "/v1/refunds", "", None, back).await.text("/id").unwrap();
    told.act(payee, "/v1/milestones/{id}/grant-refund", &other.milestone, json!({ "amount": 40_000 })).await;
    told.act(client, "/v1/contracts/{id}/end", &other.id, json!({})).await;
    told.act(payee, "/v1/contracts/{id}/end/accept", &other.id, json!({})).await;
    let position = world.head().await;
    world.server.app().wait_for(position).await.unwrap();
    told.get(client, "/v1/refunds/{id}", &given).await;
    told.get(client, "/v1/refunds", "").await;
    support::comes_back(world, &given).await;
    let out = json!({ "amount": 1000, "currency": "USD" });
    let out = told.post(client, "/v1/wallets/me/withdrawals", "", None, out).await.text("/id").unwrap();
    told.post(client, "/v1/refunds/{id}/redirect", &out, None, json!({})).await;
    let position = world.head().await;
    world.server.app().wait_for(position).await.unwrap();
    told.get(client, "/v1/wallets/me", "").await;
    let into = json!({ "amount": 500_000, "currency": "USD", "payment_method": "pm_card_visa" });
    told.post(client, "/v1/wallets/me/top-ups", "", None, into).await;
}

/// The platform's own money: in, out, and out by somebody else.
async fn treasury(told: &mut Told<'_>) {
    let (world, admin) = (told.world, &told.world.admin);
    let finance = world.other_role(admin, Role::Staff(StaffRole::Finance)).await;
    let other =
        make_token(&world.server.app().engine, Role::Staff(StaffRole::Finance), None, None, None).await.unwrap();
    let amount = |amount: i64| json!({ "amount": amount, "currency": "USD" });
    told.post(&finance, "/v1/treasury/top-ups", "", None, amount(200_000)).await;
    for verb in ["approve", "reject"] {
        let proposed = told.post(&finance, "/v1/treasury/sweeps", "", None, amount(1000)).await;
        let route = format!("/v1/treasury/sweeps/{{id}}/{verb}");
        told.post(&other, &route, &proposed.text("/id").unwrap(), None, json!({})).await;
    }
    let url = format!("{}/v1/payouts", world.server.sandbox_url().unwrap());
    let request = reqwest::Client::new().post(url).bearer_auth(world.server.sandbox_key().unwrap());
    let payout: Value =
        request.form(&[("amount", "1000"), ("currency", "usd")]).send().await.unwrap().json().await.unwrap();
    world.settled().await;
    told.post(&finance, "/v1/treasury/payouts/{id}/adopt", payout["id"].as_str().unwrap(), None, json!({})).await;
    world.at(world.server.app().engine.now().await.unwrap() + TimeDelta::days(1)).await;
    told.get(admin, "/v1/treasury", "").await;
    told.get(admin, "/v1/reports/coverage", "").await;
}

/// A payee is onboarded at the provider, restricted, suspected, paid by a schedule and with the staff's consent; a payout
/// fails, another comes back, the account ends.
async fn stories_of_payees(told: &mut Told<'_>) {
    let world = told.world;
    let admin = &world.admin;
    let engine = &world.server.app().engine;
    let payee = &make_token(engine, Role::Payee, None, None, None).await.unwrap();
    let second = make_token(engine, Role::Staff(StaffRole::Finance), None, None, None).await.unwrap();
    let id = payee.party_id.to_string();
    world.post(payee, &format!("/v1/parties/{id}/payout-account"), None, json!({ "country": "US" })).await;
    world.settled().await;
    told.post(payee, "/v1/parties/{id}/onboarding-links", &id, None, json!({})).await;
    let of = json!({ "party_id": id });
    for (helper, more) in [
        ("account-restrict", json!({ "currently_due": ["individual.verification.document"] })),
        ("account-onboard", json!({})),
        ("account-adjust", json!({ "amount": 1000, "currency": "USD" })),
    ] {
        let mut body = of.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told.post(admin, &format!("/v1/test_helpers/psp/{helper}"), "", None, body).await;
        world.settled().await;
    }
    let version = world.version(payee, &format!("/v1/parties/{id}")).await;
    let token = json!({ "bank_account_token": "btok_us_verified" });
    told.put(payee, "/v1/parties/{id}/payout-destinations/{currency}", &id, Some(&version), token).await;
    world.settled().await;
    for verb in ["restrict", "lift-restriction"] {
        told.post(admin, &format!("/v1/parties/{{id}}/{verb}"), &id, None, json!({})).await;
    }
    let hit = json!({ "screening_ref": "scr_4711", "currencies": ["USD"] });
    told.post(admin, "/v1/parties/{id}/sanctions/hit", &id, None, hit).await;
    told.post(admin, "/v1/parties/{id}/sanctions/propose-clearance", &id, None, json!({})).await;
    told.get(admin, "/v1/parties/{id}/requirements", &id).await;
    told.post(&second, "/v1/parties/{id}/sanctions/clear", &id, None, json!({})).await;
    told.post(admin, "/v1/test_helpers/psp/account-deauthorize", "", None, of).await;
    world.settled().await;

    let payee = &world.payee;
    let id = payee.party_id.to_string();
    let every = json!({ "currency": "USD", "every": "weekly", "day": 1, "minimum": 10_000 });
    told.put(payee, "/v1/parties/{id}/payout-schedule", &id, None, every).await;
    let contract = world.funded().await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + TimeDelta::days(8)).await;
    let contract = world.funded().await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    let manual = json!({ "currency": "USD", "every": "manual" });
    told.put(payee, "/v1/parties/{id}/payout-schedule", &id, None, manual).await;
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + TimeDelta::days(8)).await;
    let policy = json!({ "currency": "USD", "approval_above": 50_000, "minimum": 1000 });
    told.put(admin, "/v1/parties/{id}/payout-policy", &id, None, policy).await;
    let request = |amount: i64| world.post(payee, "/v1/payouts", None, json!({ "amount": amount, "currency": "USD" }));
    for verb in ["cancel", "approve"] {
        let large = request(60_000).await.text("/id").unwrap();
        told.post(&second, &format!("/v1/payouts/{{id}}/{verb}"), &large, None, json!({})).await;
    }
    let small = request(10_000).await.text("/id").unwrap();
    world.settled().await;
    let failing = json!({ "payout_id": small, "code": "could_not_process" });
    told.post(admin, "/v1/test_helpers/psp/payout-fail", "", None, failing).await;
    world.settled().await;
    let again = told.post(payee, "/v1/payouts/{id}/retry", &small, None, json!({})).await.text("/id").unwrap();
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + TimeDelta::days(2)).await;
    told.post(admin, "/v1/test_helpers/psp/payout-return", "", None, json!({ "payout_id": again })).await;
    world.settled().await;
    told.post(admin, "/v1/test_helpers/psp/account-close", "", None, json!({ "party_id": payee.party_id })).await;
    world.settled().await;
}

/// Members and kinds of value, but not the values: what two answers of one operation have in common. What may be absent
/// is `null` in one of them; a list may be empty.
fn differences(at: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(one), Value::Object(other)) => {
            let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            found.extend(keys(one).symmetric_difference(&keys(other)).map(|key| format!("{at}/{key}")));
            for (key, value) in one {
                differences(&format!("{at}/{key}"), value, other.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            if let (Some(one), Some(other)) = (one.first(), other.first()) {
                differences(&format!("{at}/0"), one, other, found);
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => found.push(format!("{at}: {one} and {other}")),
    }
}

/// Every operation has an example of its answer, and a real answer has the same members.
#[tokio::test]
async fn examples_have_the_shape_of_real_answers() {
    let world = World::without_account().await;
    let told = story(&world).await;
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi/examples.json");
        std::fs::write(file, serde_json::to_string_pretty(&told).unwrap() + "\n").unwrap();
        return;
    }
    let mut operations = operations();
    for name in NEVER {
        operations.remove(*name).unwrap();
    }
    let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(operations.keys().collect()), names(told.keys().collect()), "operations, and those of the story");
    for (name, operation) in &operations {
        let responses = operation["responses"].as_object().unwrap();
        let success: Vec<_> = responses.iter().filter(|(status, _)| status.starts_with('2')).collect();
        // What others may have to approve has a second answer; the example is the one that the story tells.
        let waits = told[name]["object"] == "approval_request";
        let may_wait = success.len() > 1;
        let told_one = success.into_iter().filter(|(status, _)| !may_wait || waits == (*status == "202"));
        let success: Vec<_> = told_one.collect();
        let [(_, answer)] = success.as_slice() else { panic!("{name} has {} successes", success.len()) };
        let contents: Vec<_> = answer["content"].as_object().unwrap().values().collect();
        let [content] = contents.as_slice() else { panic!("{name} has {} kinds of answer", contents.len()) };
        assert!(content["example"].is_object() || content["example"].is_string(), "{name} has no example");
        let mut found = Vec::new();
        differences("", &content["example"], &told[name], &mut found);
        assert!(found.is_empty(), "the example of {name} is not like a real answer: {found:?}");
    }
}

/// Every operation says in a sentence what it does, what it answers and which problems there are, with an example each.
#[test]
fn every_operation_describes_itself_and_its_problems() {
    for (name, operation) in operations() {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.') && summary.len() <= 80, "{name}: {summary:?} is no short sentence");
        assert!(operation["operationId"].is_string() && operation["tags"][0].is_string(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        let mut problems = BTreeSet::new();
        for (status, answer) in responses {
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{name} {status}");
            if status.starts_with('2') {
                continue;
            }
            let content = &answer["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/ProblemBody", "{name} {status}");
            if status == "default" {
                continue;
            }
            let code = content["example"]["code"].as_str().unwrap();
            let known = ErrorCode::from_code(code).unwrap();
            assert_eq!(known.status().as_u16().to_string(), *status, "{name}: {code}");
            assert_eq!(content["example"]["status"].to_string(), *status, "{name}");
            problems.insert(status.as_str());
        }
        assert!(responses.contains_key("default"), "{name}");
        let asks = |header: &str| {
            let parameters = operation["parameters"].as_array();
            parameters.is_some_and(|all| all.iter().any(|one| one["name"] == header && one["required"] == true))
        };
        let has = |statuses: &[&str]| statuses.iter().all(|status| problems.contains(status));
        assert!(!asks("Idempotency-Key") || has(&["400", "401", "403", "409", "422", "503"]), "{name}: {problems:?}");
        assert!(!asks("If-Match") || has(&["412", "428"]), "{name}: {problems:?}");
        assert!(!name.contains("{id}") || has(&["404"]), "{name}: {problems:?}");
        let open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(open, !problems.contains("401"), "{name}: what needs a token can be asked without");
    }
}

/// What is described is routed, and what is routed is described.
#[tokio::test]
async fn the_description_names_the_routes_of_the_path() {
    let world = World::without_account().await;
    let operations = operations();
    for name in operations.keys() {
        let (method, route) = name.split_once(' ').unwrap();
        let path = route.replace("{id}", "ctr_00000000000000000000000000").replace("{endpoint}", "stripe");
        let path = path.replace("{amendment_id}", "amd_00000000000000000000000000").replace("{currency}", "USD");
        let url = format!("{}{path}", world.server.base_url());
        let response = reqwest::Client::new().request(method.parse().unwrap(), url).send().await.unwrap();
        // Without a token: an operation asks for one, or answers; a route that is none is not found.
        let open = operations[name]["security"].as_array().unwrap().is_empty();
        match (open, response.status().as_u16()) {
            (false, status) => assert_eq!(status, 401, "{name}"),
            (true, status) => assert!(matches!(status, 200 | 400 | 422), "{name}: {status}"),
        }
    }
    // The router is made of documented handlers only.
    let mut source = include_str!("../src/router.rs").to_owned();
    let helpers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes/test_helpers");
    for file in std::fs::read_dir(helpers).unwrap() {
        source += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    let handlers: usize = source
        .split("routes!(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .fold(0, |sum, names| sum + names.split(',').filter(|name| !name.trim().is_empty()).count());
    assert_eq!(handlers, operations.len());
    assert!(!source.contains(".route(") && !source.contains(".nest("), "a route that nobody described");
}
