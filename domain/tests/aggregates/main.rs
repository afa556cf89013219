//! Every aggregate: what each command does in each state, by whom. The tables are the rules as a reader sees them; a rule
//! that changes changes its table.
//!
//! States are reached by commands that were accepted, never made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod approval;
mod contract;
mod escrow;
mod funding;
mod milestone;
mod pair;
mod party;
mod payee;
mod payout;
mod refund;
mod subject;
mod wallet;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use domain::actor::{Actor, StaffRole, SystemPart};
use domain::event::{DomainEvent, EVENT_TYPES};
use domain::id::PartyId;
use domain::rules::{Context, Rules};
use domain::time::Timestamp;
use ledger::Minor;
use uuid::Uuid;

fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn now() -> Timestamp {
    "2026-12-01T10:00:00Z".parse().unwrap()
}

fn client_id() -> PartyId {
    PartyId::from_uuid(id(1))
}

fn payee_id() -> PartyId {
    PartyId::from_uuid(id(2))
}

const SYSTEM: Actor = Actor::System(SystemPart::Psp);

/// Who might try: the parties, each in its role and in the other's, and those who have no part.
fn actors() -> [(&'static str, Actor); 7] {
    let stranger = PartyId::from_uuid(id(99));
    [
        ("client", Actor::Client(client_id())),
        ("client as payee", Actor::Payee(client_id())),
        ("payee", Actor::Payee(payee_id())),
        ("payee as client", Actor::Client(payee_id())),
        ("outsider", Actor::Client(stranger)),
        ("staff", Actor::Staff(StaffRole::Admin, stranger)),
        ("system", SYSTEM),
    ]
}

/// The state after these commands, each by somebody who may.
fn after<R: Rules>(told: &[(Actor, R::Command)]) -> R {
    after_that(&R::default(), now(), told)
}

/// The state after these commands at another time.
fn after_that<R: Rules>(before: &R, now: Timestamp, told: &[(Actor, R::Command)]) -> R {
    let mut state = before.clone();
    for (actor, command) in told {
        let context = Context { now, actor: *actor };
        let events = state.decide(command, &context).unwrap();
        assert!(!events.is_empty(), "a state is reached by something that happens");
        for event in events {
            state.evolve(&event);
        }
    }
    state
}

/// What a command comes to in each state: events, nothing, or the code of the refusal; with the states of each.
type Outcomes = BTreeMap<String, Vec<&'static str>>;

/// What every command does in every state, for everybody who might try it. Who gets the same everywhere is shown
/// together; what most states have in common is shown as `otherwise`, or `always`.
fn table<R: Rules>(
    states: &[(&'static str, R)],
    commands: &[(&'static str, R::Command)],
    wrap: fn(R::Event) -> DomainEvent,
) -> String {
    table_at(now(), states, commands, wrap)
}

/// The same at another time.
fn table_at<R: Rules>(
    now: Timestamp,
    states: &[(&'static str, R)],
    commands: &[(&'static str, R::Command)],
    wrap: fn(R::Event) -> DomainEvent,
) -> String {
    shown(now, states, commands, &actors(), wrap)
}

/// The same for one who may: what matters is what the command says.
fn table_of<R: Rules>(
    actor: Actor,
    states: &[(&'static str, R)],
    commands: &[(&'static str, R::Command)],
    wrap: fn(R::Event) -> DomainEvent,
) -> String {
    shown(now(), states, commands, &[("", actor)], wrap)
}

fn shown<R: Rules>(
    now: Timestamp,
    states: &[(&'static str, R)],
    commands: &[(&'static str, R::Command)],
    actors: &[(&'static str, Actor)],
    wrap: fn(R::Event) -> DomainEvent,
) -> String {
    let mut text = String::new();
    for (command_name, command) in commands {
        let mut ways: Vec<(Vec<&str>, Outcomes)> = Vec::new();
        for (who, actor) in actors {
            let outcomes = outcomes(states, command, Context { now, actor: *actor }, wrap);
            match ways.iter_mut().find(|(_, known)| *known == outcomes) {
                Some((same, _)) => same.push(who),
                None => ways.push((vec![who], outcomes)),
            }
        }
        for (who, outcomes) in ways {
            let by = if who.len() == actors.len() { String::new() } else { format!(" by {}", who.join(", ")) };
            writeln!(text, "{command_name}{by}").unwrap();
            let most = outcomes.values().map(Vec::len).max().unwrap_or(0);
            let rest = if most == states.len() { "always" } else { "otherwise" };
            let mut common = None;
            for (outcome, states) in outcomes {
                if states.len() == most && most > 2 && common.is_none() {
                    common = Some(outcome);
                } else {
                    writeln!(text, "  {}: {outcome}", states.join(", ")).unwrap();
                }
            }
            if let Some(outcome) = common {
                writeln!(text, "  {rest}: {outcome}").unwrap();
            }
        }
    }
    text
}

fn outcomes<R: Rules>(
    states: &[(&'static str, R)],
    command: &R::Command,
    context: Context,
    wrap: fn(R::Event) -> DomainEvent,
) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for (state_name, state) in states {
        let outcome = match state.decide(command, &context) {
            Ok(events) if events.is_empty() => "nothing".to_owned(),
            Ok(events) => {
                let names: Vec<_> = events.into_iter().map(|event| wrap(event).event_type()).collect();
                names.join(", ")
            }
            Err(refusal) => format!("refused {}", refusal.code()),
        };
        outcomes.entry(outcome).or_default().push(state_name);
    }
    outcomes
}

/// A new event is in no table until somebody has put its command there; or a story of chargebacks, payouts or the treasury
/// names it. What another aggregate notes has no command: nobody judges it.
#[test]
fn every_event_follows_from_a_command_in_a_test() {
    let tables = [
        include_str!("approval.rs"),
        include_str!("contract.rs"),
        include_str!("escrow.rs"),
        include_str!("funding.rs"),
        include_str!("milestone.rs"),
        include_str!("pair.rs"),
        include_str!("party.rs"),
        include_str!("payee.rs"),
        include_str!("payout.rs"),
        include_str!("refund.rs"),
        include_str!("subject.rs"),
        include_str!("wallet.rs"),
    ];
    let notes = [
        "payee.earnings_credited",
        "payee.payout_paid_noted",
        "payee.payout_failed_noted",
        "payee.late_transfer_noted",
        "wallet.credited",
    ];
    // A line of a table has no quotes; a line of Rust that names an event has.
    let lines =
        tables.iter().flat_map(|table| table.lines()).filter(|line| !line.contains('"') && !line.contains("//"));
    let shown: BTreeSet<_> = lines.flat_map(|line| line.split([' ', ','])).collect();
    let stories = stories();
    for kind in EVENT_TYPES {
        assert!(!(shown.contains(kind.name) && notes.contains(&kind.name)), "{} has a command", kind.name);
        let told = stories.iter().any(|story| story.contains(&format!("\"{}\"", kind.name)));
        assert!(told || shown.contains(kind.name) || notes.contains(&kind.name), "{} is tested nowhere", kind.name);
    }
}

/// Tests that go through the unit of work, and name what happens.
fn stories() -> [&'static str; 19] {
    [
        include_str!("../chargeback/contested_return.rs"),
        include_str!("../chargeback/ended.rs"),
        include_str!("../chargeback/evidence.rs"),
        include_str!("../chargeback/paid_twice.rs"),
        include_str!("../chargeback/exchanged.rs"),
        include_str!("../chargeback/money_taken_back.rs"),
        include_str!("../chargeback/property.rs"),
        include_str!("../chargeback/rest.rs"),
        include_str!("../chargeback/returned.rs"),
        include_str!("../chargeback/staff.rs"),
        include_str!("../chargeback/unexpected.rs"),
        include_str!("../payouts/account.rs"),
        include_str!("../payouts/gates.rs"),
        include_str!("../payouts/late.rs"),
        include_str!("../payouts/journals.rs"),
        include_str!("../payouts/onboarding.rs"),
        include_str!("../payouts/property.rs"),
        include_str!("../payouts/scenarios.rs"),
        include_str!("../payouts/treasury.rs"),
    ]
}
