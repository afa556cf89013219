//! Whatever the schedule, the currency and the partition: the parts come to the whole in every account.

use domain::fee::{
    Bearer, Charge, ContractFees, Fee, FeeRule, FeeSchedule, GivenBack, MilestoneFees, Part, PartyTax, Promotion,
    RefundClientFee, RefundOf, RefundSplit, ReleaseSplit, Standing, Tax, TaxPoint, Tier, give_back,
};
use domain::jurisdiction::Jurisdiction;
use domain::time::Timestamp;
use ledger::{Currency, Minor, Percent};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

fn percent(millionths: i64) -> Percent {
    Percent::new(Decimal::new(millionths, 6)).unwrap()
}

/// Percentages up to `most`, round ones, odd ones and none.
fn rate(most: i64) -> impl Strategy<Value = Percent> {
    prop_oneof![
        1 => Just(Percent::default()),
        2 => (0..=most).prop_map(|whole| percent(whole * 1_000_000)),
        4 => (0..=most * 1_000_000).prop_map(percent),
    ]
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..100, 1_i64..100_000, 1_i64..1_000_000_000_000]
}

fn bounds() -> impl Strategy<Value = (Minor, Option<Minor>)> {
    (prop_oneof![3 => Just(0_i64), 1 => 0_i64..1000], proptest::option::weighted(0.3, 0_i64..1_000_000))
        .prop_map(|(least, more)| (minor(least), more.map(|more| minor(least + more))))
}

fn rule(most: i64) -> impl Strategy<Value = FeeRule> {
    let tiers = (proptest::collection::btree_set(1_i64..10_000_000, 0..4), proptest::collection::vec(rate(most), 5))
        .prop_map(|(ends, rates)| {
            let ends: Vec<_> = ends.into_iter().map(|end| Some(minor(end))).chain([None]).collect();
            ends.into_iter().zip(rates).map(|(up_to, percent)| Tier { up_to, percent }).collect::<Vec<_>>()
        });
    prop_oneof![
        3 => (rate(most), bounds()).prop_map(|(percent, (minimum, cap))| FeeRule::Percent { percent, minimum, cap }),
        3 => (tiers, bounds()).prop_map(|(tiers, (minimum, cap))| FeeRule::Tiered { tiers, minimum, cap }),
        1 => (1_i64..500).prop_map(|amount| FeeRule::Fixed { amount: minor(amount) }),
    ]
}

fn fee(most: i64) -> impl Strategy<Value = Fee> {
    prop_oneof![
        4 => proptest::collection::vec(rule(most), 0..3).prop_map(Fee::new),
        1 => rate(most).prop_map(Fee::percent),
    ]
}

fn promotion() -> impl Strategy<Value = Promotion> {
    (1_i64..=100_000_000, proptest::option::of(1_i64..1_000_000), any::<bool>()).prop_map(|(off, first, running)| {
        Promotion {
            id: String::new(),
            percent_off: percent(off),
            until: Some(if running { Timestamp::MAX_UTC } else { Timestamp::MIN_UTC }),
            first_billed: first.map(minor),
            first_contracts: None,
        }
    })
}

fn party_tax() -> impl Strategy<Value = Option<PartyTax>> {
    let tax = (rate(27), any::<bool>(), rate(10)).prop_map(|(percent, reverse_charge, withholding)| PartyTax {
        jurisdiction: Jurisdiction::new("XX").unwrap(),
        percent,
        reverse_charge,
        withholding,
    });
    proptest::option::of(tax)
}

fn bearer() -> impl Strategy<Value = Bearer> {
    prop_oneof![Just(Bearer::Platform), Just(Bearer::Client), Just(Bearer::Payee)]
}

