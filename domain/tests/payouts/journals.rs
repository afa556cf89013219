//! Journals of payouts that no scenario has.

use domain::command::Command;
use domain::escrow::{PLATFORM_ACCOUNT, PspPlace};
use domain::event::DomainEvent;
use domain::id::PayoutId;
use domain::intent::Intent;
use domain::payout::{PayoutCommand, PayoutEvent};
use domain::ports::provider::ProviderOrder;
use domain::refusal::Refusal;
use ledger::Currency;

use super::desk::{Desk, p};
use super::money::{assert_journal, entry, minor, payee, uuid};

/// J74: 900.00 euros at the payee's account, 975.00 dollars out of the platform's. A payout in euros goes on from there.
#[test]
fn a_transfer_out_of_another_currency() {
    let converted = PayoutEvent::TransferConverted {
        payout_id: PayoutId::from_uuid(uuid(7)),
        payee_id: payee(),
        transfer_ref: "tr_7".to_owned(),
        amount: minor(90_000),
        payout_amount: minor(90_000),
        currency: Currency::EUR,
        taken: minor(97_500),
        taken_currency: Currency::USD,
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
    };
    let name = ("P7", PayoutId::from_uuid(uuid(7)).to_string());
    assert_journal(&entry(&DomainEvent::Payout(converted)), "J74", &[name]);

    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    let record = PayoutCommand::RecordTransferConverted {
        transfer_ref: "tr_1".to_owned(),
        amount: minor(90_000),
        taken: minor(83_000),
        taken_currency: Currency::EUR,
    };
    let told = Command::Payout(p(1), record);
    assert_eq!(desk.world.fact(told.clone()).unwrap(), ["payout.transfer_converted"]);
    assert_eq!(desk.world.fact(told), Ok(Vec::new()), "told again");
    assert!(
        matches!(&desk.world.orders.last().unwrap().what, ProviderOrder::PayToBank { amount, .. } if *amount == minor(90_000))
    );
}

/// J28: what the provider takes for a payout is the platform's cost.
#[test]
fn a_payout_costs_something() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    let fee = |fee| {
        let balance_transaction_ref = "txn_9".to_owned();
        Command::Payout(p(1), PayoutCommand::RecordPspFee { balance_transaction_ref, fee: minor(fee) })
    };
    assert_eq!(desk.world.fact(fee(0)), Ok(Vec::new()));
    assert_eq!(desk.world.fact(fee(25)).unwrap(), ["payout.psp_fee_recorded"]);
    assert_journal(&desk.world.entry("payout.psp_fee_recorded"), "J28", &[]);
}

/// J26: where the provider has no accounts of payees, one step pays; what comes back lies in the platform's balance.
#[test]
fn a_provider_without_accounts_pays_in_one_step() {
    let mut desk = Desk::d118();
    let (psp, country) = ("stripe".to_owned(), domain::jurisdiction::Jurisdiction::new("GB").unwrap());
    let mut status = desk.in_order("fp_1");
    status.end = Some(domain::party::AccountEnd::Closed);
    desk.tell_account(status);
    let request = domain::intent::PayoutIntent::RequestPspAccount { party_id: payee(), psp, country };
    desk.world.by_payee(Intent::Payouts(request)).unwrap();
    let mut status = desk.in_order("fp_1");
    status.psp_account = PLATFORM_ACCOUNT.to_owned();
    desk.tell_account(status);
    desk.world.now += chrono::TimeDelta::hours(72);
    desk.request(1, 90_000).unwrap();
    assert!(matches!(desk.world.orders.last().unwrap().what, ProviderOrder::PayToBank { .. }), "no transfer");
    let tell = |desk: &mut Desk, command| desk.world.fact(Command::Payout(p(1), command)).unwrap();
    tell(&mut desk, PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() });
    assert_journal(&desk.world.entry("payout.paid"), "J26", &[("P1", p(1).to_string())]);
    tell(&mut desk, PayoutCommand::RecordFailed { code: "could_not_process".to_owned() });
    assert_eq!((desk.net("1120"), desk.net("1130"), desk.account().at_provider), (101_925, 0, minor(0)));
    desk.request(2, 90_000).unwrap();
    assert!(matches!(desk.world.orders.last().unwrap().what, ProviderOrder::PayToBank { .. }));
    assert_eq!(desk.request(3, 1), Err(Refusal::InsufficientAvailable { available: minor(0) }));
}

/// B.1.2: forints are paid out in whole ones; what is left stays available, also when the schedule pays.
#[test]
fn a_residue_stays_available() {
    let forint: Currency = "HUF".parse().unwrap();
    assert_eq!(forint.payout_and_residue(minor(90_050)), (minor(90_000), minor(50)));
    let world = {
        let mut world = super::money::world::World::new();
        world.currency = forint;
        let mut world =
            world.accepted(&[100_010], domain::fee::FeeSchedule::two_sided(), domain::policy::Policy::default());
        world.fund(1, &[(1, 100_010)]).unwrap();
        world.succeed(super::money::f(1)).unwrap();
        world.approve(1).unwrap();
        world
    };
    let account = domain::payee::PayeeAccountId { party_id: payee(), currency: forint };
    let mut world = world;
    world.now = super::desk::at("2026-12-06T12:00:00Z");
    let (schedule, minimum) = (domain::payout::PayoutSchedule::Daily, minor(0));
    let set = domain::intent::PayoutIntent::SetSchedule { payee_id: payee(), currency: forint, schedule, minimum };
    world.by_payee(Intent::Payouts(set)).unwrap();
    let odd = Intent::RequestPayout { payout_id: p(1), payee_id: payee(), currency: forint, amount: minor(150) };
    assert_eq!(world.by_payee(odd).unwrap_err().code(), "validation_failed");
    world.now = super::desk::at("2026-12-07T00:00:00Z");
    let stream = domain::payee::stream(account);
    world.system(Intent::Wake(domain::timer::Scope::Stream(stream.clone()))).unwrap();
    let domain::aggregate::AggregateState::Payee(state) = world.state(&stream) else { panic!() };
    assert_eq!(state.available, minor(9));
    assert_eq!(world.entry("payee.payout_reserved").postings()[0].amount().minor(), minor(90_000));
}
