//! Each journal of escrow, funding, refund, payee account and wallet, built by the posting rule of its event and
//! compared whole with the specification's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use domain::actor::{Actor, SystemPart};
use domain::escrow::{Allocation, Deposit, EscrowCommand, EscrowEvent, GratuityKind, PaidFrom};
use domain::event::DomainEvent;
use domain::fee::{FeeSchedule, RefundClientFee};
use domain::funding::{Funding, FundingCommand, FundingEvent, Order, Purpose};
use domain::id::{FundingId, ReleaseId};
use domain::payee::{HoldReason, PayeeAccount, PayeeCommand, PayeeEvent};
use domain::policy::Policy;
use domain::refund::{Refund, RefundCommand, RefundEvent, RefundOrder};
use domain::rules::{Context, Rules};
use domain::wallet::{ClientWallet, WalletCommand, WalletEvent};
use ledger::Currency;
use money::*;

fn context(actor: Actor) -> Context {
    Context { now: BEGIN.parse().unwrap(), actor }
}

/// Judges, remembers, gives the events.
fn act<R: Rules>(state: &mut R, command: &R::Command, actor: Actor) -> Vec<R::Event> {
    let events = state.decide(command, &context(actor)).unwrap();
    for event in &events {
        state.evolve(event);
    }
    events
}

fn kwd_week(amount: i64, currency: Currency) -> (Desk, EscrowEvent) {
    let mut desk = Desk::new(currency, FeeSchedule::two_sided(), Policy::default());
    let funded = desk.fund(1, &[(1, amount)]).remove(0);
    (desk, funded)
}

/// J01, J04, J07, J60, J92.
#[test]
fn fundings_book_what_the_specification_says() {
    let mut desk = Desk::two_sided();
    assert_journal(&booked(&desk.fund(1, &[(1, 100_000)])[0]), "J01", &[]);

    let mut desk = Desk::new(Currency::USD, with_vat(), Policy::default());
    assert_journal(&booked(&desk.fund(1, &[(1, 100_000)])[0]), "J04", &[]);

    let mut desk = Desk::two_sided();
    assert_journal(&booked(&desk.deposit(1, &[(1, 100_000)], 50_000)[0]), "J07", &[]);

    let week = [("C2", contract().to_string()), ("week 2026-W47", m(1).to_string())];
    let (mut desk, funded) = kwd_week(26_664, Currency::USD);
    assert_journal(&booked(&funded), "J60", &week);
    assert_journal(&booked(&desk.release(1, 1, 26_664).unwrap()[0]), "J61", &week);

    let kuwait = [("C5", contract().to_string()), ("M2", m(1).to_string())];
    let (_, funded) = kwd_week(10_123, Currency::KWD);
    assert_journal(&booked(&funded), "J92", &kuwait);
}

