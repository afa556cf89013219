//! Registering, and confirming an address.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::cookies::Browser;
use super::form::Sent;
use super::layout::{field, form, page, sorry, status_of, trouble};
use crate::app::App;
use crate::identity::accounts::NewAccount;
use crate::identity::sign_in::Visitor;
use crate::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Register {
    email: String,
    password: String,
    role: String,
}

/// The token of a link that was mailed.
#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    pub(super) token: String,
}

pub(super) async fn show(State(app): State<App>, browser: Browser) -> Response {
    match app.identity.require_built_in() {
        Ok(()) => ask(&browser, None),
        Err(problem) => sorry(&browser, &problem),
    }
}

fn ask(browser: &Browser, problem: Option<&Problem>) -> Response {
    let fields = html! {
        (field("E-mail address", "email", "email", "username"))
        (field("Password", "password", "password", "new-password"))
        small { "At least 8 characters. A few words are easy to remember and hard to guess." }
        label for="role" { "I want to" }
        select id="role" name="role" {
            option value="client" { "hire and pay" }
            option value="freelancer" { "work and be paid" }
        }
    };
    let content = html! {
        (trouble(problem))
        (form(browser, "/register", &fields, "Register"))
        p { a href="/sign-in" { "Sign in" } }
    };
    page(browser, status_of(problem), "Register", false, &content)
}

pub(super) async fn submit(State(app): State<App>, visitor: Visitor, sent: Sent<Register>) -> Response {
    let Sent { browser, value } = sent;
    let new = NewAccount { email: &value.email, password: &value.password, kind: &value.role };
    match app.identity.register(new, &visitor).await {
        Ok(()) => {
            let content =
                html! { p { "We have sent you a mail. Confirm your address with the link in it, within a day." } };
            page(&browser, axum::http::StatusCode::OK, "Look into your mail", false, &content)
        }
        Err(problem) => ask(&browser, Some(&problem)),
    }
}

pub(super) async fn link(browser: Browser, Query(link): Query<Link>) -> Response {
    let fields = html! { input type="hidden" name="token" value=(link.token); };
    let content = form(&browser, "/verify-email", &fields, "Confirm");
    page(&browser, axum::http::StatusCode::OK, "Confirm your address", false, &content)
}

pub(super) async fn confirm(State(app): State<App>, sent: Sent<Link>) -> Response {
    let Sent { browser, value } = sent;
    match app.identity.confirm(&app, &value.token).await {
        Ok(_) => {
            let content = html! { p { "Your address is confirmed." } p { a href="/sign-in" { "Sign in" } } };
            page(&browser, axum::http::StatusCode::OK, "Welcome", false, &content)
        }
        Err(problem) => sorry(&browser, &problem),
    }
}
