//! Rules of a chargeback.

use ledger::{Currency, Minor};

use super::{Case, Chargeback, ChargebackCommand, ChargebackEvent, Charged, EvidenceBundle, Opening, Phase};
use crate::actor::Actor;
use crate::exchange::Settled;
use crate::id::{BreakId, ChargebackId};
use crate::ports::provider::{DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(
    chargeback: &Chargeback,
    command: &ChargebackCommand,
    context: &Context,
) -> Result<Vec<ChargebackEvent>, Refusal> {
    use {Chargeback as S, ChargebackCommand as C, ChargebackEvent as E};
    match (chargeback, command) {
        (S::NotOpened, C::Record { report, charged }) => {
            let charged = charged.as_deref().ok_or(Refusal::NotFound { what: "funding" })?;
            record(chargeback, report, Some(&first(report, charged)))
        }
        (S::Warned { .. }, C::Record { .. }) => Err(Refusal::Defect("a dispute has the name of a warning".to_owned())),
        (S::Opened { .. }, C::Record { report, .. }) => record(chargeback, report, None),
        (S::NotOpened, C::Reopen { opening, report }) => record(chargeback, report, Some(opening)),
        (_, C::Reopen { .. }) => Err(Refusal::Defect("a cycle began twice".to_owned())),

        (S::NotOpened, C::RecordFraudWarning { warning_ref, charged, .. }) => {
            let charged = charged.as_deref().ok_or(Refusal::NotFound { what: "funding" })?;
            Ok(vec![E::EarlyFraudWarningReceived {
                chargeback_id: super::first_cycle(warning_ref),
                warning_ref: warning_ref.clone(),
                charged: charged.clone(),
            }])
        }
        // Told again.
        (_, C::RecordFraudWarning { .. }) => Ok(Vec::new()),

        (S::Opened { phase: Phase::Lost, case }, C::AbsorbLoss { amount }) => {
            let Opening { chargeback_id, charged, .. } = &case.opening;
            Ok(vec![E::LossAbsorbed {
                chargeback_id: *chargeback_id,
                paid_into: charged.paid_into,
                funding_id: charged.funding_id,
                amount: *amount,
                currency: charged.currency,
            }])
        }
        (_, C::AbsorbLoss { .. }) => Err(Refusal::Defect("a loss of a chargeback that is not lost".to_owned())),

        (S::Opened { phase, case }, C::SubmitEvidence { evidence }) => {
            only_staff(context, "answer a chargeback")?;
            submit(*phase, case, evidence)
        }
        (_, C::SubmitEvidence { .. }) => Err(Refusal::NotFound { what: "chargeback" }),

        (S::Opened { phase, case }, C::DraftEvidence { statement }) => {
            only_people(context, "answer a chargeback")?;
            draft(*phase, case, statement)
        }
        (_, C::DraftEvidence { .. }) => Err(Refusal::NotFound { what: "chargeback" }),

        (S::Opened { phase, case }, C::Accept) => {
            only_people(context, "accept a chargeback")?;
            accept(*phase, case)
        }
        (_, C::Accept) => Err(Refusal::NotFound { what: "chargeback" }),

        (S::Opened { case, .. }, C::RemindOfEvidence) if case.evidence_at.is_some() => {
            let Opening { chargeback_id, charged, evidence_due_by, .. } = &case.opening;
            Ok(vec![E::EvidenceDue {
                chargeback_id: *chargeback_id,
                paid_into: charged.paid_into,
                funding_id: charged.funding_id,
                due_by: *evidence_due_by,
            }])
        }
        (_, C::RemindOfEvidence) => Ok(Vec::new()),

        (S::Opened { case, .. }, C::BlockTimer { key, reason }) => {
            let Opening { chargeback_id, charged, .. } = &case.opening;
            Ok(vec![E::TimerBlocked {
                chargeback_id: *chargeback_id,
                paid_into: charged.paid_into,
                funding_id: charged.funding_id,
                key: key.clone(),
                reason: reason.clone(),
            }])
        }
        (_, C::BlockTimer { .. }) => Err(Refusal::NotFound { what: "chargeback" }),
    }
}

fn only_staff(context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::System(_) => Ok(()),
        actor if actor.may_hold_money() => Ok(()),
        actor if actor.party().is_some() => Err(Refusal::NotAParty),
        _ => Err(Refusal::Forbidden { who: "staff", action }),
    }
}

