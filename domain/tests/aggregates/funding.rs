//! Funding: facts of the provider, which are never refused, whatever their order.

use domain::actor::Actor;
use domain::escrow::{Allocation, PspPlace};
use domain::event::DomainEvent;
use domain::exchange::Settled;
use domain::funding::{Funding, FundingCommand as C, Order, Purpose, SuspenseReason};
use domain::id::{ContractId, FundingId, MilestoneId, RefundId};
use domain::ports::provider::Receipt;
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, now, table};

fn create() -> C {
    let allocation =
        Allocation { milestone_id: MilestoneId::from_uuid(id(4)), amount: minor(100_000), client_fee: minor(5000) };
    let order = Order {
        funding_id: FundingId::from_uuid(id(6)),
        contract_id: Some(ContractId::from_uuid(id(3))),
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

fn top_up() -> C {
    C::TopUp {
        funding_id: FundingId::from_uuid(id(6)),
        client_id: client_id(),
        currency: Currency::USD,
        amount: minor(105_000),
        payment_method: "pm_card_visa".to_owned(),
    }
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
        settled: None,
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

fn settled() -> Settled {
    Settled { amount: minor(97_000), currency: Currency::EUR }
}

/// Paid in dollars, and in euros in the provider's balance.
fn succeeded_exchanged(captured: i64) -> C {
    match succeeded(captured, Currency::USD) {
        C::RecordSucceeded { payment_ref, charge_ref, captured, currency, collected_at, .. } => {
            C::RecordSucceeded { payment_ref, charge_ref, captured, currency, collected_at, settled: Some(settled()) }
        }
        other => other,
    }
}

fn receipt_exchanged() -> C {
    match receipt(false) {
        C::RecordReceipt { receipt } => C::RecordReceipt {
            receipt: Receipt { fee: minor(2800), net: minor(94_200), currency: Currency::EUR, ..receipt },
        },
        other => other,
    }
}

fn refund_exchanged(amount: i64) -> C {
    C::RecordRefundExchange {
        refund_id: RefundId::from_uuid(id(50)),
        amount: minor(amount),
        currency: Currency::USD,
        settled: Settled { amount: minor(97_500), currency: Currency::EUR },
        came_back: false,
    }
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
        ("succeeded (exchanged)", state(&[succeeded_exchanged(105_000)])),
        ("succeeded (exchanged later)", state(&[success.clone(), receipt_exchanged()])),
        ("succeeded (refund exchanged before it)", state(&[success.clone(), refund_exchanged(105_000)])),
        ("succeeded (cost known)", state(&[success.clone(), receipt(false)])),
        ("available", state(&[success.clone(), receipt(true)])),
        ("under_review", state(&[success.clone(), suspend()])),
        ("cancelled", state(&[C::CallOff])),
        ("cancelled (linked)", state(&[link(), C::CallOff])),
        ("expired", state(&[C::Expire])),
        ("sent_back", state(&[C::CallOff, success.clone()])),
        ("sent_back (the contract was over)", state(&[success, C::ReturnLateReceipt])),
    ]
}

#[test]
fn what_a_funding_does_in_each_state() {
    let commands = [
        ("Create", create()),
        ("TopUp", top_up()),
        ("LinkPayment", link()),
        ("RecordActionRequired", C::RecordActionRequired),
        ("RecordProcessing", C::RecordProcessing),
        ("RecordFailed", failed()),
        ("RecordSucceeded", succeeded(105_000, Currency::USD)),
        ("RecordSucceeded with another amount", succeeded(100_000, Currency::USD)),
        ("RecordSucceeded in another currency", succeeded(105_000, Currency::EUR)),
        ("RecordSucceeded and exchanged", succeeded_exchanged(105_000)),
        ("RecordSucceeded with another amount and exchanged", succeeded_exchanged(100_000)),
        ("RecordReceipt, exchanged", receipt_exchanged()),
        ("RecordRefundExchange of all", refund_exchanged(105_000)),
        ("RecordRefundExchange of a part", refund_exchanged(5000)),
        ("RecordReceipt, not available", receipt(false)),
        ("RecordReceipt, available", receipt(true)),
        ("SuspendReceipt", suspend()),
        ("ReturnLateReceipt", C::ReturnLateReceipt),
        ("Cancel", C::Cancel),
        ("CallOff", C::CallOff),
        ("Expire", C::Expire),
        ("BlockTimer", C::BlockTimer { key: "funding_intent".to_owned(), reason: "internal_error".to_owned() }),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Funding), @r"
    Create
      not_created: funding.created
      otherwise: refused internal_error
    TopUp by client
      not_created: funding.created
      otherwise: refused internal_error
    TopUp by client as payee
      not_created: refused forbidden
      otherwise: refused internal_error
    TopUp by payee, payee as client, outsider, staff, system
      not_created: refused not_found
      otherwise: refused internal_error
    LinkPayment
      created, action_required, processing, failed, cancelled, expired: funding.psp_intent_linked
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
      created, created (linked), action_required, processing, failed: funding.succeeded
      cancelled, cancelled (linked), expired: funding.succeeded, funding.succeeded_after_cancel
      not_created: refused not_found
      otherwise: nothing
    RecordSucceeded with another amount
      created, created (linked), action_required, processing, failed: funding.succeeded, funding.receipt_suspended
      cancelled, cancelled (linked), expired: funding.succeeded, funding.succeeded_after_cancel
      not_created: refused not_found
      otherwise: nothing
    RecordSucceeded in another currency
      created, created (linked), action_required, processing, failed: funding.succeeded, funding.receipt_suspended
      cancelled, cancelled (linked), expired: funding.succeeded, funding.succeeded_after_cancel
      not_created: refused not_found
      otherwise: nothing
    RecordSucceeded and exchanged
      created, created (linked), action_required, processing, failed: funding.succeeded
      cancelled, cancelled (linked), expired: funding.succeeded, funding.succeeded_after_cancel, funding.exchanged
      not_created: refused not_found
      otherwise: nothing
    RecordSucceeded with another amount and exchanged
      created, created (linked), action_required, processing, failed: funding.succeeded, funding.receipt_suspended, funding.exchanged
      cancelled, cancelled (linked), expired: funding.succeeded, funding.succeeded_after_cancel, funding.exchanged
      not_created: refused not_found
      otherwise: nothing
    RecordReceipt, exchanged
      succeeded (refund exchanged before it): funding.exchanged, funding.fx_result_realised, funding.psp_fee_recorded
      succeeded, under_review, sent_back, sent_back (the contract was over): funding.exchanged, funding.psp_fee_recorded
      succeeded (exchanged): funding.psp_fee_recorded
      not_created: refused not_found
      otherwise: nothing
    RecordRefundExchange of all
      succeeded, succeeded (refund exchanged before it), succeeded (cost known), available, under_review, sent_back, sent_back (the contract was over): funding.refund_exchanged
      succeeded (exchanged), succeeded (exchanged later): funding.refund_exchanged, funding.fx_result_realised
      otherwise: nothing
    RecordRefundExchange of a part
      not_created, created, created (linked), action_required, processing, failed, cancelled, cancelled (linked), expired: nothing
      otherwise: funding.refund_exchanged
    RecordReceipt, not available
      succeeded, succeeded (exchanged), succeeded (refund exchanged before it), under_review, sent_back, sent_back (the contract was over): funding.psp_fee_recorded
      not_created: refused not_found
      otherwise: nothing
    RecordReceipt, available
      succeeded, succeeded (exchanged), succeeded (refund exchanged before it), under_review, sent_back, sent_back (the contract was over): funding.psp_fee_recorded, funding.psp_funds_became_available
      succeeded (exchanged later), succeeded (cost known): funding.psp_funds_became_available
      not_created: refused not_found
      otherwise: nothing
    SuspendReceipt
      succeeded, succeeded (exchanged later), succeeded (refund exchanged before it), succeeded (cost known), available: funding.receipt_suspended
      succeeded (exchanged): funding.receipt_suspended, funding.exchanged
      under_review, sent_back, sent_back (the contract was over): nothing
      not_created: refused not_found
      otherwise: refused internal_error
    ReturnLateReceipt
      succeeded, succeeded (exchanged later), succeeded (refund exchanged before it), succeeded (cost known), available: funding.succeeded_after_cancel
      succeeded (exchanged): funding.succeeded_after_cancel, funding.exchanged
      under_review, sent_back, sent_back (the contract was over): nothing
      not_created: refused not_found
      otherwise: refused internal_error
    Cancel by client
      created, created (linked), action_required: funding.cancelled
      not_created: refused not_found
      otherwise: refused funding_wrong_state
    Cancel by client as payee, payee, payee as client, outsider, staff, system
      always: refused not_found
    CallOff
      created, created (linked), action_required, processing, failed: funding.cancelled
      not_created: refused not_found
      otherwise: nothing
    Expire
      created, created (linked), action_required: funding.expired
      not_created: refused not_found
      otherwise: nothing
    BlockTimer
      not_created: refused not_found
      otherwise: funding.timer_blocked
    ");
}
