//! Refund: facts of the provider, which are never refused, whatever their order.

use domain::actor::Actor;
use domain::escrow::{ChargeRef, PaidFrom, PspPlace};
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, RefundId};
use domain::refund::{Refund, RefundCommand as C, RefundOrder};
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, table};

fn order() -> RefundOrder {
    let place = PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
    RefundOrder {
        refund_id: RefundId::from_uuid(id(50)),
        contract_id: Some(ContractId::from_uuid(id(3))),
        client_id: client_id(),
        funding_id: Some(FundingId::from_uuid(id(6))),
        amount: minor(105_000),
        currency: Currency::USD,
        charge: Some(ChargeRef { payment_ref: "pi_1".to_owned(), charge_ref: "ch_1".to_owned(), place }),
        paid_from: PaidFrom::Provider,
        asked_before: 0,
    }
}

fn request() -> C {
    C::Request { order: order() }
}

/// Of which it is not known which charge it could go back to.
fn without_charge() -> C {
    C::Request { order: RefundOrder { charge: None, ..order() } }
}

fn to_the_wallet() -> C {
    C::Request { order: RefundOrder { charge: None, paid_from: PaidFrom::Wallet, ..order() } }
}

fn submitted() -> C {
    C::RecordSubmitted { refund_ref: "re_1".to_owned() }
}

fn succeeded() -> C {
    C::RecordSucceeded { refund_ref: "re_1".to_owned(), balance_transaction_ref: Some("txn_1".to_owned()), taken: None }
}

fn failed() -> C {
    C::RecordFailed { code: "expired_or_canceled_card".to_owned(), came_back: None }
}

fn refused() -> C {
    C::RecordRefused { code: "declined".to_owned() }
}

fn disputed() -> C {
    C::RecordRefused { code: "charge_disputed".to_owned() }
}

fn states() -> Vec<(&'static str, Refund)> {
    let state = |commands: &[C]| {
        let told: Vec<(Actor, C)> = commands.iter().map(|command| (SYSTEM, command.clone())).collect();
        after::<Refund>(&told)
    };
    let manual = [(SYSTEM, request()), (SYSTEM, refused()), (Actor::Client(client_id()), C::RedirectToWallet)];
    vec![
        ("not_requested", Refund::default()),
        ("requested", state(&[request()])),
        ("requires_funding", state(&[request(), C::RecordLackOfFunds])),
        ("submitted", state(&[request(), submitted()])),
        ("succeeded", state(&[request(), submitted(), succeeded()])),
        ("failed", state(&[request(), submitted(), failed()])),
        ("failed (after it had arrived)", state(&[request(), submitted(), succeeded(), failed()])),
        ("requires_manual", after(&manual[..2])),
        ("requires_manual (no charge)", state(&[without_charge()])),
        ("requires_manual (disputed)", state(&[request(), disputed()])),
        ("redirected", after(&manual)),
        ("redirected (and sent)", after(&[manual.as_slice(), &[(SYSTEM, succeeded())]].concat())),
        ("redirected (from the wallet)", state(&[to_the_wallet()])),
        ("cancelled", state(&[request(), C::RecordCancelled])),
    ]
}

/// D-74, D-85: every report in every state, and what is made of a wish.
#[test]
fn what_a_refund_does_in_each_state() {
    let commands = [
        ("Request", request()),
        ("Request without a charge", without_charge()),
        ("Request of what the wallet had paid", to_the_wallet()),
        ("RecordSubmitted", submitted()),
        ("RecordLackOfFunds", C::RecordLackOfFunds),
        ("RecordSucceeded", succeeded()),
        ("RecordFailed", failed()),
        ("RecordCancelled", C::RecordCancelled),
        ("RecordRefused", refused()),
        ("RedirectToWallet", C::RedirectToWallet),
        ("AskAgain", C::AskAgain),
        ("RecordPaymentTaken", C::RecordPaymentTaken),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Refund), @r"
    Request
      not_requested: refund.requested
      requires_manual (no charge), redirected (from the wallet): refused internal_error
      otherwise: nothing
    Request without a charge
      requires_manual (no charge): nothing
      not_requested: refund.requested, refund.manual_required
      otherwise: refused internal_error
    Request of what the wallet had paid
      redirected (from the wallet): nothing
      not_requested: refund.requested, refund.redirected
      otherwise: refused internal_error
    RecordSubmitted
      requested, requires_funding: refund.submitted
      not_requested: refused not_found
      otherwise: nothing
    RecordLackOfFunds
      requested: refund.funding_required
      not_requested: refused not_found
      otherwise: nothing
    RecordSucceeded
      succeeded, failed, failed (after it had arrived), redirected (and sent), cancelled: nothing
      redirected, redirected (from the wallet): refund.debit_suspended
      not_requested: refused not_found
      otherwise: refund.succeeded
    RecordFailed
      failed, failed (after it had arrived), redirected, redirected (and sent), redirected (from the wallet), cancelled: nothing
      not_requested: refused not_found
      otherwise: refund.failed
    RecordCancelled
      requested, requires_funding, submitted, requires_manual, requires_manual (no charge), requires_manual (disputed): refund.cancelled
      not_requested: refused not_found
      otherwise: nothing
    RecordRefused
      requested, requires_funding: refund.manual_required
      not_requested: refused not_found
      otherwise: nothing
    RedirectToWallet by client
      requires_manual, requires_manual (no charge): refund.redirected
      not_requested: refused not_found
      requires_manual (disputed): refused refund_not_redirectable
      otherwise: refused refund_wrong_state
    RedirectToWallet by client as payee, payee, payee as client, outsider, system
      always: refused not_found
    RedirectToWallet by staff
      requires_manual, requires_manual (no charge), requires_manual (disputed): refund.redirected
      not_requested: refused not_found
      otherwise: refused refund_wrong_state
    AskAgain
      requires_manual (disputed): refund.requested
      not_requested: refused not_found
      otherwise: nothing
    RecordPaymentTaken
      requires_manual, requires_manual (no charge), requires_manual (disputed): refund.redirected
      not_requested: refused not_found
      otherwise: nothing
    ");
}
