//! Terms that parties agree on: fees of every kind, and periods that are short enough to run out.
//!
//! # Invariants
//! - Rates have two decimals at most, which the oracle relies on.

use chrono::TimeDelta;
use domain::fee::{Bearer, Fee, FeeRule, PartyTax, Promotion, RefundClientFee, Tax, TaxPoint, Tier};
use domain::jurisdiction::Jurisdiction;
use domain::policy::{Dormancy, FeeSchedule, HoldAction, HoldLimit, Policy, PspHold};
use ledger::{Currency, Minor, Percent};
use rust_decimal::Decimal;

use crate::world::World;

/// Hundredths of a percent as a percentage.
fn percent(hundredths: i64) -> Percent {
    Percent::new(Decimal::new(hundredths, 2)).unwrap_or_default()
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap_or_default()
}

impl World {
    /// The terms of an offer in this currency.
    pub(crate) fn terms(&mut self, currency: Currency) -> (FeeSchedule, Policy) {
        let mut fees = match self.chance.between(0, 9) {
            0..=2 => FeeSchedule::two_sided(),
            3 => FeeSchedule::flat5(),
            4 => FeeSchedule::zero(),
            _ => FeeSchedule { client_fee: self.fee(), payee_fee: self.fee(), ..FeeSchedule::empty("odd") },
        };
        // Amounts are in one currency; percentages fit any.
        fees.currency = Some(currency);
        if self.chance.per_mille(250) {
            fees.initiation_fee = minor(self.chance.between(1, 2_000));
        }
        if self.chance.per_mille(200) {
            fees.refund_client_fee = RefundClientFee::None;
        }
        if self.chance.per_mille(250) {
            fees.promotions = self.promotions();
        } else if self.chance.per_mille(150) {
            fees.processing_fee = Fee::new(vec![
                FeeRule::Percent { percent: percent(290), minimum: Minor::ZERO, cap: None },
                FeeRule::Fixed { amount: minor(30) },
            ]);
            let payers = [Bearer::Client, Bearer::Payee];
            fees.processing_fee_payer = self.chance.pick(&payers).copied().unwrap_or_default();
        }
        if self.chance.per_mille(400) {
            fees.tax = Box::new(self.tax());
        }
        if fees.check().is_err() {
            // All of it, and tax on that.
            fees.tax = Box::default();
            fees.processing_fee = Fee::none();
            fees.processing_fee_payer = Bearer::Platform;
        }
        (fees, self.policy())
    }

    fn fee(&mut self) -> Fee {
        // In hundredths of a percent; odd ones, none, and all of it.
        let hundredths = match self.chance.between(0, 19) {
            0 => 0,
            1 => 10_000,
            _ => self.chance.between(1, 3_000),
        };
        let rule = match self.chance.between(0, 9) {
            0..=4 => FeeRule::Percent { percent: percent(hundredths), minimum: Minor::ZERO, cap: None },
            5 => {
                let (minimum, more) = (self.chance.between(1, 500), self.chance.between(0, 50_000));
                FeeRule::Percent {
                    percent: percent(hundredths),
                    minimum: minor(minimum),
                    cap: Some(minor(minimum + more)),
                }
            }
            6..=8 => {
                let (first, more) = (self.chance.between(1, 100_000), self.chance.between(1, 1_000_000));
                let tiers = vec![
                    Tier { up_to: Some(minor(first)), percent: percent(self.chance.between(1, 3_000)) },
                    Tier { up_to: Some(minor(first + more)), percent: percent(self.chance.between(1, 2_000)) },
                    Tier { up_to: None, percent: percent(self.chance.between(0, 1_000)) },
                ];
                FeeRule::Tiered { tiers, minimum: minor(self.chance.between(0, 100)), cap: None }
            }
            _ => FeeRule::Fixed { amount: minor(self.chance.between(1, 500)) },
        };
        Fee::new(vec![rule])
    }

    fn promotions(&mut self) -> Vec<Promotion> {
        let by_time = Promotion {
            id: "launch".to_owned(),
            percent_off: percent(self.chance.between(1, 10_000)),
            until: Some(self.now + TimeDelta::days(self.chance.between(1, 20))),
            first_billed: None,
            first_contracts: None,
        };
        let by_amount = Promotion {
            id: "first_money".to_owned(),
            percent_off: percent(self.chance.between(1, 10_000)),
            until: None,
            first_billed: Some(minor(self.chance.between(1, 500_000))),
            first_contracts: None,
        };
        match self.chance.between(0, 2) {
            0 => vec![by_time],
            1 => vec![by_amount],
            _ => vec![by_time, by_amount],
        }
    }

    fn tax(&mut self) -> Tax {
        let mut party = |code: &str, most: i64| {
            let jurisdiction = Jurisdiction::new(code).ok()?;
            Some(PartyTax {
                jurisdiction,
                percent: percent(self.chance.between(100, 2_700)),
                reverse_charge: self.chance.per_mille(150),
                withholding: percent(self.chance.between(0, most)),
            })
        };
        let (client, payee) = (party("DE", 0), party("US-CA", 2_400));
        let point = if self.chance.per_mille(500) { TaxPoint::Funding } else { TaxPoint::Release };
        Tax { point, rules: Vec::new(), client, payee }
    }

    fn policy(&mut self) -> Policy {
        let mut some = |low: i64, high: i64| u16::try_from(self.chance.between(low, high)).unwrap_or(1);
        let mut policy = Policy {
            clearance_days: some(0, 6),
            end_request_days: some(1, 5),
            refund_request_days: some(1, 5),
            bonus_window_days: some(0, 20),
            funding_intent_hours: some(8, 96),
            ..Policy::default()
        };
        if some(0, 1) == 0 {
            let warn_days = some(4, 12);
            let warn_again_days = warn_days + some(1, 4);
            policy.dormancy = Dormancy {
                warn_days,
                warn_again_days,
                dormant_days: warn_again_days + some(1, 4),
                escalate_days: some(1, 3),
                request_days: some(3, 9),
                default_days: some(1, 5),
            };
        }
        if some(0, 1) == 0 {
            let limit = |code: &str, days| Jurisdiction::new(code).ok().map(|country| HoldLimit { country, days });
            policy.psp_hold = PspHold {
                platform_country: (some(0, 1) == 0).then(|| Jurisdiction::new("TH").ok()).flatten(),
                limits: limit("TH", some(3, 12)).into_iter().collect(),
                other_days: some(5, 25),
                warn_days: vec![6, 3, 1],
                action: match some(0, 4) {
                    0 | 1 => HoldAction::Refund,
                    2 | 3 => HoldAction::ReleaseIfSubmitted,
                    _ => HoldAction::Operator,
                },
            };
        }
        policy
    }
}
