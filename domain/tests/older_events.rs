//! What was written before escrows knew of refunds, deposits and taxes is read, and goes on as it would have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use domain::actor::Actor;
use domain::escrow::{Escrow, EscrowCommand, EscrowEvent};
use domain::event::DomainEvent;
use domain::rules::{Context, Rules};
use money::*;

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
