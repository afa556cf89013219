//! The cookies of a browser, and the token of its forms.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::identity::seal::new_secret;

/// Seconds that a device is known for.
const DEVICE_SECONDS: u32 = 90 * 24 * 60 * 60;

/// Seconds that a session lasts at most.
const SESSION_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Which cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// What the forms' token is bound to.
    Form,
    /// The session.
    Session,
    /// That somebody signed in from here before.
    Device,
    /// That the mailbox may be read.
    Mailbox,
}

impl Cookie {
    fn word(self) -> &'static str {
        match self {
            Self::Form => "earnest_form",
            Self::Session => "earnest_session",
            Self::Device => "earnest_device",
            Self::Mailbox => "earnest_mailbox",
        }
    }

    fn max_age(self) -> Option<u32> {
        match self {
            Self::Form | Self::Mailbox => None,
            Self::Session => Some(SESSION_SECONDS),
            Self::Device => Some(DEVICE_SECONDS),
        }
    }
}

/// A browser, as its cookies tell.
pub(super) struct Browser {
    headers: HeaderMap,
    secure: bool,
    form: String,
    form_token: String,
    set: Vec<HeaderValue>,
}

impl FromRequestParts<App> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let secure = app.identity.issuer().starts_with("https:");
        let mut browser = Self {
            headers: parts.headers.clone(),
            secure,
            form: String::new(),
            form_token: String::new(),
            set: Vec::new(),
        };
        match browser.cookie(Cookie::Form) {
            Some(form) if form.len() <= 128 => browser.form = form,
            _ => {
                browser.form = new_secret("");
                let form = browser.form.clone();
                browser.set(Cookie::Form, &form);
            }
        }
        browser.form_token = app.identity.form_mac(&browser.form);
        Ok(browser)
    }
}

impl Browser {
    fn name(&self, cookie: Cookie) -> String {
        // With the prefix a browser takes it from this very host over TLS only.
        if self.secure { format!("__Host-{}", cookie.word()) } else { cookie.word().to_owned() }
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, cookie: Cookie) -> Option<String> {
        let name = self.name(cookie);
        let texts = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        texts
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    /// Sets a cookie with the answer.
    pub(super) fn set(&mut self, cookie: Cookie, value: &str) {
        let age = cookie.max_age().map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        self.push(cookie, &format!("{value}{age}"));
    }

    /// Drops a cookie with the answer.
    pub(super) fn drop(&mut self, cookie: Cookie) {
        self.push(cookie, "; Max-Age=0");
    }

    fn push(&mut self, cookie: Cookie, rest: &str) {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={rest}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name(cookie));
        self.set.extend(HeaderValue::from_str(&text));
    }

    /// What forms carry.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether the browser says that another site made it send this.
    pub(super) fn is_sent_by_another_site(&self) -> bool {
        let site = self.headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
    }

    /// An answer with the cookies that were set.
    pub(super) fn keep(&self, mut response: Response, status: StatusCode) -> Response {
        *response.status_mut() = status;
        for cookie in &self.set {
            response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        response
    }

    /// Goes on to another page.
    pub(super) fn go(&self, to: &str) -> Response {
        self.keep(Redirect::to(to).into_response(), StatusCode::SEE_OTHER)
    }
}
