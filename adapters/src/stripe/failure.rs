//! What a failed request proves: the table in the module header, as code.

use ::stripe::{ApiErrors, ApiErrorsType};
use domain::ports::provider::ProviderError;

use super::transport::{Answered, StripeError};

/// Too many writes of one object at once (<https://docs.stripe.com/rate-limits#object-lock-timeouts>): no reason for
/// others to wait.
const LOCK_TIMEOUT: &str = "lock_timeout";

/// What is known after a request that brought no object.
pub(super) fn of(error: &StripeError) -> ProviderError {
    match error {
        StripeError::Stripe(error, _, answered) => of_answer(error, answered),
        // Of a success as well as of an error: either way somebody has answered, and we cannot read what.
        StripeError::Unreadable(what, answered) => unknown(answered, what),
        StripeError::NoAnswer(reason) => ProviderError::Unknown(format!("no answer: {reason}")),
        StripeError::NotSent(reason) => ProviderError::Unusable(format!("the request cannot be sent: {reason}")),
        StripeError::Timeout => ProviderError::Unknown("no answer in time".to_owned()),
    }
}

/// What an answer with Stripe's error object proves.
fn of_answer(error: &ApiErrors, answered: &Answered) -> ProviderError {
    let code = code(error);
    match answered.status {
        // Our key is at fault, not the order: a payment must not fail because a key expired.
        401 | 403 => ProviderError::NotAuthorized(format!("{answered}: {code}")),
        // It is about one object, and nobody else has to slow down.
        429 if code == LOCK_TIMEOUT => ProviderError::Unknown(format!("{answered}: {code}")),
        429 => ProviderError::RateLimited { retry_after: answered.retry_after },
        // Timed out, key in use, a failure behind Stripe, too early: something may still be under way.
        408 | 409 | 424 | 425 => unknown(answered, &code),
        // The key was used before, with other parameters: that earlier request may have moved money, and a new key
        // would move it again.
        400..=499 if error.type_ == ApiErrorsType::IdempotencyError => unknown(answered, "idempotency_error"),
        // What is to be sent again has not been decided.
        400..=499 if answered.should_retry == Some(true) => unknown(answered, &code),
        400..=499 => ProviderError::Refused { code },
        _ => unknown(answered, &code),
    }
}

fn unknown(answered: &Answered, what: &str) -> ProviderError {
    let why = if answered.status == 0 { what.to_owned() } else { format!("{answered}: {what}") };
    match answered.retry_after {
        Some(retry_after) => ProviderError::Unavailable { why, retry_after },
        None => ProviderError::Unknown(why),
    }
}

/// Stripe's code; where it gives none, a word that an operator can act on.
fn code(error: &ApiErrors) -> String {
    error.code.as_ref().map_or_else(|| error.type_.as_str().to_owned(), |code| code.as_str().to_owned())
}
