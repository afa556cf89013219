//! What becomes of an order after the provider was asked: a pure function of the order and the answer. The outbox
//! carries out what it says; so does the simulation.
//!
//! # Invariants
//! - Only a refusal opens a new idempotency key. After everything else that is not an answer the order keeps its key.
//! - An order that moves money and whose key the provider may have forgotten is looked for before it is sent again.
//! - An order is done only with the facts that go before it.
//!
//! # What is deliberately absent
//! How long a pause is where the provider does not say: that is the worker's.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Fact, facts, lacks_funds, read_again_after, refused, settles};
use crate::ports::history::Found;
use crate::ports::provider::{ProviderError, ProviderOrder, ProviderReport};

/// Providers may forget a key after 24 hours (Stripe does: <https://docs.stripe.com/api/idempotent_requests>). An order
/// whose outcome has been unknown for longer than this is looked for at the provider before it is sent again.
pub const KEY_LIFETIME: Duration = Duration::from_secs(23 * 60 * 60);

/// Failures in a row after which an answer that cannot be used is an operator's task.
pub const TOO_MANY: u32 = 10;

/// The provider's word for a balance that is too low.
const LACKS_FUNDS: &str = "balance_insufficient";

/// What is to be done with an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// To be recorded first, in this order.
    pub facts: Vec<Fact>,
    /// Then this.
    pub next: Next,
}

/// How it goes on with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// It was answered, and what it asks for is not final: ask again after so long on the tenant's clock; `None`: soon.
    NotFinal(Option<TimeDelta>),
    /// Again with the same key, after as long as the provider asks for; `None`: after a pause that grows.
    SameKey {
        /// How long the provider asks to wait.
        after: Option<Duration>,
        /// In words.
        why: String,
    },
    /// Again with a new key: the provider has proved that nothing happened.
    NewKey {
        /// The provider's code.
        code: String,
    },
    /// The provider has nothing of it: again with the same key, as if for the first time.
    Fresh,
    /// An operator has to look.
    Blocked {
        /// In words.
        why: String,
    },
}

/// Whether an order has to be looked for before it is sent again. `unknown_for`: how long ago it was sent first without a
/// usable answer since; `None` for one that was not.
pub fn must_be_looked_for(order: &ProviderOrder, unknown_for: Option<Duration>) -> bool {
    order.moves_money() && unknown_for.is_some_and(|time| time > KEY_LIFETIME)
}

/// What becomes of an order that was sent, and has failed so often in a row before.
pub fn settle(order: &ProviderOrder, told: &Result<ProviderReport, ProviderError>, failures: u32) -> Settlement {
    let only = |next| Settlement { facts: Vec::new(), next };
    match told {
        Ok(report) => {
            let next =
                if settles(report, order) { Next::Done } else { Next::NotFinal(read_again_after(order, failures)) };
            Settlement { facts: facts(report), next }
        }
        Err(ProviderError::Refused { code }) => {
            let facts = refused(order, code);
            if !facts.is_empty() {
                return Settlement { facts, next: Next::Done };
            }
            let lacks = lacks_funds(order);
            // What is nowhere on record has to be somebody's task: an account that something else has emptied.
            let unseen = lacks.is_empty() && failures >= TOO_MANY;
            if code == LACKS_FUNDS && !unseen {
                Settlement { facts: lacks, next: Next::NewKey { code: code.clone() } }
            } else {
                only(Next::Blocked { why: code.clone() })
            }
        }
        Err(ProviderError::Unusable(why)) if failures >= TOO_MANY => only(Next::Blocked { why: why.clone() }),
        Err(error) => only(again(error)),
    }
}

/// What becomes of an order that was looked for.
pub fn searched(found: &Result<Found, ProviderError>) -> Settlement {
    let only = |next| Settlement { facts: Vec::new(), next };
    match found {
        Ok(Found::Reports(reports)) => Settlement { facts: reports.iter().flat_map(facts).collect(), next: Next::Done },
        Ok(Found::Absent) => only(Next::Fresh),
        Ok(Found::Uncertain(why)) => only(Next::Blocked { why: why.clone() }),
        Err(error) => only(again(error)),
    }
}

