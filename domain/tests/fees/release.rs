//! What a release comes to.

use domain::fee::{ContractFees, Fee, FeeRule, FeeSchedule, MilestoneFees, Part, Promotion, Standing, TaxStatus, Tier};
use ledger::{Currency, Minor};

use crate::support::{Sums, at, funded, lines, minor, of_release, percent, refund_of, standing, vector};

/// J10, J61, D-31: fee and net of a whole release.
#[test]
fn a_whole_release_takes_the_whole_fee() {
    let schedule = FeeSchedule::two_sided();
    for (id, amount) in [("J10", 100_000), ("J61", 26_664)] {
        let split = funded(&schedule, amount).release(&schedule, standing(0), amount);
        assert_eq!(of_release(&schedule, &split), vector(id), "{id}");
    }
}

/// D-51, D-52, D-53, D-54, J11, J12, J13, J90, J91: three releases of one third close exactly.
#[test]
fn thirds_close_exactly() {
    // Currency; gross, payee's fee, client's fee earned and net of each third; its vector.
    let large = [[33_334, 3333, 1667, 30_001], [33_333, 3334, 1666, 29_999], [33_333, 3333, 1667, 30_000]];
    let small = [[3334, 333, 167, 3001], [3333, 334, 166, 2999], [3333, 333, 167, 3000]];
    let cases = [
        (Currency::USD, large, ["J11", "J12", "J13"]),
        (Currency::USD, small, [""; 3]),
        (Currency::JPY, small, ["J90", "", ""]),
        (Currency::KWD, large, ["J91", "", ""]),
    ];
    let schedule = FeeSchedule::two_sided();
    for (currency, thirds, ids) in cases {
        let mut sums = Sums::default();
        sums.fund(&schedule, currency, thirds.iter().map(|third| third[0]).sum(), true);
        for ([gross, figures @ ..], id) in thirds.into_iter().zip(ids) {
            let split = sums.release(&schedule, standing(0), gross);
            assert_eq!([split.payee_fee, split.client_fee_earned, split.net], figures.map(minor), "{currency}");
            if !id.is_empty() {
                assert_eq!(of_release(&schedule, &split), vector(id), "{id}");
            }
        }
        assert_eq!((sums.milestone.deferred(), sums.milestone.rest()), (Minor::ZERO, Minor::ZERO));
    }
}

/// D-61: lifetime tiers of the pair.
#[test]
fn tiers_go_by_what_the_pair_has_billed() {
    let tier = |up_to: Option<i64>, rate: &str| Tier { up_to: up_to.map(minor), percent: percent(rate) };
    let tiers = vec![tier(Some(50_000), "20"), tier(Some(1_000_000), "10"), tier(None, "5")];
    let payee_fee = Fee::new(vec![FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: None }]);
    let schedule = FeeSchedule { currency: Some(Currency::USD), payee_fee, ..FeeSchedule::empty("tiered") };
    schedule.check().unwrap();
    let split = funded(&schedule, 30_000).release(&schedule, standing(40_000), 30_000);
    assert_eq!((split.payee_fee, split.net), (minor(4000), minor(26_000)));
    let fresh = funded(&schedule, 60_000).release(&schedule, standing(0), 60_000);
    assert_eq!(fresh.payee_fee, minor(11_000));
    let old = funded(&schedule, 60_000).release(&schedule, standing(2_000_000), 60_000);
    assert_eq!(old.payee_fee, minor(3000));
    // In parts of the same milestone: the second starts where the first ended.
    let mut sums = funded(&schedule, 60_000);
    let first = sums.release(&schedule, standing(0), 45_000);
    let second = sums.release(&schedule, standing(45_000), 15_000);
    assert_eq!((first.payee_fee, second.payee_fee), (minor(9000), minor(2000)));
    // Somebody else's contract of the pair was billed in between: the rest is charged where the pair stands now, and
    // what was taken stays.
    let mut sums = funded(&schedule, 60_000);
    sums.release(&schedule, standing(0), 45_000);
    assert_eq!(sums.release(&schedule, standing(1_045_000), 15_000).payee_fee, minor(750));
}

/// D-62: nothing but the gross.
#[test]
fn without_fees_nothing_is_taken() {
    let schedule = FeeSchedule::zero();
    let split = funded(&schedule, 100_000).release(&schedule, standing(0), 100_000);
    assert_eq!(of_release(&schedule, &split), lines(&[("Dr", "2100", minor(100_000)), ("Cr", "2200", minor(100_000))]));
}

