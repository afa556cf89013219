//! What banks do to payments: disputes in one cycle or two, and debits that come back.

use std::collections::BTreeMap;

use domain::ports::provider::{DisputeStatus as S, PaymentStatus};
use ledger::Account;

use super::reports::{CHARGE, COST, DISPUTE_FEE, collected, debit_returned, dispute, paid, payment};
use super::{World, converge};

fn net(books: &BTreeMap<Account, i128>, account: Account) -> i64 {
    books.get(&account).copied().unwrap_or(0).try_into().unwrap()
}

/// D-105, J50, J51: a bank asks, then takes the money, and gives it back.
#[tokio::test]
async fn a_dispute_that_is_won_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world| {
        world.held().await;
        vec![
            dispute(S::NeedsResponse, ""),
            dispute(S::NeedsResponse, "-"),
            dispute(S::UnderReview, "-"),
            dispute(S::Won, "-"),
            dispute(S::Won, "-+"),
        ]
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable), CHARGE - COST - DISPUTE_FEE, "{books:?}");
    assert_eq!((net(&books, Account::EscrowHeld), net(&books, Account::ChargebacksUnderContest)), (-100_000, 0));
}

/// D-106, D-109, J50, J52: an inquiry becomes a dispute, which is lost.
#[tokio::test]
async fn a_dispute_that_is_lost_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world| {
        world.held().await;
        vec![
            dispute(S::WarningNeedsResponse, ""),
            dispute(S::NeedsResponse, ""),
            dispute(S::NeedsResponse, "-"),
            dispute(S::UnderReview, "-"),
            dispute(S::Lost, "-"),
        ]
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable), -COST - DISPUTE_FEE, "{books:?}");
    assert_eq!((net(&books, Account::EscrowHeld), net(&books, Account::ChargebacksUnderContest)), (0, 0));
}

/// D-117, J50, J51, J52: what was won is presented again, and lost: a second cycle, however much of the first is seen.
#[tokio::test]
async fn a_second_cycle_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world| {
        world.held().await;
        vec![
            dispute(S::NeedsResponse, "-"),
            dispute(S::Won, "-+"),
            dispute(S::NeedsResponse, "-+-"),
            dispute(S::UnderReview, "-+-"),
            dispute(S::Lost, "-+-"),
        ]
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable), -COST - 2 * DISPUTE_FEE, "{books:?}");
    assert_eq!((net(&books, Account::EscrowHeld), net(&books, Account::ChargebacksUnderContest)), (0, 0));
}

/// D-20, J94: a bank debit succeeds, and is returned; its success may be told after that, or not at all.
#[tokio::test]
async fn a_debit_that_is_returned_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world: &World| {
        world.ordered().await;
        vec![payment(PaymentStatus::Processing), collected(None), paid(false), paid(true), debit_returned()]
    })
    .await;
    assert_eq!(net(&books, Account::EscrowHeld), 0, "{books:?}");
    assert_eq!(net(&books, Account::PspAvailable) + net(&books, Account::PspPending), -COST);
}

/// J01, J50, J52: across objects: a payment and the dispute about it, of which the payment is heard last.
#[tokio::test]
async fn a_payment_and_its_dispute_end_the_same_in_whatever_order_they_are_told() {
    let books = converge(async |world| {
        world.ordered().await;
        vec![
            payment(PaymentStatus::Processing),
            collected(None),
            paid(true),
            dispute(S::NeedsResponse, ""),
            dispute(S::NeedsResponse, "-"),
            dispute(S::Lost, "-"),
        ]
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable) + net(&books, Account::PspPending), -COST - DISPUTE_FEE, "{books:?}");
    assert_eq!((net(&books, Account::EscrowHeld), net(&books, Account::ChargebacksUnderContest)), (0, 0));
}
