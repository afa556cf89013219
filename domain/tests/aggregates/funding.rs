//! Funding: facts of the provider, which are never refused, whatever their order.

use domain::actor::Actor;
use domain::escrow::{Allocation, PspPlace};
use domain::event::DomainEvent;
use domain::funding::{Funding, FundingCommand as C, Order, Purpose, SuspenseReason};
use domain::id::{ContractId, FundingId, MilestoneId};
use domain::ports::provider::Receipt;
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, now, table};

fn create() -> C {
    let allocation =
        Allocation { milestone_id: MilestoneId::from_uuid(id(4)), amount: minor(100_000), client_fee: minor(5000) };
    let order = Order {
        funding_id: FundingId::from_uuid(id(6)),
        contract_id: ContractId::from_uuid(id(3)),
        client_id: client_id(),
        currency: Currency::USD,
        allocations: vec![allocation],
        charge: minor(105_000),
        payment_method: "pm_card_visa".to_owned(),
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() },
        purpose: Purpose::Escrow,
        expires_at: None,
    };
    C::Create { order }
}

fn link() -> C {
    C::LinkPayment { payment_ref: "pi_1".to_owned() }
}

fn failed() -> C {
    C::RecordFailed { code: "card_declined".to_owned() }
}

fn succeeded(captured: i64, currency: Currency) -> C {
    C::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(captured),
        currency,
        collected_at: now(),
    }
}

fn receipt(available: bool) -> C {
    let receipt = Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(3075),
        net: minor(101_925),
        currency: Currency::USD,
        booked_on: now().date_naive(),
        available_on: now(),
        available,
    };
    C::RecordReceipt { receipt }
}

fn suspend() -> C {
    C::SuspendReceipt { reason: SuspenseReason::NotHoldable }
}

fn states() -> Vec<(&'static str, Funding)> {
    let state = |more: &[C]| {
        let told: Vec<(Actor, C)> = [create()].iter().chain(more).map(|command| (SYSTEM, command.clone())).collect();
        after::<Funding>(&told)
    };
    let success = succeeded(105_000, Currency::USD);
    vec![
        ("not_created", Funding::default()),
        ("created", state(&[])),
        ("created (linked)", state(&[link()])),
        ("action_required", state(&[C::RecordActionRequired])),
        ("processing", state(&[C::RecordProcessing])),
        ("failed", state(&[failed()])),
        ("succeeded", state(std::slice::from_ref(&success))),
        ("succeeded (cost known)", state(&[success.clone(), receipt(false)])),
        ("available", state(&[success.clone(), receipt(true)])),
        ("under_review", state(&[success, suspend()])),
    ]
}

#[test]
fn what_a_funding_does_in_each_state() {
    let commands = [
        ("Create", create()),
        ("LinkPayment", link()),
        ("RecordActionRequired", C::RecordActionRequired),
        ("RecordProcessing", C::RecordProcessing),
        ("RecordFailed", failed()),
        ("RecordSucceeded", succeeded(105_000, Currency::USD)),
        ("RecordSucceeded with another amount", succeeded(100_000, Currency::USD)),
        ("RecordSucceeded in another currency", succeeded(105_000, Currency::EUR)),
        ("RecordReceipt, not available", receipt(false)),
        ("RecordReceipt, available", receipt(true)),
        ("SuspendReceipt", suspend()),
        ("BlockTimer", C::BlockTimer { key: "funding_intent".to_owned(), reason: "internal_error".to_owned() }),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Funding), @r"
    Create
      not_created: funding.created
      otherwise: refused internal_error
    LinkPayment
      created, action_required, processing, failed: funding.psp_intent_linked
      not_created: refused not_found
      otherwise: nothing
    RecordActionRequired
      created, created (linked): funding.action_required
      not_created: refused not_found
      otherwise: nothing
    RecordProcessing
      created, created (linked), action_required: funding.processing
      not_created: refused not_found
      otherwise: nothing
    RecordFailed
      created, created (linked), action_required, processing: funding.failed
      not_created: refused not_found
      otherwise: nothing
    RecordSucceeded
      succeeded, succeeded (cost known), available, under_review: nothing
      not_created: refused not_found
      otherwise: funding.succeeded
    RecordSucceeded with another amount
      succeeded, succeeded (cost known), available, under_review: nothing
      not_created: refused not_found
      otherwise: funding.succeeded, funding.receipt_suspended
    RecordSucceeded in another currency
      succeeded, succeeded (cost known), available, under_review: nothing
      not_created: refused not_found
      otherwise: funding.succeeded, funding.receipt_suspended
    RecordReceipt, not available
      succeeded, under_review: funding.psp_fee_recorded
      not_created: refused not_found
      otherwise: nothing
    RecordReceipt, available
      succeeded, under_review: funding.psp_fee_recorded, funding.psp_funds_became_available
      succeeded (cost known): funding.psp_funds_became_available
      not_created: refused not_found
      otherwise: nothing
    SuspendReceipt
      succeeded, succeeded (cost known), available: funding.receipt_suspended
      under_review: nothing
      not_created: refused not_found
      otherwise: refused internal_error
    BlockTimer
      not_created: refused not_found
      otherwise: funding.timer_blocked
    ");
}
