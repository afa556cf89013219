//! What the client is charged.

use domain::fee::{Bearer, ContractFees, Fee, FeeRule, FeeSchedule, MilestoneFees, Part, Tier};
use ledger::{Currency, Minor};

use crate::support::{Sums, funded, lines, minor, of_charge, percent, standing, vector};

/// J01, J60, J92, D-55: percentages on top; what the provider cannot charge is rounded up, the rest is the client's.
#[test]
fn the_client_pays_a_fee_on_top() {
    let schedule = FeeSchedule::two_sided();
    for (id, currency, amount) in
        [("J01", Currency::USD, 100_000), ("J60", Currency::USD, 26_664), ("J92", Currency::KWD, 10_123)]
    {
        let charge = Sums::default().fund(&schedule, currency, amount, false);
        assert_eq!(of_charge(&charge, amount, 0), vector(id), "{id}");
    }
    let charge = Sums::default().fund(&schedule, Currency::KWD, 10_123, false);
    assert_eq!((charge.total, Currency::KWD.psp_units(charge.charge)), (minor(10_629), Ok(10_630)));
}

/// D-53, D-57: what is charged, in the provider's units.
#[test]
fn the_provider_is_asked_in_its_own_units() {
    let units = |schedule: &FeeSchedule, currency: Currency, amount| {
        currency.psp_units(Sums::default().fund(schedule, currency, amount, false).charge)
    };
    assert_eq!(units(&FeeSchedule::two_sided(), Currency::JPY, 10_000), Ok(10_500));
    assert_eq!(units(&FeeSchedule::zero(), Currency::ISK, 5000), Ok(500_000));
}

/// D-24, J07, J08: a deposit above the milestone carries its own fee, which goes along when it is assigned.
#[test]
fn an_unallocated_deposit_carries_its_fee() {
    let schedule = FeeSchedule::two_sided();
    let fresh = MilestoneFees::default();
    let parts = [Part { amount: minor(100_000), before: fresh }, Part { amount: minor(50_000), before: fresh }];
    let charge = schedule.charge(Currency::USD, &parts, &ContractFees::default(), Minor::ZERO, true).unwrap();
    assert_eq!(charge.client_fees, [minor(5000), minor(2500)]);
    assert_eq!(of_charge(&charge, 100_000, 50_000), vector("J07"));
    let mut unallocated = fresh;
    unallocated.add(minor(50_000), charge.client_fees[1]);
    let moved = unallocated.client_fee_of(minor(50_000)).unwrap();
    let expected = lines(&[
        ("Dr", "2105", minor(50_000)),
        ("Cr", "2100", minor(50_000)),
        ("Dr", "2300", moved),
        ("Cr", "2300", moved),
    ]);
    assert_eq!(expected, vector("J08"));
}

/// D-08: a milestone raised from 1,000.00 to 1,200.00 costs the difference, 210.00.
#[test]
fn a_raised_milestone_costs_the_difference() {
    let schedule = FeeSchedule::two_sided();
    let mut sums = funded(&schedule, 100_000);
    assert_eq!(sums.fund(&schedule, Currency::USD, 20_000, false).total, minor(21_000));
}

/// Tiers of the client: the next money costs what it costs where the pair stands, also when a part was released.
#[test]
fn tiers_of_the_client_go_by_what_was_billed_before() {
    let tiers =
        vec![Tier { up_to: Some(minor(50_000)), percent: percent("5") }, Tier { up_to: None, percent: percent("1") }];
    let client_fee = Fee::new(vec![FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: None }]);
    let schedule = FeeSchedule { currency: Some(Currency::USD), client_fee, ..FeeSchedule::empty("tiered") };
    schedule.check().unwrap();
    let charge = |before: MilestoneFees, billed, amount| {
        let part = Part { amount: minor(amount), before };
        schedule.charge(Currency::USD, &[part], &ContractFees::default(), minor(billed), false).unwrap().client_fee
    };
    let fresh = MilestoneFees::default();
    assert_eq!(charge(fresh, 0, 60_000), minor(2600));
    assert_eq!(charge(fresh, 45_000, 10_000), minor(300));
    let mut sums = Sums::default();
    sums.fund(&schedule, Currency::USD, 40_000, false);
    sums.release(&schedule, standing(0), 40_000);
    assert_eq!(charge(sums.milestone, 40_000, 20_000), minor(600));
}

