//! Taxes, deferred and payable, and withholding.

use domain::fee::{GivenBack, RefundClientFee, RefundOf, TaxPoint, TaxStatus, give_back};
use ledger::{Currency, Minor};

use crate::support::{
    Sums, funded, in_jurisdiction, minor, of_charge, of_release, refund_of, standing, vector, with_vat,
};

/// D-64, J04, J14: VAT on both sides, deferred with the client's fee; one line of 30.99 to the tax office.
#[test]
fn tax_is_deferred_until_release() {
    let schedule = with_vat(&in_jurisdiction("GB", true));
    let mut sums = Sums::default();
    let charge = sums.fund(&schedule, Currency::USD, 100_000, true);
    assert_eq!(of_charge(&charge, 100_000, 0), vector("J04"));
    let split = sums.release(&schedule, standing(0), 100_000);
    assert_eq!(of_release(&schedule, &split), vector("J14"));
    assert_eq!(schedule.tax_of_release(&split).len(), 1);
    assert_eq!((sums.contract.tax_deferred(), sums.contract.initiation_fee_deferred()), (Minor::ZERO, Minor::ZERO));
}

/// With the tax point at funding the tax is the tax office's at once, and the release does not book it again.
#[test]
fn tax_is_payable_at_funding_when_that_is_the_tax_point() {
    let mut schedule = with_vat(&in_jurisdiction("GB", true));
    schedule.tax.point = TaxPoint::Funding;
    let mut sums = funded(&schedule, 100_000);
    assert_eq!((sums.contract.tax, schedule.tax.deferred(sums.contract.tax)), (minor(1099), Minor::ZERO));
    let split = sums.release(&schedule, standing(0), 40_000);
    let lines = schedule.tax_of_release(&split);
    assert_eq!(lines.iter().map(|line| line.amount).collect::<Vec<_>>(), [minor(800)]);
    // What is refunded takes back the rest of the tax, not all of it.
    let back = sums.refund(&schedule, refund_of(60_000));
    assert_eq!(split.client_tax.checked_add(back.tax_returned), Ok(minor(1099)));
    assert_eq!(back.to_client, minor(63_600));
}

/// D-65: a registered business abroad accounts for the tax itself.
#[test]
fn a_registered_business_abroad_is_not_charged_tax() {
    let schedule = with_vat(&in_jurisdiction("FR", true));
    let split = funded(&schedule, 100_000).release(&schedule, standing(0), 100_000);
    assert_eq!((split.payee_tax, split.net), (Minor::ZERO, minor(90_000)));
    assert!(schedule.tax.payee.as_ref().is_some_and(|tax| tax.reverse_charge));
    assert!(schedule.tax_of_release(&split).iter().all(|line| line.jurisdiction.code() == "GB"));

    let consumer = with_vat(&in_jurisdiction("FR", false));
    let split = funded(&consumer, 100_000).release(&consumer, standing(0), 100_000);
    assert_eq!((split.payee_tax, split.net), (minor(2000), minor(88_000)));
    assert_eq!(consumer.tax_of_release(&split).len(), 2);
    let nowhere = with_vat(&TaxStatus::default());
    assert_eq!(nowhere.tax.payee, None);
}

/// The rule of a country holds for its parts that have none of their own.
#[test]
fn a_part_of_a_country_has_its_own_tax_or_that_of_the_country() {
    let schedule = with_vat(&in_jurisdiction("GB-SCT", false));
    assert_eq!(schedule.tax.payee.map(|tax| tax.jurisdiction.to_string()), Some("GB".to_owned()));
}

/// J15: 1% of the gross is withheld.
#[test]
fn income_tax_is_withheld_of_the_gross() {
    let mut schedule = with_vat(&in_jurisdiction("XX", false));
    (schedule.tax.client, schedule.initiation_fee) = (None, Minor::ZERO);
    let split = funded(&schedule, 100_000).release(&schedule, standing(0), 100_000);
    assert_eq!(of_release(&schedule, &split), vector("J15"));
}

/// Tax goes back with its fee; under `none` that of the fee is earned, that of the initiation fee goes back.
#[test]
fn the_tax_of_a_refund_follows_its_fees() {
    let mut schedule = with_vat(&TaxStatus::default());
    let whole = RefundOf { ends_unreleased: true, ..refund_of(100_000) };
    let back = funded(&schedule, 100_000).refund(&schedule, whole);
    assert_eq!((back.tax_returned, back.tax_earned, back.to_client), (minor(1099), Minor::ZERO, minor(106_594)));
    schedule.refund_client_fee = RefundClientFee::None;
    let back = funded(&schedule, 100_000).refund(&schedule, whole);
    assert_eq!((back.tax_earned, back.tax_returned), (minor(1000), minor(99)));
    assert_eq!(back.to_client, minor(100_594));
}

/// With tax: what is given back returns the tax of both fees; the initiation fee and its tax stay.
#[test]
fn what_the_payee_gives_back_returns_the_tax_of_its_fees() {
    let schedule = with_vat(&in_jurisdiction("GB", true));
    let released = funded(&schedule, 100_000).release(&schedule, standing(0), 100_000);
    let back = give_back(&released, &GivenBack::default(), minor(100_000)).unwrap();
    assert_eq!((back.payee_tax, back.client_tax, back.from_payee), (minor(2000), minor(1000), minor(88_000)));
    assert_eq!(back.to_client, minor(106_000));
}
