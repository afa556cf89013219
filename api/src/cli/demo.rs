//! `earnest demo`: one contract from offer to payout, told step by step.
//!
//! The figures that it checks are literals (scenario D-118): they are compared with the trial balance that the API shows
//! and with a recount of the event feed.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use adapters::embedded::{EmbeddedOptions, EmbeddedPostgres};
use chrono::{DateTime, Utc};
use clap::Args;
use ledger::render_trial_balance;
use serde_json::{Value, json};

use super::database::Database;
use super::operator::{Failure, MadeToken, make_token};
use super::serve::wait_for_stop;
use super::story::{Answer, ApiClient, entry_text, nets_of, nets_shown, recount};
use crate::caller::Role;
use crate::edge::EdgeConfig;
use crate::identity::IdentityConfig;
use crate::server::{ProviderConfig, Server, ServerConfig};
use domain::actor::StaffRole;

/// The trial balance at the end, in cents, debits positive. Everything else is zero.
const EXPECTED: [(&str, i128); 4] = [("1120", 11_925), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];

/// When the story begins.
const BEGIN: &str = "2026-12-01T10:00:00Z";

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Keeps serving at the end, so that you can look around.
    #[arg(long)]
    serve: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Plays the story.
///
/// # Errors
/// What went wrong, also when the figures are not those expected.
pub async fn run(options: DemoOptions) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "Earnest demo: a contract from offer to payout, over the real HTTP API.\n")?;
    writeln!(out, "Starting a throw-away Postgres, the server and the built-in payment provider …")?;
    let embedded = EmbeddedPostgres::start(EmbeddedOptions::throwaway()).await?;
    let tenant = "demo".parse()?;
    let database = Database::of(embedded, &tenant).await?;
    let owner = database.owner.clone().ok_or("a started database has an owner")?;
    let config = ServerConfig {
        listen: options.listen,
        database: database.app.clone(),
        tenant,
        test_clock: Some(BEGIN.parse()?),
        provider: ProviderConfig::Sandbox { listen: SocketAddr::from(([127, 0, 0, 1], 0)), database: Box::new(owner) },
        allow_owner: false,
    };
    let server = Server::start_at_edge(config, IdentityConfig::default(), EdgeConfig::unlimited()).await?;
    let played = play(&server).await;
    if options.serve && played.is_ok() {
        writeln!(out, "\nStill serving on {} (API reference: /docs). Stop with Ctrl-C.", server.base_url())?;
        wait_for_stop().await;
    }
    server.shutdown().await;
    database.close().await?;
    played
}

/// Tells what happens.
struct Narrator {
    api: ApiClient,
    staff: MadeToken,
    seen: u64,
    step: u32,
}

impl Narrator {
    fn say(&mut self, title: &str) -> Result<(), Failure> {
        self.step = self.step.saturating_add(1);
        let rule = "─".repeat(70_usize.saturating_sub(title.chars().count()));
        writeln!(std::io::stdout(), "\n── {}. {title} {rule}", self.step)?;
        Ok(())
    }

    /// A command, told with what came of it.
    async fn post(
        &mut self,
        who: &MadeToken,
        path: &str,
        version: Option<&str>,
        body: Value,
    ) -> Result<Answer, Failure> {
        let mut out = std::io::stdout();
        writeln!(out, "   POST {path}  {}", if body == json!({}) { String::new() } else { body.to_string() })?;
        let key = format!("demo-{}-{path}", self.step);
        let mut headers = vec![("Idempotency-Key", key.as_str())];
        headers.extend(version.map(|version| ("If-Match", version)));
        let answer = self.api.post(path, &who.token, &headers, &body).await?.success()?;
        let status = answer.body.get("status").and_then(Value::as_str).unwrap_or("done");
        writeln!(out, "   → {} {status}", answer.status)?;
        Ok(answer)
    }

    /// Lets the clock run to an instant, and everything that is due happen.
    async fn advance(&mut self, to: DateTime<Utc>) -> Result<(), Failure> {
        self.api.advance(&self.staff.token, "demo", to).await?;
        Ok(())
    }

    /// Tells the events since the last time.
    async fn events(&mut self) -> Result<(), Failure> {
        let mut out = std::io::stdout();
        for event in self.api.events(&self.staff.token, self.seen).await? {
            self.seen = event.position;
            writeln!(
                out,
                "   {:>3}  {:<40} {}  {}",
                event.position,
                event.r#type,
                event.occurred_at.format("%b %d %H:%M"),
                event.actor.r#type
            )?;
            if let Some(entry) = &event.journal {
                write!(out, "{}", entry_text(entry))?;
            }
        }
        Ok(())
    }
}