/// J05, J06, J95: the wallet pays, alone or beside a card.
#[test]
fn wallets_book_what_the_specification_says() {
    let mut wallet = ClientWallet::default();
    let top_up = WalletCommand::RecordTopUp {
        client_id: client(),
        funding_id: f(9),
        amount: minor(500_000),
        currency: Currency::USD,
        place: platform(),
    };
    let events = act(&mut wallet, &top_up, Actor::System(SystemPart::Psp));
    assert_journal(&entry(&DomainEvent::Wallet(events[0].clone())), "J06", &[]);

    let mut pay = |funding: FundingId, amount: i64, client_fee: i64| -> WalletEvent {
        let pay = WalletCommand::PayEscrow {
            client_id: client(),
            contract_id: contract(),
            funding_id: funding,
            currency: Currency::USD,
            amount: minor(amount + client_fee),
            allocations: vec![Allocation { milestone_id: m(1), amount: minor(amount), client_fee: minor(client_fee) }],
            deposit: Deposit::default(),
            initiation_fee: minor(0),
            tax: None,
        };
        act(&mut wallet, &pay, Actor::Client(client())).remove(0)
    };
    let w1 = [("W1", f(2).to_string())];
    assert_journal(&entry(&DomainEvent::Wallet(pay(f(2), 100_000, 5000))), "J05", &w1);

    // J95: 300.00 from the wallet, 750.00 by card; together they are the journal.
    let from_wallet = lines(&entry(&DomainEvent::Wallet(pay(f(3), 30_000, 0))));
    let by_card = EscrowEvent::Funded {
        contract_id: contract(),
        client_id: client(),
        funding_id: f(1),
        currency: Currency::USD,
        allocations: vec![Allocation { milestone_id: m(1), amount: minor(70_000), client_fee: minor(5000) }],
        client_fee: minor(5000),
        surplus_to_wallet: minor(0),
        place: platform(),
        deposit: Deposit::default(),
        initiation_fee: minor(0),
        tax: None,
        charge: None,
        hold_limit: None,
        settled: None,
    };
    let usd = |side, account: &str, amount| (side, account.to_owned(), amount, "USD".to_owned());
    assert_eq!(from_wallet, [usd("Dr", "2120", 30_000), usd("Cr", "2100", 30_000)]);
    let card = [usd("Dr", "1110", 75_000), usd("Cr", "2100", 70_000), usd("Cr", "2300", 5000)];
    assert_eq!(lines(&booked(&by_card)), card);
}

/// J08, J09, J99.
#[test]
fn reallocations_book_what_the_specification_says() {
    let mut desk = Desk::two_sided();
    desk.deposit(1, &[(1, 100_000)], 50_000);
    assert_journal(&booked(&desk.reallocate(1, None, 2, 50_000, &[client()]).unwrap()[0]), "J08", &[]);

    let mut desk = Desk::f0();
    desk.release(1, 1, 70_000).unwrap();
    let events = desk.reallocate(1, Some(1), 2, 30_000, &[client(), payee()]).unwrap();
    assert_journal(&booked(&events[0]), "J09", &[]);
    assert_journal(&booked(&events[1]), "J99", &[]);
}

