//! What handlers take out of a request. Every refusal is a problem document; axum's own are plain text.

use std::error::Error;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use domain::id::IdError;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tower_http::timeout::TimeoutError;

use crate::code::ErrorCode;
use crate::problem::Problem;

/// Largest body of a JSON request: a contract with 100 milestones has about 20 kB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Deepest nesting of a body. The deepest that is needed is 3.
const MAX_DEPTH: usize = 16;

/// Longest `Idempotency-Key`, as at Stripe.
const MAX_KEY_LENGTH: usize = 255;

/// An id in the path.
#[derive(Debug, Clone, Copy)]
pub struct IdPath<T>(pub T);

impl<T, S> FromRequestParts<S> for IdPath<T>
where
    T: FromStr<Err = IdError>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| no_id())?;
        read_id(&text).map(Self)
    }
}

/// Two ids in the path: of a thing, and of a part of it.
#[derive(Debug, Clone, Copy)]
pub struct IdPaths<T, P>(pub T, pub P);

impl<T, P, S> FromRequestParts<S> for IdPaths<T, P>
where
    T: FromStr<Err = IdError>,
    P: FromStr<Err = IdError>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((thing, part)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| no_id())?;
        Ok(Self(read_id(&thing)?, read_id(&part)?))
    }
}

fn no_id() -> Problem {
    Problem::new(ErrorCode::NotAValidId, "the path has no readable id")
}

fn read_id<T: FromStr<Err = IdError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: IdError| {
        Problem::new(ErrorCode::NotAValidId, error.to_string()).with("expected_prefix", error.prefix)
    })
}

/// A JSON body, with the digest that says whether two requests are the same.
#[derive(Debug)]
pub struct Body<T> {
    /// What was sent.
    pub value: T,
    /// SHA-256 (hex) of method, path and the body in canonical form.
    pub fingerprint: String,
}

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let declared = media_type(request.headers());
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| unread(&rejection, MAX_BODY_BYTES))?;
        // A request without a body is one with an empty object: approving needs to say nothing more.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        if !bytes.is_empty() && !declared.as_deref().is_some_and(is_json) {
            return Err(Problem::new(ErrorCode::UnsupportedMediaType, "send application/json"));
        }
        let json: serde_json::Value = serde_json::from_slice(text)
            .map_err(|error| Problem::new(ErrorCode::MalformedRequest, format!("the body is not JSON: {error}")))?;
        check_strings(&json, &mut String::new(), 0)?;
        let mut digest = Sha256::new();
        // serde_json keeps object keys sorted, so that this is a canonical form.
        for part in [method.as_str(), "\n", &path, "\n", &json.to_string()] {
            digest.update(part.as_bytes());
        }
        let fingerprint = hex::encode(digest.finalize());
        let value = serde_path_to_error::deserialize(json).map_err(|error| {
            let (pointer, detail) = in_words(pointer(error.path()), &error.inner().to_string());
            Problem::field(ErrorCode::ValidationFailed, pointer, detail)
        })?;
        Ok(Self { value, fingerprint })
    }
}

/// Why a body could not be read, of at most `most` bytes.
pub(crate) fn unread(rejection: &BytesRejection, most: usize) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(ErrorCode::PayloadTooLarge, format!("a body may have at most {most} bytes"));
    }
    let mut causes = std::iter::successors(Some(rejection as &(dyn Error + 'static)), |&error| error.source());
    if causes.any(<dyn Error + 'static>::is::<TimeoutError>) {
        // What still comes of it is not read: the connection is of no more use.
        return Problem::new(ErrorCode::RequestTimeout, ErrorCode::RequestTimeout.title())
            .with_header(header::CONNECTION, "close");
    }
    Problem::new(ErrorCode::MalformedRequest, "the body could not be read")
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// Refuses what no store takes (NUL) and what no request needs (deep nesting), with the place.
fn check_strings(json: &serde_json::Value, at: &mut String, depth: usize) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::field(ErrorCode::ValidationFailed, at.clone(), "is nested too deeply"));
    }
    let nul = || "must not contain the character U+0000";
    match json {
        serde_json::Value::String(text) if text.contains('\0') => {
            Err(Problem::field(ErrorCode::ValidationFailed, at.clone(), nul()))
        }
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| inside(at, &index.to_string(), |at| check_strings(item, at, depth + 1))),
        serde_json::Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            if key.contains('\0') {
                return Err(Problem::field(ErrorCode::ValidationFailed, at.clone(), nul()));
            }
            inside(at, &key.replace('~', "~0").replace('/', "~1"), |at| check_strings(value, at, depth + 1))
        }),
        _ => Ok(()),
    }
}

fn inside<R>(at: &mut String, step: &str, check: impl FnOnce(&mut String) -> R) -> R {
    let length = at.len();
    at.push('/');
    at.push_str(step);
    let result = check(at);
    at.truncate(length);
    result
}

/// The JSON pointer to a place that `serde_path_to_error` names.
pub(crate) fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        let step = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => return pointer,
        };
        pointer.push('/');
        pointer.push_str(&step);
        pointer
    })
}

/// What serde says, for somebody who does not know Rust: types in JSON's words, and a missing field by its own place.
/// Without the value that was sent: it may be somebody's password in the wrong field, and problems end in other people's
/// logs.
fn in_words(mut pointer: String, said: &str) -> (String, String) {
    let said = said.replacen("invalid type: map", "invalid type: object", 1).replacen(
        "invalid type: sequence",
        "invalid type: array",
        1,
    );
    if let Some(name) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        pointer.push('/');
        pointer.push_str(name);
        return (pointer, "is missing".to_owned());
    }
    let (said, known) = unsaid(&said);
    if !known && let Some(at) = pointer.rfind('/') {
        pointer.truncate(at);
    }
    for integer in ["i64", "u64", "i32", "u32", "i16", "u16", "u8"] {
        if let Some(received) = said.strip_suffix(&format!(", expected {integer}")) {
            return (pointer, format!("{received}, expected a whole number"));
        }
    }
    (pointer, said)
}

