//! Signing in and out.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::cookies::{Browser, Cookie};
use super::form::Sent;
use super::layout::{field, form, page, sorry, status_of, trouble};
use crate::app::App;
use crate::code::ErrorCode;
use crate::identity::sign_in::{SignIn, Tokens, Visitor};
use crate::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Login {
    email: String,
    password: String,
}

#[derive(Deserialize)]
pub(super) struct Code {
    ticket: String,
    code: String,
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn show(State(app): State<App>, browser: Browser) -> Response {
    match app.identity.require_built_in() {
        Ok(()) => ask(&browser, None),
        Err(problem) => sorry(&browser, &problem),
    }
}

fn ask(browser: &Browser, problem: Option<&Problem>) -> Response {
    let fields = html! {
        (field("E-mail address", "email", "email", "username"))
        (field("Password", "password", "password", "current-password"))
    };
    let content = html! {
        (trouble(problem))
        (form(browser, "/sign-in", &fields, "Sign in"))
        p { a href="/forgotten-password" { "Forgotten password" } " · " a href="/register" { "Register" } }
    };
    page(browser, status_of(problem), "Sign in", false, &content)
}

fn ask_code(browser: &Browser, ticket: &str, problem: Option<&Problem>) -> Response {
    let fields = html! {
        input type="hidden" name="ticket" value=(ticket);
        (field("Code from your app, or a recovery code", "code", "text", "one-time-code"))
    };
    let content = html! { (trouble(problem)) (form(browser, "/sign-in/code", &fields, "Go on")) };
    page(browser, status_of(problem), "One more step", false, &content)
}

/// The visitor with the device that its cookie names.
fn from_device(browser: &Browser, visitor: &Visitor) -> Visitor {
    Visitor { address: visitor.address, device: browser.cookie(Cookie::Device) }
}

async fn signed_in(app: &App, mut browser: Browser, tokens: &Tokens) -> Response {
    match app.identity.page_secret(tokens).await {
        Ok(secret) => {
            browser.set(Cookie::Session, &secret);
            if let Some(device) = &tokens.device_token {
                browser.set(Cookie::Device, device);
            }
            browser.go("/account")
        }
        Err(problem) => sorry(&browser, &problem),
    }
}

pub(super) async fn submit(State(app): State<App>, visitor: Visitor, sent: Sent<Login>) -> Response {
    let Sent { browser, value } = sent;
    let visitor = from_device(&browser, &visitor);
    match app.identity.sign_in(&value.email, &value.password, None, &visitor).await {
        Ok(SignIn::Done(tokens)) => signed_in(&app, browser, &tokens).await,
        Ok(SignIn::SecondFactor(ticket)) => ask_code(&browser, &ticket, None),
        Err(problem) => ask(&browser, Some(&problem)),
    }
}

pub(super) async fn code(State(app): State<App>, visitor: Visitor, sent: Sent<Code>) -> Response {
    let Sent { browser, value } = sent;
    let visitor = from_device(&browser, &visitor);
    match app.identity.second_factor(&value.ticket, &value.code, &visitor).await {
        Ok(tokens) => signed_in(&app, browser, &tokens).await,
        Err(problem) if problem.code() == ErrorCode::InvalidCode => ask_code(&browser, &value.ticket, Some(&problem)),
        Err(problem) => ask(&browser, Some(&problem)),
    }
}

pub(super) async fn out(State(app): State<App>, sent: Sent<Nothing>) -> Response {
    let Sent { mut browser, .. } = sent;
    let ended = match browser.cookie(Cookie::Session) {
        Some(secret) => match app.identity.person(&secret).await {
            Ok(Some(person)) => app.identity.end(person.session_id).await,
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        },
        None => Ok(()),
    };
    browser.drop(Cookie::Session);
    match ended {
        Ok(()) => browser.go("/sign-in"),
        Err(problem) => sorry(&browser, &problem),
    }
}
