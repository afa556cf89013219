//! The engine answers banks that disagree, with what the log proves.
//!
//! # Invariants
//! - As in the server: what is due is answered by the engine itself, once, and not before its time.

use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::chargeback::{Case, Chargeback, ChargebackCommand, EvidenceBundle};
use domain::command::Command;
use domain::event::DomainEvent;
use domain::intent::Intent;
use domain::view::Document;
use uuid::Uuid;

use crate::driver::{Ask, Told};
use crate::failure::Violation;
use crate::world::{Interrupt, World};

/// Whether its time has come: it had one, and has none any more.
fn is_due(chargeback: &Chargeback) -> Option<&Case> {
    let Chargeback::Opened { phase, case } = chargeback else { return None };
    let waits = !phase.is_over() && *phase != domain::chargeback::Phase::UnderReview;
    let due = case.opening.evidence_due_by.is_some() && case.evidence_at.is_none() && case.evidence_digest.is_none();
    (waits && due).then_some(case)
}

impl World {
    /// Staff looks at a bank that waits: it has something to say beside what is proved, or concedes. Now and then it is
    /// somebody who may not, or too late.
    pub(crate) fn look_at_a_bank(&mut self) -> Result<(), Interrupt> {
        let waiting = self.records.documents.values().filter_map(|(document, _)| match document {
            Document::Aggregate(AggregateState::Chargeback(chargeback)) => match chargeback.as_ref() {
                Chargeback::Opened { phase, case } if !phase.is_over() => Some(case.opening.chargeback_id),
                _ => None,
            },
            _ => None,
        });
        let waiting: Vec<_> = waiting.collect();
        let Some(chargeback_id) = self.chance.pick(&waiting).copied() else { return Ok(()) };
        let command = if self.chance.per_mille(600) {
            let statement = format!("{:064x}", self.chance.between(1, i64::MAX));
            ChargebackCommand::DraftEvidence { statement }
        } else {
            ChargebackCommand::Accept
        };
        let staff = self.staff();
        let ask = self.ask(Intent::Fact(Command::Chargeback(chargeback_id, command)), staff);
        self.send(ask)
    }

    /// Answers every bank that is to be answered by now.
    pub(crate) fn answer_banks(&mut self) -> Result<(), Interrupt> {
        let due = self.records.documents.values().filter_map(|(document, version)| match document {
            Document::Aggregate(AggregateState::Chargeback(chargeback)) => {
                is_due(chargeback).map(|case| (case.clone(), *version))
            }
            _ => None,
        });
        let due: Vec<(Case, u64)> = due.collect();
        for (case, version) in due {
            self.answer_bank(&case, version)?;
        }
        Ok(())
    }

    fn answer_bank(&mut self, case: &Case, version: u64) -> Result<(), Interrupt> {
        let broken = |found: String| Interrupt::from(Violation::new("W", found));
        let id = case.opening.chargeback_id;
        let Ok(recorded) = self.store.read_now(0, usize::MAX) else { return Ok(()) };
        let mut events = Vec::new();
        for event in &recorded {
            let kind = &event.stream.aggregate_type;
            let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload)
                .map_err(|error| broken(error.to_string()))?;
            events.push((event.metadata.occurred_at, read));
        }
        let events = events.iter().map(|(at, event)| (*at, event));
        let charged = &case.opening.charged;
        // About a top-up of a wallet no contract proves anything: it is answered at the provider, if at all.
        let Some(contract_id) = charged.paid_into.contract_id() else { return Ok(()) };
        let evidence = EvidenceBundle::draw_up(&case.opening.dispute_ref, contract_id, events);
        let Some(evidence) = evidence else {
            return Err(broken(format!("{id}: nothing was ever agreed")));
        };
        let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
        let ask = Ask {
            intent: Intent::Fact(Command::Chargeback(id, command)),
            actor: Actor::System(SystemPart::Timer),
            command_id: Uuid::new_v5(&id.as_uuid(), format!("evidence/{version}").as_bytes()),
            if_match: None,
            answered: false,
        };
        // It may have been decided, or answered, since the projection read it.
        if let Told::Refused(refusal) = self.perform(&ask)?
            && refusal.code() != "chargeback_wrong_state"
        {
            return Err(broken(format!("{id}: no bank can be answered: {refusal}")));
        }
        Ok(())
    }
}
