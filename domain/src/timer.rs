//! Deadlines: data in the events that start them, fired before the next command is judged.
//!
//! # Invariants
//! - A deadline is an absolute instant. How late somebody looks never changes who wins: at the instant itself the timer
//!   has already won (`now >= due_at`).
//! - Due timers of a scope fire in the order `(due_at, rank, stream, key)`, each as its own append with
//!   `occurred_at = due_at`.
//! - While the escrow of a contract is frozen, the deadlines that decide about what is held stand still; afterwards each has
//!   what was left of it.
//! - A timer has a command id that follows from what it is and from the version of its stream, so that two servers cannot
//!   fire it twice. Whatever it does, it does to its own stream, too: a deadline that is set again, even to the same
//!   instant, is another timer.
//! - A timer that has fired is not due any more; one that would be is blocked (`domain::unit_of_work`).

use chrono::TimeDelta;
use uuid::Uuid;

use crate::command::Command;
use crate::event::DomainEvent;
use crate::id::ContractId;
use crate::log::StreamId;
use crate::time::Timestamp;

/// Namespace of the command ids of timers.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b0f_8a3e_4c1d_5e72_9a84_7d3f_1c2b_5e60);

/// Order among timers that are due at the same instant; lower fires first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// An offer runs out.
    OfferExpiry,
    /// Nothing was paid in in time.
    FirstFunding,
    /// An amendment lapses.
    AmendmentExpiry,
    /// A review window closes.
    ReviewWindow,
    /// A wish for a refund counts as agreed.
    RefundRequest,
    /// A wish to end a contract counts as agreed.
    EndRequest,
    /// Nothing has happened for long.
    Dormancy,
    /// Pending earnings become available.
    Clearance,
    /// A client did not complete a payment.
    FundingIntent,
    /// A payment provider does not let money lie any longer.
    PspHold,
    /// A bank is to be answered.
    ChargebackEvidence,
    /// Earnings are paid out without being asked for.
    ScheduledPayout,
    /// Nobody has approved in time.
    ApprovalExpiry,
}

impl Rank {
    /// Whether such a deadline stands still while the escrow of its contract is frozen: those that decide to whom held
    /// money goes. Offers, amendments and payments under way have nothing to do with what is held; the provider's limit
    /// does not wait for anybody.
    pub fn stops_when_frozen(self) -> bool {
        matches!(self, Self::ReviewWindow | Self::RefundRequest | Self::EndRequest | Self::Dormancy)
    }
}

/// A deadline of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// When it is due.
    pub due_at: Timestamp,
    /// Order among timers due at once.
    pub rank: Rank,
    /// Whose it is.
    pub stream: StreamId,
    /// Which of the stream's, such as `review_window` or the id of a release.
    pub key: String,
    /// What is done when it is due.
    pub command: Command,
}

impl Timer {
    /// The command id of its firing, where its stream is at `version`.
    pub fn command_id(&self, version: u64) -> Uuid {
        let name = format!("{}/{version}/{}/{}", self.stream, self.key, self.due_at.timestamp_millis());
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// What due timers are ordered by.
    pub fn order(&self) -> (Timestamp, Rank, &StreamId, &str) {
        (self.due_at, self.rank, &self.stream, &self.key)
    }
}

/// When a deadline is due whose clock stood still from `stopped_at` to `now`: with what was left of it, and never more
/// than the whole time of `days` that it has.
pub(crate) fn restarted(due_at: Timestamp, days: u16, stopped_at: Timestamp, now: Timestamp) -> Timestamp {
    let left = due_at.signed_duration_since(stopped_at).min(TimeDelta::days(i64::from(days))).max(TimeDelta::zero());
    now.checked_add_signed(left).unwrap_or(Timestamp::MAX_UTC)
}

/// What is judged together with respect to time: all timers of a scope fire before a command on any part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A contract, its milestones and its escrow.
    Contract(ContractId),
    /// One stream outside any contract.
    Stream(StreamId),
}

impl Scope {
    /// The stream that names the scope: the contract's, or the one stream.
    pub fn stream(&self) -> StreamId {
        match self {
            Self::Contract(id) => crate::contract::stream(*id),
            Self::Stream(stream) => stream.clone(),
        }
    }

    /// The scope named by a stream, the inverse of [`Scope::stream`]; `None` for a stream that names no scope.
    pub fn of_stream(stream: StreamId) -> Option<Self> {
        if stream.aggregate_type == crate::contract::TYPE {
            return stream.aggregate_id.parse().ok().map(Self::Contract);
        }
        Some(Self::Stream(stream))
    }
}

/// When somebody should look again because of this event, and at which scope. Looking in vain is harmless.
pub fn wakeup(stream: &StreamId, event: &DomainEvent) -> Option<(Scope, Timestamp)> {
    use crate::approval::ApprovalEvent;
    use crate::escrow::EscrowEvent;
    use crate::funding::FundingEvent;
    use crate::payee::PayeeEvent;
    match event {
        DomainEvent::Contract(event) => Some((Scope::Contract(event.contract_id()), event.deadline()?)),
        DomainEvent::Milestone(event) => Some((Scope::Contract(event.contract_id()), event.deadline()?)),
        DomainEvent::Payee(PayeeEvent::EarningsCredited { clears_at, .. }) => {
            Some((Scope::Stream(stream.clone()), *clears_at))
        }
        DomainEvent::Payee(PayeeEvent::BonusPaid { paid } | PayeeEvent::TipPaid { paid }) => {
            Some((Scope::Stream(stream.clone()), paid.clears_at))
        }
        DomainEvent::Payee(
            PayeeEvent::PayoutScheduleChanged { next_at, .. } | PayeeEvent::PayoutScheduleReached { next_at, .. },
        ) => next_at.map(|next_at| (Scope::Stream(stream.clone()), next_at)),
        DomainEvent::Funding(FundingEvent::Created { order }) => {
            let scope = order.contract_id.map_or_else(|| Scope::Stream(stream.clone()), Scope::Contract);
            order.expires_at.map(|expires_at| (scope, expires_at))
        }
        DomainEvent::Escrow(EscrowEvent::Funded { contract_id, hold_limit: Some(limit), .. }) => {
            Some((Scope::Contract(*contract_id), limit.first_at()))
        }
        DomainEvent::Escrow(EscrowEvent::HoldLimitWarned { contract_id, next_at, .. }) => {
            Some((Scope::Contract(*contract_id), *next_at))
        }
        DomainEvent::Chargeback(event) => Some((Scope::Stream(stream.clone()), event.deadline()?)),
        DomainEvent::Approval(ApprovalEvent::Requested { request }) => {
            Some((Scope::Stream(stream.clone()), request.expires_at))
        }
        _ => None,
    }
}
