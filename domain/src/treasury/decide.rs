//! Rules of a treasury.

use ledger::Minor;
use uuid::Uuid;

use super::{
    Balance, Coverage, Direction, ForeignPayout, Sweep, SweepState, TopUpState, Treasury, TreasuryCommand,
    TreasuryEvent,
};
use crate::actor::{Actor, StaffRole};
use crate::approval;
use crate::id::{BreakId, PartyId, SweepId, TopUpId};
use crate::ports::provider::{BankPayoutStatus, TopUpStatus};
use crate::refusal::Refusal;
use crate::rules::Context;

/// Namespace of the ids of breaks about the platform's balance.
const BREAKS: Uuid = Uuid::from_u128(0x3d2a_71c8_95e4_5b06_a47f_0c6e_18d9_b253);

pub(super) fn decide(
    treasury: &Treasury,
    command: &TreasuryCommand,
    context: &Context,
) -> Result<Vec<TreasuryEvent>, Refusal> {
    use {TreasuryCommand as C, TreasuryEvent as E};
    let C::At { balance, command } = command else {
        return Err(Refusal::Defect("a treasury was not told which it is".to_owned()));
    };
    let at = || balance.clone();
    match command.as_ref() {
        C::At { .. } => Err(Refusal::Defect("a treasury was told twice which it is".to_owned())),
        C::RequestTopUp { top_up_id, amount } => {
            let requested_by = only_finance(context, "top a balance up")?;
            not_zero(*amount)?;
            if treasury.requested.contains(top_up_id) {
                return Ok(Vec::new());
            }
            Ok(vec![E::TopUpRequested { balance: at(), top_up_id: *top_up_id, amount: *amount, requested_by }])
        }
        C::RecordTopUp { top_up_id, top_up_ref, amount, status } => {
            Ok(top_up(treasury, balance, *top_up_id, top_up_ref.as_deref(), *amount, status))
        }
        C::ProposeSweep { sweep_id, amount, buffer, coverage } => {
            let proposed_by = only_finance(context, "take money out of a balance")?;
            not_zero(*amount)?;
            if treasury.sweeps.contains_key(sweep_id) {
                return Ok(Vec::new());
            }
            within(coverage, balance, *amount, *buffer, treasury.on_its_way())?;
            Ok(vec![E::SweepProposed {
                balance: at(),
                sweep_id: *sweep_id,
                amount: *amount,
                buffer: *buffer,
                proposed_by,
                coverage: *coverage,
            }])
        }
        C::ApproveSweep { sweep_id, coverage } => {
            let approved_by = only_finance(context, "take money out of a balance")?;
            let sweep = proposed(treasury, *sweep_id)?;
            approval::by_another(sweep.proposed_by, approved_by)?;
            let others = treasury.on_its_way().saturating_sub(sweep.amount);
            within(coverage, balance, sweep.amount, sweep.buffer, others)?;
            let (sweep_id, amount, coverage) = (*sweep_id, sweep.amount, *coverage);
            Ok(vec![E::SweepApproved { balance: at(), sweep_id, amount, approved_by, coverage }])
        }
        C::RejectSweep { sweep_id } => {
            let rejected_by = only_finance(context, "take money out of a balance")?;
            proposed(treasury, *sweep_id)?;
            Ok(vec![E::SweepRejected { balance: at(), sweep_id: *sweep_id, rejected_by }])
        }
        C::RecordPlatformPayout { sweep_id, bank_payout_ref, amount, automatic, status } => {
            let told = Told { bank_payout_ref: bank_payout_ref.as_deref(), amount: *amount, automatic: *automatic };
            let ours = sweep_id.and_then(|id| Some((id, treasury.sweeps.get(&id)?)));
            Ok(match ours {
                // One that was ordered here, and moves what was ordered.
                Some((id, sweep)) if sweep.amount == *amount => swept(balance, id, sweep, &told, status),
                _ => foreign(treasury, balance, &told, status),
            })
        }
        C::AdoptPlatformPayout { bank_payout_ref } => {
            let approved_by = only_finance(context, "adopt a payout of the platform")?;
            let known = treasury.foreign_payouts.get(bank_payout_ref);
            let ForeignPayout { break_id, amount, adopted, returned } =
                *known.ok_or(Refusal::NotFound { what: "payout of the platform" })?;
            if adopted || returned {
                let state = if returned { "returned" } else { "adopted" };
                return Err(Refusal::PayoutWrongState { action: "adopted", state });
            }
            let bank_payout_ref = bank_payout_ref.clone();
            Ok(vec![E::PlatformPayoutAdopted { balance: at(), break_id, bank_payout_ref, amount, approved_by }])
        }
        C::RecordUnmatched { psp_ref, direction, amount } => {
            if treasury.unmatched.contains(psp_ref) || amount.is_zero() {
                return Ok(Vec::new());
            }
            let (balance, break_id) = (at(), break_of(balance, psp_ref));
            let (psp_ref, amount) = (psp_ref.clone(), *amount);
            Ok(vec![match direction {
                Direction::In => E::UnmatchedReceiptRecorded { balance, break_id, psp_ref, amount },
                Direction::Out => E::UnmatchedDebitRecorded { balance, break_id, psp_ref, amount },
            }])
        }
        C::NoteCoverage { coverage } => {
            let required_float = coverage.required_float();
            let coverage = *coverage;
            Ok(match (treasury.uncovered, required_float.is_zero()) {
                (false, false) => vec![E::CoverageFell { balance: at(), coverage, required_float }],
                (true, true) => vec![E::CoverageRestored { balance: at(), coverage }],
                _ => Vec::new(),
            })
        }
    }
}

fn not_zero(amount: Minor) -> Result<(), Refusal> {
    if amount.is_zero() { Err(Refusal::invalid("/amount", "must be greater than zero")) } else { Ok(()) }
}

