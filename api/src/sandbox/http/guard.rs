//! What stands before every route: the key, the request's name, and planned faults.
//!
//! # Invariants
//! - Every request is authenticated before anything is looked up; keys are compared in constant time. The page of an
//!   account link is reached by whoever has the link.
//! - Every answer has a `Request-Id`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::call::refused;
use super::{Shared, accounts};
use crate::sandbox::faults::RequestFault;
use crate::sandbox::identifier;
use crate::sandbox::object::API_VERSION;
use crate::sandbox::order::App;
use crate::sandbox::refusal::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// RFC 4648 §4, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The id of the request, made by [`guard`].
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// On an answer: it is not to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct HangUp;

/// Authenticates, names the request, and does what planned faults say.
pub(super) async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let request_id = identifier::new("req");
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let page = request.uri().path().starts_with(accounts::PAGES);
    let mut response = if !page && let Err(refusal) = authenticate(&app, request.headers()) {
        refused(&refusal)
    } else {
        let path = request.uri().path();
        let provider = path.starts_with("/v1/");
        let method = request.method().as_str();
        let fault = if provider { app.faults.take_request(method, path) } else { None };
        match fault {
            Some(RequestFault::Error500) => refused(&Refusal::PlannedFailure),
            Some(RequestFault::RateLimited(after)) => {
                let mut response = refused(&Refusal::RateLimited);
                if let Some(seconds) = after {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Some(RequestFault::KeyRefused) => refused(&Refusal::WrongKey),
            Some(RequestFault::BalanceInsufficient) => {
                refused(&Refusal::BalanceInsufficient { currency: "own".to_owned(), noun: "request" })
            }
            Some(fault @ (RequestFault::HoldExecution(_) | RequestFault::Twist(_))) => {
                request.extensions_mut().insert(fault);
                next.run(request).await
            }
            Some(RequestFault::HoldResponse(time)) => {
                let response = next.run(request).await;
                app.faults.wait(time).await;
                response
            }
            Some(RequestFault::TimeoutAfterSuccess) => {
                let mut response = next.run(request).await;
                response.extensions_mut().insert(HangUp);
                response
            }
            None => next.run(request).await,
        }
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    response
}

/// `Bearer sk_test_…`, or Basic with the key as user name.
fn authenticate(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoKey)?.to_str().map_err(|_| Refusal::WrongKey)?;
    let (scheme, rest) = value.split_once(' ').ok_or(Refusal::NoKey)?;
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().as_bytes().to_vec()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let mut decoded = BASE64.decode(rest.trim()).map_err(|_| Refusal::WrongKey)?;
        if let Some(colon) = decoded.iter().position(|byte| *byte == b':') {
            decoded.truncate(colon);
        }
        decoded
    } else {
        return Err(Refusal::NoKey);
    };
    let digest: [u8; 32] = Sha256::digest(&key).into();
    if bool::from(digest.ct_eq(&app.secret_digest)) { Ok(()) } else { Err(Refusal::WrongKey) }
}
