//! Previews: they say what the command then does, and write nothing.
//!
//! The engine is played on a log in memory, where no worker fires a timer meanwhile; the routes over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::sync::{Arc, Mutex};

use adapters::memory::MemoryStore;
use api::engine::{Engine, EngineError, Performed, Preview, Request};
use chrono::TimeDelta;
use domain::actor::{Actor, SystemPart};
use domain::command::Command;
use domain::contract::MilestonePlan;
use domain::funding::FundingCommand;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId};
use domain::intent::Intent;
use domain::log::{Answer, RecordedEvent, StoreError};
use domain::policy::{FeeSchedule, Policy};
use domain::ports::Clock;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use ledger::{Currency, JournalEntry, Minor};
use serde_json::json;
use support::{World, books, funding_of};
use uuid::Uuid;

/// A clock that stands still until it is set.
#[derive(Clone)]
struct Hand(Arc<Mutex<Timestamp>>);

impl Clock for Hand {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(*self.0.lock().unwrap())
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A contract of two milestones of 1,000.00 USD, both paid in; the first is submitted.
struct Play {
    store: Arc<MemoryStore>,
    clock: Hand,
    client: Actor,
    payee: Actor,
    first: MilestoneId,
    second: MilestoneId,
}

impl Play {
    async fn new() -> Self {
        let begin = World::begin();
        let (client_id, payee_id) = (PartyId::from_uuid(id(1)), PartyId::from_uuid(id(2)));
        let play = Self {
            store: Arc::new(MemoryStore::new(begin)),
            clock: Hand(Arc::new(Mutex::new(begin))),
            client: Actor::Client(client_id),
            payee: Actor::Payee(payee_id),
            first: MilestoneId::from_uuid(id(4)),
            second: MilestoneId::from_uuid(id(5)),
        };
        let system = Actor::System(SystemPart::Psp);
        let (contract_id, funding_id) = (ContractId::from_uuid(id(3)), FundingId::from_uuid(id(6)));
        let worth = Minor::new(100_000).unwrap();
        let work = |milestone_id| MilestonePlan {
            milestone_id,
            amount: worth,
            due_at: None,
            review_days: None,
            reference: None,
        };
        let story = [
            (system, Intent::RegisterParty { party_id: client_id }),
            (system, Intent::RegisterParty { party_id: payee_id }),
            (
                play.client,
                Intent::DraftContract {
                    contract_id,
                    client_id,
                    payee_id,
                    currency: Currency::USD,
                    milestones: vec![work(play.first), work(play.second)],
                    reference: None,
                },
            ),
            (
                play.client,
                Intent::OfferContract {
                    contract_id,
                    fee_schedule: FeeSchedule::two_sided(),
                    policy: Policy::default(),
                },
            ),
            (play.payee, Intent::AcceptContract { contract_id }),
            (play.client, play.fund(funding_id)),
            (
                system,
                Intent::Fact(Command::Funding(
                    funding_id,
                    FundingCommand::RecordSucceeded {
                        payment_ref: "pi_1".to_owned(),
                        charge_ref: "ch_1".to_owned(),
                        captured: Minor::new(210_000).unwrap(),
                        currency: Currency::USD,
                        collected_at: begin,
                        settled: None,
                    },
                )),
            ),
            (play.payee, Intent::SubmitWork { milestone_id: play.first }),
        ];
        let engine = play.engine();
        for (number, (actor, intent)) in story.into_iter().enumerate() {
            let request = Request::internal(intent, actor, id(1000 + number as u128));
            assert!(matches!(engine.perform(request).await.unwrap(), Performed::Done(..)), "{number}");
        }
        play
    }

    /// A process of its own: nothing is in its cache.
    fn engine(&self) -> Engine<MemoryStore, Hand> {
        Engine::new(Arc::clone(&self.store), self.clock.clone(), 100)
    }

    fn at(&self, now: Timestamp) {
        *self.clock.0.lock().unwrap() = now;
    }

    fn log(&self) -> Vec<RecordedEvent> {
        self.store.read_now(0, 10_000).unwrap()
    }

    fn fund(&self, funding_id: FundingId) -> Intent {
        let worth = Minor::new(100_000).unwrap();
        Intent::FundMilestones {
            contract_id: ContractId::from_uuid(id(3)),
            funding_id,
            allocations: vec![(self.first, worth), (self.second, worth)],
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        }
    }