/// The engine concedes nothing by itself, and has no words of its own.
fn only_people(context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::System(_) => Err(Refusal::Forbidden { who: "staff", action }),
        _ => only_staff(context, action),
    }
}

fn first(report: &DisputeReport, charged: &Charged) -> Opening {
    opening(report, charged, super::first_cycle(&report.dispute_ref), 1, Vec::new())
}

fn opening(
    report: &DisputeReport,
    charged: &Charged,
    chargeback_id: ChargebackId,
    cycle: u32,
    known: Vec<String>,
) -> Opening {
    Opening {
        chargeback_id,
        dispute_ref: report.dispute_ref.clone(),
        cycle,
        charge_ref: report.charge_ref.clone(),
        charged: charged.clone(),
        disputed: report.amount,
        disputed_currency: report.currency,
        reason: report.reason.clone(),
        evidence_due_by: report.evidence_due_by,
        known,
    }
}

/// Events decided on, and the state after them.
struct Story {
    state: Chargeback,
    events: Vec<ChargebackEvent>,
}

impl Story {
    fn tell(&mut self, event: ChargebackEvent) {
        self.state.evolve(&event);
        self.events.push(event);
    }

    fn phase(&self) -> Option<Phase> {
        match &self.state {
            Chargeback::Opened { phase, .. } => Some(*phase),
            Chargeback::NotOpened | Chargeback::Warned { .. } => None,
        }
    }
}

/// What of a report is news: first that there is a disagreement, then the money, then its end.
fn record(
    chargeback: &Chargeback,
    report: &DisputeReport,
    begin: Option<&Opening>,
) -> Result<Vec<ChargebackEvent>, Refusal> {
    use ChargebackEvent as E;
    let mut story = Story { state: chargeback.clone(), events: Vec::new() };
    let known = |story: &Story, movement: &DisputeMovement| {
        let reference = &movement.balance_transaction_ref;
        story.state.case().is_some_and(|case| case.known.contains(reference))
            || begin.is_some_and(|opening| opening.known.contains(reference))
    };
    let news: Vec<_> = report.movements.iter().filter(|movement| !known(&story, movement)).collect();
    let taken = news.iter().any(|movement| movement.direction == DisputeDirection::Withdrawn);
    let disagrees = !report.status.is_inquiry() || taken;

    if let Some(opening) = begin {
        let opening = opening.clone();
        story.tell(if disagrees { E::Opened { opening } } else { E::InquiryReceived { opening } });
    } else if let Some(case) = chargeback.case() {
        match story.phase() {
            Some(Phase::Won) if taken || report.status == DisputeStatus::Lost => {
                return next_cycle(case, report).map(|event| vec![event]);
            }
            Some(Phase::InquiryClosed) if disagrees => return next_cycle(case, report).map(|event| vec![event]),
            Some(Phase::Inquiry) if disagrees => {
                let Opening { chargeback_id, cycle, charged, .. } = &case.opening;
                let known = case.opening.known.clone();
                story.tell(E::Opened { opening: opening(report, charged, *chargeback_id, *cycle, known) });
            }
            _ => {}
        }
    }
    for movement in news {
        for event in moved(&story.state, movement)? {
            story.tell(event);
        }
    }
    if let Some(event) = ended(&story.state, report.status) {
        story.tell(event);
    }
    Ok(story.events)
}

fn next_cycle(case: &Case, report: &DisputeReport) -> Result<ChargebackEvent, Refusal> {
    let Opening { chargeback_id, cycle, charged, dispute_ref, .. } = &case.opening;
    let cycle = cycle.checked_add(1).ok_or_else(|| Refusal::Defect("too many cycles".to_owned()))?;
    let next = ChargebackId::derived(super::NAMESPACE, &format!("{dispute_ref}/{cycle}"));
    Ok(ChargebackEvent::SecondPresentment {
        chargeback_id: *chargeback_id,
        opening: Box::new(opening(report, charged, next, cycle, case.known.iter().cloned().collect())),
        report: Box::new(report.clone()),
    })
}

