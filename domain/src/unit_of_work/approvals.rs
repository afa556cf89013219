//! Proposing a command, and carrying it out once enough others have approved it.
//!
//! # Invariants
//! - What is proposed was tried: nothing is proposed that its own rules refuse, and nothing of the trial is kept.
//! - The deadlines of what the command is about fire before it is carried out, as for the command itself.
//! - Whether the command is carried out or refused rests on the streams that it looked at: they are in the append.

use super::{Attempt, Loaded, Step, Stop, UnitOfWork, defect};
use crate::aggregate::AggregateState;
use crate::approval::{self, ApprovalCommand, Proposed};
use crate::command::Command;
use crate::id::{ApprovalId, EventId};
use crate::intent::{ApprovalIntent, Intent};
use crate::log::StreamId;
use crate::refusal::Refusal;

/// The code of a command that was approved when there was nothing left to do.
const NO_EFFECT: &str = "no_effect";

impl UnitOfWork {
    /// Of a proposal, the scope of its command. Of an approval, its request and, while it waits, the scope of its command.
    pub(super) fn approval_scope(wanted: &ApprovalIntent, loaded: &Loaded) -> Result<Vec<StreamId>, Stop> {
        if let ApprovalIntent::Propose { command, .. } = wanted {
            return Self::scope_of_intent(&command.intent(), loaded);
        }
        let stream = wanted.subject();
        let part = loaded.get(&stream).ok_or_else(|| Stop::Needs(vec![stream.clone()]))?;
        let mut streams = Vec::new();
        if let (ApprovalIntent::Approve { .. }, AggregateState::Approval(state)) = (wanted, &part.state)
            && let Some(command) = state.waiting()
        {
            streams = Self::scope_of_intent(&command.intent(), loaded)?;
        }
        streams.push(stream);
        Ok(streams)
    }

    pub(super) fn judge_approval(
        &self,
        wanted: &ApprovalIntent,
        loaded: &Loaded,
        scope: &[StreamId],
    ) -> Result<Step, Stop> {
        match wanted {
            ApprovalIntent::Propose { command, .. } => self.propose(wanted, command, loaded, scope),
            ApprovalIntent::Approve { approval_id, .. } => self.approve(wanted, *approval_id, loaded, scope),
            ApprovalIntent::Reject { .. } | ApprovalIntent::Withdraw { .. } => {
                let mut attempt = self.attempt(loaded, scope)?;
                attempt.perform(&wanted.own_command())?;
                attempt.step()
            }
        }
    }

    fn attempt<'a>(&'a self, loaded: &'a Loaded, looked_at: &[StreamId]) -> Result<Attempt<'a>, Stop> {
        // The scope's own streams say what time it is; all that was looked at is part of the decision.
        let scope = self.scope_streams(loaded)?;
        let now = self.now(loaded, &scope);
        let mut attempt = Attempt::new(loaded, now, self.actor, self.command_id, self);
        for stream in looked_at {
            attempt.look(stream)?;
        }
        Ok(attempt)
    }

    fn propose(
        &self,
        wanted: &ApprovalIntent,
        command: &Proposed,
        loaded: &Loaded,
        scope: &[StreamId],
    ) -> Result<Step, Stop> {
        let mut trial = self.attempt(loaded, scope)?;
        trial.carry_out(&command.intent(), None)?;
        let looked_at: Vec<_> = trial.touched.into_keys().collect();
        let mut attempt = self.attempt(loaded, &looked_at)?;
        attempt.perform(&wanted.own_command())?;
        attempt.step()
    }

    fn approve(
        &self,
        wanted: &ApprovalIntent,
        approval_id: ApprovalId,
        loaded: &Loaded,
        scope: &[StreamId],
    ) -> Result<Step, Stop> {
        let mut attempt = self.attempt(loaded, scope)?;
        attempt.perform(&wanted.own_command())?;
        let command = match attempt.look(&approval::stream(approval_id))? {
            AggregateState::Approval(state) => state.approved().cloned(),
            _ => None,
        };
        // One person again, a request that waits for more, or one that is over.
        let (Some(command), Some(granted)) = (command, attempt.events.last().map(|granted| granted.id)) else {
            return attempt.step();
        };
        let refused = match attempt.carry_out(&command.intent(), Some(granted)) {
            Ok(Some(event_id)) => {
                let payload_digest = command.digest()?;
                let consume = ApprovalCommand::Consume { event_id, payload_digest };
                attempt.ask(&Command::Approval(approval_id, consume), Some(event_id), 1)?;
                return attempt.step();
            }
            Ok(None) => NO_EFFECT,
            // Ours to repair: it goes on waiting.
            Err(Stop::Refused(Refusal::Defect(message))) => return Err(defect(&message)),
            Err(Stop::Refused(refusal)) => refusal.code(),
            Err(needs @ Stop::Needs(_)) => return Err(needs),
        };
        let looked_at: Vec<_> = attempt.touched.into_keys().collect();
        let mut attempt = self.attempt(loaded, &looked_at)?;
        attempt.perform(&wanted.own_command())?;
        let fail = ApprovalCommand::Fail { code: refused.to_owned() };
        attempt.ask(&Command::Approval(approval_id, fail), Some(granted), 1)?;
        attempt.step()
    }
}

impl Attempt<'_> {
    /// Judges the commands of an intent with all that follows; the first event, if any happened.
    fn carry_out(&mut self, intent: &Intent, cause: Option<EventId>) -> Result<Option<EventId>, Stop> {
        let first = self.events.len();
        let actor = self.context.actor;
        for command in intent.commands(actor, &mut |stream| self.look(stream).cloned())? {
            self.ask(&command, cause, usize::from(cause.is_some()))?;
        }
        self.run_reactions()?;
        Ok(self.events.get(first).map(|event| event.id))
    }
}