/// R4: what left without being released took its fee along; coming again, it costs what it cost the first time. What
/// was released counts, so that a cap is a cap.
#[test]
fn money_that_comes_again_costs_again() {
    let tiers =
        vec![Tier { up_to: Some(minor(100_000)), percent: percent("5") }, Tier { up_to: None, percent: percent("2") }];
    let rules = [
        (FeeRule::Percent { percent: percent("5"), minimum: Minor::ZERO, cap: Some(minor(4000)) }, 4000, 0),
        (FeeRule::Fixed { amount: minor(30) }, 30, 0),
        (FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: None }, 5000, 2000),
    ];
    for (rule, fee, more) in rules {
        let client_fee = Fee::new(vec![rule.clone()]);
        let schedule = FeeSchedule { currency: Some(Currency::USD), client_fee, ..FeeSchedule::empty("again") };
        schedule.check().unwrap();
        let mut sums = Sums::default();
        for round in 1..3 {
            let charge = sums.fund(&schedule, Currency::USD, 100_000, false);
            assert_eq!(charge.client_fee, minor(fee), "{rule:?}, time {round}");
            let gone = sums.milestone.client_fee_of(minor(100_000)).unwrap();
            sums.milestone.remove(minor(100_000), gone);
            sums.contract.remove(gone, Minor::ZERO, Minor::ZERO);
            assert_eq!(sums.milestone.deferred(), Minor::ZERO);
        }
        sums.fund(&schedule, Currency::USD, 100_000, false);
        sums.release(&schedule, standing(0), 100_000);
        let part = Part { amount: minor(100_000), before: sums.milestone };
        let more_due = schedule.charge(Currency::USD, &[part], &sums.contract, minor(100_000), false).unwrap();
        assert_eq!(more_due.client_fee, minor(more), "{rule:?}, on top of a release");
    }
}

#[test]
fn the_processing_fee_is_passed_on_to_its_payer() {
    let rules = vec![
        FeeRule::Percent { percent: percent("2.9"), minimum: Minor::ZERO, cap: None },
        FeeRule::Fixed { amount: minor(30) },
    ];
    let schedule = |payer| FeeSchedule {
        currency: Some(Currency::USD),
        processing_fee: Fee::new(rules.clone()),
        processing_fee_payer: payer,
        promotions: Vec::new(),
        ..FeeSchedule::two_sided()
    };
    for (payer, client_fee, payee_fee) in [(Bearer::Client, 7930, 10_000), (Bearer::Payee, 5000, 12_930)] {
        let schedule = schedule(payer);
        schedule.check().unwrap();
        let mut sums = Sums::default();
        assert_eq!(sums.fund(&schedule, Currency::USD, 100_000, true).client_fee, minor(client_fee));
        assert_eq!(sums.release(&schedule, standing(0), 100_000).payee_fee, minor(payee_fee));
    }
    assert!(schedule(Bearer::Platform).check().is_err());
}

/// J62: a bonus is charged and released at once, on sums of its own.
#[test]
fn a_bonus_is_charged_and_released_at_once() {
    let schedule = FeeSchedule::two_sided();
    let mut sums = Sums::default();
    let charge = sums.fund(&schedule, Currency::USD, 5000, false);
    let split = sums.release(&schedule, standing(0), 5000);
    let booked = lines(&[
        ("Dr", "1110", charge.charge),
        ("Cr", "2200", split.net),
        ("Cr", "4100", split.payee_fee),
        ("Cr", "4110", split.client_fee_earned),
    ]);
    assert_eq!(booked, vector("J62"));
}
