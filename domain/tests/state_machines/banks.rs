//! What is tried with chargebacks and treasuries.

use chrono::TimeDelta;
use domain::chargeback::{Chargeback, ChargebackCommand as C, Charged, EvidenceBundle, Opening, PaidInto, first_cycle};
use domain::escrow::PspPlace;
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, SweepId, TopUpId};
use domain::ports::dispute::{DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus};
use domain::ports::provider::{BankPayoutStatus, TopUpStatus};
use domain::treasury::{Balance, Coverage, Direction, Treasury, TreasuryCommand as T};
use ledger::Currency;

use super::explore::{Found, Tried, client_id, explore, explore_named, id, minor, now, payee_id};

const WORTH: i64 = 100_000;
const DISPUTE: &str = "dp_1";

fn contract_id() -> ContractId {
    ContractId::from_uuid(id(3))
}

fn funding_id() -> FundingId {
    FundingId::from_uuid(id(6))
}

fn charged() -> Charged {
    Charged {
        paid_into: PaidInto::Contract { contract_id: contract_id() },
        funding_id: funding_id(),
        client_id: client_id(),
        payee_id: Some(payee_id()),
        currency: Currency::USD,
        captured: minor(WORTH),
        place: PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() },
    }
}

fn moved(number: u32, direction: DisputeDirection, fee_returned: i64) -> DisputeMovement {
    DisputeMovement {
        balance_transaction_ref: format!("txn_{number}"),
        direction,
        amount: minor(WORTH),
        fee: minor(if direction == DisputeDirection::Withdrawn { 1500 } else { 0 }),
        fee_returned: minor(fee_returned),
        currency: Currency::USD,
        paid: None,
        booked_on: now().date_naive(),
    }
}

fn report(status: DisputeStatus, movements: Vec<DisputeMovement>) -> DisputeReport {
    DisputeReport {
        dispute_ref: DISPUTE.to_owned(),
        funding_id: Some(funding_id()),
        charge_ref: "ch_1".to_owned(),
        status,
        reason: "product_not_received".to_owned(),
        amount: minor(WORTH),
        currency: Currency::USD,
        evidence_due_by: Some(now() + TimeDelta::days(7)),
        movements,
    }
}

pub fn chargeback() -> Found {
    let opening = Opening {
        chargeback_id: first_cycle(DISPUTE),
        dispute_ref: DISPUTE.to_owned(),
        cycle: 2,
        charge_ref: "ch_1".to_owned(),
        charged: charged(),
        disputed: minor(WORTH),
        disputed_currency: Currency::USD,
        reason: "product_not_received".to_owned(),
        evidence_due_by: None,
        known: vec!["txn_1".to_owned()],
    };
    let evidence = EvidenceBundle {
        version: 1,
        dispute_ref: DISPUTE.to_owned(),
        contract_id: contract_id(),
        client_id: client_id(),
        payee_id: payee_id(),
        currency: Currency::USD,
        accepted_at: now(),
        terms_digest: None,
        milestones: Vec::new(),
        payments: Vec::new(),
    };
    let taken = moved(1, DisputeDirection::Withdrawn, 0);
    let back = moved(2, DisputeDirection::Reinstated, 1500);
    let again = moved(3, DisputeDirection::Withdrawn, 0);
    let movements = [Vec::new(), vec![taken.clone()], vec![taken.clone(), back.clone()], vec![taken, back, again]];
    let mut commands = vec![
        C::RecordFraudWarning {
            warning_ref: "issfr_1".to_owned(),
            funding_id: funding_id(),
            charged: Some(Box::new(charged())),
        },
        C::Reopen { opening: Box::new(opening), report: Box::new(report(DisputeStatus::NeedsResponse, Vec::new())) },
        C::AbsorbLoss { amount: minor(WORTH) },
        C::SubmitEvidence { evidence: Box::new(evidence) },
        C::DraftEvidence { statement: "ab".repeat(32) },
        C::Accept,
        C::RemindOfEvidence,
        C::BlockTimer { key: "evidence".to_owned(), reason: "internal_error".to_owned() },
    ];
    for status in [
        DisputeStatus::WarningNeedsResponse,
        DisputeStatus::WarningUnderReview,
        DisputeStatus::WarningClosed,
        DisputeStatus::NeedsResponse,
        DisputeStatus::UnderReview,
        DisputeStatus::Won,
        DisputeStatus::Lost,
    ] {
        for movements in &movements {
            let report = Box::new(report(status, movements.clone()));
            commands.push(C::Record { report, charged: Some(Box::new(charged())) });
        }
    }
    explore::<Chargeback>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Chargeback })
}

/// Inside of [`T::At`], which says whose balance it is.
fn inside(command: &T) -> &T {
    match command {
        T::At { command, .. } => command,
        other => other,
    }
}

pub fn treasury() -> Found {
    let (amount, status_at) = (minor(WORTH), now());
    let coverage =
        |cash| Coverage { currency: Currency::USD, cash, contingent: 0, liabilities: WORTH, taxes: 0, exchanged: 0 };
    let (rich, poor) = (coverage(10 * WORTH), coverage(0));
    let (top_up_id, sweep_id) = (TopUpId::from_uuid(id(20)), SweepId::from_uuid(id(21)));
    let mut commands = vec![
        T::RequestTopUp { top_up_id, amount },
        T::ProposeSweep { sweep_id, amount, buffer: minor(0), coverage: rich },
        T::ApproveSweep { sweep_id, coverage: rich },
        T::RejectSweep { sweep_id },
        T::AdoptPlatformPayout { bank_payout_ref: "po_9".to_owned() },
        T::NoteCoverage { coverage: rich },
        T::NoteCoverage { coverage: poor },
    ];
    for direction in [Direction::In, Direction::Out] {
        commands.push(T::RecordUnmatched { psp_ref: format!("txn_{direction:?}"), direction, amount });
    }
    for status in [
        TopUpStatus::Pending,
        TopUpStatus::Succeeded,
        TopUpStatus::Failed { code: "declined".to_owned() },
        TopUpStatus::Reversed,
    ] {
        let top_up_ref = Some("tu_1".to_owned());
        commands.push(T::RecordTopUp { top_up_id: Some(top_up_id), top_up_ref, amount, status });
    }
    for (sweep_id, bank_payout_ref) in [(Some(sweep_id), "po_1"), (None, "po_9")] {
        for status in [
            BankPayoutStatus::Pending { arrival_at: status_at },
            BankPayoutStatus::Paid,
            BankPayoutStatus::Failed { code: "account_closed".to_owned() },
        ] {
            let bank_payout_ref = Some(bank_payout_ref.to_owned());
            commands.push(T::RecordPlatformPayout { sweep_id, bank_payout_ref, amount, automatic: false, status });
        }
    }
    let balance = Balance { psp: "stripe".to_owned(), currency: Currency::USD };
    let at = |command| T::At { balance: balance.clone(), command: Box::new(command) };
    let commands = commands.into_iter().map(at).collect();
    explore_named::<Treasury>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Treasury }, inside)
}
