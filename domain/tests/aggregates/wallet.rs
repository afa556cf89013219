//! Client wallet. It has one state; what differs is what is in it.

use domain::actor::Actor;
use domain::escrow::{Allocation, Deposit, PspPlace};
use domain::event::DomainEvent;
use domain::id::{ChargebackId, ContractId, EventId, FundingId, MilestoneId, RefundId};
use domain::rules::Rules;
use domain::wallet::{ClientWallet, CreditCause, WalletCommand as C, WalletEvent};
use ledger::Currency;

use super::{SYSTEM, after, after_that, client_id, id, minor, now, table, table_of};

fn top_up(funding: u128, amount: i64) -> C {
    C::RecordTopUp {
        client_id: client_id(),
        funding_id: FundingId::from_uuid(id(funding)),
        amount: minor(amount),
        currency: Currency::USD,
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() },
    }
}

fn returned(funding: u128, amount: i64) -> C {
    C::RecordReturn {
        client_id: client_id(),
        funding_id: FundingId::from_uuid(id(funding)),
        amount: minor(amount),
        currency: Currency::USD,
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() },
    }
}

fn contested(amount: i64) -> C {
    C::HoldForChargeback {
        client_id: client_id(),
        currency: Currency::USD,
        chargeback_id: ChargebackId::from_uuid(id(80)),
        amount: minor(amount),
    }
}

fn absorbed(amount: i64) -> C {
    C::AbsorbChargeback {
        client_id: client_id(),
        currency: Currency::USD,
        chargeback_id: ChargebackId::from_uuid(id(80)),
        funding_id: FundingId::from_uuid(id(6)),
        amount: minor(amount),
    }
}

fn pay(funding: u128, amount: i64) -> C {
    let milestone_id = MilestoneId::from_uuid(id(4));
    C::PayEscrow {
        client_id: client_id(),
        contract_id: ContractId::from_uuid(id(3)),
        funding_id: FundingId::from_uuid(id(funding)),
        currency: Currency::USD,
        amount: minor(amount),
        allocations: vec![Allocation { milestone_id, amount: minor(amount), client_fee: minor(0) }],
        deposit: Deposit::default(),
        initiation_fee: minor(0),
        tax: None,
    }
}

fn withdraw(refund: u128, amount: i64) -> C {
    C::Withdraw {
        client_id: client_id(),
        currency: Currency::USD,
        refund_id: RefundId::from_uuid(id(refund)),
        amount: minor(amount),
    }
}

/// A credit is noted by what gave it: there is no command for it.
fn credited() -> ClientWallet {
    let mut wallet = ClientWallet::default();
    wallet.evolve(&WalletEvent::Credited {
        client_id: client_id(),
        amount: minor(105_000),
        currency: Currency::USD,
        cause: CreditCause::RefundFailed,
        source_event_id: EventId::from_uuid(id(70)),
        funding_id: None,
    });
    wallet
}

fn states() -> Vec<(&'static str, ClientWallet)> {
    let client = Actor::Client(client_id());
    let full = [(SYSTEM, top_up(6, 105_000))];
    let then = |command: C| after(&[full.as_slice(), &[(client, command)]].concat());
    vec![
        ("empty", ClientWallet::default()),
        ("1,050.00", after(&full)),
        ("1,050.00 (credited)", credited()),
        ("50.00 (1,000.00 paid)", then(pay(7, 100_000))),
        ("50.00 (1,000.00 withdrawn)", then(withdraw(50, 100_000))),
        ("1,050.00 (1,000.00 contested)", after(&[full.as_slice(), &[(SYSTEM, contested(100_000))]].concat())),
        ("nothing any more", after_that(&credited(), now(), &[(client, pay(7, 105_000))])),
    ]
}