    fn approve(&self, milestone_id: MilestoneId, command_id: u128) -> Request<'static> {
        let intent = Intent::ApproveMilestone { milestone_id, amount: None, currency: None };
        Request { idempotency_key: Some("key".to_owned()), ..Request::internal(intent, self.client, id(command_id)) }
    }

    /// Commits as the API does, with an answer, by a process that has nothing in its cache.
    async fn commit(&self, request: Request<'_>) {
        let answer = |_: &domain::unit_of_work::Decision| Answer {
            fingerprint: String::new(),
            status: 200,
            body: "{}".to_owned(),
            version: None,
            location: None,
        };
        let request = Request { answer: Some(&answer), ..request };
        assert!(matches!(self.engine().perform(request).await.unwrap(), Performed::Done(..)));
    }
}

/// Every event of a preview as the log would have it, but for position, sequence and the time of the commit.
fn foreseen(preview: &Preview) -> Vec<(String, String, u16, String, String, String)> {
    let decisions = preview.timers.iter().chain(preview.decision.as_deref());
    decisions
        .flat_map(|decision| {
            decision.append.events.iter().map(|event| {
                (
                    decision.append.streams[event.stream].stream.to_string(),
                    event.event_type.to_string(),
                    event.event_version,
                    event.payload.clone(),
                    serde_json::to_string(&event.metadata).unwrap(),
                    serde_json::to_string(&event.journal).unwrap(),
                )
            })
        })
        .collect()
}

/// The same of what was committed.
fn committed(events: &[RecordedEvent]) -> Vec<(String, String, u16, String, String, String)> {
    let shown = events.iter().map(|event| {
        (
            event.stream.to_string(),
            event.event_type.clone(),
            event.event_version,
            event.payload.clone(),
            serde_json::to_string(&event.metadata).unwrap(),
            serde_json::to_string(&event.journal).unwrap(),
        )
    });
    shown.collect()
}

/// D-94, J10, I1: with the command's id and at the same instant, nothing differs at all; and a preview leaves no trace.
#[tokio::test]
async fn what_is_previewed_is_what_is_committed() {
    let play = Play::new().await;
    let before = play.log();
    let preview = play.engine().preview(play.approve(play.first, 1)).await.unwrap();
    assert_eq!(play.log(), before, "a preview writes nothing");
    assert_eq!(play.store.command_now(id(1)).unwrap(), None, "nor is it a command");
    assert!(preview.timers.is_empty());
    play.commit(play.approve(play.first, 1)).await;
    let events = committed(&play.log()[before.len()..]);
    assert_eq!(foreseen(&preview), events);
    let types: Vec<_> = events.iter().map(|event| event.1.as_str()).collect();
    assert!(types.contains(&"milestone.approved") && types.contains(&"escrow.released"), "{types:?}");
    let booked = events.iter().filter(|event| event.5 != "null").count();
    assert_eq!(booked, 1, "J10 is in it");
}

/// D-94: under another command id and later, what differs are `event_id`, `causation_id`, `source_event_id` and
/// `command_id`, `occurred_at` with the deadlines that count from it, and the journal's `value_date`; the hash is the same.
#[tokio::test]
async fn ids_and_instants_are_all_that_differs() {
    let play = Play::new().await;
    let before = play.log().len();
    let preview = play.engine().preview(play.approve(play.first, 1)).await.unwrap();
    let later = World::begin() + TimeDelta::hours(30);
    play.at(later);
    let again = play.engine().preview(play.approve(play.first, 2)).await.unwrap();
    assert_eq!(preview.hash(), again.hash());
    assert_ne!(foreseen(&preview), foreseen(&again));
    play.commit(play.approve(play.first, 3)).await;
    let log = play.log();
    let then = &log[before..];
    let planned = &preview.decision.as_ref().unwrap().append.events;
    assert_eq!(then.len(), planned.len());
    // Ids of events, which later events name; and deadlines that count from the instant.
    let mut names: Vec<(String, String)> = Vec::new();
    for (number, (event, planned)) in then.iter().zip(planned).enumerate() {
        for id in [event.metadata.event_id, planned.metadata.event_id] {
            names.push((id.to_string(), format!("event {number}")));
        }
    }
    for instant in [World::begin(), later] {
        names.push((json!(instant + TimeDelta::days(5)).to_string(), "clears".to_owned()));
    }
    let plain = |text: &str| names.iter().fold(text.to_owned(), |text, (name, word)| text.replace(name, word));
    let lines = |entry: Option<&JournalEntry>| {
        let mut entry = json!(entry);
        entry.as_object_mut().map(|members| members.remove("value_date"));
        entry.to_string()
    };
    for (event, planned) in then.iter().zip(planned) {
        assert_eq!(plain(&event.payload), plain(&planned.payload));
        assert_eq!(lines(event.journal.as_ref()), lines(planned.journal.as_ref()));
        let (mut metadata, theirs) = (planned.metadata.clone(), &event.metadata);
        (metadata.event_id, metadata.causation_id) = (theirs.event_id, theirs.causation_id);
        (metadata.command_id, metadata.occurred_at) = (theirs.command_id, theirs.occurred_at);
        assert_eq!(&metadata, theirs);
    }
}

