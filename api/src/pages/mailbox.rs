//! The mailbox: mails that are kept instead of being sent. Opened with a key that the server tells when it starts, since
//! whoever reads it can open every account.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::cookies::{Browser, Cookie};
use super::layout::{page, sorry};
use crate::app::App;
use crate::problem::Problem;

/// Mails on the page.
const SHOWN: u16 = 50;

#[derive(Deserialize)]
pub(super) struct Key {
    key: Option<String>,
}

pub(super) async fn show(State(app): State<App>, mut browser: Browser, Query(query): Query<Key>) -> Response {
    let Some((mailbox, key)) = app.identity.mailbox() else { return sorry(&browser, &Problem::not_found()) };
    let is_key = |shown: &str| -> bool { shown.as_bytes().ct_eq(key.as_bytes()).into() };
    if query.key.as_deref().is_some_and(is_key) {
        // Out of the address, where others would see it.
        browser.set(Cookie::Mailbox, key);
        return browser.go("/mailbox");
    }
    if !browser.cookie(Cookie::Mailbox).as_deref().is_some_and(is_key) {
        return sorry(&browser, &Problem::not_found());
    }
    match mailbox.newest(SHOWN).await {
        Ok(mails) => {
            let content = html! {
                p { "Mails are kept here instead of being sent. For tests and trying out." }
                @for kept in &mails {
                    article {
                        h2 { (kept.mail.subject) }
                        small { "to " (kept.mail.to) " at " (kept.created_at.format("%Y-%m-%d %H:%M:%S UTC")) }
                        pre {
                            @for part in kept.mail.body.split_inclusive('\n') {
                                @if part.starts_with(app.identity.issuer()) { a href=(part.trim()) { (part) } } @else { (part) }
                            }
                        }
                    }
                }
            };
            page(&browser, StatusCode::OK, "Mailbox", true, &content)
        }
        Err(error) => sorry(&browser, &error.into()),
    }
}
