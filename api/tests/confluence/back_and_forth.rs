//! Money that goes back: refunds, transfers that are taken back, and the platform's own money.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole};
use domain::id::{PartyId, RefundId, TopUpId};
use domain::intent::{Intent, PayoutIntent};
use domain::milestone::MilestoneCommand;
use domain::ports::provider::{BankPayoutStatus, ProviderOrder, RefundStatus, TopUpStatus};
use domain::treasury::{TreasuryCommand, TreasuryId};
use ledger::{Account, Currency};

use super::reports::{
    CHARGE, COST, OWN, PAID_OUT, account_closed, bank_payout, platform_payout, refund, refunded, reversed, top_up,
    transfer,
};
use super::{World, begin, cents, converge, id, milestone, payee};

fn net(books: &BTreeMap<Account, i128>, account: Account) -> i64 {
    books.get(&account).copied().unwrap_or(0).try_into().unwrap()
}

/// The payee gives the milestone's money back. The refund that was ordered.
async fn granted(world: &World) -> RefundId {
    world.held().await;
    let command = MilestoneCommand::GrantRefund { amount: None, currency: None };
    world.act(Actor::Payee(payee()), Intent::OnMilestone { milestone_id: milestone(), command }).await;
    let (orders, _) = world.orders(0);
    let refund = orders.into_iter().find_map(|order| match order {
        ProviderOrder::Refund { refund_id, .. } => Some(refund_id),
        _ => None,
    });
    refund.unwrap()
}

/// D-85, J30, J31: a refund that waits for funds, and arrives.
#[tokio::test]
async fn a_refund_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world| {
        let id = granted(world).await;
        let states = [RefundStatus::WaitsForFunds, RefundStatus::Pending, refunded(), refunded()];
        states.map(|status| refund(id, status)).into()
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable), -COST, "{books:?}");
    assert_eq!((net(&books, Account::RefundsInTransit), net(&books, Account::ClientWallet)), (0, 0));
}

/// D-74, J31, J32: a refund that arrives, and comes back days later: the wallet has it, whether its success was ever told or
/// not.
#[tokio::test]
async fn a_refund_that_comes_back_ends_the_same_in_whatever_order_it_is_told() {
    let books = converge(async |world| {
        let id = granted(world).await;
        let failed = RefundStatus::Failed { code: "expired_or_canceled_card".to_owned(), came_back: None };
        let states = [RefundStatus::WaitsForFunds, RefundStatus::Pending, refunded(), failed];
        states.map(|status| refund(id, status)).into()
    })
    .await;
    assert_eq!(net(&books, Account::PspAvailable), CHARGE - COST, "{books:?}");
    assert_eq!((net(&books, Account::RefundsInTransit), net(&books, Account::ClientWallet)), (0, -CHARGE));
}

/// D-133, J23, J25: a payout fails, the provider closes the payee's account, and takes the transfer back.
#[tokio::test]
async fn a_transfer_that_is_taken_back_ends_the_same_in_whatever_order_it_is_told() {
    let arrival_at = begin() + TimeDelta::days(31);
    let books = converge(async |world| {
        world.withdrawn().await;
        let failed = bank_payout(BankPayoutStatus::Failed { code: "account_closed".to_owned() });
        for report in [transfer(), failed.clone(), account_closed()] {
            assert!(world.tell(&report).await);
        }
        let (orders, _) = world.orders(0);
        let reversal = orders.into_iter().find_map(|order| match order {
            ProviderOrder::ReverseTransfer { reversal_id, .. } => Some(reversal_id),
            _ => None,
        });
        let in_transit = bank_payout(BankPayoutStatus::InTransit { arrival_at });
        vec![transfer(), in_transit, failed, reversed(reversal.unwrap()), account_closed()]
    })
    .await;
    assert_eq!(net(&books, Account::FundsAtConnectedAccount), 0, "{books:?}");
    assert_eq!(net(&books, Account::PspAvailable), CHARGE - COST);
    assert_eq!(net(&books, Account::PayeeAvailable), -PAID_OUT);
}

/// J80: own money that arrives, and is taken back.
#[tokio::test]
async fn a_top_up_ends_the_same_in_whatever_order_it_is_told() {
    let top_up_id = id(7, TopUpId::from_uuid);
    let books = converge(async |world| {
        let treasury = TreasuryId { psp: "stripe".to_owned(), currency: Currency::USD };
        let command = TreasuryCommand::RequestTopUp { top_up_id, amount: cents(OWN) };
        let finance = Actor::Staff(StaffRole::Finance, id(8, PartyId::from_uuid));
        world.act(finance, Intent::Payouts(PayoutIntent::Treasury { id: treasury, command })).await;
        let states = [TopUpStatus::Pending, TopUpStatus::Succeeded, TopUpStatus::Succeeded, TopUpStatus::Reversed];
        states.map(|status| top_up(top_up_id, status)).into()
    })
    .await;
    assert_eq!(books, BTreeMap::new(), "it came and went");
}

/// D-129, J84: a payout of the platform that nobody here has ordered, and that its bank returns.
#[tokio::test]
async fn a_payout_that_nobody_ordered_ends_the_same_in_whatever_order_it_is_told() {
    let arrival_at = begin() + TimeDelta::days(3);
    for returned in [false, true] {
        let books = converge(async |world| {
            world.held().await;
            let mut states = vec![
                BankPayoutStatus::Pending { arrival_at },
                BankPayoutStatus::InTransit { arrival_at },
                BankPayoutStatus::Paid,
            ];
            states.extend(returned.then(|| BankPayoutStatus::Failed { code: "no_account".to_owned() }));
            states.into_iter().map(|status| platform_payout(None, status)).collect()
        })
        .await;
        let gone = if returned { 0 } else { OWN };
        assert_eq!(net(&books, Account::PspAvailable), CHARGE - COST - gone, "{books:?}");
    }
}
