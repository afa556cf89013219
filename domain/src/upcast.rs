//! Upcasters: what brings an event that was stored in an older version to the shape that is read now.
//!
//! # Invariants
//! - [`UPCASTERS`] has one step from each version of a type to the next; a type that is not in it is at its first version.
//! - What is stored is never rewritten: a payload is brought up each time it is read.
//! - A step writes out what held when the old version was written, so that a default that changes later does not change
//!   what was agreed.
//!
//! # What is deliberately absent
//! Fields that were only added: those are optional where they are read, and need no new version.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::event::EventError;

/// The step from one version of an event type to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// Dotted name of the type.
    pub event_type: &'static str,
    /// The version that it reads; it makes the one after that.
    pub from: u16,
    /// What it does to the payload.
    apply: fn(&mut Map<String, Value>),
}

/// Every step, those of one type in order.
pub const UPCASTERS: &[Upcaster] = &[
    Upcaster { event_type: "contract.offered", from: 1, apply: days_of_dormancy },
    Upcaster { event_type: "contract.accepted", from: 1, apply: days_of_dormancy },
    Upcaster { event_type: "escrow.opened", from: 1, apply: days_of_dormancy },
];

impl Upcaster {
    /// Brings a payload to the next version. One that is no object is left as it is; nobody can read it then.
    pub fn apply(&self, payload: &mut Value) {
        if let Value::Object(fields) = payload {
            (self.apply)(fields);
        }
    }
}

/// The version that is written now of this type, from 1.
pub fn current_version(event_type: &str) -> u16 {
    let steps = UPCASTERS.iter().filter(|step| step.event_type == event_type);
    steps.map(|step| step.from.saturating_add(1)).max().unwrap_or(1)
}

/// Brings the payload of an older version to the shape read now.
///
/// # Errors
/// [`EventError::UnknownVersion`] when it is not a version that was ever written, [`EventError::Malformed`] when an older
/// one is no JSON.
pub fn upcast<'a>(event_type: &str, version: u16, payload: &'a str) -> Result<Cow<'a, str>, EventError> {
    let current = current_version(event_type);
    if version == 0 || version > current {
        return Err(EventError::UnknownVersion { event_type: event_type.to_owned(), version });
    }
    if version == current {
        return Ok(Cow::Borrowed(payload));
    }
    let mut value: Value = serde_json::from_str(payload)
        .map_err(|error| EventError::Malformed { event_type: event_type.to_owned(), message: error.to_string() })?;
    for step in UPCASTERS.iter().filter(|step| step.event_type == event_type && step.from >= version) {
        step.apply(&mut value);
    }
    Ok(Cow::Owned(value.to_string()))
}

/// Policies had a switch for dormancy, on or absent, and now have days. Whoever agreed to a contract before there were
/// days has those that held then, whatever the switch said: contracts that are never settled do not exist any more.
fn days_of_dormancy(fields: &mut Map<String, Value>) {
    let Some(Value::Object(policy)) = fields.get_mut("policy") else {
        return;
    };
    if matches!(policy.get("dormancy"), None | Some(Value::Bool(_))) {
        let days = json!({
            "warn_days": 76, "warn_again_days": 83, "dormant_days": 90,
            "escalate_days": 7, "request_days": 7, "default_days": 14,
        });
        policy.insert("dormancy".to_owned(), days);
    }
}
