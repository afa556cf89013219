//! Approval request: a command of staff that others have to approve before it is carried out (four eyes).
//!
//! ```text
//!                          ┌─Approve, the last that is needed─▶ approved ─┬─▶ executed
//! not_requested ─Request─▶ pending                                (one commit) └─▶ failed
//!                          ├─Reject (one of those who may approve)─▶ rejected
//!                          ├─Withdraw (who has proposed it)─▶ withdrawn
//!                          └─(time)─▶ lapsed
//! ```
//!
//! # Invariants
//! - Who proposed it never approves it, in whatever role; who has approved it once does not count twice ([`by_another`]).
//! - The rule is that of the moment of the proposal: what the tenant says later holds for later proposals only.
//! - The command is kept as data, with its digest. It is carried out at most once, in the commit of the last approval, by
//!   whoever gives that one, and its own rules judge it again then. What they refuse is not done, and the request says why.
//! - Nothing of it is done while it waits. What its rules would refuse at once is not proposed.
//!
//! # Who needs it
//! [`FourEyes`] is the tenant's rule per kind of command. Without one of its own it is asked for where money is given up or
//! let go for good: a freeze is lifted, a debt is written off, a chargeback is conceded. A freeze is carried out at once:
//! it moves nothing, is lifted by two, and waiting could cost the money that it is to keep.
//!
//! What waits in a state of its own needs no request beside it, and keeps its own commands: a sweep that is proposed, a
//! large payout, a hit on a list of sanctions that is to be dropped. The rule about who may approve is the same function.
//!
//! # What is deliberately absent
//! Versions of what the command is about: it is judged anew when it is carried out. Free words of reason: they would be
//! personal data. Approvers who are no staff.

mod decide;
mod event;
mod policy;
mod proposed;

use serde::{Deserialize, Serialize};

pub use event::ApprovalEvent;
pub use policy::{FourEyes, KindRule, MAX_APPROVERS, MAX_HOURS, Rule};
pub use proposed::{Kind, Proposed};

use crate::command::Command;
use crate::id::{ApprovalId, EventId, PartyId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// Name of the aggregate.
pub const TYPE: &str = "approval";

/// The stream of an approval request.
pub fn stream(id: ApprovalId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// The rule of four eyes: whoever proposed something, or has asked for it, does not approve it.
///
/// # Errors
/// [`Refusal::FourEyesViolation`].
pub fn by_another(proposed_by: PartyId, approved_by: PartyId) -> Result<(), Refusal> {
    if proposed_by == approved_by { Err(Refusal::FourEyesViolation) } else { Ok(()) }
}

/// How somebody has shown who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// With a token or a key made for a machine.
    Machine,
    /// With a password, or as another issuer has asked for it.
    Password,
    /// With a second factor, too.
    SecondFactor,
}

impl Strength {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Password => "password",
            Self::SecondFactor => "second_factor",
        }
    }
}

/// What is asked for; the same in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The request.
    pub approval_id: ApprovalId,
    /// The command.
    pub command: Proposed,
    /// Its SHA-256, in hexadecimal.
    pub payload_digest: String,
    /// What it takes, as it was when it was proposed.
    pub rule: Rule,
    /// Who has proposed it.
    pub requested_by: PartyId,
    /// How that person has shown who it is.
    pub acr: Strength,
    /// When it was proposed.
    pub requested_at: Timestamp,
    /// At this instant it lapses.
    pub expires_at: Timestamp,
}

/// One who has approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: PartyId,
    /// How that person has shown who it is.
    pub acr: Strength,
    /// When.
    pub at: Timestamp,
}

/// State of an approval request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ApprovalRequest {
    /// No request by this id.
    #[default]
    NotRequested,
    /// Others have to approve it.
    Pending {
        /// What is asked for.
        request: Request,
        /// Who has approved so far.
        votes: Vec<Vote>,
    },
    /// Enough have. It is carried out, or refused, in the same commit.
    Approved {
        /// What was asked for.
        request: Request,
        /// Who has approved.
        votes: Vec<Vote>,
    },
    /// The command was carried out.
    Executed {
        /// What was asked for.
        request: Request,
        /// Who has approved.
        votes: Vec<Vote>,
        /// The first event that it led to.
        event_id: EventId,
    },
    /// Its own rules have refused the command: nothing of it was done.
    Failed {
        /// What was asked for.
        request: Request,
        /// Who has approved.
        votes: Vec<Vote>,
        /// The code of the refusal; `no_effect` when there was nothing left to do.
        code: String,
    },
    /// Somebody who could have approved it is against it.
    Rejected {
        /// What was asked for.
        request: Request,
        /// Who had approved.
        votes: Vec<Vote>,
        /// Who is against it.
        by: Vote,
    },
    /// Who has proposed it does not want it any more.
    Withdrawn {
        /// What was asked for.
        request: Request,
        /// Who had approved.
        votes: Vec<Vote>,
    },
    /// Too few have approved in time.
    Lapsed {
        /// What was asked for.
        request: Request,
        /// Who had approved.
        votes: Vec<Vote>,
    },
}