async fn play(server: &Server) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let engine = &server.app().engine;
    let client = make_token(engine, Role::Client, None, Some("demo client"), None).await?;
    let payee = make_token(engine, Role::Payee, None, Some("demo payee"), None).await?;
    let staff = make_token(engine, Role::Staff(StaffRole::Admin), None, Some("demo staff"), None).await?;
    let mut tell = Narrator { api: ApiClient::new(server.base_url()), staff, seen: 0, step: 0 };
    let begin: DateTime<Utc> = BEGIN.parse()?;
    writeln!(out, "Serving on {}. The clock is a test clock: it stands at {BEGIN}.", server.base_url())?;

    tell.say("The payee links an account at the payment provider")?;
    let account = server.sandbox_account("US").await?;
    tell.post(
        &payee,
        &format!("/v1/parties/{}/payout-account", payee.party_id),
        None,
        json!({ "psp_account": account }),
    )
    .await?;
    tell.advance(begin).await?;
    tell.events().await?;

    tell.say("The client drafts a contract of 1,000.00 USD and offers it")?;
    let body = json!({
        "payee_id": payee.party_id, "currency": "USD", "reference": "website-relaunch",
        "milestones": [{ "amount": 100_000, "reference": "design" }],
    });
    let contract = tell.post(&client, "/v1/contracts", None, body).await?;
    let contract_id = contract.text("/id")?;
    let milestone_id = contract.text("/milestones/0/id")?;
    let offered =
        tell.post(&client, &format!("/v1/contracts/{contract_id}/offer"), contract.header("etag"), json!({})).await?;
    tell.events().await?;

    tell.say("The payee accepts: milestone and escrow exist")?;
    tell.post(&payee, &format!("/v1/contracts/{contract_id}/accept"), offered.header("etag"), json!({})).await?;
    tell.events().await?;

    tell.say("The client pays 1,050.00 by card: 1,000.00 into escrow, 50.00 fee")?;
    let body = json!({
        "allocations": [{ "milestone_id": milestone_id, "amount": 100_000 }],
        "currency": "USD", "payment_method": "pm_card_visa",
    });
    tell.post(&client, &format!("/v1/contracts/{contract_id}/fundings"), None, body).await?;
    writeln!(out, "   … the outbox asks the provider, its webhook comes back:")?;
    tell.advance(begin).await?;
    tell.events().await?;

    tell.say("Two days later the provider makes the money available")?;
    tell.advance(begin + chrono::TimeDelta::days(2)).await?;
    tell.events().await?;

    tell.say("The payee delivers")?;
    let milestone = tell.api.get(&format!("/v1/milestones/{milestone_id}"), &payee.token).await?.success()?;
    let path = format!("/v1/milestones/{milestone_id}/submit");
    let submitted = tell.post(&payee, &path, milestone.header("etag"), json!({})).await?;
    tell.events().await?;

    tell.say("The client approves: release, fees, credit and completion are one commit")?;
    let path = format!("/v1/milestones/{milestone_id}/approve");
    tell.post(&client, &path, submitted.header("etag"), json!({})).await?;
    tell.events().await?;

    tell.say("Five days later the earnings are cleared")?;
    tell.advance(begin + chrono::TimeDelta::days(7)).await?;
    tell.events().await?;

    tell.say("The payee withdraws 900.00; a day later it is at the bank")?;
    tell.post(&payee, "/v1/payouts", None, json!({ "amount": 90_000, "currency": "USD" })).await?;
    tell.advance(begin + chrono::TimeDelta::days(9)).await?;
    tell.events().await?;

    tell.say("The books")?;
    let shown = tell.api.trial_balance(&tell.staff.token).await?;
    let counted = recount(&tell.api.events(&tell.staff.token, 0).await?);
    writeln!(out, "{}", render_trial_balance(&counted))?;
    let expected: BTreeMap<_, _> =
        EXPECTED.iter().map(|(code, net)| (((*code).to_owned(), "USD".to_owned()), *net)).collect();
    let agree = |what: &str, nets: &BTreeMap<_, i128>| -> Result<(), Failure> {
        let verdict = if *nets == expected { "as expected" } else { "NOT as expected" };
        writeln!(std::io::stdout(), "   {what:<46} {verdict}")?;
        if *nets == expected { Ok(()) } else { Err(format!("{what}: {nets:?}, expected {expected:?}").into()) }
    };
    agree("The trial balance that the API shows:", &nets_shown(&shown))?;
    agree("The trial balance counted again from the log:", &nets_of(&counted))?;
    let contract = tell.api.get(&format!("/v1/contracts/{contract_id}"), &client.token).await?.success()?;
    if contract.text("/status")? != "completed" {
        return Err(format!("the contract is {}, expected completed", contract.text("/status")?).into());
    }
    writeln!(out, "   The platform keeps 119.25: fees of 150.00, less 30.75 that the provider took.")?;
    Ok(())
}