/// What serde says without what was sent, which may be somebody's secret in the wrong field: with the kind of it only, and
/// with the name of a field that there is not, if it looks like one. And whether it names a place that there is.
fn unsaid(said: &str) -> (String, bool) {
    let told = ["invalid type", "invalid value", "unknown variant"].into_iter().find(|told| said.starts_with(told));
    if let Some((told, (received, expected))) = told.zip(said.rsplit_once(", expected ")) {
        // A text is in quotation marks, everything else that has a value in backticks: `invalid type: integer \`5\``.
        let kind = received.split(['"', '`']).next().unwrap_or(told).trim_end();
        return (format!("{kind}, expected {expected}"), true);
    }
    let Some(rest) = said.strip_prefix("unknown field `") else { return (said.to_owned(), true) };
    let ends = ["`, expected ", "`, there are no fields"];
    let Some((name, end)) = ends.into_iter().find_map(|end| rest.rfind(end).map(|at| rest.split_at(at))) else {
        return ("unknown field".to_owned(), false);
    };
    if name.len() <= LONGEST_NAME && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return (said.to_owned(), true);
    }
    (format!("unknown field{}", end.trim_start_matches('`')), false)
}

/// Longest name of a field that is repeated; none of ours is as long.
const LONGEST_NAME: usize = 40;

/// Query parameters.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let said = rejection.body_text();
                let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
                match said.split_once(": ") {
                    Some((name, what)) => {
                        // A parameter that were passed over would show more than was asked for.
                        let (what, known) = unsaid(what);
                        let what = what.replacen("unknown field", "unknown parameter", 1);
                        let name = if known { name } else { "" };
                        Problem::field(ErrorCode::ValidationFailed, name, what)
                    }
                    None => Problem::new(ErrorCode::ValidationFailed, unsaid(said).0),
                }
            })
    }
}

/// The headers that every command may have.
#[derive(Debug, Clone, Default)]
pub struct CommandHeaders {
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `If-Match`, a version.
    pub if_match: Option<u64>,
    /// `traceparent` (W3C Trace Context), if it looks like one.
    pub traceparent: Option<String>,
}

impl CommandHeaders {
    /// The key, or the problem that it is missing.
    ///
    /// # Errors
    /// `idempotency_key_required`.
    pub fn require_key(&self) -> Result<&str, Problem> {
        self.idempotency_key.as_deref().ok_or_else(|| {
            Problem::new(ErrorCode::IdempotencyKeyRequired, "send a new Idempotency-Key with each new request")
        })
    }

    /// The version, or the problem that it is missing.
    ///
    /// # Errors
    /// `precondition_required`.
    pub fn require_version(&self) -> Result<u64, Problem> {
        self.if_match.ok_or_else(|| {
            Problem::new(ErrorCode::PreconditionRequired, "send If-Match with the ETag that you have seen")
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CommandHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let bad = |name: &str, what: &str| Problem::field(ErrorCode::ValidationFailed, name, what);
        let text = |name: &'static str| match parts.headers.get(name) {
            None => Ok(None),
            Some(value) => value.to_str().map(Some).map_err(|_| bad(name, "must be plain ASCII")),
        };
        let idempotency_key = text("idempotency-key")?
            .map(|key| {
                if key.is_empty() || key.len() > MAX_KEY_LENGTH {
                    return Err(bad("Idempotency-Key", "must have 1 to 255 characters"));
                }
                Ok(key.to_owned())
            })
            .transpose()?;
        let if_match = text("if-match")?
            .map(|tag| {
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                version
                    .and_then(|version| version.parse().ok())
                    .ok_or_else(|| bad("If-Match", "must be an ETag as given, like \"8\""))
            })
            .transpose()?;
        let traceparent = parts
            .headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .filter(|value| value.len() == 55 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
            .map(str::to_owned);
        Ok(Self { idempotency_key, if_match, traceparent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-199 (in part).
    #[test]
    fn what_was_sent_is_not_told_again() {
        let told = |said: &str| in_words("/a".to_owned(), said);
        for (said, detail) in [
            ("missing field `b`", "is missing"),
            ("invalid type: string \"secret\", expected u64", "invalid type: string, expected a whole number"),
            ("invalid type: string \"a, expected b\", expected a map", "invalid type: string, expected a map"),
            ("invalid type: integer `1234`, expected a string", "invalid type: integer, expected a string"),
            ("invalid type: null, expected a string", "invalid type: null, expected a string"),
            ("invalid value: integer `-1`, expected u8", "invalid value: integer, expected a whole number"),
            ("unknown variant `secret`, expected one of `a`, `b`", "unknown variant, expected one of `a`, `b`"),
            ("unknown field `c`, expected `a`", "unknown field `c`, expected `a`"),
            ("must not be empty", "must not be empty"),
        ] {
            assert_eq!(told(said).1, detail);
        }
        let place = |at: &str, said: &str| in_words(at.to_owned(), said);
        for (at, said, pointer, detail) in [
            ("/a", "missing field `b`", "/a/b", "is missing"),
            ("/a/x@y.z", "unknown field `x@y.z`, expected `a` or `b`", "/a", "unknown field, expected `a` or `b`"),
            ("/4242", "unknown field `4242`, there are no fields", "", "unknown field, there are no fields"),
            ("/4242", "unknown field `42`42", "", "unknown field"),
        ] {
            assert_eq!(place(at, said), (pointer.to_owned(), detail.to_owned()), "{said}");
        }
    }
}