/// Any sensible schedule.
fn schedule() -> impl Strategy<Value = FeeSchedule> {
    let fees = (
        fee(30),
        fee(25),
        prop_oneof![2 => Just(Fee::none()), 1 => fee(4)],
        prop_oneof![Just(Bearer::Client), Just(Bearer::Payee)],
    );
    let rest = (
        prop_oneof![Just(0_i64), 1_i64..2000],
        any::<bool>(),
        bearer(),
        proptest::collection::vec(promotion(), 0..3),
        (any::<bool>(), party_tax(), party_tax()),
    );
    (fees, rest).prop_map(|((client_fee, payee_fee, processing_fee, processing_fee_payer), rest)| {
        let (initiation, keeps, refund_psp_fee_bearer, promotions, (at_funding, client, payee)) = rest;
        let named = |(index, promotion): (usize, Promotion)| Promotion { id: format!("p{index}"), ..promotion };
        let schedule = FeeSchedule {
            currency: Some(Currency::USD),
            client_fee,
            payee_fee,
            initiation_fee: minor(initiation),
            processing_fee,
            processing_fee_payer,
            refund_client_fee: if keeps { RefundClientFee::None } else { RefundClientFee::ProRata },
            refund_psp_fee_bearer,
            promotions: promotions.into_iter().enumerate().map(named).collect(),
            tax: Box::new(Tax {
                point: if at_funding { TaxPoint::Funding } else { TaxPoint::Release },
                client,
                payee,
                rules: Vec::new(),
            }),
            ..FeeSchedule::empty("random")
        };
        assert_eq!(schedule.check(), Ok(()));
        schedule
    })
}

fn currency() -> impl Strategy<Value = Currency> {
    (0..Currency::all().count()).prop_map(|index| Currency::all().nth(index).unwrap())
}

fn parts() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(amount(), 1..12)
}

#[derive(Clone, Copy, Default)]
struct Sums {
    milestone: MilestoneFees,
    contract: ContractFees,
}

impl Sums {
    fn fund(&mut self, schedule: &FeeSchedule, currency: Currency, amount: i64, billed: i64, first: bool) -> Charge {
        let part = Part { amount: minor(amount), before: self.milestone };
        let charge = schedule.charge(currency, &[part], &self.contract, minor(billed), first).unwrap();
        self.milestone.add(part.amount, charge.client_fee);
        self.contract.add(charge.client_fee, charge.initiation_fee, charge.tax);
        charge
    }

    fn release(&mut self, schedule: &FeeSchedule, billed: i64, gross: i64) -> ReleaseSplit {
        let standing = Standing { billed: minor(billed), now: "2026-12-01T10:00:00Z".parse().unwrap() };
        let split = schedule.release(&self.milestone, &self.contract, standing, minor(gross)).unwrap();
        self.milestone.release(&split);
        self.contract.release(&split);
        split
    }

    fn refund(&mut self, schedule: &FeeSchedule, refund: RefundOf) -> RefundSplit {
        let split = schedule.refund(&self.milestone, &self.contract, refund).unwrap();
        self.milestone.refund(&split);
        self.contract.refund(&split);
        split
    }

    /// Funded with the sum of `parts`.
    fn funded(schedule: &FeeSchedule, parts: &[i64], billed: i64) -> Self {
        let mut sums = Self::default();
        sums.fund(schedule, Currency::USD, parts.iter().sum(), billed, true);
        sums
    }
}

fn of_release(split: &ReleaseSplit) -> [i64; 8] {
    [
        split.gross,
        split.payee_fee,
        split.payee_tax,
        split.withheld,
        split.net,
        split.client_fee_earned,
        split.initiation_fee_earned,
        split.client_tax,
    ]
    .map(Minor::get)
}

fn of_refund(split: &RefundSplit) -> [i64; 7] {
    [
        split.amount,
        split.client_fee_returned,
        split.client_fee_earned,
        split.initiation_fee_returned,
        split.tax_returned,
        split.tax_earned,
        split.to_client,
    ]
    .map(Minor::get)
}

fn of_given_back(back: &GivenBack) -> [i64; 7] {
    [back.gross, back.from_payee, back.payee_fee, back.payee_tax, back.client_fee, back.client_tax, back.to_client]
        .map(Minor::get)
}

