//! What was ever stored is read: one line of every event type, version and shape, as it was written.
//!
//! Lines of `golden/events.ndjson` are only ever added. A type whose shape changes gets a line of its new shape beside the
//! old ones. And what was written before escrows knew of refunds, deposits and taxes goes on as it would have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use std::collections::BTreeSet;

use cqrs_es::persist::SerializedEvent;
use domain::actor::Actor;
use domain::contract::{Agreement, ContractEvent, Terms, terms_digest};
use domain::escrow::{Escrow, EscrowCommand, EscrowEvent};
use domain::event::{DomainEvent, EVENT_TYPES, EventError};
use domain::fee::FeeSchedule;
use domain::framework::upcasters;
use domain::policy::{Dormancy, Policy};
use domain::rules::{Context, Rules};
use domain::upcast::{UPCASTERS, current_version, upcast};
use money::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// An event as the log has it.
#[derive(Deserialize)]
struct Stored<'a> {
    event_type: &'a str,
    event_version: u16,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Stored<'_> {
    fn read(&self) -> DomainEvent {
        let (aggregate_type, _) = self.event_type.split_once('.').unwrap();
        DomainEvent::from_json(aggregate_type, self.event_type, self.event_version, self.payload.get())
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn golden() -> Vec<Stored<'static>> {
    include_str!("golden/events.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether all that was stored is in what is written now.
fn keeps(stored: &Value, written: &Value) -> bool {
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            stored.iter().all(|(key, value)| written.get(key).is_some_and(|now| keeps(value, now)))
        }
        (Value::Array(stored), Value::Array(written)) => {
            stored.len() == written.len() && stored.iter().zip(written).all(|(value, now)| keeps(value, now))
        }
        (stored, written) => stored == written,
    }
}

/// With fees and periods written out, of which events have only what is unusual.
fn written_out(mut event: Value) -> Value {
    if let Some(policy) = event.get_mut("policy") {
        *policy = json!(serde_json::from_value::<Policy>(policy.take()).unwrap());
    }
    if let Some(fees) = event.get_mut("fee_schedule") {
        *fees = json!(serde_json::from_value::<FeeSchedule>(fees.take()).unwrap());
    }
    event
}

/// Nothing that was stored is lost by reading it, whatever its age; nor by writing what was read.
#[test]
fn every_event_that_was_stored_is_read_as_it_was_meant() {
    for stored in golden() {
        let read = stored.read();
        assert_eq!(read.event_type(), stored.event_type);
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let before = upcast(stored.event_type, stored.event_version, stored.payload.get()).unwrap();
        let written = read.to_json().unwrap();
        let (before, now) = (value(&before), written_out(value(&written)));
        assert!(keeps(&before, &now), "{before} became {now}");
        let (aggregate_type, _) = stored.event_type.split_once('.').unwrap();
        let again = DomainEvent::from_json(aggregate_type, stored.event_type, read.version(), &written).unwrap();
        assert_eq!(again, read);
    }
}

/// The digest of terms does not depend on how their event is written: it is the same from every line that has one.
#[test]
fn the_digest_of_stored_terms_stays_what_it_was() {
    let mut seen = 0;
    for stored in golden().iter().filter(|stored| stored.event_version == 2) {
        let DomainEvent::Contract(ContractEvent::Accepted {
            contract_id,
            client_id,
            payee_id,
            currency,
            fee_schedule,
            policy,
            milestones,
            terms_digest: Some(stored),
            ..
        }) = stored.read()
        else {
            continue;
        };
        let agreement = Agreement { contract_id, client_id, payee_id, currency, milestones, reference: None };
        assert_eq!(terms_digest(&agreement, &Terms { fee_schedule, policy }).unwrap(), stored);
        seen += 1;
    }
    assert!(seen >= 3, "full and short lines");
}

/// A new type of event, a new version and a new shape need a line: of each type one is what is written now, byte for byte.
#[test]
fn every_type_has_a_line_of_what_is_written_now() {
    let lines = golden();
    let written_now: BTreeSet<_> = lines
        .iter()
        .filter(|stored| stored.read().to_json().unwrap() == stored.payload.get())
        .map(|stored| (stored.event_type, stored.event_version))
        .collect();
    let types: BTreeSet<_> = EVENT_TYPES.iter().map(|kind| (kind.name, kind.version)).collect();
    assert_eq!(types.difference(&written_now).collect::<Vec<_>>(), Vec::<&(&str, u16)>::new());
    assert!(lines.iter().all(|stored| types.iter().any(|(name, _)| *name == stored.event_type)));
}

