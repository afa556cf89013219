//! Payee account. It has one state; what differs is what is in it.

use domain::actor::Actor;
use domain::event::DomainEvent;
use domain::id::{ContractId, EventId, PayoutId, ReleaseId};
use domain::party::PayoutAccount;
use domain::payee::{PayeeAccount, PayeeCommand as C, PayeeEvent};
use domain::rules::{Context, Rules};
use ledger::{Currency, Minor};

use super::{SYSTEM, id, minor, now, payee_id, table, table_of};

fn release(number: u128) -> ReleaseId {
    ReleaseId::from_uuid(id(number))
}

/// A credit is noted by the escrow's release: there is no command for it.
fn credited() -> PayeeEvent {
    PayeeEvent::EarningsCredited {
        payee_id: payee_id(),
        release_id: release(7),
        source_event_id: EventId::from_uuid(id(70)),
        contract_id: ContractId::from_uuid(id(3)),
        amount: minor(90_000),
        currency: Currency::HUF,
        clears_at: now(),
    }
}

fn reserve(amount: i64) -> C {
    C::ReservePayout {
        payee_id: payee_id(),
        currency: Currency::HUF,
        payout_id: PayoutId::from_uuid(id(8)),
        amount: minor(amount),
        account: PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
    }
}

fn clear(number: u128) -> C {
    C::Clear { release_id: release(number) }
}

fn block() -> C {
    C::BlockTimer { key: release(7).to_string(), reason: "internal_error".to_owned() }
}

fn then(before: &PayeeAccount, actor: Actor, command: &C) -> PayeeAccount {
    let mut state = before.clone();
    for event in before.decide(command, &Context { now: now(), actor }).unwrap() {
        state.evolve(&event);
    }
    state
}

fn noted(before: &PayeeAccount, event: &PayeeEvent) -> PayeeAccount {
    let mut state = before.clone();
    state.evolve(event);
    state
}

fn failed(left_at_provider: i64) -> PayeeEvent {
    PayeeEvent::PayoutFailedNoted {
        payee_id: payee_id(),
        payout_id: PayoutId::from_uuid(id(8)),
        source_event_id: EventId::from_uuid(id(71)),
        amount: minor(60_000),
        left_at_provider: minor(left_at_provider),
        returned: false,
    }
}

#[test]
fn what_a_payee_account_does_with_what_is_in_it() {
    let pending = noted(&PayeeAccount::default(), &credited());
    let available = then(&pending, SYSTEM, &clear(7));
    let reserved = then(&available, Actor::Payee(payee_id()), &reserve(60_000));
    let states = [
        ("empty", PayeeAccount::default()),
        ("900.00 pending", pending.clone()),
        ("900.00 pending (timer blocked)", then(&pending, SYSTEM, &block())),
        ("900.00 available", available),
        ("300.00 available (600.00 on its way)", reserved.clone()),
        ("900.00 available again", noted(&reserved, &failed(60_000))),
    ];
    let commands = [
        ("Clear", clear(7)),
        ("Clear another", clear(17)),
        ("ReservePayout of 300.00", reserve(30_000)),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states, &commands, DomainEvent::Payee), @r"
    Clear
      900.00 pending, 900.00 pending (timer blocked): payee.earnings_cleared
      otherwise: nothing
    Clear another
      always: nothing
    ReservePayout of 300.00 by client, client as payee, outsider, staff, system
      always: refused not_found
    ReservePayout of 300.00 by payee
      empty, 900.00 pending, 900.00 pending (timer blocked): refused insufficient_available
      otherwise: payee.payout_reserved
    ReservePayout of 300.00 by payee as client
      always: refused forbidden
    BlockTimer
      always: payee.timer_blocked
    ");
    let amounts = [
        ("900.00", reserve(90_000)),
        ("901.00", reserve(90_100)),
        ("zero", reserve(0)),
        ("a fraction, which is not paid out", reserve(150)),
    ];
    let payee = Actor::Payee(payee_id());
    insta::assert_snapshot!(table_of(payee, &states, &amounts, DomainEvent::Payee), @r"
    900.00
      900.00 available, 900.00 available again: payee.payout_reserved
      otherwise: refused insufficient_available
    901.00
      always: refused insufficient_available
    zero
      always: refused validation_failed
    a fraction, which is not paid out
      always: refused validation_failed
    ");
}

/// Only what is not at the provider yet is transferred; what lies there is used first.
#[test]
fn a_payout_transfers_what_is_not_there_yet() {
    let available = then(&noted(&PayeeAccount::default(), &credited()), SYSTEM, &clear(7));
    let payee = Actor::Payee(payee_id());
    let transfer = |account: &PayeeAccount, amount: i64| {
        let events = account.decide(&reserve(amount), &Context { now: now(), actor: payee }).unwrap();
        let [PayeeEvent::PayoutReserved { transfer_amount, .. }] = events.as_slice() else { panic!("{events:?}") };
        *transfer_amount
    };
    assert_eq!(transfer(&available, 60_000), minor(60_000));
    let reserved = then(&available, payee, &reserve(60_000));
    assert_eq!(reserved.in_transit.len(), 1);
    let back = noted(&reserved, &failed(60_000));
    assert_eq!((back.available, back.at_provider), (minor(90_000), minor(60_000)));
    assert_eq!(transfer(&back, 50_000), Minor::ZERO);
    assert_eq!(transfer(&back, 90_000), minor(30_000));
    let never_there = noted(&reserved, &failed(0));
    assert_eq!(transfer(&never_there, 60_000), minor(60_000));
}
