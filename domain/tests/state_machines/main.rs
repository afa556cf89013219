//! The published state machines are what the rules do: every command is tried in every state that commands lead to, by
//! everybody.
//!
//! To write the table and `docs/state-machines.md` anew: `UPDATE_STATE_MACHINES=1 cargo test -p domain --test
//! state_machines`. Look at what has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod approvals;
mod banks;
mod contracts;
mod explore;
mod payments;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use domain::event::EVENT_TYPES;
use domain::state_machine::{self, MACHINES};
use explore::Found;

/// What trying finds, in the order of the page.
fn found() -> Vec<Found> {
    vec![
        contracts::contract(),
        contracts::milestone(),
        contracts::escrow(),
        payments::funding(),
        payments::refund(),
        payments::payee(),
        payments::payout(),
        payments::wallet(),
        payments::party(),
        banks::chargeback(),
        banks::treasury(),
        payments::pair(),
        approvals::approval(),
        payments::subject(),
    ]
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn updating() -> bool {
    std::env::var_os("UPDATE_STATE_MACHINES").is_some()
}

/// The table's source text.
fn table(found: &[Found]) -> String {
    let mut text = String::from(
        "//! The table, written by `UPDATE_STATE_MACHINES=1 cargo test -p domain --test state_machines`. Not by hand.\n\n\
         use super::{Machine, Transition};\n\n\
         /// One line of it.\n\
         const fn step(\n    \
             command: &'static str,\n    \
             by: &'static [&'static str],\n    \
             from: &'static [&'static str],\n    \
             events: &'static [&'static str],\n    \
             to: Option<&'static str>,\n\
         ) -> Transition {\n    \
             Transition { command, by, from, events, to }\n\
         }\n\n\
         /// Every kind of aggregate.\n\
         #[rustfmt::skip]\n\
         pub const MACHINES: &[Machine] = &[\n",
    );
    for machine in found {
        let (aggregate, initial) = (machine.aggregate, machine.initial);
        writeln!(text, "    Machine {{\n        aggregate: {aggregate:?},\n        initial: {initial:?},").unwrap();
        text.push_str("        transitions: &[\n");
        for step in &machine.steps {
            let (by, from, events, to) = (&step.by, &step.from, &step.events, &step.to);
            writeln!(text, "            step({:?}, &{by:?}, &{from:?}, &{events:?}, {to:?}),", step.command).unwrap();
        }
        text.push_str("        ],\n    },\n");
    }
    text.push_str("];\n");
    text
}

/// I5: the pairs of state and command that are accepted, by whom, with their events and the states after them, are those
/// that are published.
#[test]
fn accepted_pairs_are_the_published_state_machines() {
    let found = found();
    if updating() {
        fs::write(file("domain/src/state_machine/table.rs"), table(&found)).unwrap();
        return;
    }
    for machine in &found {
        let published = MACHINES.iter().find(|known| known.aggregate == machine.aggregate).expect(machine.aggregate);
        assert_eq!(published.initial, machine.initial);
        let published: Vec<_> = published.transitions.iter().map(|step| format!("{step:?}")).collect();
        let tried: Vec<_> =
            machine.steps.iter().map(|step| format!("{step:?}").replace("Step {", "Transition {")).collect();
        for step in &tried {
            assert!(published.contains(step), "{}: not published: {step}", machine.aggregate);
        }
        for step in &published {
            assert!(tried.contains(step), "{}: published, and not so: {step}", machine.aggregate);
        }
    }
    assert_eq!(found.len(), MACHINES.len());
}

/// Every type of event is in the table, and every machine has a way to its states: nothing was left untried.
#[test]
fn every_event_and_state_is_in_the_table() {
    for kind in EVENT_TYPES {
        let (aggregate, _) = kind.name.split_once('.').unwrap();
        let machine = MACHINES.iter().find(|machine| machine.aggregate == aggregate).expect(aggregate);
        assert!(machine.transitions.iter().any(|step| step.events.contains(&kind.name)), "{} is missing", kind.name);
    }
    for machine in MACHINES {
        for state in machine.states().into_iter().filter(|state| *state != machine.initial) {
            assert!(machine.transitions.iter().any(|step| step.to == Some(state)), "nothing leads to {state}");
        }
        for event in machine.transitions.iter().flat_map(|step| step.events) {
            assert!(EVENT_TYPES.iter().any(|kind| kind.name == *event), "{event} is no type of event");
        }
    }
}

/// The page in `docs` is made of the table.
#[test]
fn the_page_is_true() {
    let path = file("docs/state-machines.md");
    if updating() {
        fs::write(&path, state_machine::page()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == state_machine::page(), "docs/state-machines.md is not true any more: write it anew");
}

/// What the diagrams show of a small machine.
#[test]
fn a_diagram_shows_states_and_commands() {
    let payout = MACHINES.iter().find(|machine| machine.aggregate == "payout").unwrap();
    assert_eq!(payout.initial, "not_requested");
    assert_eq!(payout.final_states(), ["failed", "cancelled", "returned"]);
    let diagram = payout.diagram();
    assert!(diagram.contains("    [*] --> transferring: request\n"), "{diagram}");
    assert!(diagram.contains("    paid --> returned: record_failed\n"), "{diagram}");
    assert!(diagram.contains("    returned --> [*]\n"), "{diagram}");
    let wallet = MACHINES.iter().find(|machine| machine.aggregate == "wallet").unwrap();
    assert_eq!((wallet.states(), wallet.diagram()), (vec!["open"], String::new()));
}