/// The comparison above can be seen to fail.
#[test]
fn what_is_lost_is_seen() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let stored = value(r#"{"a":1,"b":[{"c":2}]}"#);
    assert!(keeps(&stored, &value(r#"{"a":1,"b":[{"c":2,"d":3}],"e":4}"#)));
    for less in [r#"{"b":[{"c":2}]}"#, r#"{"a":1,"b":[{}]}"#, r#"{"a":1,"b":[]}"#, r#"{"a":2,"b":[{"c":2}]}"#] {
        assert!(!keeps(&stored, &value(less)), "{less}");
    }
}

/// D-202: every step up is taken by a line of the version that it reads; a switch for dormancy becomes the days that held
/// then, and the rest of the payload stays as it was.
#[test]
fn what_is_older_is_brought_up() {
    for step in UPCASTERS {
        let lines = golden();
        let of_type = || lines.iter().filter(|stored| stored.event_type == step.event_type);
        assert!(of_type().any(|stored| stored.event_version == step.from), "{} {}", step.event_type, step.from);
        let switched = of_type().filter(|stored| stored.event_version == 1);
        for stored in switched {
            let mut before: Value = serde_json::from_str(stored.payload.get()).unwrap();
            let brought_up = upcast(stored.event_type, 1, stored.payload.get()).unwrap();
            let days = serde_json::to_value(Dormancy::default()).unwrap();
            before["policy"]["dormancy"] = days;
            assert_eq!(serde_json::from_str::<Value>(&brought_up).unwrap(), before);
        }
    }
    let switches = golden().iter().filter(|stored| stored.payload.get().contains(r#""dormancy":true"#)).count();
    assert_eq!(switches, 3, "one of each type");
    let with_days = r#"{"policy":{"dormancy":{"warn_days":1}}}"#;
    assert_eq!(upcast("contract.offered", 1, with_days).unwrap(), with_days, "days stay as they are");
}

/// A version that is newer than this engine, or was never written, is not guessed at; nor is text that is no event.
#[test]
fn what_is_newer_is_refused() {
    for kind in EVENT_TYPES {
        assert_eq!(kind.version, current_version(kind.name), "{}", kind.name);
        assert_eq!(upcast(kind.name, kind.version, "as it is").unwrap(), "as it is");
        for version in [0, kind.version + 1] {
            let unknown = EventError::UnknownVersion { event_type: kind.name.to_owned(), version };
            assert_eq!(upcast(kind.name, version, "{}"), Err(unknown));
        }
    }
    assert!(matches!(upcast("escrow.opened", 1, "no JSON"), Err(EventError::Malformed { .. })));
    assert_eq!(upcast("escrow.opened", 1, "[]").unwrap(), "[]", "what is no event is left to whoever reads it");
    assert!(DomainEvent::from_json("escrow", "escrow.opened", 1, "[]").is_err());
}

/// The tools of the framework read older versions as the engine does.
#[test]
fn the_framework_reads_older_versions_too() {
    for stored in golden().iter().filter(|stored| stored.event_version < current_version(stored.event_type)) {
        let (aggregate, _) = stored.event_type.split_once('.').unwrap();
        let event = SerializedEvent::new(
            "id".to_owned(),
            1,
            aggregate.to_owned(),
            stored.event_type.to_owned(),
            stored.event_version.to_string(),
            serde_json::from_str(stored.payload.get()).unwrap(),
            Value::Null,
        );
        let read = upcasters().iter().fold(event, |event, step| {
            if step.can_upcast(&event.event_type, &event.event_version) { step.upcast(event) } else { event }
        });
        assert_eq!(read.event_version, current_version(stored.event_type).to_string());
        let ours = upcast(stored.event_type, stored.event_version, stored.payload.get()).unwrap();
        assert_eq!(read.payload, serde_json::from_str::<Value>(&ours).unwrap());
    }
}

fn read(aggregate: &str, payload: &str) -> DomainEvent {
    let tag: serde_json::Value = serde_json::from_str(payload).unwrap();
    let event_type = format!("{aggregate}.{}", tag["type"].as_str().unwrap());
    let event = DomainEvent::from_json(aggregate, &event_type, 1, payload).unwrap();
    assert_eq!(event.event_type(), event_type);
    event
}

/// The events of one contract, word for word as the first version wrote them.
fn stream() -> Vec<String> {
    let (ctr, client, payee, mst, fnd) = (contract(), client(), payee(), m(1), f(1));
    let percent = |percent: &str| format!(r#"{{"kind":"percent","percent":"{percent}"}}"#);
    let (five, ten, release) = (percent("5"), percent("10"), release_id(1));
    vec![
        format!(
            r#"{{"type":"opened","contract_id":"{ctr}","client_id":"{client}","payee_id":"{payee}","currency":"USD","fee_schedule":{{"id":"two_sided","version":1,"client_fee":{five},"payee_fee":{ten}}},"policy":{{"id":"fixed","version":1,"offer_expiry_days":7,"review_days":14,"clearance_days":5}}}}"#
        ),
        format!(
            r#"{{"type":"funding_requested","contract_id":"{ctr}","client_id":"{client}","funding_id":"{fnd}","currency":"USD","allocations":[{{"milestone_id":"{mst}","amount":100000,"client_fee":5000}}],"client_fee":5000,"amount_due":105000,"surplus_to_wallet":0,"charge":105000,"payment_method":"pm_1"}}"#
        ),
        format!(
            r#"{{"type":"funded","contract_id":"{ctr}","client_id":"{client}","funding_id":"{fnd}","currency":"USD","allocations":[{{"milestone_id":"{mst}","amount":100000,"client_fee":5000}}],"client_fee":5000,"surplus_to_wallet":0,"psp":"stripe","psp_account":"platform"}}"#
        ),
        format!(
            r#"{{"type":"released","release_id":"{release}","contract_id":"{ctr}","milestone_id":"{mst}","payee_id":"{payee}","client_id":"{client}","currency":"USD","reason":"approved","gross":100000,"payee_fee":10000,"client_fee_earned":5000,"net":90000,"lots":[{{"funding_id":"{fnd}","amount":100000}}],"clears_at":"2026-12-06T10:00:00Z"}}"#
        ),
        format!(r#"{{"type":"closed","contract_id":"{ctr}"}}"#),
    ]
}

/// D-202: an escrow of the first version is read, adds up, books as it did, and takes new commands.
#[test]
fn an_escrow_of_the_first_version_goes_on() {
    let mut escrow = Escrow::default();
    for (payload, vector) in stream().iter().zip([None, None, Some("J01"), Some("J10"), None]) {
        let event = read("escrow", payload);
        if let Some(vector) = vector {
            assert_journal(&entry(&event), vector, &[]);
        }
        let text = event.to_json().unwrap();
        let DomainEvent::Escrow(event) = event else { panic!() };
        // Fees and periods are written out as they are read, with what held when they were agreed.
        if !matches!(event, EscrowEvent::Opened { .. }) {
            assert_eq!(text, *payload, "what is not told is not written");
        }
        escrow.evolve(&event);
        assert!(escrow.holdings().is_none_or(domain::escrow::Holdings::is_conserved));
    }
    assert_eq!(escrow.state_name(), "closed");
    let give_back =
        EscrowCommand::ReturnRelease { refund_id: r(1), milestone_id: m(1), gross: minor(20_000), currency: None };
    let context = Context { now: BEGIN.parse().unwrap(), actor: Actor::Payee(payee()) };
    let events = escrow.decide(&give_back, &context).unwrap();
    let EscrowEvent::ReleaseReturned { parts, .. } = &events[0] else { panic!() };
    assert_eq!((parts[0].amount, parts[0].charge.clone()), (minor(21_000), None), "the charge was not kept then");
}

/// Fundings and payee accounts of the first version are read.
#[test]
fn other_events_of_the_first_version_are_read() {
    let (ctr, client, mst, fnd) = (contract(), client(), m(1), f(1));
    let created = format!(
        r#"{{"type":"created","funding_id":"{fnd}","contract_id":"{ctr}","client_id":"{client}","currency":"USD","allocations":[{{"milestone_id":"{mst}","amount":100000,"client_fee":5000}}],"charge":105000,"payment_method":"pm_1","psp":"stripe","psp_account":"platform"}}"#
    );
    let linked =
        format!(r#"{{"type":"psp_intent_linked","funding_id":"{fnd}","contract_id":"{ctr}","payment_ref":"pi_1"}}"#);
    let succeeded = format!(
        r#"{{"type":"succeeded","funding_id":"{fnd}","contract_id":"{ctr}","payment_ref":"pi_1","charge_ref":"ch_1","captured":105000,"currency":"USD","as_requested":true,"psp":"stripe","psp_account":"platform","collected_at":"2026-12-01T10:00:00Z"}}"#
    );
    for payload in [created, linked, succeeded] {
        assert_eq!(read("funding", &payload).to_json().unwrap(), payload);
    }
    let (payee, release) = (payee(), release_id(1));
    let cleared = format!(
        r#"{{"type":"earnings_cleared","payee_id":"{payee}","release_id":"{release}","contract_id":"{ctr}","amount":90000,"currency":"USD"}}"#
    );
    let event = read("payee", &cleared);
    assert_eq!(event.to_json().unwrap(), cleared);
    assert_journal(&entry(&event), "J16", &[]);
}