/// D-94, L1: a deadline that has passed comes first in the preview, as it does in the commit, and is not written by it.
#[tokio::test]
async fn deadlines_that_have_passed_come_first() {
    let play = Play::new().await;
    let before = play.log();
    // The window of the first milestone has closed, and nobody has looked.
    play.at(World::begin() + TimeDelta::days(15));
    let preview = play.engine().preview(play.approve(play.second, 1)).await.unwrap();
    assert_eq!(play.log(), before);
    let [timer] = preview.timers.as_slice() else { panic!("{:?}", preview.timers) };
    assert_eq!(timer.append.events[0].event_type, "milestone.auto_approved");
    let last = &preview.decision.as_ref().unwrap().append.events;
    assert!(last.iter().any(|event| event.event_type == "contract.completed"), "it sees what the timer does");
    let hash = preview.hash();
    // Whoever fires the timer, the command itself does the same.
    let fired = Play::new().await;
    fired.at(World::begin() + TimeDelta::days(15));
    let scope = domain::timer::Scope::Contract(ContractId::from_uuid(id(3)));
    fired.engine().wake(scope).await.unwrap();
    let after = fired.engine().preview(fired.approve(fired.second, 1)).await.unwrap();
    assert_eq!((after.timers.len(), after.hash()), (0, hash));

    play.commit(play.approve(play.second, 1)).await;
    assert_eq!(foreseen(&preview), committed(&play.log()[before.len()..]));
    let gone = play.engine().preview(play.approve(play.first, 2)).await;
    assert!(matches!(gone, Err(EngineError::Refused(Refusal::MilestoneAlreadyApproved))), "{gone:?}");
}

/// D-39, D-35: what the command is refused for, its preview is refused for; the deadline that decides it stays unwritten.
#[tokio::test]
async fn a_preview_is_refused_like_the_command() {
    let play = Play::new().await;
    play.at(World::begin() + TimeDelta::days(15));
    let before = play.log();
    let refused = play.engine().preview(play.approve(play.first, 1)).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::MilestoneAlreadyApproved))), "{refused:?}");
    assert_eq!(play.log(), before);
    let by = Request { actor: play.payee, ..play.approve(play.second, 1) };
    let refused = play.engine().preview(by).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::Forbidden { .. }))), "{refused:?}");
    let stale = Request { if_match: Some(1), ..play.approve(play.second, 1) };
    let refused = play.engine().preview(stale).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::VersionMismatch { .. }))), "{refused:?}");
}

/// Another amount is another hash.
#[tokio::test]
async fn the_hash_tells_what_is_done() {
    let play = Play::new().await;
    let whole = play.engine().preview(play.approve(play.first, 1)).await.unwrap().hash();
    let intent = Intent::ApproveMilestone { milestone_id: play.first, amount: Minor::new(1).ok(), currency: None };
    let part = play.engine().preview(Request::internal(intent, play.client, id(1))).await.unwrap().hash();
    let other = play.engine().preview(play.approve(play.second, 1)).await.unwrap().hash();
    assert!(whole != part && whole != other && part != other);
    assert_eq!(whole.len(), 64);
}

