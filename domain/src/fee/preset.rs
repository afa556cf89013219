//! The schedules that come with the product. `data/fee_presets.json` has the same as data; a test compares them.

use ledger::{Minor, Percent};
use rust_decimal::Decimal;

use super::{Bearer, Fee, FeeSchedule, RefundClientFee};

impl FeeSchedule {
    /// 5% on top for the client, 10% of each release for the payee. What a contract gets when nobody chooses.
    pub fn two_sided() -> Self {
        Self { client_fee: whole_percent(5), payee_fee: whole_percent(10), ..Self::empty("two_sided") }
    }

    /// 5% of each release, nothing on top.
    pub fn flat5() -> Self {
        Self { payee_fee: whole_percent(5), ..Self::empty("flat5") }
    }

    /// No fees.
    pub fn zero() -> Self {
        Self::empty("zero")
    }

    /// Every preset.
    pub fn presets() -> Vec<Self> {
        vec![Self::two_sided(), Self::flat5(), Self::zero()]
    }

    /// The preset of that name.
    pub fn preset(id: &str) -> Option<Self> {
        Self::presets().into_iter().find(|preset| preset.id == id)
    }

    /// A schedule that charges nothing, to be filled in.
    pub fn empty(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            version: 1,
            currency: None,
            client_fee: Fee::none(),
            payee_fee: Fee::none(),
            initiation_fee: Minor::ZERO,
            processing_fee: Fee::none(),
            processing_fee_payer: Bearer::Platform,
            refund_client_fee: RefundClientFee::ProRata,
            refund_psp_fee_bearer: Bearer::Platform,
            promotions: Vec::new(),
            tax: Box::default(),
        }
    }
}

fn whole_percent(percent: u8) -> Fee {
    // Every value of `u8` up to 100 is a percentage; the presets stay far under it.
    Fee::percent(Percent::new(Decimal::from(percent)).unwrap_or_default())
}
