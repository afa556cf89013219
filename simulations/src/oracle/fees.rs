//! What fees and taxes come to, computed from the schedule's JSON by other means than the engine's.
//!
//! # Invariants
//! - Rates are whole hundredths of a percent, amounts whole minor units: everything is exact until it is rounded once.

use domain::time::Timestamp;
use serde_json::Value;

use super::{Raw, amount_of, text_of, usual};
use crate::failure::Violation;

/// A percentage in hundredths of a percent.
type Rate = i128;

/// The whole in hundredths of a percent.
const WHOLE: i128 = 10_000;

#[derive(Debug)]
struct Rule {
    /// Steps: up to how much, at which rate.
    steps: Vec<(Option<i128>, Rate)>,
    minimum: i128,
    cap: Option<i128>,
}

#[derive(Debug)]
struct Promotion {
    off: Rate,
    until: Option<Timestamp>,
    first_billed: Option<i128>,
}

/// A fee schedule, as the contract has it.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    client: Vec<Rule>,
    payee: Vec<Rule>,
    promotions: Vec<Promotion>,
    pub(super) initiation: i128,
    pub(super) keeps_client_fee: bool,
    pub(super) tax_is_deferred: bool,
    client_tax: Rate,
    payee_tax: Rate,
    withholding: Rate,
}

/// `part` of `whole`s, half up.
pub(super) fn rounded(part: i128, whole: i128) -> i128 {
    (part * 2 + whole) / (whole * 2)
}

impl Schedule {
    pub(super) fn read(raw: &Raw) -> Result<Self, Violation> {
        let whole = usual::fee_schedule(raw);
        let fees = &whole;
        let rules = |key: &str| -> Result<Vec<Rule>, Violation> {
            match fees.get(key) {
                None => Ok(Vec::new()),
                Some(Value::Array(list)) => list.iter().map(|rule| Rule::read(raw, rule)).collect(),
                Some(one) => Ok(vec![Rule::read(raw, one)?]),
            }
        };
        let (mut client, mut payee) = (rules("client_fee")?, rules("payee_fee")?);
        // What is passed on has no discounts; no schedule here has both.
        match text_of(fees, "processing_fee_payer") {
            "client" => client.extend(rules("processing_fee")?),
            "payee" => payee.extend(rules("processing_fee")?),
            _ => {}
        }
        let promotions = fees.get("promotions").and_then(Value::as_array);
        let promotions = promotions.into_iter().flatten().map(|offer| -> Result<Promotion, Violation> {
            Ok(Promotion {
                off: rate(raw, text_of(offer, "percent_off"))?,
                until: text_of(offer, "until").parse().ok(),
                first_billed: offer.get("first_billed").and_then(Value::as_i64).map(i128::from),
            })
        });
        let tax = |party: &str, key: &str| -> Result<Rate, Violation> {
            let Some(tax) = fees.get("tax").and_then(|tax| tax.get(party)) else { return Ok(0) };
            let reversed = tax.get("reverse_charge").and_then(Value::as_bool).unwrap_or(false);
            if key == "percent" && reversed { Ok(0) } else { rate(raw, text_of(tax, key)) }
        };
        Ok(Self {
            client,
            payee,
            promotions: promotions.collect::<Result<_, _>>()?,
            initiation: amount_of(fees, "initiation_fee"),
            keeps_client_fee: text_of(fees, "refund_client_fee") == "none",
            tax_is_deferred: fees.get("tax").is_none_or(|tax| text_of(tax, "point") != "funding"),
            client_tax: tax("client", "percent")?,
            payee_tax: tax("payee", "percent")?,
            withholding: tax("payee", "withholding")?,
        })
    }

    /// Whether it depends on what the pair has billed before.
    pub(super) fn goes_by_billing(&self) -> bool {
        let stepped = |rules: &[Rule]| rules.iter().any(|rule| rule.steps.len() > 1);
        stepped(&self.client)
            || stepped(&self.payee)
            || self.promotions.iter().any(|offer| offer.first_billed.is_some())
    }

    /// The client's fee on the first `basis` of something, `billed` before it.
    pub(super) fn client_fee(&self, billed: i128, basis: i128) -> i128 {
        rounded(sum(&self.client, billed, basis), WHOLE)
    }