/// What a movement means. Whatever the state: money that the provider moved is booked.
fn moved(chargeback: &Chargeback, movement: &DisputeMovement) -> Result<Vec<ChargebackEvent>, Refusal> {
    let Chargeback::Opened { phase, case } = chargeback else {
        return Err(Refusal::Defect("money of a chargeback that did not begin".to_owned()));
    };
    let mut after = case.clone();
    let Opening { chargeback_id, charged, .. } = &case.opening;
    let DisputeMovement { balance_transaction_ref, fee, fee_returned, booked_on, direction, .. } = movement;
    let (amount, currency, settled) = in_dispute(case, movement);
    let (amount, currency) = (&amount, &currency);
    let total = after.moved.entry(*currency).or_default();
    let mut events = Vec::new();
    match direction {
        // A booking without any amount says nothing.
        _ if amount.is_zero() && fee.is_zero() => {}
        DisputeDirection::Withdrawn => {
            total.withdrawn = total.withdrawn.checked_add(*amount)?;
            let differs_from_charge = *currency != charged.currency || total.withdrawn != charged.captured;
            let at_once = *phase == Phase::Lost && *currency == charged.currency && !case.is_foreign();
            let absorb = if at_once { *amount } else { Minor::ZERO };
            total.lost = total.lost.checked_add(absorb)?;
            events.push(ChargebackEvent::FundsWithdrawn {
                chargeback_id: *chargeback_id,
                paid_into: charged.paid_into,
                funding_id: charged.funding_id,
                balance_transaction_ref: balance_transaction_ref.clone(),
                amount: *amount,
                fee: *fee,
                currency: *currency,
                settled,
                booked_on: *booked_on,
                place: charged.place.clone(),
                differs_from_charge,
                hold_for: after.hold_for(),
                absorb,
            });
        }
        DisputeDirection::Reinstated => {
            let expected = total.out().min(*amount);
            let unexpected = amount.checked_sub(expected)?;
            total.reinstated = total.reinstated.checked_add(expected)?;
            let breaks = format!("reinstated/{balance_transaction_ref}");
            events.push(ChargebackEvent::FundsReinstated {
                chargeback_id: *chargeback_id,
                paid_into: charged.paid_into,
                funding_id: charged.funding_id,
                balance_transaction_ref: balance_transaction_ref.clone(),
                amount: *amount,
                fee: *fee,
                unexpected,
                break_id: (!unexpected.is_zero()).then(|| BreakId::derived(chargeback_id.as_uuid(), &breaks)),
                currency: *currency,
                settled,
                booked_on: *booked_on,
                place: charged.place.clone(),
                hold_for: after.hold_for(),
            });
        }
    }
    if !fee_returned.is_zero() {
        events.push(ChargebackEvent::DisputeFeeReturned {
            chargeback_id: *chargeback_id,
            paid_into: charged.paid_into,
            funding_id: charged.funding_id,
            balance_transaction_ref: balance_transaction_ref.clone(),
            amount: *fee_returned,
            currency: movement.currency,
            booked_on: *booked_on,
            place: charged.place.clone(),
        });
    }
    Ok(events)
}

/// What a movement is of the payment: how much, in which currency, and what moved in the balance where that is another one.
fn in_dispute(case: &Case, movement: &DisputeMovement) -> (Minor, Currency, Option<Settled>) {
    let own = case.opening.charged.currency;
    let exchanged = movement.currency != own && case.opening.disputed_currency == own && !movement.amount.is_zero();
    match movement.paid.filter(|paid| exchanged && !paid.is_zero()) {
        Some(paid) => (paid, own, Some(Settled { amount: movement.amount, currency: movement.currency })),
        None => (movement.amount, movement.currency, None),
    }
}