fn again(error: &ProviderError) -> Next {
    match error {
        ProviderError::RateLimited { retry_after } => {
            Next::SameKey { after: *retry_after, why: "rate limited".to_owned() }
        }
        ProviderError::Unavailable { why, retry_after } => {
            Next::SameKey { after: Some(*retry_after), why: why.clone() }
        }
        ProviderError::NotAuthorized(why) | ProviderError::Unknown(why) | ProviderError::Unusable(why) => {
            Next::SameKey { after: None, why: why.clone() }
        }
        // Of a search, and so no answer to the order.
        ProviderError::Refused { code } => Next::SameKey { after: None, why: code.clone() },
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Currency, Minor};
    use uuid::Uuid;

    use super::*;
    use crate::id::PayoutId;
    use crate::ports::provider::TransferReport;

    fn payout_id() -> PayoutId {
        PayoutId::from_uuid(Uuid::from_u128(1))
    }

    fn transfer() -> ProviderOrder {
        ProviderOrder::MoveToPayee {
            payout_id: payout_id(),
            payee_id: crate::id::PartyId::from_uuid(Uuid::from_u128(2)),
            amount: Minor::MAX_INPUT,
            currency: Currency::USD,
            account: "acct_1".to_owned(),
        }
    }

    fn report() -> ProviderReport {
        ProviderReport::Transfer(TransferReport {
            transfer_ref: "tr_1".to_owned(),
            payout_id: Some(payout_id()),
            amount: Minor::MAX_INPUT,
            currency: Currency::USD,
            reversed_by_hand: Minor::ZERO,
        })
    }

    fn after(error: ProviderError, failures: u32) -> Next {
        let settlement = settle(&transfer(), &Err(error), failures);
        assert!(settlement.facts.is_empty() || matches!(settlement.next, Next::NewKey { .. }));
        settlement.next
    }

    /// I8: only a refusal opens a new key.
    #[test]
    fn only_a_refusal_opens_a_new_key() {
        let same = |after, why: &str| Next::SameKey { after, why: why.to_owned() };
        let pause = Duration::from_secs(7);
        let unavailable = ProviderError::Unavailable { why: "down".to_owned(), retry_after: pause };
        assert_eq!(after(ProviderError::Unknown("lost".to_owned()), 99), same(None, "lost"));
        assert_eq!(after(ProviderError::NotAuthorized("key".to_owned()), 99), same(None, "key"));
        assert_eq!(after(unavailable, 99), same(Some(pause), "down"));
        assert_eq!(
            after(ProviderError::RateLimited { retry_after: Some(pause) }, 99),
            same(Some(pause), "rate limited")
        );
        let unusable = || ProviderError::Unusable("odd".to_owned());
        assert_eq!(after(unusable(), TOO_MANY - 1), same(None, "odd"));
        assert_eq!(after(unusable(), TOO_MANY), Next::Blocked { why: "odd".to_owned() });
        let refused = |code: &str| ProviderError::Refused { code: code.to_owned() };
        assert_eq!(after(refused(LACKS_FUNDS), 0), Next::NewKey { code: LACKS_FUNDS.to_owned() });
        assert_eq!(after(refused("no_such_code"), 0), Next::Blocked { why: "no_such_code".to_owned() });
        // What is missing is the payee's to give: the payout fails, and nothing is sent again.
        let failed = settle(&transfer(), &Err(refused("account_invalid")), 0);
        assert_eq!((failed.facts.len(), failed.next), (1, Next::Done));
    }

    /// C.1: the money for a bank payout was moved before it is ordered; an account that stays empty is an operator's task.
    /// A transfer that waits for money is on record, and waits for as long as it takes.
    #[test]
    fn a_payees_account_that_stays_empty_is_somebodys_task() {
        let lacks = Err(ProviderError::Refused { code: LACKS_FUNDS.to_owned() });
        let to_bank = ProviderOrder::PayToBank {
            payout_id: payout_id(),
            amount: Minor::MAX_INPUT,
            currency: Currency::USD,
            account: "acct_1".to_owned(),
        };
        let again = Next::NewKey { code: LACKS_FUNDS.to_owned() };
        assert_eq!(settle(&to_bank, &lacks, TOO_MANY - 1).next, again);
        assert_eq!(settle(&to_bank, &lacks, TOO_MANY).next, Next::Blocked { why: LACKS_FUNDS.to_owned() });
        assert_eq!(settle(&transfer(), &lacks, TOO_MANY).next, again);
    }

    #[test]
    fn an_answer_settles_with_its_facts() {
        let settled = settle(&transfer(), &Ok(report()), 0);
        assert_eq!((settled.facts.len(), settled.next), (1, Next::Done));
    }

    /// I8: what was looked for is recorded, sent as if for the first time, or somebody's task; and never guessed.
    #[test]
    fn what_was_looked_for_is_there_or_not_or_nobody_knows() {
        let found = searched(&Ok(Found::Reports(vec![report()])));
        assert_eq!((found.facts.len(), found.next), (1, Next::Done));
        assert_eq!(searched(&Ok(Found::Absent)).next, Next::Fresh);
        let blocked = Next::Blocked { why: "long".to_owned() };
        assert_eq!(searched(&Ok(Found::Uncertain("long".to_owned()))).next, blocked);
        let refused = searched(&Err(ProviderError::Refused { code: "no".to_owned() }));
        assert_eq!(refused.next, Next::SameKey { after: None, why: "no".to_owned() });
    }

    #[test]
    fn a_key_that_may_be_forgotten_is_looked_for_where_money_moves() {
        let second = Duration::from_secs(1);
        let reading = ProviderOrder::ReadBankPayout {
            payout_id: payout_id(),
            bank_payout_ref: "po_1".to_owned(),
            account: "acct_1".to_owned(),
        };
        assert!(!must_be_looked_for(&transfer(), None));
        assert!(!must_be_looked_for(&transfer(), Some(KEY_LIFETIME)));
        assert!(must_be_looked_for(&transfer(), Some(KEY_LIFETIME + second)));
        assert!(!must_be_looked_for(&reading, Some(KEY_LIFETIME + second)));
    }
}
