//! What a failed request proves: the table in the module header, as code.

use ::stripe::{ApiErrors, ApiErrorsType, StripeError};
use domain::ports::provider::ProviderError;

/// What is known after a request that brought no object.
pub(super) fn of(error: &StripeError) -> ProviderError {
    match error {
        StripeError::Stripe(error, status) => of_answer(error, *status),
        // Of a success as well as of an error: either way somebody has answered, and we cannot read what.
        StripeError::JSONDeserialize(_) => ProviderError::Unknown("an answer that cannot be read".to_owned()),
        StripeError::ClientError(reason) => ProviderError::Unknown(format!("no answer: {reason}")),
        StripeError::ConfigError(reason) => ProviderError::Unusable(format!("the request cannot be sent: {reason}")),
        StripeError::Timeout => ProviderError::Unknown("no answer in time".to_owned()),
    }
}

/// What an answer with Stripe's error object proves.
pub(super) fn of_answer(error: &ApiErrors, status: u16) -> ProviderError {
    let code = code(error);
    match status {
        // Our key is at fault, not the order: a payment must not fail because a key expired.
        401 | 403 => ProviderError::NotAuthorized(format!("status {status}: {code}")),
        429 => ProviderError::RateLimited { retry_after: None },
        // Timed out, key in use, a failure behind Stripe, too early: something may still be under way.
        408 | 409 | 424 | 425 => ProviderError::Unknown(format!("status {status}: {code}")),
        // The key was used before, with other parameters: that earlier request may have moved money, and a new key
        // would move it again.
        400..=499 if error.type_ == ApiErrorsType::IdempotencyError => {
            ProviderError::Unknown(format!("status {status}: idempotency_error"))
        }
        400..=499 => ProviderError::Refused { code },
        _ => ProviderError::Unknown(format!("status {status}: {code}")),
    }
}

/// Stripe's code; where it gives none, a word that an operator can act on.
fn code(error: &ApiErrors) -> String {
    error.code.as_ref().map_or_else(|| error.type_.as_str().to_owned(), |code| code.as_str().to_owned())
}
