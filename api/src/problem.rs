//! Problem documents (RFC 9457): the one place where an error becomes an answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::log::StoreError;
use domain::refusal::Refusal;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::code::ErrorCode;
use crate::engine::EngineError;

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct Problem {
    code: ErrorCode,
    detail: String,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    headers: Vec<(header::HeaderName, String)>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the name of a header or query parameter.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// The body of a problem document, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// `/problems/` and the code with dashes.
    #[schema(example = "/problems/exceeds-held")]
    pub r#type: String,
    /// The code's meaning.
    pub title: String,
    /// HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// Stable; branch on this.
    #[schema(example = "exceeds_held")]
    pub code: String,
    /// What happened here.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Further members, by code.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub more: Map<String, Value>,
}

impl Problem {
    /// A problem with what happened here.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), more: Map::new(), headers: Vec::new() }
    }

    /// A problem of one field.
    pub fn field(code: ErrorCode, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(code, detail.clone());
        problem.errors.push(FieldError { pointer: pointer.into(), detail });
        problem
    }

    /// What a caller without part in a thing gets, whether it exists or not.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, ErrorCode::NotFound.title())
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What happened here, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        if status.is_server_error() {
            tracing::error!(code = self.code.code(), detail = %self.detail, "answered with {}", self.code.code());
        }
        // What went wrong inside is for the log, not for the caller.
        let detail =
            if status == StatusCode::INTERNAL_SERVER_ERROR { self.code.title().to_owned() } else { self.detail };
        let body = ProblemBody {
            r#type: format!("/problems/{}", self.code.code().replace('_', "-")),
            title: self.code.title().to_owned(),
            status: status.as_u16(),
            code: self.code.code().to_owned(),
            detail,
            errors: self.errors,
            more: self.more,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = ErrorCode::from_code(refusal.code()).unwrap_or(ErrorCode::InternalError);
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotAParty | Refusal::NotFound { .. } => Self::not_found(),
            Refusal::Invalid { pointer, message } => Self::field(code, pointer, message),
            Refusal::ExceedsHeld { held } => Self::new(code, detail).with("held", held.get()),
            Refusal::ExceedsReleased { released } => Self::new(code, detail).with("released", released.get()),
            Refusal::InsufficientWalletBalance { balance } => Self::new(code, detail).with("balance", balance.get()),
            Refusal::PayeeInDebt { debt } => Self::new(code, detail).with("debt", debt.get()),
            Refusal::BonusWindowClosed { closed_at } | Refusal::PayeeRefundWindowClosed { closed_at } => {
                Self::new(code, detail).with("closed_at", json!(closed_at))
            }
            Refusal::InsufficientAvailable { available } => Self::new(code, detail).with("available", available.get()),
            Refusal::AmountTooLarge { max } => Self::new(code, detail).with("max", max.get()),
            Refusal::OfferExpired { expired_at } => Self::new(code, detail).with("expired_at", json!(expired_at)),
            Refusal::ContractWrongState { state, .. }
            | Refusal::MilestoneWrongState { state, .. }
            | Refusal::RefundWrongState { state, .. }
            | Refusal::ChargebackWrongState { state, .. }
            | Refusal::FundingWrongState { state, .. } => Self::new(code, detail).with("state", state),
            Refusal::CurrencyMismatch { expected, received } => {
                Self::new(code, detail).with("expected", expected.code()).with("received", received.code())
            }
            Refusal::VersionMismatch { current, .. } => Self::new(code, detail)
                .with("current_version", current)
                .with_header(header::ETAG, format!("\"{current}\"")),
            Refusal::ChargeDisputed { chargeback_id } => {
                Self::new(code, detail).with("chargeback_id", chargeback_id.to_string())
            }
            Refusal::MilestoneDisputed { dispute_id } => {
                Self::new(code, detail).with("dispute_id", dispute_id.to_string())
            }
            Refusal::RefundNotRedirectable { reason } => Self::new(code, detail).with("reason", reason),
            // What was released is given back by the payee (D-39).
            Refusal::MilestoneAlreadyApproved => {
                Self::new(code, detail).with("links", json!({ "refund_request": "/v1/refunds" }))
            }
            Refusal::PartyRestricted { reason } => Self::new(code, detail).with("reason", reason),
            Refusal::DestinationCooling { available_at } => {
                Self::new(code, detail).with("available_at", json!(available_at))
            }
            Refusal::DestinationBlocked { code: failure } => Self::new(code, detail).with("failure_code", failure),
            Refusal::DestinationRequired { currency } => Self::new(code, detail).with("currency", currency.code()),
            Refusal::NegativePspBalance { shortfall } => Self::new(code, detail).with("shortfall", shortfall.get()),
            Refusal::BelowMinimum { minimum } => Self::new(code, detail).with("minimum", minimum.get()),
            Refusal::PayoutWrongState { state, .. } | Refusal::ApprovalWrongState { state, .. } => {
                Self::new(code, detail).with("state", state)
            }
            Refusal::ExceedsSurplus { surplus } => Self::new(code, detail).with("surplus", surplus.get()),
            Refusal::Forbidden { .. }
            | Refusal::PayoutAccountExists
            | Refusal::NotRestricted
            | Refusal::FourEyesViolation
            | Refusal::ReviewWindowClosed
            | Refusal::PaymentUnderWay
            | Refusal::AmendmentPending
            | Refusal::NotSupported { .. }
            | Refusal::MilestoneNotFunded
            | Refusal::PayoutAccountRequired
            | Refusal::PayoutAccountChanged
            | Refusal::EscrowFrozen
            | Refusal::EscrowNotFrozen
            | Refusal::ConsentRequired
            | Refusal::Defect(_) => Self::new(code, detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) => ErrorCode::Unavailable,
            StoreError::BooksRefused(_) => ErrorCode::BooksRefused,
            StoreError::Corrupt(_) => ErrorCode::InternalError,
        };
        let detail = match &error {
            // The store's own words are for the log.
            StoreError::Unavailable(cause) => {
                tracing::error!(%cause, "the event store is unavailable");
                code.title().to_owned()
            }
            StoreError::BooksRefused(_) | StoreError::Corrupt(_) => error.to_string(),
        };
        let problem = Self::new(code, detail);
        if code == ErrorCode::Unavailable { problem.with_header(header::RETRY_AFTER, "1") } else { problem }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Store(error) => error.into(),
            EngineError::InProgress => {
                Self::new(ErrorCode::IdempotencyInProgress, error.to_string()).with_header(header::RETRY_AFTER, "1")
            }
            EngineError::Contended => {
                Self::new(ErrorCode::ConflictRetry, error.to_string()).with_header(header::RETRY_AFTER, "1")
            }
        }
    }
}
