//! The one shape of body of the test helpers, and what each makes of it.

use std::str::FromStr;

use domain::id::FundingId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::code::ErrorCode;
use crate::problem::Problem;
use crate::routes::{currency, id};

/// Seconds of the longest delay: 30 days.
const LONGEST: u32 = 30 * 24 * 60 * 60;
/// How often a fault acts at most.
const TIMES: u32 = 100_000;
/// Copies of one webhook in flight at once.
const COPIES: u32 = 64;
/// When Stripe may forget an idempotency key.
const A_DAY: u32 = 24 * 60 * 60;

/// What a test helper is to do. Every field is optional; which one a helper takes is told with it.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Help {
    /// The payment that is answered.
    #[serde(default)]
    #[schema(example = "fnd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub funding_id: Option<String>,
    /// Why a payment fails, in the provider's words.
    #[serde(default)]
    #[schema(example = "insufficient_funds")]
    pub code: Option<String>,
    /// Which webhooks, by the provider's name of the event; all when absent.
    #[serde(default)]
    #[schema(example = "payment_intent.succeeded")]
    pub event: Option<String>,
    /// Which of our calls.
    #[serde(default)]
    pub call: Option<Call>,
    /// How often a fault acts, 1 to 100,000; once when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many copies of a webhook at once, 1 to 64; two when absent.
    #[serde(default)]
    pub copies: Option<u32>,
    /// How long, in seconds, at most 30 days.
    #[serde(default)]
    pub seconds: Option<u32>,
    /// What is captured, in the provider's units of the currency.
    #[serde(default)]
    #[schema(example = 100_000)]
    pub amount: Option<i64>,
    /// In which currency it is captured.
    #[serde(default)]
    #[schema(example = "EUR")]
    pub currency: Option<String>,
}

/// A call of ours to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Collect a payment.
    CollectPayment,
    /// Look a payment up.
    ReadPayment,
    /// Call a payment off.
    CancelPayment,
    /// Send a refund.
    Refund,
    /// Look a refund up.
    ReadRefund,
    /// Move money to a payee's account.
    MoveToPayee,
    /// Take money back from a payee's account.
    ReverseTransfer,
    /// Pay to a bank.
    PayToBank,
    /// Look a bank payout up.
    ReadBankPayout,
    /// Open a payee's account.
    CreateAccount,
    /// Look a payee's account up.
    ReadAccount,
    /// Ask for what no webhook told.
    ListEvents,
}

impl Call {
    /// The request of the provider's API.
    fn request(self) -> &'static str {
        match self {
            Self::CollectPayment => "POST /v1/payment_intents",
            Self::ReadPayment => "GET /v1/payment_intents/{id}",
            Self::CancelPayment => "POST /v1/payment_intents/{id}/cancel",
            Self::Refund => "POST /v1/refunds",
            Self::ReadRefund => "GET /v1/refunds/{id}",
            Self::MoveToPayee => "POST /v1/transfers",
            Self::ReverseTransfer => "POST /v1/transfers/{id}/reversals",
            Self::PayToBank => "POST /v1/payouts",
            Self::ReadBankPayout => "GET /v1/payouts/{id}",
            Self::CreateAccount => "POST /v1/accounts",
            Self::ReadAccount => "GET /v1/accounts/{id}",
            Self::ListEvents => "GET /v1/events",
        }
    }
}

/// A test helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    Succeed,
    Decline,
    CaptureOther,
    LateReceipt,
    Duplicate,
    Reorder,
    Delay,
    Drop,
    Flush,
    TimeOut,
    Fail,
    RateLimit,
    LowBalance,
    PruneKeys,
    Clear,
}

/// What is to be done at the provider.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Answer a payment that is waited for.
    Answer { funding_id: FundingId, succeeds: bool, code: Option<String> },
    /// Plan a fault.
    Fault(Value),
    /// Send what is missing.
    Flush,
    /// Forget keys.
    PruneKeys { older_than_seconds: u32 },
    /// Take planned faults away.
    Clear,
}