/// D-22: what a wallet holds is what can be paid and withdrawn, by its owner, once.
#[test]
fn what_a_wallet_does_with_what_is_in_it() {
    let commands = [
        ("RecordTopUp", top_up(6, 105_000)),
        ("RecordTopUp of another payment", top_up(16, 1)),
        ("RecordTopUp of nothing", top_up(16, 0)),
        ("RecordReturn", returned(6, 105_000)),
        ("HoldForChargeback of 1,000.00", contested(100_000)),
        ("HoldForChargeback of nothing", contested(0)),
        ("AbsorbChargeback", absorbed(100_000)),
        ("PayEscrow", pay(7, 100_000)),
        ("PayEscrow of another funding", pay(17, 5000)),
        ("Withdraw", withdraw(50, 100_000)),
        ("Withdraw another time", withdraw(51, 5000)),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Wallet), @r"
    RecordTopUp
      empty, 1,050.00 (credited), nothing any more: wallet.topped_up
      otherwise: nothing
    RecordTopUp of another payment
      always: wallet.topped_up
    RecordTopUp of nothing
      always: nothing
    RecordReturn
      always: wallet.top_up_returned
    HoldForChargeback of 1,000.00
      1,050.00 (1,000.00 contested): nothing
      otherwise: wallet.chargeback_held
    HoldForChargeback of nothing
      1,050.00 (1,000.00 contested): wallet.chargeback_held
      otherwise: nothing
    AbsorbChargeback
      always: wallet.chargeback_absorbed
    PayEscrow by client
      50.00 (1,000.00 paid), nothing any more: nothing
      1,050.00, 1,050.00 (credited): wallet.paid_escrow
      otherwise: refused insufficient_wallet_balance
    PayEscrow by client as payee
      always: refused forbidden
    PayEscrow by payee, payee as client, outsider, staff, system
      always: refused not_found
    PayEscrow of another funding by client
      empty, nothing any more: refused insufficient_wallet_balance
      otherwise: wallet.paid_escrow
    PayEscrow of another funding by client as payee
      always: refused forbidden
    PayEscrow of another funding by payee, payee as client, outsider, staff, system
      always: refused not_found
    Withdraw by client
      50.00 (1,000.00 withdrawn): nothing
      1,050.00, 1,050.00 (credited): wallet.withdrawn
      otherwise: refused insufficient_wallet_balance
    Withdraw by client as payee
      always: refused forbidden
    Withdraw by payee, payee as client, outsider, staff, system
      always: refused not_found
    Withdraw another time by client
      empty, nothing any more: refused insufficient_wallet_balance
      otherwise: wallet.withdrawn
    Withdraw another time by client as payee
      always: refused forbidden
    Withdraw another time by payee, payee as client, outsider, staff, system
      always: refused not_found
    ");
    let amounts = [
        ("PayEscrow of what is not contested", pay(17, 5000)),
        ("PayEscrow of all", pay(17, 105_000)),
        ("PayEscrow of a minor unit more", pay(17, 105_001)),
        ("PayEscrow of nothing", pay(17, 0)),
        ("Withdraw all", withdraw(51, 105_000)),
        ("Withdraw a minor unit more", withdraw(51, 105_001)),
        ("Withdraw nothing", withdraw(51, 0)),
    ];
    let client = Actor::Client(client_id());
    insta::assert_snapshot!(table_of(client, &states(), &amounts, DomainEvent::Wallet), @r"
    PayEscrow of what is not contested
      empty, nothing any more: refused insufficient_wallet_balance
      otherwise: wallet.paid_escrow
    PayEscrow of all
      1,050.00, 1,050.00 (credited): wallet.paid_escrow
      otherwise: refused insufficient_wallet_balance
    PayEscrow of a minor unit more
      always: refused insufficient_wallet_balance
    PayEscrow of nothing
      always: refused validation_failed
    Withdraw all
      1,050.00, 1,050.00 (credited): wallet.withdrawn
      otherwise: refused insufficient_wallet_balance
    Withdraw a minor unit more
      always: refused insufficient_wallet_balance
    Withdraw nothing
      always: refused validation_failed
    ");
}
