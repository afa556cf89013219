//! Which transfers to payees may be sent when there is not enough for all of them: the oldest first (D-123).
//!
//! The queue itself is the outbox: orders lie there in the order of the log. It is no aggregate, since what is there for
//! them is moved by every payment, refund and chargeback: a stream of its balance would be written by everybody, and every
//! decision would wait for it. So the worker that sends transfers, one at a time per balance, asks this function with the
//! balance of the moment; a payout that has to wait is told so ([`crate::payout::PayoutCommand::RecordLackOfFunds`]).
//!
//! # Invariants
//! - Nothing overtakes an older transfer that waits, however small it is: a large payout is not starved.
//! - What is sent together is at most what is there; nothing is sent in part.

use ledger::Minor;
use uuid::Uuid;

/// A transfer that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The order.
    pub order_id: Uuid,
    /// Position in the log of the event that it follows from: the older, the lower.
    pub position: u64,
    /// How much.
    pub amount: Minor,
}

/// What there is for transfers at one provider in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Account 1120 in the books, zero when it is below.
    pub in_books: Minor,
    /// The available balance that the provider itself reports, zero when it is below.
    pub at_provider: Minor,
}

/// The orders to be sent now, oldest first.
pub fn sendable(waiting: &[Waiting], funds: Funds) -> Vec<Uuid> {
    let mut rest = funds.in_books.min(funds.at_provider);
    let mut oldest_first: Vec<_> = waiting.iter().collect();
    oldest_first.sort_unstable_by_key(|order| (order.position, order.order_id));
    let enough = oldest_first.into_iter().map_while(|order| {
        rest = rest.checked_sub(order.amount).ok()?;
        Some(order.order_id)
    });
    enough.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minor(value: i64) -> Minor {
        Minor::new(value).unwrap()
    }

    fn order(number: u8, amount: i64) -> Waiting {
        Waiting { order_id: Uuid::from_u128(number.into()), position: number.into(), amount: minor(amount) }
    }

    /// D-123: 900.00 wait behind nobody, and nobody goes before them.
    #[test]
    fn nothing_overtakes_what_waits() {
        let funds = |amount| Funds { in_books: minor(amount), at_provider: minor(amount) };
        let waiting = [order(2, 10_000), order(1, 90_000)];
        assert_eq!(sendable(&waiting, funds(60_000)), Vec::<Uuid>::new());
        assert_eq!(sendable(&waiting, funds(90_000)), [order(1, 0).order_id]);
        assert_eq!(sendable(&waiting, funds(100_000)), [order(1, 0).order_id, order(2, 0).order_id]);
    }

    /// The lower of the two: the provider may not have what the books say, and the books may not know of all it has.
    #[test]
    fn both_have_to_have_it() {
        let waiting = [order(1, 50)];
        for (in_books, at_provider) in [(49, 100), (100, 49)] {
            let funds = Funds { in_books: minor(in_books), at_provider: minor(at_provider) };
            assert!(sendable(&waiting, funds).is_empty());
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_there_and_is_the_oldest(amounts in prop::collection::vec(1_i64..100, 0..10), there in 0_i64..500) {
            let waiting: Vec<_> = (0_u8..).zip(&amounts).map(|(number, amount)| order(number, *amount)).collect();
            let sent = sendable(&waiting, Funds { in_books: minor(there), at_provider: minor(there) });
            let sum: i64 = amounts.iter().take(sent.len()).sum();
            prop_assert!(sum <= there);
            prop_assert!(sent.iter().zip(&waiting).all(|(sent, waiting)| *sent == waiting.order_id));
            if let Some(next) = amounts.get(sent.len()) {
                prop_assert!(sum + next > there, "as many as there is money for");
            }
        }
    }
}
