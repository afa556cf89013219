//! A form that was sent from one of our pages.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::MAX_FORM_BYTES;
use super::cookies::Browser;
use super::layout::sorry;
use crate::app::App;
use crate::code::ErrorCode;
use crate::extract::unread;
use crate::problem::Problem;

/// A form, and the browser that sent it. One that another site made is refused before it is looked at.
pub(super) struct Sent<T> {
    pub(super) browser: Browser,
    pub(super) value: T,
}

#[derive(Deserialize)]
struct Token {
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<App> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(browser) = <Browser as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app).await;
        let refuse = |code: ErrorCode, why: &str| sorry(&browser, &Problem::new(code, why));
        let request = Request::from_parts(parts, body);
        let bytes = Bytes::from_request(request, app).await;
        let bytes = bytes.map_err(|rejection| sorry(&browser, &unread(&rejection, MAX_FORM_BYTES)))?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(refuse(ErrorCode::MalformedRequest, "the form cannot be read"));
        };
        let token: Option<Token> = serde_urlencoded::from_str(text).ok();
        let right = token.is_some_and(|token| token.csrf.as_bytes().ct_eq(browser.form_token().as_bytes()).into());
        if !right || browser.is_sent_by_another_site() {
            return Err(refuse(
                ErrorCode::Forbidden,
                "the form is too old or was not sent from our page; go back and try again",
            ));
        }
        let Ok(value) = serde_urlencoded::from_str(text) else {
            return Err(refuse(ErrorCode::MalformedRequest, "the form is not complete"));
        };
        Ok(Self { browser, value })
    }
}
