//! The unit of work, driven as a server does it.
//!
//! # Invariants
//! - As in the server: a refusal, or the finding that nothing changes, is given only on streams looked at just now; a
//!   conflict is decided anew; an answer that was lost is asked for again with the same command id.
//!
//! # What is deliberately absent
//! Queues per contract: what runs in between here is another server.

use std::sync::Arc;

use domain::actor::Actor;
use domain::chargeback::ChargebackCommand;
use domain::command::Command;
use domain::contract::ContractCommand;
use domain::intent::Intent;
use domain::log::{Answer, Receipt, StoreError, StoredCommand, StreamId, Verdict};
use domain::milestone::MilestoneCommand;
use domain::payee;
use domain::refusal::Refusal;
use domain::unit_of_work::{Decision, Loaded, Step, UnitOfWork};
use uuid::Uuid;

use crate::failure::Violation;
use crate::world::{Interrupt, World};

/// A request, as it can be sent again.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is wanted.
    pub intent: Intent,
    /// By whom.
    pub actor: Actor,
    /// Its identity.
    pub command_id: Uuid,
    /// The version that the caller knows.
    pub if_match: Option<u64>,
    /// Whether an answer is kept: for commands of parties, not for the engine's own.
    pub answered: bool,
}

impl Ask {
    /// A word for what is wanted.
    pub fn word(&self) -> &'static str {
        match &self.intent {
            Intent::RegisterParty { .. } => "register_party",
            Intent::LinkPayoutAccount { .. } => "link_payout_account",
            Intent::DraftContract { .. } => "draft_contract",
            Intent::OfferContract { .. } => "offer_contract",
            Intent::AcceptContract { .. } => "accept_contract",
            Intent::FundMilestones { .. } => "fund_milestones",
            Intent::SubmitWork { .. } => "submit_work",
            Intent::ApproveMilestone { .. } => "approve_milestone",
            Intent::OnContract { command, .. } => word_on_contract(command),
            Intent::OnMilestone { command, .. } => word_on_milestone(command),
            Intent::RequestPayout { .. } => "request_payout",
            Intent::Money(intent) => crate::money::word(intent),
            Intent::Payouts(intent) => crate::desk::word(intent),
            Intent::Fact(Command::Chargeback(_, ChargebackCommand::DraftEvidence { .. })) => "draft_evidence",
            Intent::Fact(Command::Chargeback(_, ChargebackCommand::Accept)) => "accept_chargeback",
            Intent::Approvals(_) => "approval",
            Intent::Fact(_) => "fact",
            Intent::Wake(_) => "wake",
        }
    }
}

fn word_on_contract(command: &ContractCommand) -> &'static str {
    match command {
        ContractCommand::CounterOffer { .. } => "counter_offer",
        ContractCommand::Decline { .. } => "decline_offer",
        ContractCommand::WithdrawOffer => "withdraw_offer",
        ContractCommand::Cancel { .. } => "cancel_contract",
        ContractCommand::ProposeAmendment { .. } => "propose_amendment",
        ContractCommand::AcceptAmendment { .. } => "accept_amendment",
        ContractCommand::RejectAmendment { .. } => "reject_amendment",
        ContractCommand::Pause { .. } => "pause_contract",
        ContractCommand::Resume => "resume_contract",
        ContractCommand::RequestEnd { .. } => "request_end",
        ContractCommand::AcceptEnd { .. } => "accept_end",
        ContractCommand::DisputeEnd => "dispute_end",
        ContractCommand::RequestDormancyRelease => "request_dormancy_release",
        _ => "on_contract",
    }
}

