//! What every aggregate does in each of its states, as data: for `GET /v1/meta/state-machines` and the diagrams in
//! `docs/state-machines.md`.
//!
//! # Invariants
//! - The table is what the rules do, found by trying every command in every state that commands lead to
//!   (`tests/state_machines`): a rule that changes makes the test fail until the table is written anew.
//!
//! # What is deliberately absent
//! Refusals, and commands that change nothing: what is not in the table is refused, or was known already. Conditions on
//! amounts, deadlines and ids. No rule asks this table.

mod table;

use std::fmt::Write;

pub use table::MACHINES;

/// The states of one kind of aggregate, and what leads from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// The kind, such as `milestone`.
    pub aggregate: &'static str,
    /// The state before the first event.
    pub initial: &'static str,
    /// What is accepted, in the order in which the states are reached.
    pub transitions: &'static [Transition],
}

/// A command, or a note of something that happened elsewhere, and what it makes of some states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The command; `noted` where another aggregate's event is mirrored and nothing is judged.
    pub command: &'static str,
    /// Who may give it: `client`, `payee`, `staff` or `system`. Nobody, when it follows from something else: another
    /// aggregate's event, a deadline, a report of the provider.
    pub by: &'static [&'static str],
    /// The states in which it is accepted.
    pub from: &'static [&'static str],
    /// The events that it leads to, in order; what happens once for each milestone or payment is named once.
    pub events: &'static [&'static str],
    /// The state afterwards; `None` when it stays what it was.
    pub to: Option<&'static str>,
}

impl Machine {
    /// Every state, the initial one first, in the order in which they are reached.
    pub fn states(&self) -> Vec<&'static str> {
        let mut states = vec![self.initial];
        for transition in self.transitions {
            for state in transition.from.iter().chain(&transition.to) {
                if !states.contains(state) {
                    states.push(state);
                }
            }
        }
        states
    }

    /// The states that nothing leads out of.
    pub fn final_states(&self) -> Vec<&'static str> {
        let mut states = self.states();
        states.retain(|state| !self.transitions.iter().any(|step| step.to.is_some() && step.from.contains(state)));
        states
    }

    /// A Mermaid state diagram; empty for an aggregate of one state.
    pub fn diagram(&self) -> String {
        let mut edges: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for step in self.transitions {
            for (from, to) in step.from.iter().filter_map(|from| step.to.map(|to| (*from, to))) {
                match edges.iter_mut().find(|(known, towards, _)| *known == from && *towards == to) {
                    Some((_, _, commands)) if commands.contains(&step.command) => {}
                    Some((_, _, commands)) => commands.push(step.command),
                    None => edges.push((from, to, vec![step.command])),
                }
            }
        }
        if edges.is_empty() {
            return String::new();
        }
        let mut text = String::from("stateDiagram-v2\n");
        for (from, to, commands) in edges {
            let from = if from == self.initial { "[*]" } else { from };
            line(&mut text, format_args!("    {from} --> {to}: {}", commands.join(", ")));
        }
        for state in self.final_states() {
            line(&mut text, format_args!("    {state} --> [*]"));
        }
        text
    }
}

/// Every machine as a page of Markdown: the file `docs/state-machines.md`.
pub fn page() -> String {
    let mut text = String::from(
        "# State machines\n\nWhat every aggregate accepts in each of its states. Written by `UPDATE_STATE_MACHINES=1 cargo \
         test -p domain --test state_machines`;\nthe same test fails when it is not true.\n\nA command that nobody may \
         give follows from something else: an event of another aggregate, a deadline, a report of the\nprovider. What is \
         `noted` mirrors such an event and is not judged. What is not in a table is refused, or changes nothing.\n",
    );
    for machine in MACHINES {
        line(&mut text, format_args!("\n## {}\n", machine.aggregate));
        let diagram = machine.diagram();
        if !diagram.is_empty() {
            line(&mut text, format_args!("```mermaid\n{diagram}```\n"));
        }
        text.push_str("| Command | By | In state | Events | Then |\n|---|---|---|---|---|\n");
        for step in machine.transitions {
            let (by, from, events) = (step.by.join(", "), step.from.join(", "), step.events.join(", "));
            line(
                &mut text,
                format_args!("| {} | {by} | {from} | {events} | {} |", step.command, step.to.unwrap_or("the same")),
            );
        }
    }
    text
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{words}");
}