/// J10, J11, J12, J13, J14, J15, J90, J91; D-51, D-53, D-54.
#[test]
fn releases_book_what_the_specification_says() {
    let mut desk = Desk::f0();
    assert_journal(&booked(&desk.release(1, 1, 100_000).unwrap()[0]), "J10", &[]);

    let mut desk = Desk::f0();
    for (number, gross, vector) in [(1, 33_334, "J11"), (2, 33_333, "J12"), (3, 33_333, "J13")] {
        assert_journal(&booked(&desk.release(number, 1, gross).unwrap()[0]), vector, &[]);
    }

    let mut desk = Desk::new(Currency::USD, with_vat(), Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    assert_journal(&booked(&desk.release(1, 1, 100_000).unwrap()[0]), "J14", &[]);

    let mut withholding = FeeSchedule::two_sided();
    withholding.tax.payee = Some(party_tax("XX", "0", "1"));
    let mut desk = Desk::new(Currency::USD, withholding, Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    assert_journal(&booked(&desk.release(1, 1, 100_000).unwrap()[0]), "J15", &[]);

    let (mut desk, _) = kwd_week(10_000, Currency::JPY);
    assert_journal(&booked(&desk.release(1, 1, 3334).unwrap()[0]), "J90", &[("C4", contract().to_string())]);
    let (mut desk, _) = kwd_week(100_000, Currency::KWD);
    assert_journal(&booked(&desk.release(1, 1, 33_334).unwrap()[0]), "J91", &[("C5", contract().to_string())]);
}

/// J30, J33, J34; D-71, D-73.
#[test]
fn refunds_of_held_money_book_what_the_specification_says() {
    let mut desk = Desk::f0();
    assert_journal(&booked(&desk.refund(1, 1, 100_000).unwrap()[0]), "J30", &[("R1", r(1).to_string())]);
    let mut desk = Desk::f0();
    assert_journal(&booked(&desk.refund(2, 1, 40_000).unwrap()[0]), "J33", &[("R2", r(2).to_string())]);
    let kept = FeeSchedule { refund_client_fee: RefundClientFee::None, ..FeeSchedule::two_sided() };
    let mut desk = Desk::new(Currency::USD, kept, Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    assert_journal(&booked(&desk.refund(3, 1, 100_000).unwrap()[0]), "J34", &[("R3", r(3).to_string())]);
}

/// J40, J41.
#[test]
fn dispute_holds_book_what_the_specification_says() {
    let mut desk = Desk::f0();
    let d1 = [("D1", d(1).to_string())];
    assert_journal(&booked(&desk.dispute(1, 1, 100_000).unwrap()[0]), "J40", &d1);
    assert_journal(&booked(&desk.lift(1).unwrap()[0]), "J41", &d1);
}

/// J31, J32, before and after the money had left.
#[test]
fn refunds_at_the_provider_book_what_the_specification_says() {
    let order = RefundOrder {
        refund_id: r(1),
        contract_id: Some(contract()),
        client_id: client(),
        funding_id: Some(f(1)),
        amount: minor(105_000),
        currency: Currency::USD,
        charge: Some(charge(f(1))),
        paid_from: PaidFrom::Provider,
        asked_before: 0,
    };
    let psp = Actor::System(SystemPart::Psp);
    let mut refund = Refund::default();
    act(&mut refund, &RefundCommand::Request { order: order.clone() }, psp);
    let mut early = refund.clone();
    let succeeded =
        RefundCommand::RecordSucceeded { refund_ref: "re_1".to_owned(), balance_transaction_ref: None, taken: None };
    let told = |events: Vec<RefundEvent>| entry(&DomainEvent::Refund(events.into_iter().next().unwrap()));
    assert_journal(&told(act(&mut refund, &succeeded, psp)), "J31", &[("R1", r(1).to_string())]);
    let failed = RefundCommand::RecordFailed { code: "expired_or_canceled_card".to_owned(), came_back: None };
    assert_journal(&told(act(&mut refund, &failed, psp)), "J32", &[]);
    let usd = |side, account: &str| (side, account.to_owned(), 105_000, "USD".to_owned());
    assert_eq!(lines(&told(act(&mut early, &failed, psp))), [usd("Dr", "2260"), usd("Cr", "2120")]);
}

/// A payee account with 1,000.00 of M1 released to it, cleared or not, and `paid_out` of it gone.
fn released(cleared: bool, paid_out: i64) -> (Desk, PayeeAccount) {
    let mut desk = Desk::f0();
    desk.release(1, 1, 100_000).unwrap();
    let mut account = PayeeAccount::default();
    account.evolve(&PayeeEvent::EarningsCredited {
        payee_id: payee(),
        release_id: release_id(1),
        source_event_id: domain::id::EventId::from_uuid(uuid(7)),
        contract_id: contract(),
        amount: minor(90_000),
        currency: Currency::USD,
        clears_at: desk.now,
    });
    if cleared {
        act(&mut account, &PayeeCommand::Clear { release_id: release_id(1) }, Actor::System(SystemPart::Timer));
    }
    if paid_out > 0 {
        let payout = PayeeCommand::ReservePayout {
            payee_id: payee(),
            currency: Currency::USD,
            payout_id: domain::id::PayoutId::from_uuid(uuid(8)),
            amount: minor(paid_out),
            account: domain::party::PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
        };
        act(&mut account, &payout, Actor::Payee(payee()));
    }
    (desk, account)
}

/// What the payee account does when the payee gives back `gross`.
fn give_back(desk: &mut Desk, account: &mut PayeeAccount, refund: u128, gross: i64) -> Vec<PayeeEvent> {
    let EscrowEvent::ReleaseReturned {
        refund_id,
        contract_id,
        payee_id,
        client_id,
        currency,
        gross,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_payee,
        parts,
        ..
    } = desk.give_back(refund, 1, gross).unwrap().remove(0)
    else {
        panic!("not given back");
    };
    let grant = PayeeCommand::GrantRefund {
        refund_id,
        payee_id,
        contract_id,
        client_id,
        currency,
        gross,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_payee,
        parts,
    };
    act(account, &grant, Actor::Payee(payee()))
}

fn booked_by_payee(event: &PayeeEvent) -> ledger::JournalEntry {
    entry(&DomainEvent::Payee(event.clone()))
}

/// J16, J17, J18, J19, J35, J36, J96; D-75, D-103.
#[test]
fn payee_accounts_book_what_the_specification_says() {
    let system = Actor::System(SystemPart::Timer);
    let r4 = [("R4", r(4).to_string())];
    let (mut desk, mut account) = released(true, 0);
    assert_journal(&booked_by_payee(&give_back(&mut desk, &mut account, 4, 20_000)[0]), "J35", &r4);
    assert_eq!(account.available, minor(72_000), "180.00 less");

    let (mut desk, mut account) = released(true, 85_000);
    let events = give_back(&mut desk, &mut account, 4, 20_000);
    assert_journal(&booked_by_payee(&events[0]), "J36", &r4);
    assert!(matches!(&events[1], PayeeEvent::DebtRecorded { amount, .. } if *amount == minor(13_000)));
    assert_eq!(account.debt_total(), minor(13_000));

    // The next release pays the debt off first.
    account.evolve(&PayeeEvent::EarningsCredited {
        payee_id: payee(),
        release_id: release_id(2),
        source_event_id: domain::id::EventId::from_uuid(uuid(7)),
        contract_id: contract(),
        amount: minor(90_000),
        currency: Currency::USD,
        clears_at: desk.now,
    });
    let events = act(&mut account, &PayeeCommand::Clear { release_id: release_id(2) }, system);
    assert_journal(&booked_by_payee(&events[0]), "J17", &[]);
    assert!(matches!(&events[1], PayeeEvent::DebtRecovered { amount, .. } if *amount == minor(13_000)));
    assert_eq!((account.debt_total(), account.available), (minor(0), minor(77_000)));

    let (mut desk, mut account) = released(false, 0);
    let r11 = [("R11", r(11).to_string())];
    assert_journal(&booked_by_payee(&give_back(&mut desk, &mut account, 11, 30_000)[0]), "J96", &r11);
    assert_eq!(account.pending_total(), minor(63_000), "D-103: 630.00 stay pending");

    let (_, mut account) = released(false, 0);
    let cleared = act(&mut account, &PayeeCommand::Clear { release_id: release_id(1) }, system);
    assert_journal(&booked_by_payee(&cleared[0]), "J16", &[]);
    let hold = PayeeCommand::Hold { payee_id: payee(), currency: Currency::USD, amount: None, reason: HoldReason::Kyc };
    assert_journal(&booked_by_payee(&act(&mut account, &hold, system)[0]), "J18", &[]);
    assert_eq!((account.available, account.held_total()), (minor(0), minor(90_000)));
    let let_go =
        PayeeCommand::ReleaseHold { payee_id: payee(), currency: Currency::USD, amount: None, reason: HoldReason::Kyc };
    assert_journal(&booked_by_payee(&act(&mut account, &let_go, system)[0]), "J19", &[]);
    assert_eq!((account.available, account.held_total()), (minor(90_000), minor(0)));
}

/// J62, J63; D-139.
#[test]
fn bonuses_and_tips_book_what_the_specification_says() {
    for (kind, amount, vector, name) in
        [(GratuityKind::Bonus, 5000, "J62", "payee.bonus_paid"), (GratuityKind::Tip, 1000, "J63", "payee.tip_paid")]
    {
        let mut desk = Desk::f0();
        let event = desk.gratuity(5, kind, amount).unwrap().remove(0);
        let EscrowEvent::GratuityRequested { gratuity, charge, .. } = event else { panic!("not requested") };
        let record = PayeeCommand::RecordGratuity {
            payee_id: payee(),
            client_id: client(),
            contract_id: contract(),
            funding_id: f(5),
            currency: Currency::USD,
            gratuity,
            place: platform(),
        };
        let mut account = PayeeAccount::default();
        let system = Actor::System(SystemPart::Psp);
        let recorded = act(&mut account, &record, system).remove(0);
        assert_eq!(domain::event::DomainEvent::Payee(recorded.clone()).event_type(), name);
        let entry = booked_by_payee(&recorded);
        assert_journal(&entry, vector, &[("B1", contract().to_string())]);
        assert_eq!(entry.postings()[0].amount().minor(), charge, "what was charged is what is booked");
        assert!(account.pending.contains_key(&ReleaseId::derived(f(5).as_uuid(), "gratuity")));
        let again = account.decide(&record, &context(system));
        assert_eq!(again, Ok(Vec::new()), "told again, it changes nothing");
    }
}

/// J93: success after the attempt was given up.
#[test]
fn a_late_success_books_what_the_specification_says() {
    let order = Order {
        funding_id: f(1),
        contract_id: Some(contract()),
        client_id: client(),
        currency: Currency::USD,
        allocations: Vec::new(),
        charge: minor(105_000),
        payment_method: "pm_1".to_owned(),
        place: platform(),
        purpose: Purpose::Escrow,
        expires_at: None,
    };
    let mut funding = Funding::default();
    act(&mut funding, &FundingCommand::Create { order }, Actor::Client(client()));
    act(&mut funding, &FundingCommand::CallOff, Actor::Client(client()));
    let succeeded = FundingCommand::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(105_000),
        currency: Currency::USD,
        collected_at: BEGIN.parse().unwrap(),
        settled: None,
    };
    let psp = Actor::System(SystemPart::Psp);
    let events = act(&mut funding, &succeeded, psp);
    let FundingEvent::SucceededAfterCancel { refund_id, .. } = &events[1] else { panic!("not sent back") };
    let r10 = [("R10", refund_id.to_string())];
    assert_journal(&entry(&DomainEvent::Funding(events[1].clone())), "J93", &r10);
    assert_eq!(funding.decide(&succeeded, &context(psp)), Ok(Vec::new()), "told again, it changes nothing");
}

/// Every event that the desk wrote on the way is read again, and books the same.
#[test]
fn what_an_escrow_says_survives_its_text() {
    let mut desk = Desk::new(Currency::USD, with_vat(), Policy::default());
    desk.deposit(1, &[(1, 100_000)], 50_000);
    desk.release(1, 1, 10_000).unwrap();
    desk.refund(1, 1, 10_000).unwrap();
    desk.dispute(1, 1, 10_000).unwrap();
    desk.lift(1).unwrap();
    desk.reallocate(1, Some(1), 2, 10_000, &[client(), payee()]).unwrap();
    desk.reallocate(2, None, 2, 10_000, &[client()]).unwrap();
    desk.give_back(2, 1, 5000).unwrap();
    desk.gratuity(5, GratuityKind::Bonus, 5000).unwrap();
    let freeze = EscrowCommand::Freeze { reason: "court_order".to_owned(), legal_ref: Some("1 BvR 1/26".to_owned()) };
    desk.act(staff(domain::actor::StaffRole::Finance), &freeze).unwrap();
    for event in &desk.said {
        let event = DomainEvent::Escrow(event.clone());
        let text = event.to_json().unwrap();
        let read = DomainEvent::from_json("escrow", event.event_type(), 1, &text).unwrap();
        assert_eq!(read, event, "{text}");
    }
}

/// A state that was stored is the state that is read.
#[test]
fn what_an_escrow_remembers_survives_its_text() {
    let mut desk = Desk::new(Currency::USD, with_vat(), Policy::default());
    desk.deposit(1, &[(1, 100_000)], 50_000);
    desk.dispute(1, 1, 10_000).unwrap();
    let text = serde_json::to_string(&desk.escrow).unwrap();
    assert_eq!(serde_json::from_str::<domain::escrow::Escrow>(&text).unwrap(), desk.escrow);
}