fn word_on_milestone(command: &MilestoneCommand) -> &'static str {
    match command {
        MilestoneCommand::Cancel => "cancel_milestone",
        MilestoneCommand::WithdrawSubmission => "withdraw_submission",
        MilestoneCommand::RequestChanges { .. } => "request_changes",
        MilestoneCommand::ApprovePartially { .. } => "approve_a_part",
        MilestoneCommand::AcceptRollForward => "accept_roll_forward",
        MilestoneCommand::RejectRollForward => "reject_roll_forward",
        MilestoneCommand::RequestRefund { .. } => "request_refund",
        MilestoneCommand::GrantRefund { .. } => "grant_refund",
        MilestoneCommand::AcceptRefund => "accept_refund",
        MilestoneCommand::RejectRefund { .. } => "reject_refund",
        MilestoneCommand::OpenDispute { .. } => "open_dispute",
        _ => "on_milestone",
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Told {
    /// Committed now.
    Accepted(Receipt, Option<Answer>),
    /// Committed earlier under the same command id.
    Replayed(StoredCommand),
    /// Nothing changes.
    Unchanged,
    /// A rule said no.
    Refused(Refusal),
    /// The store did not say: it may have happened or not.
    Unknown,
}

/// Conflicts in a row that would mean that deciding does not come to an end.
const MAX_ROUNDS: u32 = 10_000;

impl World {
    /// Carries out a request.
    pub(crate) fn perform(&mut self, ask: &Ask) -> Result<Told, Interrupt> {
        let told = self.try_perform(ask)?;
        let word = ask.word();
        match &told {
            Told::Accepted(..) => self.count(&format!("accepted {word}")),
            Told::Replayed(_) => self.count(&format!("replayed {word}")),
            Told::Unchanged => self.count(&format!("unchanged {word}")),
            Told::Refused(Refusal::Defect(message)) => {
                return Err(Violation::new("W", format!("{word} met a defect: {message}")).into());
            }
            Told::Refused(refusal) => self.count(&format!("refused {}", refusal.code())),
            Told::Unknown => self.count("outcome unknown"),
        }
        Ok(told)
    }

    fn try_perform(&mut self, ask: &Ask) -> Result<Told, Interrupt> {
        let work = UnitOfWork {
            intent: ask.intent.clone(),
            actor: ask.actor,
            command_id: ask.command_id,
            clock: self.clock_of_some_server(),
            if_match: ask.if_match,
            idempotency_key: None,
            traceparent: None,
        };
        let mut fresh = !self.chance.per_mille(500);
        let mut loaded = if fresh || !work.intent.may_begin() { Loaded::new() } else { Loaded::assuming_new() };
        let mut from_cache = false;
        for _ in 0..MAX_ROUNDS {
            match work.step(&loaded) {
                Step::Needs(streams) => match self.load(&mut loaded, &streams, fresh) {
                    Ok(cached) => from_cache |= cached,
                    Err(StoreError::Unavailable(_)) => return Ok(Told::Unknown),
                    Err(error) => return Err(Violation::new("W", error.to_string()).into()),
                },
                Step::Timer(decision) => {
                    match self.append(&decision, None)? {
                        Some(Verdict::Accepted(_)) => {
                            for (_, event) in decision.events.iter().take(1) {
                                self.count(&format!("timer {}", event.event_type()));
                            }
                        }
                        Some(Verdict::Replayed(_) | Verdict::Conflict) => self.count("timer lost a race"),
                        None => return Ok(Told::Unknown),
                    }
                    (loaded, fresh, from_cache) = (Loaded::new(), true, false);
                }
                Step::Decided(decision) => {
                    let answer = ask.answered.then(|| answer(ask, &decision));
                    match self.append(&decision, answer.clone())? {
                        Some(Verdict::Accepted(receipt)) => {
                            self.learn(&decision, &receipt);
                            return Ok(Told::Accepted(receipt, answer));
                        }
                        Some(Verdict::Replayed(known)) => return Ok(Told::Replayed(known)),
                        Some(Verdict::Conflict) => self.count("conflict"),
                        None => return Ok(Told::Unknown),
                    }
                    (loaded, fresh, from_cache) = (Loaded::new(), true, false);
                }
                Step::Unchanged | Step::Refused(_) if from_cache || loaded.assumes_new() => {
                    (loaded, fresh, from_cache) = (Loaded::new(), true, false);
                }
                Step::Unchanged => return self.unless_repeated(ask, Told::Unchanged),
                Step::Refused(refusal) => return self.unless_repeated(ask, Told::Refused(refusal)),
            }
        }
        Err(Violation::new("W", format!("{} does not come to an end", ask.word())).into())
    }

    /// A wish that is fulfilled already is refused by the rules: only its id shows that it was this very command.
    fn unless_repeated(&mut self, ask: &Ask, told: Told) -> Result<Told, Interrupt> {
        if !ask.answered {
            return Ok(told);
        }
        match self.store.command_now(ask.command_id) {
            Ok(Some(known)) => Ok(Told::Replayed(known)),
            Ok(None) => Ok(told),
            Err(StoreError::Unavailable(_)) => Ok(Told::Unknown),
            Err(error) => Err(Violation::new("W", error.to_string()).into()),
        }
    }

    /// Brings streams in. Returns whether one was taken from the cache without looking.
    fn load(&mut self, loaded: &mut Loaded, streams: &[StreamId], fresh: bool) -> Result<bool, StoreError> {
        let mut wanted = Vec::new();
        let mut trusted = false;
        for stream in streams {
            let cached = self.cache.get(stream).cloned();
            let version = cached.as_ref().map_or(0, |cached| cached.version);
            // Credits to a payee account conflict with nothing, so no commit would tell that they are missing.
            let look = fresh || cached.is_none() || stream.aggregate_type == payee::TYPE;
            if let Some(cached) = cached {
                loaded.insert(stream.clone(), cached);
                trusted |= !look;
            }
            if look {
                wanted.push((stream.clone(), version));
            }
        }
        if wanted.is_empty() {
            return Ok(trusted);
        }
        if self.trouble(8) {
            self.count("fault store reading");
            self.store.fail_next_reading();
        }
        let events = self.store.load_now(&wanted)?;
        let asked: Vec<StreamId> = wanted.into_iter().map(|(stream, _)| stream).collect();
        loaded.absorb(&asked, &events).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        for (stream, part) in loaded.iter().filter(|(stream, _)| asked.contains(stream)) {
            self.cache.insert(stream.clone(), Arc::clone(part));
        }
        Ok(trusted)
    }

    /// Appends, with all that can happen in between. `None`: nobody knows whether it was committed.
    fn append(&mut self, decision: &Decision, answer: Option<Answer>) -> Result<Option<Verdict>, Interrupt> {
        self.interfere()?;
        self.may_die("before an append")?;
        let mut append = decision.append.clone();
        append.answer = answer;
        self.oracle.attempted(&append);
        let (before, after) = (self.trouble(15), self.trouble(15));
        if before {
            self.count("fault store before commit");
            self.store.fail_next_append(adapters::memory::Fault::BeforeCommit);
        } else if after {
            self.count("fault store after commit");
            self.store.fail_next_append(adapters::memory::Fault::AfterCommit);
        }
        let verdict = match self.store.append_now(&append) {
            Ok(verdict) => verdict,
            Err(StoreError::Unavailable(_)) => return Ok(None),
            Err(error) => return Err(Violation::new("W", error.to_string()).into()),
        };
        self.may_die("after an append")?;
        Ok(Some(verdict))
    }

    /// Remembers what a decision made of its streams, where nothing else came in between.
    fn learn(&mut self, decision: &Decision, receipt: &Receipt) {
        for (write, version) in decision.append.streams.iter().zip(&receipt.versions) {
            if decision.version(&write.stream) != Some(*version) {
                self.cache.forget(&write.stream);
            }
        }
        let elsewhere =
            |stream: &StreamId| {
                decision.append.streams.iter().zip(&receipt.versions).any(|(write, version)| {
                    write.stream == *stream && decision.version(&write.stream) != Some(*version)
                })
            };
        for (stream, part) in decision.after.iter().filter(|(stream, _)| !elsewhere(stream)) {
            self.cache.insert(stream.clone(), Arc::clone(part));
        }
    }
}

/// The answer that a caller gets: what happened, and the version of what was named.
fn answer(ask: &Ask, decision: &Decision) -> Answer {
    let types: Vec<&str> = decision.events.iter().map(|(_, event)| event.event_type()).collect();
    Answer {
        fingerprint: ask.command_id.simple().to_string(),
        status: 200,
        body: serde_json::json!({ "happened": types }).to_string(),
        version: decision.version(&ask.intent.subject()),
        location: None,
    }
}
