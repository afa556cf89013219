//! Deadlines of an escrow: how long a payment provider lets money lie.

use ledger::Minor;

use super::parts::HoldLimit;
use super::{EscrowCommand, Holdings};
use crate::command::Command;
use crate::id::FundingId;
use crate::log::StreamId;
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// What the keys of these timers start with.
const KEY: &str = "psp_hold/";

/// The next deadline of each funding of which something is still held: a warning, or the limit itself.
pub(super) fn timers(holdings: &Holdings, stream: &StreamId) -> Vec<Timer> {
    let limited = holdings.fundings.iter().filter_map(|(id, paid)| Some((*id, paid.hold_limit.as_ref()?)));
    let held = limited.filter(|(id, _)| holdings.remaining_of(*id) > Minor::ZERO);
    held.map(|(funding_id, limit)| {
        let (days, command) = match limit.warn_days.first() {
            Some(days) => (*days, EscrowCommand::WarnOfHoldLimit { funding_id, days_left: *days }),
            None => (0, EscrowCommand::ReachHoldLimit { funding_id }),
        };
        Timer {
            due_at: limit.first_at(),
            rank: Rank::PspHold,
            stream: stream.clone(),
            key: format!("{KEY}{funding_id}/{days}"),
            command: Command::Escrow(holdings.contract_id, command),
        }
    })
    .collect()
}

/// The funding that a timer is about, by its key.
pub(super) fn funding_of(key: &str) -> Option<FundingId> {
    key.strip_prefix(KEY)?.split('/').next()?.parse().ok()
}

/// The limit of money that arrives now, with the warnings that are still ahead.
pub(super) fn hold_limit(policy: &Policy, now: Timestamp) -> HoldLimit {
    let warn_days = policy.psp_hold.warnings(now).into_iter().map(|(days_left, _)| days_left).collect();
    HoldLimit { limit_at: policy.psp_hold.limit(now), warn_days }
}