impl Helper {
    /// Each with its name and the fields that it takes.
    const ALL: &[(Self, &'static str, &'static [&'static str])] = &[
        (Self::Succeed, "succeed", &["funding_id"]),
        (Self::Decline, "decline", &["funding_id", "code"]),
        (Self::CaptureOther, "capture-other", &["amount", "currency", "times"]),
        (Self::LateReceipt, "late-receipt", &["seconds", "times"]),
        (Self::Duplicate, "duplicate", &["event", "copies", "times"]),
        (Self::Reorder, "reorder", &["event", "times"]),
        (Self::Delay, "delay", &["event", "seconds", "times"]),
        (Self::Drop, "drop", &["event", "times"]),
        (Self::Flush, "flush", &[]),
        (Self::TimeOut, "time-out", &["call", "times"]),
        (Self::Fail, "fail", &["call", "times"]),
        (Self::RateLimit, "rate-limit", &["call", "seconds", "times"]),
        (Self::LowBalance, "low-balance", &["call", "times"]),
        (Self::PruneKeys, "prune-keys", &["seconds"]),
        (Self::Clear, "clear", &[]),
    ];

    /// Its name in the path.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(helper, ..)| *helper == self).map_or("", |(_, name, _)| name)
    }

    /// What it makes of a body.
    ///
    /// # Errors
    /// `validation_failed` with a pointer: a field that it does not take, that it needs, or that is out of range.
    pub(super) fn plan(self, help: &Help) -> Result<Plan, Problem> {
        self.takes_all_of(help)?;
        let times = within(help.times, 1, TIMES, "/times")?.unwrap_or(1);
        let seconds = within(help.seconds, 1, LONGEST, "/seconds")?;
        let on_webhook = |action: &str| {
            let event = help.event.as_deref().unwrap_or("*");
            json!({ "on": format!("webhook {event}"), "action": action, "times": times })
        };
        let on_call = |action: &str| {
            let call = help.call.ok_or_else(|| wrong("/call", "is needed"))?;
            Ok::<_, Problem>(json!({ "on": call.request(), "action": action, "times": times }))
        };
        let on_payment =
            |action: &str| json!({ "on": Call::CollectPayment.request(), "action": action, "times": times });
        Ok(match self {
            Self::Succeed => Plan::Answer { funding_id: funding_id(help)?, succeeds: true, code: None },
            Self::Decline => Plan::Answer { funding_id: funding_id(help)?, succeeds: false, code: help.code.clone() },
            Self::CaptureOther => {
                let mut rule = on_payment("capture_other");
                if help.amount.is_none() && help.currency.is_none() {
                    return Err(wrong("/amount", "is needed, or another currency"));
                }
                if let Some(amount) = help.amount {
                    rule["amount"] = json!(super::super::amount(amount, "/amount")?.get());
                }
                if let Some(code) = &help.currency {
                    rule["currency"] = json!(currency(code, "/currency")?.code().to_ascii_lowercase());
                }
                Plan::Fault(rule)
            }
            Self::LateReceipt => {
                let seconds = seconds.ok_or_else(|| wrong("/seconds", "is needed"))?;
                Plan::Fault(with(on_payment("late_receipt"), "seconds", seconds))
            }
            Self::Duplicate => {
                let copies = within(help.copies, 1, COPIES, "/copies")?.unwrap_or(2);
                Plan::Fault(with(on_webhook("duplicate"), "copies", copies))
            }
            Self::Reorder => Plan::Fault(on_webhook("reorder")),
            Self::Delay => {
                let seconds = seconds.ok_or_else(|| wrong("/seconds", "is needed"))?;
                Plan::Fault(with(on_webhook("delay"), "seconds", seconds))
            }
            Self::Drop => Plan::Fault(on_webhook("drop")),
            Self::Flush => Plan::Flush,
            Self::TimeOut => Plan::Fault(on_call("timeout_after_success")?),
            Self::Fail => Plan::Fault(on_call("error_500")?),
            Self::RateLimit => {
                let rule = on_call("rate_limited")?;
                Plan::Fault(match seconds {
                    Some(seconds) => with(rule, "seconds", seconds),
                    None => rule,
                })
            }
            Self::LowBalance => Plan::Fault(on_call("balance_insufficient")?),
            Self::PruneKeys => Plan::PruneKeys { older_than_seconds: seconds.unwrap_or(A_DAY) },
            Self::Clear => Plan::Clear,
        })
    }

    /// A field that means nothing here was meant for something else.
    fn takes_all_of(self, help: &Help) -> Result<(), Problem> {
        let taken = Self::ALL.iter().find(|(helper, ..)| *helper == self).map_or(&[] as &[&str], |(.., taken)| *taken);
        let given = match serde_json::to_value(help) {
            Ok(Value::Object(given)) => given,
            _ => Map::new(),
        };
        match given.iter().find(|(name, value)| !value.is_null() && !taken.contains(&name.as_str())) {
            Some((name, _)) => Err(wrong(&format!("/{name}"), &format!("is not taken by `{}`", self.name()))),
            None => Ok(()),
        }
    }
}

impl FromStr for Helper {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(helper, ..)| *helper).ok_or(())
    }
}

fn wrong(pointer: &str, detail: &str) -> Problem {
    Problem::field(ErrorCode::ValidationFailed, pointer, detail)
}

fn with(mut rule: Value, name: &str, value: u32) -> Value {
    rule[name] = json!(value);
    rule
}

fn within(value: Option<u32>, least: u32, most: u32, pointer: &str) -> Result<Option<u32>, Problem> {
    match value {
        Some(value) if !(least..=most).contains(&value) => Err(wrong(pointer, &format!("must be {least} to {most}"))),
        other => Ok(other),
    }
}

fn funding_id(help: &Help) -> Result<FundingId, Problem> {
    id(help.funding_id.as_deref().ok_or_else(|| wrong("/funding_id", "is needed"))?, "/funding_id")
}