#[test]
fn minimum_cap_and_fixed_amount_are_per_milestone() {
    let rule = FeeRule::Percent { percent: percent("10"), minimum: minor(100), cap: Some(minor(5000)) };
    let payee_fee = Fee::new(vec![rule, FeeRule::Fixed { amount: minor(30) }]);
    let schedule = FeeSchedule { currency: Some(Currency::USD), payee_fee, ..FeeSchedule::empty("bounded") };
    schedule.check().unwrap();
    for (amount, fee) in [(50, 50), (130, 130), (500, 130), (1000, 130), (2000, 230), (50_000, 5030), (90_000, 5030)] {
        let split = funded(&schedule, amount).release(&schedule, standing(0), amount);
        assert_eq!((split.payee_fee, split.net), (minor(fee), minor(amount - fee)), "{amount}");
    }
    // A first part that is smaller than the minimum goes to the fee; the second pays the rest of it.
    let mut sums = funded(&schedule, 500);
    assert_eq!(sums.release(&schedule, standing(0), 50).net, Minor::ZERO);
    let second = sums.release(&schedule, standing(50), 450);
    assert_eq!((second.payee_fee, second.net), (minor(80), minor(370)));
}

#[test]
fn promotions_end_at_an_instant_after_an_amount_or_with_a_contract() {
    let promotion = |id: &str, off: &str| Promotion {
        id: id.to_owned(),
        percent_off: percent(off),
        until: None,
        first_billed: None,
        first_contracts: None,
    };
    let promotions = vec![
        Promotion { until: Some(at("2026-12-01T10:00:00Z")), ..promotion("opening", "100") },
        Promotion { first_billed: Some(minor(50_000)), ..promotion("first_500", "50") },
        Promotion { first_contracts: Some(1), first_billed: Some(minor(10_000)), ..promotion("first_contract", "75") },
    ];
    let currency = Some(Currency::USD);
    let schedule = FeeSchedule { currency, promotions, ..FeeSchedule::two_sided() };
    schedule.check().unwrap();
    let unknown = TaxStatus::default();
    let later = schedule.for_contract(&unknown, &unknown, 1);
    assert_eq!(later.promotions.len(), 2);
    let fee = |schedule: &FeeSchedule, billed: i64, now: &str| {
        let standing = Standing { billed: minor(billed), now: at(now) };
        funded(schedule, 100_000).release(schedule, standing, 100_000).payee_fee
    };
    let (before, after) = ("2026-12-01T09:59:59.999Z", "2026-12-01T10:00:00Z");
    assert_eq!(fee(&later, 0, before), Minor::ZERO);
    // 500.00 at 5%, 500.00 at 10%.
    assert_eq!(fee(&later, 0, after), minor(7500));
    assert_eq!(fee(&later, 20_000, after), minor(8500));
    assert_eq!(fee(&later, 50_000, after), minor(10_000));
    // The larger discount on the first 100.00: 2.50 and 20.00 and 50.00.
    assert_eq!(fee(&schedule.for_contract(&unknown, &unknown, 0), 0, after), minor(7250));
    // A discount that has ended is not taken back from what was released under it.
    let mut sums = funded(&later, 100_000);
    let waived = sums.release(&later, Standing { billed: minor(50_000), now: at(before) }, 40_000);
    let paid = sums.release(&later, Standing { billed: minor(90_000), now: at(after) }, 60_000);
    assert_eq!((waived.payee_fee, paid.payee_fee), (Minor::ZERO, minor(6000)));
}

/// D-35: more than is there is refused.
#[test]
fn more_than_is_there_cannot_leave() {
    let schedule = FeeSchedule::two_sided();
    let sums = funded(&schedule, 100_000);
    assert!(schedule.release(&sums.milestone, &sums.contract, standing(0), minor(100_001)).is_err());
    assert!(schedule.refund(&sums.milestone, &sums.contract, refund_of(100_001)).is_err());
    assert!(sums.milestone.client_fee_of(minor(100_001)).is_err());
    let most = Part { amount: minor(i64::MAX), before: MilestoneFees::default() };
    assert!(schedule.charge(Currency::USD, &[most], &ContractFees::default(), Minor::ZERO, true).is_err());
}

/// D-61: a milestone's cap holds for all its parts, also when another milestone of the pair was released in between.
#[test]
fn a_cap_is_one_for_all_parts_of_a_milestone() {
    let tiers =
        vec![Tier { up_to: Some(minor(50_000)), percent: percent("20") }, Tier { up_to: None, percent: percent("10") }];
    let payee_fee = Fee::new(vec![FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: Some(minor(8000)) }]);
    let schedule = FeeSchedule { currency: Some(Currency::USD), payee_fee, ..FeeSchedule::empty("capped") };
    schedule.check().unwrap();
    let (mut one, mut other) = (funded(&schedule, 60_000), funded(&schedule, 70_000));
    assert_eq!(one.release(&schedule, standing(0), 30_000).payee_fee, minor(6000));
    assert_eq!(other.release(&schedule, standing(30_000), 70_000).payee_fee, minor(8000));
    assert_eq!(one.release(&schedule, standing(100_000), 30_000).payee_fee, minor(2000));
}
