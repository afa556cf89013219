//! What events leave out of a contract's terms because it is usual.
//!
//! # Invariants
//! - The values are copied from the specification (B.12 of `domain.md` for periods), not from the engine: where the
//!   engine reads another value into what was left out, the two differ and that is found.
//! - What an event tells is never replaced. A member that has no usual value and is missing stays missing.

use serde_json::{Map, Value, json};

use super::Raw;

/// The policy of an event, whole. Null where the event has none.
pub(super) fn policy(raw: &Raw) -> Value {
    let usual = json!({
        "first_funding_days": 14,
        "funding_intent_hours": 24,
        "end_request_days": 7,
        "refund_request_days": 7,
        "payee_refund_window_days": 180,
        "bonus_window_days": 365,
        "dormancy": {
            "warn_days": 76,
            "warn_again_days": 83,
            "dormant_days": 90,
            "escalate_days": 7,
            "request_days": 7,
            "default_days": 14,
        },
        "psp_hold": {
            "limits": [{ "country": "TH", "days": 10 }, { "country": "US", "days": 730 }],
            "other_days": 90,
            "warn_days": [30, 14, 5, 1],
            "action": "refund",
        },
        "chargeback_liability": "payee",
    });
    whole(raw, "policy", usual)
}

/// The fee schedule of an event, whole. Null where the event has none.
pub(super) fn fee_schedule(raw: &Raw) -> Value {
    let usual = json!({
        "initiation_fee": 0,
        "processing_fee": [],
        "processing_fee_payer": "platform",
        "refund_client_fee": "pro_rata",
        "refund_psp_fee_bearer": "platform",
        "promotions": [],
        "tax": { "point": "release" },
    });
    whole(raw, "fee_schedule", usual)
}

fn whole(raw: &Raw, key: &str, usual: Value) -> Value {
    let mut told = raw.data.get(key).cloned().unwrap_or_default();
    if let (Value::Object(told), Value::Object(usual)) = (&mut told, usual) {
        fill(told, usual);
    }
    told
}

/// Puts in what is missing, also of what is partly there.
fn fill(told: &mut Map<String, Value>, usual: Map<String, Value>) {
    for (key, value) in usual {
        match (told.get_mut(&key), value) {
            (None, value) => {
                told.insert(key, value);
            }
            (Some(Value::Object(told)), Value::Object(usual)) => fill(told, usual),
            (Some(_), _) => {}
        }
    }
}
