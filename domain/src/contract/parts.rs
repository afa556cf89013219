//! What the rules of a contract may know of its parts: the money held by milestone, and when somebody last did something.
//!
//! # Invariants
//! - It is read from streams of the contract's own scope, so that a decision that depends on it conflicts with every
//!   change of it.
//! - Only the unit of work fills it in, at the moment a command is judged. What a caller puts in is overwritten.

use ledger::{Minor, MoneyError};

use crate::id::MilestoneId;
use crate::time::Timestamp;

/// What the milestones of a contract say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// One entry per milestone that exists.
    pub milestones: Vec<Part>,
    /// When a party last did something about the contract or one of its parts; `None` when nobody has.
    pub last_activity_at: Option<Timestamp>,
}

/// What one milestone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub milestone_id: MilestoneId,
    /// Paid in for it or moved to it over its life, less what a bank took.
    pub funded: Minor,
    /// Released of it, gross.
    pub released: Minor,
    /// What went back to the client of it, client fees not included; also money that came when it was over.
    pub refunded: Minor,
    /// Held for it now, disputed or not.
    pub held: Minor,
    /// The part of it that goes back when the contract ends: nothing while work is under review or in dispute.
    pub refundable: Minor,
    /// Whether the client is paying for it at this moment.
    pub payment_under_way: bool,
    /// Whether a question is open that has a deadline of its own, or a dispute.
    pub open_question: Option<OpenQuestion>,
}

/// A question about a milestone that somebody else than the contract settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenQuestion {
    /// It is settled at this instant at the latest.
    Until(Timestamp),
    /// It has no deadline that the milestone knows.
    Open,
}

impl Parts {
    /// Whether the client is paying for a milestone at this moment.
    pub fn payment_under_way(&self) -> bool {
        self.milestones.iter().any(|part| part.payment_under_way)
    }

    /// Whether anything is held.
    pub fn hold_money(&self) -> bool {
        self.milestones.iter().any(|part| !part.held.is_zero())
    }

    /// What goes back when the contract ends.
    ///
    /// # Errors
    /// [`MoneyError`] when it does not fit.
    pub fn refundable(&self) -> Result<Minor, MoneyError> {
        Minor::sum(self.milestones.iter().map(|part| part.refundable))
    }

    /// The entry of a milestone.
    pub fn of(&self, milestone_id: MilestoneId) -> Option<&Part> {
        self.milestones.iter().find(|part| part.milestone_id == milestone_id)
    }
}