fn total<const N: usize>(parts: impl IntoIterator<Item = [i64; N]>) -> [i64; N] {
    parts.into_iter().fold([0; N], |sum, part| std::array::from_fn(|index| sum[index] + part[index]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// R4, R6, L6: what is captured is what is held, its fees, their tax and the surplus; in parts as at once.
    #[test]
    fn a_funding_in_parts_costs_what_it_costs_at_once(
        schedule in schedule(), currency in currency(), parts in parts(), billed in 0_i64..10_000_000,
    ) {
        let (mut sums, mut fees, mut tax) = (Sums::default(), 0, 0);
        for (index, amount) in parts.iter().enumerate() {
            let charge = sums.fund(&schedule, currency, *amount, billed, index == 0);
            let all = [charge.client_fee, charge.initiation_fee, charge.tax, charge.surplus].map(Minor::get);
            prop_assert_eq!(charge.charge.get(), amount + all.iter().sum::<i64>());
            prop_assert!(charge.surplus.get() < currency.charge_quantum());
            let units = currency.psp_units(charge.charge).unwrap();
            prop_assert_eq!(currency.from_psp_units(units), Ok(charge.charge));
            fees += charge.client_fee.get();
            tax += charge.tax.get();
        }
        let whole = Sums::default().fund(&schedule, currency, parts.iter().sum(), billed, true);
        prop_assert_eq!((fees, tax), (whole.client_fee.get(), whole.tax.get()));
    }

    /// D-70, R2, R4, R5: any partition of a release comes to the same in every account, and nobody pays to be paid.
    ///
    /// Where the last part leaves the payee nothing, a unit of tax or withholding can be left that nothing is there for.
    #[test]
    fn any_partition_of_a_release_sums_to_the_whole(
        schedule in schedule(), parts in parts(), billed in 0_i64..10_000_000,
    ) {
        let funded = Sums::funded(&schedule, &parts, billed);
        let (mut sums, mut before, mut splits) = (funded, billed, Vec::new());
        for gross in &parts {
            let split = sums.release(&schedule, before, *gross);
            let kept = [split.payee_fee, split.payee_tax, split.withheld, split.net].map(Minor::get);
            prop_assert_eq!(kept.iter().sum::<i64>(), *gross);
            before += gross;
            splits.push(split);
        }
        let mut together = total(splits.iter().map(of_release));
        let mut at_once = funded;
        let mut whole = of_release(&at_once.release(&schedule, billed, parts.iter().sum()));
        let untaxed = schedule.tax.payee.is_none();
        if !untaxed && splits.last().is_some_and(|last| last.net.is_zero()) {
            for index in [2, 3] {
                prop_assert!((together[index] - whole[index]).abs() <= 1, "{:?} {:?}", together, whole);
                (together[index], whole[index]) = (0, 0);
            }
            (together[4], whole[4]) = (0, 0);
        }
        prop_assert_eq!(together, whole);
        prop_assert_eq!((sums.milestone.deferred(), sums.contract.tax_deferred()), (Minor::ZERO, Minor::ZERO));
    }

    /// D-70, D-78: any partition of a refund comes to the same in every account, and the last part closes to zero.
    #[test]
    fn any_partition_of_a_refund_sums_to_the_whole(
        schedule in schedule(), released in 0_i64..1_000_000, parts in parts(), ends in any::<bool>(),
    ) {
        let ends_unreleased = ends && released == 0;
        let refund = |amount: i64, last| RefundOf { amount: minor(amount), ends_unreleased: ends_unreleased && last, psp_fee: Minor::ZERO };
        let mut funded = Sums::funded(&schedule, &[parts.as_slice(), &[released]].concat(), 0);
        funded.release(&schedule, 0, released);
        let mut sums = funded;
        let splits: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(index, amount)| of_refund(&sums.refund(&schedule, refund(*amount, index + 1 == parts.len()))))
            .collect();
        let mut at_once = funded;
        prop_assert_eq!(total(splits), of_refund(&at_once.refund(&schedule, refund(parts.iter().sum(), true))));
        prop_assert_eq!(sums.milestone.deferred(), Minor::ZERO);
        if ends_unreleased || released > 0 {
            prop_assert_eq!((sums.contract.initiation_fee_deferred(), sums.contract.tax_deferred()), (Minor::ZERO, Minor::ZERO));
        }
    }

    /// R5: whatever happens to two milestones, in whatever order, nothing that is deferred falls below zero, and all of
    /// it is gone when they are empty.
    #[test]
    fn any_history_closes_to_zero(
        schedule in schedule(), amounts in (amount(), amount()), steps in proptest::collection::vec((0_u8..5, any::<bool>(), 1_i64..1000), 0..30),
    ) {
        let mut contract = ContractFees::default();
        let mut milestones = [MilestoneFees::default(); 2];
        let mut billed = 0;
        let mut released = false;
        let steps = [(4, false, amounts.0), (4, true, amounts.1)].into_iter().chain(steps).chain([(1, false, 0), (1, true, 0)]);
        for (index, (kind, second, size)) in steps.enumerate() {
            let (this, other) = (usize::from(second), usize::from(!second));
            let rest = milestones[this].rest().get();
            // A part in a thousand of what is there; zero stands for all of it.
            let some = if size == 0 { rest } else { rest / 1000 * size + rest % 1000 * size / 1000 };
            let mut sums = Sums { milestone: milestones[this], contract };
            match kind {
                0 => {
                    let split = sums.release(&schedule, billed, some);
                    billed += split.gross.get();
                    released |= some > 0;
                }
                1 | 2 => {
                    let last = size == 0 && second && !released;
                    sums.refund(&schedule, RefundOf { amount: minor(some), ends_unreleased: last, psp_fee: Minor::ZERO });
                }
                3 => {
                    let fee = sums.milestone.client_fee_of(minor(some)).unwrap();
                    sums.milestone.remove(minor(some), fee);
                    milestones[other].add(minor(some), fee);
                }
                _ => {
                    sums.fund(&schedule, Currency::USD, size, billed, index == 0);
                }
            }
            (milestones[this], contract) = (sums.milestone, sums.contract);
            let deferred: i64 = milestones.iter().map(|milestone| milestone.deferred().get()).sum();
            prop_assert_eq!(deferred, contract.client_fees.get() - contract.client_fees_gone.get());
            prop_assert!(contract.tax_gone <= contract.tax);
        }
        prop_assert!(milestones.iter().all(|milestone| milestone.rest().is_zero() && milestone.deferred().is_zero()));
        prop_assert_eq!((contract.initiation_fee_deferred(), contract.tax_deferred()), (Minor::ZERO, Minor::ZERO));
    }

    /// J35 in parts: what goes back is never more than came, and comes to the same in any partition.
    #[test]
    fn any_partition_of_what_is_given_back_sums_to_the_whole(
        schedule in schedule(), kept in 0_i64..1_000_000, parts in parts(),
    ) {
        let all: Vec<i64> = parts.iter().copied().chain([kept]).collect();
        let released = Sums::funded(&schedule, &all, 0).release(&schedule, 0, all.iter().sum());
        let mut before = GivenBack::default();
        let mut last = GivenBack::default();
        for gross in &parts {
            last = give_back(&released, &before, minor(*gross)).unwrap();
            before.add(&last);
        }
        let whole = give_back(&released, &GivenBack::default(), minor(parts.iter().sum())).unwrap();
        if released.payee_tax.is_zero() || !last.from_payee.is_zero() {
            prop_assert_eq!(of_given_back(&before), of_given_back(&whole));
        } else {
            prop_assert!((before.payee_tax.get() - whole.payee_tax.get()).abs() <= 1);
        }
        prop_assert!(whole.payee_fee <= released.payee_fee && whole.client_fee <= released.client_fee_earned);
        prop_assert!(before.payee_tax <= released.payee_tax && before.client_tax <= released.client_tax);
    }

    /// A fee never falls when more is charged on, wherever the pair stands.
    #[test]
    fn a_fee_never_falls(fee in fee(40), basis in amount(), more in amount()) {
        prop_assert!(fee.on(minor(basis)).unwrap() <= fee.on(minor(basis + more)).unwrap());
        prop_assert_eq!(fee.on(Minor::ZERO), Ok(Minor::ZERO));
    }

    /// R1: a plain percentage, also one with more decimals than a schedule may have now, is what the ledger computes:
    /// contracts stored before schedules had rules pay what they agreed.
    #[test]
    fn a_plain_percentage_is_that_of_the_ledger(
        basis in 0_i64..=999_999_999_999_999, decimals in 0_u32..=16, digits in 0_i64..=1_000_000_000_000_000_000,
    ) {
        let rate = Percent::new(Decimal::new(digits.min(100 * 10_i64.pow(decimals)), decimals)).unwrap();
        prop_assert_eq!(Fee::percent(rate).on(minor(basis)), ledger::percentage(minor(basis), rate));
    }
}
