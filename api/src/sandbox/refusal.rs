//! Why the sandbox says no, as Stripe says it: HTTP status and `{"error": {…}}`
//! (<https://docs.stripe.com/api/errors>).
//!
//! # Invariants
//! - A [`Refusal`] raised while an order is carried out is raised before anything is written, so the transaction may
//!   still commit the stored answer. A declined card is no refusal but an outcome: it leaves an intent and a charge.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// A request that the sandbox does not carry out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth \
         (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
    )]
    NoKey,
    #[error("Invalid API Key provided.")]
    WrongKey,
    #[error("Unrecognized request URL ({method}: {path}).")]
    UnknownRoute { method: String, path: String },
    #[error(
        "The provided key does not have access to account '{account}' (or that account does not exist). Application access \
         may have been revoked."
    )]
    NoAccess { account: String },
    #[error("Missing required param: {param}.")]
    Missing { param: &'static str },
    #[error("{message}")]
    Invalid { param: String, code: Option<&'static str>, message: String },
    #[error("{message}")]
    BadRequest { status: StatusCode, message: String },
    #[error("No such {noun}: '{id}'")]
    NotFound { noun: &'static str, id: String },
    #[error("No such {noun}: '{id}'")]
    NoSuch { noun: &'static str, id: String, param: &'static str },
    #[error(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a \
        key other than '{key}' if you meant to execute a different request."
    )]
    OtherParameters { key: String },
    #[error(
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted \
        twice, and the other request is still going through): {key}. Please try again later."
    )]
    KeyInUse { key: String },
    #[error("{message}")]
    UnexpectedState { message: String, intent: Value },
    #[error("{message}")]
    NotRefundable { code: &'static str, message: String },
    #[error("{message}")]
    RefundUnexpectedState { message: String },
    #[error("You have insufficient available funds in your {currency} balance for this {noun}.")]
    BalanceInsufficient { currency: String, noun: &'static str },
    #[error("Request rate limit exceeded. (A fault that was asked for.)")]
    RateLimited,
    #[error("An error occurred before the request was carried out. (A fault that was asked for.)")]
    PlannedFailure,
    #[error("An unknown error occurred.")]
    Internal,
}

impl Refusal {
    pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), code: None, message: message.into() }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::NoAccess { .. } => StatusCode::FORBIDDEN,
            Self::UnknownRoute { .. } | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::BadRequest { status, .. } => *status,
            Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::NoSuch { .. }
            | Self::OtherParameters { .. }
            | Self::UnexpectedState { .. }
            | Self::NotRefundable { .. }
            | Self::RefundUnexpectedState { .. }
            | Self::BalanceInsufficient { .. } => StatusCode::BAD_REQUEST,
            Self::KeyInUse { .. } => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::PlannedFailure | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::OtherParameters { .. } | Self::KeyInUse { .. } => "idempotency_error",
            Self::PlannedFailure | Self::Internal => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::NoAccess { .. } => Some("account_invalid"),
            Self::Missing { .. } => Some("parameter_missing"),
            Self::Invalid { code, .. } => *code,
            Self::NotFound { .. } | Self::NoSuch { .. } => Some("resource_missing"),
            Self::KeyInUse { .. } => Some("idempotency_key_in_use"),
            Self::UnexpectedState { .. } => Some("payment_intent_unexpected_state"),
            Self::NotRefundable { code, .. } => Some(code),
            Self::BalanceInsufficient { .. } => Some("balance_insufficient"),
            Self::RateLimited => Some("rate_limit"),
            Self::NoKey
            | Self::WrongKey
            | Self::UnknownRoute { .. }
            | Self::BadRequest { .. }
            | Self::OtherParameters { .. }
            | Self::RefundUnexpectedState { .. }
            | Self::PlannedFailure
            | Self::Internal => None,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Missing { param } | Self::NoSuch { param, .. } => Some(param),
            Self::Invalid { param, .. } => Some(param),
            Self::NotFound { noun, .. } => Some(match *noun {
                "payment_intent" => "intent",
                _ => "id",
            }),
            _ => None,
        }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(self.kind()));
        error.insert("message".to_owned(), json!(self.to_string()));
        if let Some(code) = self.code() {
            error.insert("code".to_owned(), json!(code));
            error.insert("doc_url".to_owned(), json!(documentation(code)));
        }
        if let Some(param) = self.param() {
            error.insert("param".to_owned(), json!(param));
        }
        if let Self::UnexpectedState { intent, .. } = self {
            error.insert("payment_intent".to_owned(), intent.clone());
        }
        json!({ "error": error })
    }
}

/// Where Stripe explains an error code.
pub(super) fn documentation(code: &str) -> String {
    format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-"))
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The sandbox said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not answer as it should; nothing was written.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
