//! Facts about an approval request.

use serde::{Deserialize, Serialize};

use super::{Request, Vote};
use crate::id::{ApprovalId, EventId, PartyId};

/// A fact about an approval request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApprovalEvent {
    /// A command was proposed: nothing of it is done.
    Requested {
        /// What is asked for.
        #[serde(flatten)]
        request: Box<Request>,
    },
    /// Somebody else is for it.
    Granted {
        /// The request.
        approval_id: ApprovalId,
        /// Who.
        #[serde(flatten)]
        vote: Vote,
        /// Whether enough are: the command is carried out, or refused, in the same commit.
        complete: bool,
    },
    /// The command was carried out.
    Consumed {
        /// The request.
        approval_id: ApprovalId,
        /// The first event that it led to.
        event_id: EventId,
        /// The digest of what was carried out.
        payload_digest: String,
    },
    /// Its own rules have refused the command.
    Failed {
        /// The request.
        approval_id: ApprovalId,
        /// The code of the refusal.
        code: String,
    },
    /// Somebody who could have approved it is against it.
    Rejected {
        /// The request.
        approval_id: ApprovalId,
        /// Who.
        #[serde(flatten)]
        vote: Vote,
    },
    /// Who has proposed it does not want it any more.
    Withdrawn {
        /// The request.
        approval_id: ApprovalId,
        /// Who.
        by: PartyId,
    },
    /// Too few have approved in time.
    Lapsed {
        /// The request.
        approval_id: ApprovalId,
    },
}
