//! Every aggregate: what each command does in each state, by whom. The tables are the rules as a reader sees them; a rule
//! that changes changes its table.
//!
//! States are reached by commands that were accepted, never made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod contract;
mod escrow;
mod funding;
mod milestone;
mod party;
mod payee;
mod payout;

use std::collections::BTreeMap;
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

/// A new event is in no table, and in no test of a life or of money, until somebody has put its command there.
#[test]
fn every_event_follows_from_a_command_in_a_test() {
    let tables = [
        include_str!("contract.rs"),
        include_str!("escrow.rs"),
        include_str!("funding.rs"),
        include_str!("milestone.rs"),
        include_str!("party.rs"),
        include_str!("payee.rs"),
        include_str!("payout.rs"),
    ]
    .concat();
    let histories = [
        include_str!("../contract_life.rs"),
        include_str!("../milestone_life.rs"),
        include_str!("../escrow_holds.rs"),
        include_str!("../escrow_money.rs"),
        include_str!("../funding_ends.rs"),
        include_str!("../payee_money.rs"),
        include_str!("../vectors_escrow.rs"),
        include_str!("../wiring.rs"),
    ]
    .concat();
    // Notes from other aggregates: nobody judges them.
    let notes = ["payee.earnings_credited", "payee.payout_paid_noted", "payee.payout_failed_noted"];
    for kind in EVENT_TYPES {
        let shown = tables.contains(kind.name) || is_named(&histories, kind.name);
        assert!(shown || notes.contains(&kind.name), "{}", kind.name);
        assert!(!(tables.contains(kind.name) && notes.contains(&kind.name)), "{} is no note", kind.name);
    }
}

/// Whether a test names the event, in quotes as it is stored or as its variant.
fn is_named(tests: &str, name: &str) -> bool {
    let (aggregate, variant) = name.split_once('.').unwrap();
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let variant: String = variant.split('_').map(capital).collect();
    tests.contains(&format!("\"{name}\"")) || tests.contains(&format!("{}Event::{variant} ", capital(aggregate)))
}
