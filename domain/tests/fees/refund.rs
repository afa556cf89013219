//! What goes back, moves on or is settled.

use domain::fee::{Bearer, FeeSchedule, GivenBack, MilestoneFees, RefundClientFee, RefundOf, ReleaseSplit, give_back};
use ledger::{Currency, Minor};

use crate::support::{funded, lines, minor, of_refund, of_release, refund_of, standing, vector};

/// J30, J33, J34, D-71, D-73: the client's fee goes back in proportion, or is earned.
#[test]
fn a_refund_returns_the_fee_or_earns_it() {
    let schedule = FeeSchedule::two_sided();
    assert_eq!(of_refund(&funded(&schedule, 100_000).refund(&schedule, refund_of(100_000))), vector("J30"));
    assert_eq!(of_refund(&funded(&schedule, 100_000).refund(&schedule, refund_of(40_000))), vector("J33"));
    let keeps = FeeSchedule { refund_client_fee: RefundClientFee::None, ..schedule };
    assert_eq!(of_refund(&funded(&keeps, 100_000).refund(&keeps, refund_of(100_000))), vector("J34"));
}

/// D-25: nothing was released, so the initiation fee goes back too: 1,054.95.
#[test]
fn the_initiation_fee_goes_back_when_nothing_was_released() {
    let schedule =
        FeeSchedule { currency: Some(Currency::USD), initiation_fee: minor(495), ..FeeSchedule::two_sided() };
    let mut sums = funded(&schedule, 100_000);
    let back = sums.refund(&schedule, RefundOf { ends_unreleased: true, ..refund_of(100_000) });
    let expected = lines(&[
        ("Dr", "2100", minor(100_000)),
        ("Dr", "2300", minor(5000)),
        ("Dr", "2310", minor(495)),
        ("Cr", "2260", minor(105_495)),
    ]);
    assert_eq!(of_refund(&back), expected);

    // Once something was released it is earned, and never returned. A release of nothing (J43) is none.
    let mut sums = funded(&schedule, 100_000);
    assert_eq!(sums.release(&schedule, standing(0), 0), ReleaseSplit::default());
    assert_eq!(sums.release(&schedule, standing(0), 1).initiation_fee_earned, minor(495));
    let back = sums.refund(&schedule, RefundOf { ends_unreleased: true, ..refund_of(99_999) });
    assert_eq!(back.initiation_fee_returned, Minor::ZERO);
}

/// The provider keeps its 30.75 (J02); who bears that is the schedule's.
#[test]
fn the_providers_fee_of_a_refund_has_a_bearer() {
    let refund = RefundOf { psp_fee: minor(3075), ..refund_of(100_000) };
    let cases =
        [(Bearer::Platform, 105_000, 0, 0), (Bearer::Client, 101_925, 3075, 0), (Bearer::Payee, 105_000, 0, 3075)];
    for (bearer, to_client, from_client, from_payee) in cases {
        let schedule = FeeSchedule { refund_psp_fee_bearer: bearer, ..FeeSchedule::two_sided() };
        let back = funded(&schedule, 100_000).refund(&schedule, refund);
        let figures = (back.to_client, back.psp_fee_from_client, back.psp_fee_from_payee);
        assert_eq!(figures, (minor(to_client), minor(from_client), minor(from_payee)));
    }
    // Never more than there is to give back.
    let schedule = FeeSchedule { refund_psp_fee_bearer: Bearer::Client, ..FeeSchedule::zero() };
    let back = funded(&schedule, 1000).refund(&schedule, RefundOf { psp_fee: minor(3075), ..refund_of(1000) });
    assert_eq!((back.to_client, back.psp_fee_from_client), (Minor::ZERO, minor(1000)));
}

/// D-78: 450.00 of 500.00 that are left go back lot by lot, last in first out: 420.00 and 52.50.
#[test]
fn a_refund_of_two_lots_is_the_sum_of_its_parts() {
    let schedule = FeeSchedule::two_sided();
    let mut sums = funded(&schedule, 60_000);
    sums.fund(&schedule, Currency::USD, 40_000, false);
    sums.release(&schedule, standing(0), 50_000);
    let mut at_once = sums;
    let parts = [sums.refund(&schedule, refund_of(40_000)), sums.refund(&schedule, refund_of(5000))];
    assert_eq!(parts.map(|part| part.to_client), [minor(42_000), minor(5250)]);
    assert_eq!(at_once.refund(&schedule, refund_of(45_000)).to_client, minor(47_250));
}

