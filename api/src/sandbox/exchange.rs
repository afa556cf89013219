//! Settlement in another currency than a charge is in (<https://docs.stripe.com/currencies/conversions>).
//!
//! # Invariants
//! - What is not said to settle in another currency settles as itself: a new sandbox exchanges nothing.
//! - A refund is exchanged at the rate of its own moment, so that the platform can lose or win by it; what comes back of
//!   a refund is what was taken for it.
//! - Amounts are exchanged in integers, rounded half away from zero, once.
//!
//! # What is deliberately absent
//! Rates that move by themselves, a fee for exchange, exchange of transfers and payouts.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::fee::Currency;

/// A rate of one, in billionths.
const ONE: i64 = 1_000_000_000;

/// The body of `POST /_sandbox/settlement`: what is paid in `currency` is settled in `settles_in`, at `rate` units of it
/// for one unit of `currency`. With `settles_in` the same as `currency`, it settles as itself again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettlementOrder {
    currency: String,
    settles_in: String,
    rate: String,
}

/// What an amount becomes in the platform's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) amount: i64,
    pub(super) currency: Currency,
    /// In billionths; `None` when nothing is exchanged.
    pub(super) rate: Option<i64>,
}

impl SettlementOrder {
    /// Remembers it. `Err` says what is wrong with it.
    pub(super) async fn carry_out(self, connection: &mut PgConnection) -> Result<Result<Value, String>, sqlx::Error> {
        let known =
            |code: &str| Currency::get(code).map(|currency| currency.code).ok_or(format!("no currency: {code}"));
        let read = known(&self.currency).and_then(|from| Ok((from, known(&self.settles_in)?)));
        let read = read.and_then(|codes| {
            let rate = billionths(&self.rate).filter(|rate| *rate > 0);
            Ok((codes, rate.ok_or_else(|| format!("no rate: {}", self.rate))?))
        });
        let ((currency, settles_in), rate) = match read {
            Ok(read) => read,
            Err(message) => return Ok(Err(message)),
        };
        if currency == settles_in {
            sqlx::query("DELETE FROM settlements WHERE currency = $1").bind(currency).execute(connection).await?;
        } else {
            sqlx::query(
                "INSERT INTO settlements (currency, settles_in, rate_billionths) VALUES ($1, $2, $3)
                 ON CONFLICT (currency) DO UPDATE
                    SET settles_in = excluded.settles_in, rate_billionths = excluded.rate_billionths",
            )
            .bind(currency)
            .bind(settles_in)
            .bind(rate)
            .execute(connection)
            .await?;
        }
        Ok(Ok(json!({ "currency": currency, "settles_in": settles_in, "rate": self.rate })))
    }
}

impl Settlement {
    /// What `amount` of `currency` becomes now. `None` when it cannot be held in 64 bits.
    pub(super) async fn of(
        connection: &mut PgConnection,
        amount: i64,
        currency: Currency,
    ) -> Result<Option<Self>, sqlx::Error> {
        let row: Option<(String, i64)> =
            sqlx::query_as("SELECT settles_in, rate_billionths FROM settlements WHERE currency = $1")
                .bind(currency.code)
                .fetch_optional(connection)
                .await?;
        let known = row.and_then(|(code, rate)| Some((Currency::get(&code)?, rate)));
        Ok(match known {
            None => Some(Self { amount, currency, rate: None }),
            Some((settles_in, rate)) => exchanged(amount, currency, settles_in, rate).map(|amount| Self {
                amount,
                currency: settles_in,
                rate: Some(rate),
            }),
        })
    }

    /// Notes the rate on the entry that was made with it.
    pub(super) async fn note(self, connection: &mut PgConnection, entry: &str) -> Result<(), sqlx::Error> {
        if let Some(rate) = self.rate {
            sqlx::query("UPDATE balance_transactions SET rate_billionths = $2 WHERE id = $1")
                .bind(entry)
                .bind(rate)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}

/// The rate as Stripe shows it: a number, or null.
pub(super) fn show(rate: Option<i64>) -> Value {
    let text = rate.map(|rate| format!("{}.{:09}", rate / ONE, rate % ONE));
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

fn exchanged(amount: i64, from: Currency, to: Currency, rate: i64) -> Option<i64> {
    let up = 10_i128.pow(u32::from(to.exponent));
    let down = 10_i128.pow(u32::from(from.exponent)) * i128::from(ONE);
    let product = i128::from(amount).checked_mul(i128::from(rate))?.checked_mul(up)?;
    // Amounts are positive, so half up is half away from zero.
    i64::try_from((product + down / 2) / down).ok()
}

/// A decimal with at most nine digits after the point, in billionths.
fn billionths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(ONE)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(amount: i64, from: &str, to: &str, rate: &str) -> Option<i64> {
        exchanged(amount, Currency::get(from)?, Currency::get(to)?, billionths(rate)?)
    }

    /// D-66: 1,000.00 EUR are 1,078.00 USD, and 1,092.50 USD at the later rate.
    #[test]
    fn an_amount_is_exchanged_in_integers_and_rounded_once() {
        assert_eq!(at(100_000, "eur", "usd", "1.078"), Some(107_800));
        assert_eq!(at(100_000, "eur", "usd", "1.0925"), Some(109_250));
        assert_eq!(at(333, "eur", "usd", "1.5"), Some(500), "499.5 rounds to 500");
        assert_eq!(at(1_000, "jpy", "usd", "0.0066"), Some(660), "no decimals to two");
        assert_eq!(at(10_123, "kwd", "usd", "3.25"), Some(3_290), "three decimals to two: 3289.975");
        assert_eq!(at(i64::MAX, "usd", "eur", "2"), None);
    }

    #[test]
    fn a_rate_is_a_decimal_with_nine_digits_at_most() {
        assert_eq!(billionths("1.078"), Some(1_078_000_000));
        assert_eq!(billionths("2"), Some(2_000_000_000));
        for text in ["", ".5", "-1", "1e3", "1.0000000001", "one", "99999999999999999999"] {
            assert_eq!(billionths(text), None, "{text}");
        }
        assert_eq!(show(Some(1_092_500_000)).to_string(), "1.0925");
        assert_eq!(show(None), Value::Null);
    }
}
