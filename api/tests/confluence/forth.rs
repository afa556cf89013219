//! Payments and payouts: money that comes in, and goes to payees.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::ports::provider::{BankPayoutStatus, PaymentStatus};
use ledger::Account;

use super::reports::{CHARGE, COST, PAID_OUT, bank_payout, collected, paid, payment, transfer};
use super::{begin, converge};

/// D-13, D-14, J01, J02, J03: a card payment with 3-D Secure that is declined first and succeeds on the same intent.
#[tokio::test]
async fn a_payment_ends_the_same_in_whatever_order_it_is_told() {
    let story = vec![
        payment(PaymentStatus::ActionRequired),
        payment(PaymentStatus::Failed { code: "card_declined".to_owned() }),
        payment(PaymentStatus::Processing),
        collected(None),
        paid(false),
        paid(true),
    ];
    let books = converge(async |world| {
        world.ordered().await;
        story.clone()
    })
    .await;
    assert_eq!(books.values().sum::<i128>(), 0);
    assert_eq!(books.values().copied().max(), Some(i128::from(CHARGE - COST)), "{books:?}");
}

/// A payment that ends in failure books nothing.
#[tokio::test]
async fn a_payment_that_fails_ends_the_same_in_whatever_order_it_is_told() {
    let story = vec![
        payment(PaymentStatus::Created),
        payment(PaymentStatus::ActionRequired),
        payment(PaymentStatus::Processing),
        payment(PaymentStatus::Failed { code: "card_declined".to_owned() }),
        payment(PaymentStatus::Cancelled),
    ];
    assert_eq!(
        converge(async |world| {
            world.ordered().await;
            story.clone()
        })
        .await,
        BTreeMap::new()
    );
}

/// J21, J22: a payout that arrives.
#[tokio::test]
async fn a_payout_ends_the_same_in_whatever_order_it_is_told() {
    let arrival_at = begin() + TimeDelta::days(31);
    let story = vec![
        transfer(),
        bank_payout(BankPayoutStatus::Pending { arrival_at }),
        transfer(),
        bank_payout(BankPayoutStatus::InTransit { arrival_at }),
        bank_payout(BankPayoutStatus::Paid),
    ];
    let books = converge(async |world| {
        world.withdrawn().await;
        story.clone()
    })
    .await;
    assert_eq!(books.get(&Account::FundsAtConnectedAccount).copied().unwrap_or(0), 0, "{books:?}");
}

/// J23, J24: a payout that arrives, and comes back days later. What is at the provider waits for the next payout.
#[tokio::test]
async fn a_payout_that_comes_back_ends_the_same_in_whatever_order_it_is_told() {
    let arrival_at = begin() + TimeDelta::days(31);
    let story = vec![
        transfer(),
        bank_payout(BankPayoutStatus::Pending { arrival_at }),
        bank_payout(BankPayoutStatus::InTransit { arrival_at }),
        bank_payout(BankPayoutStatus::Paid),
        transfer(),
        bank_payout(BankPayoutStatus::Failed { code: "account_closed".to_owned() }),
    ];
    let books = converge(async |world| {
        world.withdrawn().await;
        story.clone()
    })
    .await;
    assert_eq!(books[&Account::FundsAtConnectedAccount], i128::from(PAID_OUT), "{books:?}");
}