    /// The payee's fee on the first `basis` of something, `billed` before it.
    pub(super) fn payee_fee(&self, billed: i128, basis: i128, now: Timestamp) -> i128 {
        let running: Vec<_> =
            self.promotions.iter().filter(|offer| offer.until.is_none_or(|until| now < until)).collect();
        let end_of = |offer: &Promotion| offer.first_billed.map(|first| (first - billed).max(0));
        let mut marks: Vec<i128> =
            running.iter().filter_map(|offer| end_of(offer)).filter(|end| *end < basis).collect();
        marks.extend([0, basis]);
        marks.sort_unstable();
        let mut due = 0;
        for pair in marks.windows(2) {
            let [low, high] = pair else { continue };
            let off = running.iter().filter(|offer| end_of(offer).is_none_or(|end| end >= *high));
            let off = off.map(|offer| offer.off).max().unwrap_or(0);
            due += (sum(&self.payee, billed, *high) - sum(&self.payee, billed, *low)) * (WHOLE - off);
        }
        rounded(due.min(basis * WHOLE * WHOLE), WHOLE * WHOLE)
    }

    pub(super) fn client_tax_on(&self, fees: i128) -> i128 {
        rounded(fees * self.client_tax, WHOLE)
    }

    pub(super) fn payee_tax_on(&self, fees: i128) -> i128 {
        rounded(fees * self.payee_tax, WHOLE)
    }

    pub(super) fn withheld_of(&self, gross: i128) -> i128 {
        rounded(gross * self.withholding, WHOLE)
    }
}

impl Rule {
    fn read(raw: &Raw, rule: &Value) -> Result<Self, Violation> {
        let number = |part: &Value, key: &str| part.get(key).and_then(Value::as_i64).map(i128::from);
        let steps = match text_of(rule, "kind") {
            "percent" => vec![(None, rate(raw, text_of(rule, "percent"))?)],
            "tiered" => {
                let tiers = rule.get("tiers").and_then(Value::as_array).into_iter().flatten();
                let step = |tier: &Value| Ok((number(tier, "up_to"), rate(raw, text_of(tier, "percent"))?));
                tiers.map(step).collect::<Result<_, Violation>>()?
            }
            "fixed" => {
                let amount = amount_of(rule, "amount");
                return Ok(Self { steps: Vec::new(), minimum: amount, cap: Some(amount) });
            }
            other => return Err(raw.breaks("W", &format!("a fee of the kind {other:?}"))),
        };
        Ok(Self { steps, minimum: amount_of(rule, "minimum"), cap: number(rule, "cap") })
    }

    /// In ten-thousandths of a minor unit.
    fn on(&self, billed: i128, basis: i128) -> i128 {
        if basis == 0 {
            return 0;
        }
        let (mut low, mut due) = (0, 0);
        for (up_to, rate) in &self.steps {
            // The part of this step that lies between what was billed and what will have been.
            let high = up_to.unwrap_or(i128::MAX);
            let overlap = high.min(billed + basis) - low.max(billed);
            due += overlap.max(0) * rate;
            low = high;
        }
        let due = due.max(self.minimum * WHOLE);
        self.cap.map_or(due, |cap| due.min(cap * WHOLE))
    }
}

fn sum(rules: &[Rule], billed: i128, basis: i128) -> i128 {
    // One percentage has no steps, so that it does not matter what was billed.
    rules.iter().map(|rule| rule.on(if rule.steps.len() > 1 { billed } else { 0 }, basis)).sum()
}

/// Reads `12.5` as hundredths.
fn rate(raw: &Raw, text: &str) -> Result<Rate, Violation> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let hundredths = format!("{part:0<2}");
    let unreadable = || raw.breaks("W", &format!("the rate {text:?} cannot be read"));
    if hundredths.get(2..).is_none_or(|rest| rest.bytes().any(|digit| digit != b'0')) {
        return Err(unreadable());
    }
    let number = |digits: &str| digits.parse::<i128>().map_err(|_| unreadable());
    Ok(number(whole)? * 100 + number(hundredths.get(..2).unwrap_or("0"))?)
}
