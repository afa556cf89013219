//! Payout: facts of the provider, which are never refused, whatever their order.

use domain::actor::Actor;
use domain::escrow::PspPlace;
use domain::event::DomainEvent;
use domain::id::PayoutId;
use domain::payout::{Payout, PayoutCommand as C, Withdrawal};
use ledger::Currency;

use super::{SYSTEM, after, id, minor, now, payee_id, table};

fn request(transfer: i64) -> C {
    let withdrawal = Withdrawal {
        payout_id: PayoutId::from_uuid(id(8)),
        payee_id: payee_id(),
        amount: minor(90_000),
        transfer_amount: minor(transfer),
        currency: Currency::USD,
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
    };
    C::Request { withdrawal }
}

fn transferred() -> C {
    C::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(90_000) }
}

fn submitted() -> C {
    C::RecordSubmitted { bank_payout_ref: "po_1".to_owned(), arrival_at: now() }
}

fn paid() -> C {
    C::RecordPaid { bank_payout_ref: "po_1".to_owned() }
}

fn failed() -> C {
    C::RecordFailed { code: "account_closed".to_owned() }
}

fn states() -> Vec<(&'static str, Payout)> {
    let state = |commands: &[C]| {
        let told: Vec<(Actor, C)> = commands.iter().map(|command| (SYSTEM, command.clone())).collect();
        after::<Payout>(&told)
    };
    let all = [request(90_000), transferred(), submitted(), paid(), failed()];
    vec![
        ("not_requested", Payout::default()),
        ("transferring", state(&all[..1])),
        ("submitting", state(&all[..2])),
        ("submitting (nothing to transfer)", state(&[request(0)])),
        ("in_transit", state(&all[..3])),
        ("paid", state(&all[..4])),
        ("returned", state(&all)),
        ("failed (not transferred)", state(&[request(90_000), failed()])),
        ("failed (transferred)", state(&[request(90_000), transferred(), failed()])),
        ("failed (transferred late)", state(&[request(90_000), failed(), transferred()])),
    ]
}

#[test]
fn what_a_payout_does_in_each_state() {
    let commands = [
        ("Request", request(90_000)),
        ("RecordTransferred", transferred()),
        ("RecordSubmitted", submitted()),
        ("RecordPaid", paid()),
        ("RecordFailed", failed()),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Payout), @r"
    Request
      not_requested: payout.requested
      otherwise: refused internal_error
    RecordTransferred
      failed (not transferred): payout.late_transfer_recorded
      transferring: payout.transfer_completed
      not_requested: refused not_found
      otherwise: nothing
    RecordSubmitted
      submitting, submitting (nothing to transfer): payout.submitted
      not_requested: refused not_found
      otherwise: nothing
    RecordPaid
      in_transit: payout.paid
      submitting, submitting (nothing to transfer): payout.submitted, payout.paid
      not_requested: refused not_found
      otherwise: nothing
    RecordFailed
      transferring, submitting, submitting (nothing to transfer), in_transit: payout.failed
      paid: payout.returned
      not_requested: refused not_found
      otherwise: nothing
    ");
}