/// D-36, J99: what rolls forward takes its share of the fee along.
#[test]
fn money_that_rolls_forward_takes_its_fee_along() {
    let schedule = FeeSchedule::two_sided();
    let mut sums = funded(&schedule, 100_000);
    let split = sums.release(&schedule, standing(0), 70_000);
    assert_eq!((split.payee_fee, split.net, split.client_fee_earned), (minor(7000), minor(63_000), minor(3500)));
    let fee = sums.milestone.client_fee_of(minor(30_000)).unwrap();
    assert_eq!(lines(&[("Dr", "2300", fee), ("Cr", "2300", fee)]), vector("J99"));
    sums.milestone.remove(minor(30_000), fee);
    let mut next = MilestoneFees::default();
    next.add(minor(30_000), fee);
    assert_eq!((sums.milestone.rest(), sums.milestone.deferred()), (Minor::ZERO, Minor::ZERO));
    assert_eq!(next.client_fee_of(minor(30_000)), Ok(minor(1500)));
}

/// J42, J43, J44, J97: a settlement is a release and a refund, one after the other.
#[test]
fn a_settlement_is_a_release_and_a_refund() {
    let schedule = FeeSchedule::two_sided();
    let cases = [("J42", 60_000, 40_000), ("J43", 0, 100_000), ("J44", 100_000, 0), ("J97", 22_220, 4444)];
    for (id, to_payee, to_client) in cases {
        let mut sums = funded(&schedule, to_payee + to_client);
        let release = sums.release(&schedule, standing(0), to_payee);
        let refund = sums.refund(&schedule, refund_of(to_client));
        let mut settled = of_release(&schedule, &release);
        for (key, amount) in of_refund(&refund) {
            *settled.entry(key).or_default() += amount;
        }
        let held = settled.remove(&("Dr".to_owned(), "2100".to_owned())).unwrap();
        settled.insert(("Dr".to_owned(), "2110".to_owned()), held);
        assert_eq!(settled, vector(id), "{id}");
    }
}

/// J35, J96: fees go back in proportion to what the payee gives back.
#[test]
fn what_the_payee_gives_back_returns_its_fees() {
    let schedule = FeeSchedule::two_sided();
    let released = funded(&schedule, 100_000).release(&schedule, standing(0), 100_000);
    for (id, gross, account) in [("J35", 20_000, "2210"), ("J96", 30_000, "2200")] {
        let back = give_back(&released, &GivenBack::default(), minor(gross)).unwrap();
        let booked = lines(&[
            ("Dr", account, back.from_payee),
            ("Dr", "4100", back.payee_fee),
            ("Dr", "4110", back.client_fee),
            ("Cr", "2260", back.to_client),
        ]);
        assert_eq!(booked, vector(id), "{id}");
    }
    let all = give_back(&released, &GivenBack::default(), minor(100_000)).unwrap();
    assert!(give_back(&released, &all, minor(1)).is_err());
}

/// Two roundings can meet in one minor unit; then the tax waits for the next part.
#[test]
fn giving_back_a_minor_unit_gives_no_more_than_that() {
    let released = ReleaseSplit {
        gross: minor(25),
        payee_fee: minor(3),
        payee_tax: minor(1),
        net: minor(21),
        ..ReleaseSplit::default()
    };
    let mut before = give_back(&released, &GivenBack::default(), minor(12)).unwrap();
    assert_eq!((before.payee_fee, before.payee_tax), (minor(1), Minor::ZERO));
    let clash = give_back(&released, &before, minor(1)).unwrap();
    assert_eq!((clash.payee_fee, clash.payee_tax, clash.from_payee), (minor(1), Minor::ZERO, Minor::ZERO));
    before.add(&clash);
    assert_eq!(give_back(&released, &before, minor(12)).unwrap().payee_tax, minor(1));
}
