//! A transfer of which is told only after its payout has failed.

use domain::command::Command;
use domain::party::{AccountEnd, AccountStatus};
use domain::payout::PayoutCommand;
use domain::ports::provider::ProviderOrder;

use super::desk::{ACCOUNT, Desk, p};
use super::money::{assert_journal, minor};

fn told(desk: &mut Desk, command: PayoutCommand) -> Vec<String> {
    desk.world.fact(Command::Payout(p(1), command)).unwrap()
}

fn transferred() -> PayoutCommand {
    PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(90_000) }
}

/// 900.00 whose payout has failed before its transfer was known.
fn late() -> Desk {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    told(&mut desk, PayoutCommand::RecordFailed { code: "could_not_process".to_owned() });
    assert_eq!(desk.account().at_provider, minor(0));
    let ordered = desk.world.orders.len();
    let events = told(&mut desk, transferred());
    assert_eq!(desk.world.orders.len(), ordered, "nothing more is ordered");
    assert_eq!(events, ["payout.late_transfer_recorded", "payee.late_transfer_noted", "party.funds_left_noted"]);
    desk
}

/// I11, J21: it is booked, nothing is paid to the bank, and the next payout uses what lies there.
#[test]
fn a_transfer_that_is_reported_late_is_used_by_the_next_payout() {
    let mut desk = late();
    let name = ("P1", p(1).to_string());
    assert_journal(&desk.world.entry("payout.late_transfer_recorded"), "J21", &[name]);
    assert_eq!(desk.world.balance().get("1130"), Some(&90_000));
    assert_eq!(desk.account().at_provider, minor(90_000));
    assert_eq!(told(&mut desk, transferred()), Vec::<String>::new(), "told again");
    desk.request(2, 90_000).unwrap();
    let ordered = &desk.world.orders.last().unwrap().what;
    assert!(matches!(ordered, ProviderOrder::PayToBank { amount, .. } if *amount == minor(90_000)), "{ordered:?}");
    assert_eq!(desk.account().at_provider, minor(0));
}

/// J25: what came late to an account that is closed then goes back by its own transfer.
#[test]
fn a_transfer_that_is_reported_late_comes_back_from_a_closed_account() {
    let mut desk = late();
    let status = AccountStatus { end: Some(AccountEnd::Closed), ..desk.in_order("fp_1") };
    desk.tell_account(status);
    let ordered = &desk.world.orders.last().unwrap().what;
    let ProviderOrder::ReverseTransfer { transfer_ref, amount, account, .. } = ordered else { panic!("{ordered:?}") };
    assert_eq!((transfer_ref.as_str(), *amount, account.as_str()), ("tr_1", minor(90_000), ACCOUNT));
}
