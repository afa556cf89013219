//! Payee account. It has one state; what differs is what is in it.

use domain::actor::Actor;
use domain::escrow::{Gratuity, GratuityKind, PaidFrom, PspPlace, RefundPart};
use domain::event::DomainEvent;
use domain::id::{ContractId, EventId, FundingId, PayoutId, RefundId, ReleaseId};
use domain::party::PayoutAccount;
use domain::payee::{HoldReason, PayeeAccount, PayeeCommand as C, PayeeEvent};
use domain::rules::{Context, Rules};
use ledger::{Currency, Minor};

use super::{SYSTEM, client_id, id, minor, now, payee_id, table, table_of};

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

fn hold(amount: Option<i64>, reason: HoldReason) -> C {
    C::Hold { payee_id: payee_id(), currency: Currency::HUF, amount: amount.map(minor), reason }
}

fn let_go(amount: Option<i64>, reason: HoldReason) -> C {
    C::ReleaseHold { payee_id: payee_id(), currency: Currency::HUF, amount: amount.map(minor), reason }
}

/// The payee gives released money back, of which this much is the payee's own.
fn grant(refund: u128, from_payee: i64) -> C {
    let refund_id = RefundId::from_uuid(id(refund));
    C::GrantRefund {
        refund_id,
        payee_id: payee_id(),
        contract_id: ContractId::from_uuid(id(3)),
        client_id: client_id(),
        currency: Currency::HUF,
        gross: minor(from_payee),
        payee_fee: minor(0),
        client_fee: minor(0),
        payee_tax: None,
        client_tax: None,
        from_payee: minor(from_payee),
        parts: vec![RefundPart {
            refund_id,
            funding_id: FundingId::from_uuid(id(6)),
            amount: minor(from_payee),
            charge: None,
            paid_from: PaidFrom::Provider,
        }],
    }
}

fn gratuity(funding: u128, kind: GratuityKind) -> C {
    let gratuity = Gratuity {
        kind,
        gross: minor(1000),
        payee_fee: minor(0),
        net: minor(1000),
        client_fee: minor(0),
        withheld: None,
        taxes: Vec::new(),
        surplus_to_wallet: minor(0),
        clearance_days: 5,
    };
    C::RecordGratuity {
        payee_id: payee_id(),
        client_id: client_id(),
        contract_id: ContractId::from_uuid(id(3)),
        funding_id: FundingId::from_uuid(id(funding)),
        currency: Currency::HUF,
        gratuity,
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() },
    }
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
    let tipped = then(&PayeeAccount::default(), SYSTEM, &gratuity(60, GratuityKind::Tip));
    let held = then(&available, SYSTEM, &hold(Some(60_000), HoldReason::Kyc));
    let in_debt = then(&PayeeAccount::default(), SYSTEM, &grant(52, 30_000));
    let states = [
        ("empty", PayeeAccount::default()),
        ("10.00 pending (tip)", tipped),
        ("300.00 available (600.00 held)", held),
        ("300.00 owed", in_debt.clone()),
        ("900.00 pending (300.00 owed)", noted(&in_debt, &credited())),
        ("nothing pending (given back)", then(&pending, SYSTEM, &grant(52, 90_000))),
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
        ("Hold for kyc", hold(None, HoldReason::Kyc)),
        ("Hold 600.00 for fraud", hold(Some(60_000), HoldReason::Fraud)),
        ("ReleaseHold for kyc", let_go(None, HoldReason::Kyc)),
        ("ReleaseHold of 601.00 for kyc", let_go(Some(60_100), HoldReason::Kyc)),
        ("ReleaseHold for fraud", let_go(None, HoldReason::Fraud)),
        ("GrantRefund", grant(52, 30_000)),
        ("GrantRefund of another refund", grant(53, 30_000)),
        ("RecordGratuity, a bonus", gratuity(61, GratuityKind::Bonus)),
        ("RecordGratuity, the tip", gratuity(60, GratuityKind::Tip)),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states, &commands, DomainEvent::Payee), @r"
    Clear
      nothing pending (given back), 900.00 pending, 900.00 pending (timer blocked): payee.earnings_cleared
      900.00 pending (300.00 owed): payee.earnings_cleared, payee.debt_recovered
      otherwise: nothing
    Clear another
      always: nothing
    ReservePayout of 300.00 by client, client as payee, outsider, staff, system
      always: refused not_found
    ReservePayout of 300.00 by payee
      300.00 available (600.00 held), 900.00 available, 300.00 available (600.00 on its way), 900.00 available again: payee.payout_reserved
      300.00 owed, 900.00 pending (300.00 owed): refused payee_in_debt
      otherwise: refused insufficient_available
    ReservePayout of 300.00 by payee as client
      always: refused forbidden
    Hold for kyc by client, client as payee, payee, payee as client, outsider
      always: refused forbidden
    Hold for kyc by staff, system
      300.00 available (600.00 held), 900.00 available, 300.00 available (600.00 on its way), 900.00 available again: payee.earnings_held
      otherwise: refused insufficient_available
    Hold 600.00 for fraud by client, client as payee, payee, payee as client, outsider
      always: refused forbidden
    Hold 600.00 for fraud by staff, system
      900.00 available, 900.00 available again: payee.earnings_held
      otherwise: refused insufficient_available
    ReleaseHold for kyc by client, client as payee, payee, payee as client, outsider
      always: refused forbidden
    ReleaseHold for kyc by staff, system
      300.00 available (600.00 held): payee.earnings_hold_released
      otherwise: refused exceeds_held
    ReleaseHold of 601.00 for kyc by client, client as payee, payee, payee as client, outsider
      always: refused forbidden
    ReleaseHold of 601.00 for kyc by staff, system
      always: refused exceeds_held
    ReleaseHold for fraud by client, client as payee, payee, payee as client, outsider
      always: refused forbidden
    ReleaseHold for fraud by staff, system
      always: refused exceeds_held
    GrantRefund
      300.00 owed, 900.00 pending (300.00 owed), nothing pending (given back): nothing
      empty, 10.00 pending (tip): payee.payee_refund_granted, payee.debt_recorded
      otherwise: payee.payee_refund_granted
    GrantRefund of another refund
      empty, 10.00 pending (tip), 300.00 owed, nothing pending (given back): payee.payee_refund_granted, payee.debt_recorded
      otherwise: payee.payee_refund_granted
    RecordGratuity, a bonus
      always: payee.bonus_paid
    RecordGratuity, the tip
      10.00 pending (tip): nothing
      otherwise: payee.tip_paid
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
      300.00 owed, 900.00 pending (300.00 owed): refused payee_in_debt
      otherwise: refused insufficient_available
    901.00
      300.00 owed, 900.00 pending (300.00 owed): refused payee_in_debt
      otherwise: refused insufficient_available
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
