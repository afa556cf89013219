//! A bank that returns a payment which is contested, in whatever order the provider tells it. Figures are those of J01:
//! 1,000.00 held, 50.00 on top.

use chrono::TimeDelta;
use domain::fee::FeeSchedule;
use domain::intent::Intent;
use domain::milestone::{LossCause, MilestoneCommand as M, Remainder};
use domain::policy::Policy;
use domain::ports::provider::DisputeStatus;
use domain::refusal::Refusal;
use domain::rules::Rules;

use super::bank::{Dispute, holding, holdings, milestone, tell};
use super::ledgers::{check, joined};
use super::money::world::World;
use super::money::{d, f, lines, m, minor};
use super::money_taken_back::{f0, on};
use super::returned::returned;

/// Lines as `joined` gives them.
fn said(lines: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    lines.iter().map(|(side, account, minor)| ((*side).to_owned(), (*account).to_owned(), *minor)).collect()
}

/// J94 against what J59 had made the client's debt.
fn settled(world: &World) -> Vec<(String, String, i64)> {
    joined(&[world.entry("escrow.late_return_settled")])
}

/// J50, J59, J51, J94: what is given back of a payment that was returned meanwhile is not held again. It settles what the
/// client owes, the milestone is to be paid for again, and no timer finds money that cannot go back.
#[test]
fn what_comes_back_of_a_returned_payment_settles_the_debt() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let events = tell(&mut world, &returned(105_000)).unwrap();
    assert_eq!(events, ["funding.returned", "escrow.funding_returned", "funding.late_return_recorded"]);
    assert_eq!(holding(&world, 1).disputed, minor(100_000), "the chargeback has it");
    assert_eq!((world.balance().get("1220"), holdings(&world).fundings[&f(1)].owed), (Some(&105_000), minor(105_000)));
    check(&world);

    let events = dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    let expected = [
        "chargeback.funds_reinstated",
        "escrow.chargeback_released",
        "escrow.late_return_settled",
        "milestone.funding_lost",
        "chargeback.won",
        "escrow.charge_cleared",
    ];
    assert_eq!(events.iter().filter(|event| expected.contains(&event.as_str())).count(), 6, "{events:?}");
    assert_eq!(settled(&world), said(&[("Cr", "1220", 105_000), ("Dr", "2100", 100_000), ("Dr", "2300", 5000)]));
    let books = world.balance();
    for code in ["1200", "1220", "2100", "2110", "2300", "5200"] {
        assert_eq!(books.get(code), None, "{code}");
    }
    let shown = milestone(&world, 1);
    assert_eq!((shown.state_name(), shown.flag()), ("planned", Some(LossCause::FundingReturned)));
    check(&world);

    let refund = world.by_payee(on(M::GrantRefund { amount: None, currency: None }));
    assert_eq!(refund, Err(Refusal::MilestoneNotFunded), "the bank has given it back already");
    world.fund(2, &[(1, 100_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.approve(1).unwrap();
    world.now += TimeDelta::days(400);
    world.wake();
    assert!(world.times_of("escrow.timer_blocked").is_empty() && world.times_of("refund.requested").is_empty());
    check(&world);
}

/// J59, J94: in whatever order it is told, a payment that came and went twice and came back once leaves the fee of the
/// dispute, and nothing else.
#[test]
fn the_order_in_which_it_is_told_does_not_matter() {
    #[derive(Clone, Copy, Debug)]
    enum Told {
        Withdrawal,
        Reinstatement,
        Return,
    }
    use Told::{Reinstatement as I, Return as R, Withdrawal as W};
    for order in [[W, I, R], [W, R, I], [R, W, I]] {
        let (mut world, mut dispute) = f0();
        for told in order {
            match told {
                W => dispute.withdraws(105_000).told(&mut world).unwrap(),
                I => dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap(),
                R => tell(&mut world, &returned(105_000)).unwrap(),
            };
            check(&world);
        }
        let books: Vec<_> = world.balance().into_iter().collect();
        let psp = 105_000 - 105_000 - 1500;
        let at_psp: i128 = books.iter().filter(|(code, _)| code.starts_with("11")).map(|(_, net)| net).sum();
        let rest: Vec<_> = books.into_iter().filter(|(code, _)| !code.starts_with("11")).collect();
        assert_eq!((at_psp, rest), (psp, vec![("5120", 1500)]), "{order:?}");
        assert_eq!(milestone(&world, 1).state_name(), "planned", "{order:?}");
    }
}

/// J98, J94, J59: of a payment that is contested in part the rest is gone with the return, and the part settles its debt to
/// the cent; in two steps as in one.
#[test]
fn a_part_settles_its_part() {
    let (mut world, _) = f0();
    let mut dispute = Dispute::of(f(1), "dp_2", 40_000);
    dispute.withdraws(40_000).told(&mut world).unwrap();
    tell(&mut world, &returned(105_000)).unwrap();
    let rest = said(&[("Cr", "1120", 65_000), ("Dr", "2100", 61_905), ("Dr", "2300", 3095)]);
    assert_eq!(joined(&[world.entry("escrow.funding_returned")]), rest);
    assert_eq!(lines(&world.entry("funding.late_return_recorded"))[0].2, 40_000);
    check(&world);
    dispute.reinstates(15_000).told(&mut world).unwrap();
    assert_eq!(settled(&world), said(&[("Cr", "1220", 15_000), ("Dr", "2100", 14_285), ("Dr", "2300", 715)]));
    check(&world);
    dispute.is(DisputeStatus::Won).reinstates(25_000).told(&mut world).unwrap();
    assert_eq!(settled(&world), said(&[("Cr", "1220", 25_000), ("Dr", "2100", 23_810), ("Dr", "2300", 1190)]));
    assert_eq!((world.balance().get("1220"), world.balance().get("2300")), (None, None));
    check(&world);
}

/// J52, J59: what is lost is gone as ever, and the debt stays: the bank has the payment twice.
#[test]
fn what_is_lost_after_a_return_stays_owed() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    tell(&mut world, &returned(105_000)).unwrap();
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    let gone = said(&[("Cr", "1200", 105_000), ("Dr", "2110", 100_000), ("Dr", "2300", 5000)]);
    assert_eq!(joined(&[world.entry("escrow.chargeback_absorbed")]), gone);
    assert_eq!((world.balance().get("1220"), world.balance().get("5200")), (Some(&105_000), None));
    assert_eq!(milestone(&world, 1).state_name(), "planned");
    check(&world);
}

/// D-21, J59: what was released stays the payee's, and owed; what a dispute had lent to the chargeback settles the rest, and
/// the dispute is over.
#[test]
fn what_was_released_stays_owed() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    let part = M::ApprovePartially { gross: minor(60_000), currency: None, remainder: Remainder::Keep };
    world.by_client(Intent::OnMilestone { milestone_id: m(1), command: part }).unwrap();
    world.by_client(Intent::OnMilestone { milestone_id: m(1), command: M::OpenDispute { dispute_id: d(1) } }).unwrap();
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    tell(&mut world, &returned(105_000)).unwrap();
    check(&world);
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(settled(&world), said(&[("Cr", "1220", 42_000), ("Dr", "2110", 40_000), ("Dr", "2300", 2000)]));
    assert_eq!(world.balance().get("1220"), Some(&63_000), "600.00 that the payee keeps, and their fee");
    assert!(holdings(&world).disputes.is_empty(), "what the dispute was about is gone");
    assert_eq!(milestone(&world, 1).state_name(), "released");
    check(&world);
}