/// A request about an approval request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalCommand {
    /// Propose a command. Staff. The same again changes nothing.
    Request {
        /// The request to be made.
        approval_id: ApprovalId,
        /// What is proposed.
        command: Proposed,
        /// What it takes.
        rule: Rule,
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Be for it. Not who has proposed it; once per person, a second time changes nothing.
    Approve {
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Be against it: it is over. Not who has proposed it.
    Reject {
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Not want it any more. Who has proposed it.
    Withdraw,
    /// Its time is over. A deadline.
    Lapse,
    /// The command was carried out. From the unit of work, in the commit of the last approval.
    Consume {
        /// The first event that it led to.
        event_id: EventId,
        /// The digest of what was carried out.
        payload_digest: String,
    },
    /// Its own rules have refused the command. From the unit of work, in the commit of the last approval.
    Fail {
        /// The code of the refusal.
        code: String,
    },
}

impl ApprovalRequest {
    /// What is asked for; `None` when there is no such request.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::NotRequested => None,
            Self::Pending { request, .. }
            | Self::Approved { request, .. }
            | Self::Executed { request, .. }
            | Self::Failed { request, .. }
            | Self::Rejected { request, .. }
            | Self::Withdrawn { request, .. }
            | Self::Lapsed { request, .. } => Some(request),
        }
    }

    /// Who has approved.
    pub fn votes(&self) -> &[Vote] {
        match self {
            Self::NotRequested => &[],
            Self::Pending { votes, .. }
            | Self::Approved { votes, .. }
            | Self::Executed { votes, .. }
            | Self::Failed { votes, .. }
            | Self::Rejected { votes, .. }
            | Self::Withdrawn { votes, .. }
            | Self::Lapsed { votes, .. } => votes,
        }
    }

    /// The command that still waits to be approved.
    pub fn waiting(&self) -> Option<&Proposed> {
        match self {
            Self::Pending { request, .. } => Some(&request.command),
            _ => None,
        }
    }

    /// The command that is approved and not carried out yet.
    pub(crate) fn approved(&self) -> Option<&Proposed> {
        match self {
            Self::Approved { request, .. } => Some(&request.command),
            _ => None,
        }
    }
}

impl Rules for ApprovalRequest {
    const TYPE: &'static str = TYPE;
    type Command = ApprovalCommand;
    type Event = ApprovalEvent;

    fn decide(&self, command: &ApprovalCommand, context: &Context) -> Result<Vec<ApprovalEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &ApprovalEvent) {
        use ApprovalEvent as E;
        if let (Self::NotRequested, E::Requested { request }) = (&*self, event) {
            *self = Self::Pending { request: request.as_ref().clone(), votes: Vec::new() };
            return;
        }
        let Some(request) = self.request().cloned() else { return };
        let mut votes = self.votes().to_vec();
        *self = match event {
            E::Requested { .. } => return,
            E::Granted { vote, complete, .. } => {
                votes.push(vote.clone());
                if *complete { Self::Approved { request, votes } } else { Self::Pending { request, votes } }
            }
            E::Consumed { event_id, .. } => Self::Executed { request, votes, event_id: *event_id },
            E::Failed { code, .. } => Self::Failed { request, votes, code: code.clone() },
            E::Rejected { vote, .. } => Self::Rejected { request, votes, by: vote.clone() },
            E::Withdrawn { .. } => Self::Withdrawn { request, votes },
            E::Lapsed { .. } => Self::Lapsed { request, votes },
        };
    }

    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        match self {
            Self::Pending { request, .. } => vec![Timer {
                due_at: request.expires_at,
                rank: Rank::ApprovalExpiry,
                stream: stream.clone(),
                key: "approval_expiry".to_owned(),
                command: Command::Approval(request.approval_id, ApprovalCommand::Lapse),
            }],
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotRequested => "not_requested",
            Self::Pending { .. } => "pending",
            Self::Approved { .. } => "approved",
            Self::Executed { .. } => "executed",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Lapsed { .. } => "lapsed",
        }
    }
}
