//! Rules of a contract about which nothing happens.
//!
//! ```text
//! active ─day 76─▶ warned ─day 83─▶ warned ─day 90─▶ dormant: client asked ─7 d─▶ payee asked ─7 d─▶ to the client
//!                                                                                 │ RequestDormancyRelease
//!                                                                                 └─▶ client asked again ─14 d─▶ to the payee
//! ```
//!
//! The days are those of [`crate::policy::Dormancy`]; the picture has its defaults.
//!
//! # Invariants
//! - Days count from the later of the last delivery date and the last thing a party did about the contract or a part of
//!   it. The instants follow from that alone, however late somebody looks.
//! - The timer stores the next instant to look at, not the last activity: activity itself writes nothing here. A look that
//!   finds activity moves the instant.
//! - Silence of both is the client's; silence of the client after the payee asked is the payee's.

use serde::{Deserialize, Serialize};

use super::decide::{only_payee, wrong_state};
use super::ending::open_ids;
use super::{Activity, Agreement, Contract, ContractCommand, ContractEvent, Life, OpenQuestion, Parts, Role};
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;

/// When somebody looks next whether anything has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DormancyClock {
    /// The instant; `None` once its timer was blocked.
    pub due_at: Option<Timestamp>,
    /// Which day without activity it is then, by the policy: of the first warning, of the second, or of dormancy.
    pub next_day: u16,
    /// The instant that the days are counted from unless something happened since: the first money, for one, comes from
    /// the provider and is not a party's doing.
    pub since: Timestamp,
}

/// Whose turn it is in a dormant contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DormantStage {
    /// The client's.
    ClientAsked,
    /// The payee's.
    PayeeAsked,
    /// The client's again: the payee wants what is held.
    ReleaseRequested,
}

/// The first look after something happened at `now`.
pub(super) fn first_check_at(life: &Life, now: Timestamp) -> Timestamp {
    let from = life.last_due_at().map_or(now, |due_at| due_at.max(now));
    days_after(from, life.terms.policy.dormancy.warn_days)
}

pub(super) fn decide(
    contract: &Contract,
    agreement: &Agreement,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use {Contract as S, ContractCommand as C, ContractEvent as E};
    let contract_id = agreement.contract_id;
    match (contract, command) {
        (S::Active { life }, C::CheckDormancy { parts }) => {
            let Some(clock) = &life.dormancy else {
                return Err(wrong_state(contract, "looked at for dormancy"));
            };
            let days = &life.terms.policy.dormancy;
            let counted_from = counted_from(life, parts, context.now).max(clock.since);
            let turn = days_after(counted_from, clock.next_day);
            if turn > context.now {
                let next_at = days_after(counted_from, days.warn_days);
                return Ok(vec![E::DormancyPostponed { contract_id, counted_from, next_at }]);
            }
            let warned = |next_day| E::DormancyWarned {
                contract_id,
                day: clock.next_day,
                next_at: days_after(counted_from, next_day),
            };
            Ok(vec![match clock.next_day {
                day if day == days.warn_days => warned(days.warn_again_days),
                day if day == days.warn_again_days => warned(days.dormant_days),
                _ => E::MarkedDormant { contract_id, client_respond_by: days_after(context.now, days.escalate_days) },
            }])
        }
        (_, C::CheckDormancy { .. }) => Err(wrong_state(contract, "looked at for dormancy")),

        (S::Dormant { life, stage, .. }, C::AdvanceDormancy { parts }) => Ok(vec![match stage {
            DormantStage::ClientAsked => E::DormancyEscalatedToPayee {
                contract_id,
                payee_respond_by: days_after(context.now, life.terms.policy.dormancy.request_days),
            },
            DormantStage::PayeeAsked => defaulted(life, Role::Client, parts)?,
            DormantStage::ReleaseRequested => defaulted(life, Role::Payee, parts)?,
        }]),
        (_, C::AdvanceDormancy { .. }) => Err(wrong_state(contract, "ended by silence")),

        (S::Dormant { life, stage: DormantStage::PayeeAsked, .. }, C::RequestDormancyRelease) => {
            only_payee(contract, context, "ask for the release of a dormant contract")?;
            let client_respond_by = life.terms.policy.dormancy.release_default(context.now);
            Ok(vec![E::DormancyReleaseRequested { contract_id, client_respond_by }])
        }
        (_, C::RequestDormancyRelease) => {
            only_payee(contract, context, "ask for the release of a dormant contract")?;
            Err(wrong_state(contract, "released by the payee's wish"))
        }

        (_, C::NoteActivity { activity }) => note(contract, *activity, context),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

/// What somebody did about a part of the contract: it wakes a dormant one, and what is new is refused where nothing new
/// may begin.
fn note(contract: &Contract, activity: Activity, context: &Context) -> Result<Vec<ContractEvent>, Refusal> {
    use {Activity as A, Contract as S};
    match (contract, activity) {
        (S::PendingFunding { .. } | S::Active { .. }, _) => Ok(Vec::new()),
        (S::Dormant { .. }, _) => Ok(vec![reactivated(contract, context)?]),
        // Work that the client sent back can still be delivered when the rest of the contract has ended.
        (S::Ending { agreed: true, .. }, A::Submission) => Ok(Vec::new()),
        (S::NotDrafted, _) => Err(Refusal::NotFound { what: "contract" }),
        (_, A::Funding) => Err(wrong_state(contract, "funded")),
        (_, A::Submission) => Err(wrong_state(contract, "delivered to")),
        (_, A::Other) => Ok(Vec::new()),
    }
}

/// A command on a dormant contract that only an active one takes: it wakes up first.
pub(super) fn revived(
    contract: &Contract,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    let woken = reactivated(contract, context)?;
    let mut active = contract.clone();
    active.evolve(&woken);
    let mut events = vec![woken];
    events.extend(active.decide(command, context)?);
    Ok(events)
}

fn reactivated(contract: &Contract, context: &Context) -> Result<ContractEvent, Refusal> {
    match contract {
        Contract::Dormant { life, .. } => Ok(ContractEvent::Reactivated {
            contract_id: life.agreement.contract_id,
            dormancy_check_at: first_check_at(life, context.now),
        }),
        _ => Err(wrong_state(contract, "reactivated")),
    }
}

/// What the days without activity are counted from.
fn counted_from(life: &Life, parts: &Parts, now: Timestamp) -> Timestamp {
    let questions = parts.milestones.iter().filter_map(|part| match part.open_question {
        Some(OpenQuestion::Until(instant)) => Some(instant),
        Some(OpenQuestion::Open) => Some(now),
        None => part.payment_under_way.then_some(now),
    });
    let instants = questions.chain(life.last_due_at()).chain(parts.last_activity_at);
    // Somebody accepted the contract and somebody paid, so that there always is an instant.
    instants.max().unwrap_or(now)
}

fn defaulted(life: &Life, to: Role, parts: &Parts) -> Result<ContractEvent, Refusal> {
    Ok(ContractEvent::DormancyDefaulted {
        contract_id: life.agreement.contract_id,
        to,
        amount: parts.refundable()?,
        milestones: open_ids(life),
    })
}