fn within(
    coverage: &Coverage,
    balance: &Balance,
    amount: Minor,
    buffer: Minor,
    on_its_way: Minor,
) -> Result<(), Refusal> {
    if coverage.currency != balance.currency {
        return Err(Refusal::CurrencyMismatch { expected: balance.currency, received: coverage.currency });
    }
    let surplus = coverage.may_be_taken(buffer, on_its_way);
    if amount > surplus { Err(Refusal::ExceedsSurplus { surplus }) } else { Ok(()) }
}

fn proposed(treasury: &Treasury, id: SweepId) -> Result<Sweep, Refusal> {
    let sweep = *treasury.sweeps.get(&id).ok_or(Refusal::NotFound { what: "sweep" })?;
    match sweep.state {
        SweepState::Proposed => Ok(sweep),
        state => Err(Refusal::PayoutWrongState { action: "decided on", state: state.word() }),
    }
}

fn top_up(
    treasury: &Treasury,
    balance: &Balance,
    top_up_id: Option<TopUpId>,
    top_up_ref: Option<&str>,
    amount: Minor,
    status: &TopUpStatus,
) -> Vec<TreasuryEvent> {
    use TreasuryEvent as E;
    let balance = balance.clone();
    let Some(name) = top_up_ref else {
        // The provider has refused to make it.
        let TopUpStatus::Failed { code } = status else { return Vec::new() };
        let known = top_up_id.is_some_and(|id| treasury.requested.contains(&id));
        let failed = E::TopUpFailed { balance, top_up_id, top_up_ref: None, code: code.clone() };
        return if known { vec![failed] } else { Vec::new() };
    };
    let top_up_ref = name.to_owned();
    let arrived = E::PspToppedUp { balance: balance.clone(), top_up_id, top_up_ref: top_up_ref.clone(), amount };
    match (treasury.top_ups.get(name), status) {
        (None, TopUpStatus::Succeeded) => vec![arrived],
        // Its arrival was not seen: both are booked.
        (None, TopUpStatus::Reversed) => vec![arrived, E::TopUpReversed { balance, top_up_ref, amount }],
        (Some(TopUpState::Arrived), TopUpStatus::Reversed) => vec![E::TopUpReversed { balance, top_up_ref, amount }],
        (None, TopUpStatus::Failed { code }) => {
            vec![E::TopUpFailed { balance, top_up_id, top_up_ref: Some(top_up_ref), code: code.clone() }]
        }
        _ => Vec::new(),
    }
}

/// A payout of the platform's balance as the provider tells it.
struct Told<'a> {
    bank_payout_ref: Option<&'a str>,
    amount: Minor,
    automatic: bool,
}

fn swept(
    balance: &Balance,
    sweep_id: SweepId,
    sweep: &Sweep,
    told: &Told<'_>,
    status: &BankPayoutStatus,
) -> Vec<TreasuryEvent> {
    use TreasuryEvent as E;
    let (balance, amount) = (balance.clone(), sweep.amount);
    let code = match status {
        BankPayoutStatus::Pending { .. } | BankPayoutStatus::InTransit { .. } => return Vec::new(),
        BankPayoutStatus::Paid => {
            let bank_payout_ref = told.bank_payout_ref.unwrap_or_default().to_owned();
            return match sweep.state {
                // It was approved in a log that was lost, if not in this one: the money is gone.
                SweepState::Proposed | SweepState::Approved | SweepState::Rejected => {
                    vec![E::PlatformRevenueSwept { balance, sweep_id, bank_payout_ref, amount }]
                }
                SweepState::Swept | SweepState::Failed | SweepState::Returned => Vec::new(),
            };
        }
        BankPayoutStatus::Failed { code } => code.clone(),
        BankPayoutStatus::Cancelled => "cancelled".to_owned(),
    };
    match sweep.state {
        SweepState::Approved => vec![E::SweepFailed { balance, sweep_id, code }],
        SweepState::Swept => vec![E::SweepReturned { balance, sweep_id, amount, code }],
        _ => Vec::new(),
    }
}

/// Nobody here has ordered it (D-129).
fn foreign(treasury: &Treasury, balance: &Balance, told: &Told<'_>, status: &BankPayoutStatus) -> Vec<TreasuryEvent> {
    use TreasuryEvent as E;
    let Some(name) = told.bank_payout_ref else { return Vec::new() };
    let gone = !matches!(status, BankPayoutStatus::Failed { .. } | BankPayoutStatus::Cancelled);
    let (balance, bank_payout_ref) = (balance.clone(), name.to_owned());
    match treasury.foreign_payouts.get(name) {
        None if gone && !told.amount.is_zero() => {
            let break_id = break_of(&balance, name);
            let (amount, automatic) = (told.amount, told.automatic);
            vec![E::PlatformPayoutDetected { balance, break_id, bank_payout_ref, amount, automatic }]
        }
        Some(ForeignPayout { break_id, amount, adopted, returned: false }) if !gone => {
            let (break_id, amount, adopted) = (*break_id, *amount, *adopted);
            vec![E::PlatformPayoutReturned { balance, break_id, bank_payout_ref, amount, adopted }]
        }
        _ => Vec::new(),
    }
}

fn break_of(balance: &Balance, object: &str) -> BreakId {
    BreakId::derived(BREAKS, &format!("{}/{}/{object}", balance.psp, balance.currency))
}

fn only_finance(context: &Context, action: &'static str) -> Result<PartyId, Refusal> {
    match context.actor {
        Actor::Staff(StaffRole::Finance | StaffRole::Admin, id) => Ok(id),
        _ => Err(Refusal::Forbidden { who: "finance", action }),
    }
}
