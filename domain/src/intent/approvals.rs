//! What a caller asks for about commands that others have to approve.

use crate::actor::Actor;
use crate::aggregate::AggregateState;
use crate::approval::{self, ApprovalCommand, Proposed, Rule, Strength};
use crate::command::Command;
use crate::id::ApprovalId;
use crate::log::StreamId;
use crate::timer::Scope;
use crate::unit_of_work::Stop;

/// A request about commands that others have to approve.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalIntent {
    /// Propose a command. What its own rules would refuse now is not proposed.
    Propose {
        /// The request to be made.
        approval_id: ApprovalId,
        /// The command.
        command: Box<Proposed>,
        /// What it takes.
        rule: Rule,
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Be for it. The last that is needed carries the command out.
    Approve {
        /// The request.
        approval_id: ApprovalId,
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Be against it.
    Reject {
        /// The request.
        approval_id: ApprovalId,
        /// How the caller has shown who it is.
        acr: Strength,
    },
    /// Not want it any more.
    Withdraw {
        /// The request.
        approval_id: ApprovalId,
    },
}

impl ApprovalIntent {
    /// The stream that the request names: of a proposal, what its command is about, since `If-Match` is about that.
    pub fn subject(&self) -> StreamId {
        match self {
            Self::Propose { command, .. } => command.intent().subject(),
            Self::Approve { approval_id, .. } | Self::Reject { approval_id, .. } | Self::Withdraw { approval_id } => {
                approval::stream(*approval_id)
            }
        }
    }

    /// The scope whose timers are judged first. That of a command that is carried out follows from the request's state.
    pub(super) fn scope(&self) -> Option<Scope> {
        match self {
            Self::Propose { command, .. } => command.intent().scope(),
            Self::Approve { .. } | Self::Reject { .. } | Self::Withdraw { .. } => Some(Scope::Stream(self.subject())),
        }
    }

    /// What is judged to see whether the caller may know of the thing: of a proposal, its command.
    pub(super) fn commands(
        &self,
        actor: Actor,
        look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
    ) -> Result<Vec<Command>, Stop> {
        match self {
            Self::Propose { command, .. } => command.intent().commands(actor, look),
            Self::Approve { .. } | Self::Reject { .. } | Self::Withdraw { .. } => Ok(vec![self.own_command()]),
        }
    }

    /// The command on the request itself.
    pub(crate) fn own_command(&self) -> Command {
        match self {
            Self::Propose { approval_id, command, rule, acr } => {
                let (command, rule) = (command.as_ref().clone(), rule.clone());
                let request = ApprovalCommand::Request { approval_id: *approval_id, command, rule, acr: *acr };
                Command::Approval(*approval_id, request)
            }
            Self::Approve { approval_id, acr } => {
                Command::Approval(*approval_id, ApprovalCommand::Approve { acr: *acr })
            }
            Self::Reject { approval_id, acr } => Command::Approval(*approval_id, ApprovalCommand::Reject { acr: *acr }),
            Self::Withdraw { approval_id } => Command::Approval(*approval_id, ApprovalCommand::Withdraw),
        }
    }
}
