//! The gates once more: whether an order that takes a payout further may be begun, just before it is sent.
//!
//! Hours may lie between the request, or an approval, and an order: it waits for money, for its turn, for an outbox that is
//! paused. What the payee is then decides.
//!
//! # Invariants
//! - An order that may have been sent is not judged here: its outcome is found out, whatever the payee is by now.
//! - A gate that is shut ends the payout ([`super::withheld`]) rather than letting it wait: transfers go one after the other,
//!   and one that waits for its payee would let everybody wait. What has moved already lies at the payee's account; the next
//!   payout uses it.

use crate::party::PayeeStanding;
use crate::ports::provider::ProviderOrder;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Why the order must not be begun at `now`, by the tenant's clock. `None` when it may, and for orders that pay nobody.
pub fn gate(order: &ProviderOrder, payee: &PayeeStanding, now: Timestamp) -> Option<Refusal> {
    match order {
        ProviderOrder::MoveToPayee { account, currency, .. } | ProviderOrder::PayToBank { account, currency, .. } => {
            payee.may_be_paid_through(account, *currency, now).err()
        }
        _ => None,
    }
}