/// D-94, J10: over HTTP, an approval is shown before it is given, with the ids that it then has; a second server commits.
#[tokio::test]
async fn an_approval_is_shown_before_it_is_given() {
    let world = World::new().await;
    let contract = world.funded().await;
    let before = world.head().await;
    let path = contract.work("/approve:preview");
    let shown = world.post_with_key(&world.client, &path, "approve-1", None, json!({})).await.success().unwrap();
    assert_eq!((shown.header("etag"), &shown.body["object"]), (Some("\"3\""), &json!("preview")));
    assert_eq!(world.head().await, before);
    let commands: i64 = sqlx::query_scalar("select count(*) from main.commands where answer is not null")
        .fetch_one(world.server.app().pool())
        .await
        .unwrap();

    let second = world.second_server().await;
    let url = format!("{}{}", second.base_url(), contract.work("/approve"));
    let request = reqwest::Client::new().post(url).bearer_auth(&world.client.token).json(&json!({}));
    let request = request.header("Idempotency-Key", "approve-1").header("If-Match", "\"3\"");
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("idempotent-replayed")), (200, None));
    second.shutdown().await;
    let after: i64 = sqlx::query_scalar("select count(*) from main.commands where answer is not null")
        .fetch_one(world.server.app().pool())
        .await
        .unwrap();
    assert_eq!(after, commands + 1, "the preview stored no answer under the key");

    let events = world.api.events(&world.admin.token, before).await.unwrap();
    let planned = shown.body["events"].as_array().unwrap();
    let events = &events[..planned.len()];
    for (event, planned) in events.iter().zip(planned) {
        let event = serde_json::to_value(event).unwrap();
        for (name, value) in planned.as_object().unwrap() {
            assert_eq!(&event[name], value, "{name}");
        }
    }
    let lines = planned.iter().find_map(|event| event["journal"]["lines"].as_array()).unwrap();
    let line = |account: &str| lines.iter().find(|line| line["account"] == account).unwrap()["minor"].clone();
    assert_eq!((line("2100"), line("2200")), (json!(100_000), json!(90_000)));
    world.close().await;
}

/// D-39, D-48: refusals over HTTP are the command's; a stranger learns nothing.
#[tokio::test]
async fn previews_are_refused_over_http() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let path = contract.work("/approve:preview");
    let ask = |who, body| world.post(who, &path, None, body);
    world.refused(409, "milestone_not_funded", ask(&world.client, json!({}))).await;
    world.refused(403, "forbidden", ask(&world.payee, json!({}))).await;
    world.refused(404, "not_found", ask(&world.outsider, json!({}))).await;
    world.refused(403, "forbidden", ask(&world.admin, json!({}))).await;
    world.refused(422, "validation_failed", ask(&world.client, json!({ "amount": 0 }))).await;
    let stale = world.post(&world.client, &path, Some("\"9\""), json!({}));
    let problem = world.refused(412, "version_mismatch", stale).await;
    assert!(problem.body["events_since"].is_array());
    world.close().await;
}

/// D-51: what a payment comes to is told before it is asked for; what is asked for then comes to that.
#[tokio::test]
async fn a_payment_is_quoted() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let before = world.head().await;
    let mut body = funding_of(&contract, 100_000, "pm_card_visa");
    body["contract_id"] = json!(contract.id);
    body.as_object_mut().unwrap().remove("payment_method");
    // No key is needed for what is not carried out.
    let ask = |who: &api::cli::operator::MadeToken, body: serde_json::Value| {
        let token = who.token.clone();
        let api = &world.api;
        async move { api.post("/v1/fundings:quote", &token, &[], &body).await.unwrap() }
    };
    let quote = ask(&world.client, body.clone()).await.success().unwrap().body;
    assert_eq!(
        (&quote["amount"], &quote["client_fee"], &quote["tax"], &quote["total"], &quote["charge"]),
        (&json!(100_000), &json!(5000), &json!(0), &json!(105_000), &json!(105_000))
    );
    assert_eq!((&quote["psp_units"], &quote["decimal"]), (&json!(105_000), &json!("1,050.00 USD")));
    assert_eq!(world.head().await, before);
    world.refused(403, "forbidden", ask(&world.payee, body.clone())).await;
    world.refused(404, "not_found", ask(&world.outsider, body.clone())).await;
    let mut other = body.clone();
    other["currency"] = json!("EUR");
    world.refused(422, "currency_mismatch", ask(&world.client, other)).await;
    let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap();
    assert_eq!(funding.body["amount"], quote["charge"]);
    world.refused(409, "milestone_wrong_state", ask(&world.client, body)).await;
    world.settled().await;
    assert_eq!(
        world.books().await,
        books(&[("1110", 105_000 - 3075), ("2100", -100_000), ("2300", -5000), ("5100", 3075)])
    );
    world.close().await;
}