/// How far the provider says that it is, where that is news.
fn ended(chargeback: &Chargeback, status: DisputeStatus) -> Option<ChargebackEvent> {
    use ChargebackEvent as E;
    let Chargeback::Opened { phase, case } = chargeback else { return None };
    let Opening { chargeback_id, charged, .. } = &case.opening;
    let (chargeback_id, paid_into, funding_id) = (*chargeback_id, charged.paid_into, charged.funding_id);
    let foreign = case.is_foreign();
    match (phase, status) {
        (Phase::Inquiry, DisputeStatus::WarningClosed) => {
            Some(E::InquiryClosed { chargeback_id, paid_into, funding_id })
        }
        // Answered elsewhere, it was not conceded after all.
        (Phase::NeedsResponse | Phase::Accepted, DisputeStatus::UnderReview) => {
            Some(E::ReviewStarted { chargeback_id, paid_into, funding_id })
        }
        (Phase::NeedsResponse | Phase::UnderReview | Phase::Accepted, DisputeStatus::Won)
            if case.out().is_zero() && !foreign =>
        {
            Some(E::Won { chargeback_id, paid_into, funding_id })
        }
        (Phase::NeedsResponse | Phase::UnderReview | Phase::Accepted, DisputeStatus::Lost) => Some(E::Lost {
            chargeback_id,
            paid_into,
            funding_id,
            amount: if foreign { Minor::ZERO } else { case.out() },
            currency: charged.currency,
            for_operator: foreign,
        }),
        // Equal or lower rank, or a victory whose money is not back: no news.
        _ => None,
    }
}

/// What is said can be changed until it is submitted.
fn draft(phase: Phase, case: &Case, statement: &str) -> Result<Vec<ChargebackEvent>, Refusal> {
    if case.evidence_digest.is_some() || !matches!(phase, Phase::Inquiry | Phase::NeedsResponse) {
        return Err(Refusal::ChargebackWrongState { action: "answered", state: stands(phase, case) });
    }
    let Opening { chargeback_id, charged, .. } = &case.opening;
    Ok(vec![ChargebackEvent::EvidenceDrafted {
        chargeback_id: *chargeback_id,
        paid_into: charged.paid_into,
        funding_id: charged.funding_id,
        statement: statement.to_owned(),
    }])
}

/// As at Stripe, what waits for an answer can be conceded instead, and nothing else can.
fn accept(phase: Phase, case: &Case) -> Result<Vec<ChargebackEvent>, Refusal> {
    if case.evidence_digest.is_some() || phase != Phase::NeedsResponse {
        return Err(Refusal::ChargebackWrongState { action: "accepted", state: stands(phase, case) });
    }
    let Opening { chargeback_id, charged, dispute_ref, .. } = &case.opening;
    Ok(vec![ChargebackEvent::Accepted {
        chargeback_id: *chargeback_id,
        paid_into: charged.paid_into,
        funding_id: charged.funding_id,
        dispute_ref: dispute_ref.clone(),
    }])
}

/// The word for how far it is; `answered` while the bank does not have the answer yet.
fn stands(phase: Phase, case: &Case) -> &'static str {
    let waits = matches!(phase, Phase::Inquiry | Phase::NeedsResponse);
    if waits && case.evidence_digest.is_some() { "answered" } else { phase.word() }
}

fn submit(phase: Phase, case: &Case, evidence: &EvidenceBundle) -> Result<Vec<ChargebackEvent>, Refusal> {
    let digest = evidence.digest()?;
    if case.evidence_digest.as_ref() == Some(&digest) {
        return Ok(Vec::new());
    }
    if case.evidence_digest.is_some() || !matches!(phase, Phase::Inquiry | Phase::NeedsResponse) {
        return Err(Refusal::ChargebackWrongState { action: "answered", state: stands(phase, case) });
    }
    let Opening { chargeback_id, charged, dispute_ref, .. } = &case.opening;
    if evidence.dispute_ref != *dispute_ref || Some(evidence.contract_id) != charged.paid_into.contract_id() {
        return Err(Refusal::Defect("the evidence of another chargeback".to_owned()));
    }
    Ok(vec![ChargebackEvent::EvidenceSubmitted {
        chargeback_id: *chargeback_id,
        paid_into: charged.paid_into,
        funding_id: charged.funding_id,
        dispute_ref: dispute_ref.clone(),
        evidence: Box::new(evidence.clone()),
        digest,
        statement: case.statement.clone(),
    }])
}
