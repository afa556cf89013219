//! The account of who is signed in, and its second factor.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::cookies::{Browser, Cookie};
use super::form::Sent;
use super::layout::{field, form, page, sorry, status_of, trouble};
use super::sign_in::Nothing;
use crate::app::App;
use crate::identity::page_session::Person;
use crate::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Code {
    code: String,
}

#[derive(Deserialize)]
pub(super) struct Confirm {
    code: String,
    secret: String,
    link: String,
}

/// Who is signed in, or the page to go on with.
async fn person(app: &App, browser: &Browser) -> Result<Person, Box<Response>> {
    let Some(secret) = browser.cookie(Cookie::Session) else { return Err(Box::new(browser.go("/sign-in"))) };
    match app.identity.person(&secret).await {
        Ok(Some(person)) => Ok(person),
        Ok(None) => Err(Box::new(browser.go("/sign-in"))),
        Err(problem) => Err(Box::new(sorry(browser, &problem))),
    }
}

async fn overview(app: &App, browser: &Browser, person: &Person, problem: Option<&Problem>) -> Response {
    let account = &person.account;
    let email = match app.identity.email_of(account).await {
        Ok(email) => email.unwrap_or_default(),
        Err(problem) => return sorry(browser, &problem),
    };
    let code = field("Code from your app, or a recovery code", "code", "text", "one-time-code");
    let content = html! {
        (trouble(problem))
        dl {
            dt { "Address" } dd { (email) }
            dt { "Registered as" } dd { (account.kind) }
            dt { "Party" } dd { code { (account.party_id) } }
        }
        h2 { "Codes when signing in" }
        @if account.totp_confirmed {
            p { "Signing in needs a code from your app." }
            (form(browser, "/account/second-factor/off", &code, "Turn off"))
        } @else {
            p { "Signing in needs the password only." }
            (form(browser, "/account/second-factor", &html! {}, "Set up an app"))
        }
        (form(browser, "/sign-out", &html! {}, "Sign out"))
    };
    page(browser, status_of(problem), "Your account", false, &content)
}

pub(super) async fn show(State(app): State<App>, browser: Browser) -> Response {
    match person(&app, &browser).await {
        Ok(person) => overview(&app, &browser, &person, None).await,
        Err(response) => *response,
    }
}

fn set_up(browser: &Browser, secret: &str, link: &str, problem: Option<&Problem>) -> Response {
    let fields: Markup = html! {
        input type="hidden" name="secret" value=(secret);
        input type="hidden" name="link" value=(link);
        (field("Code that the app shows", "code", "text", "one-time-code"))
    };
    let content = html! {
        (trouble(problem))
        p { "Add this key to your app for codes, or " a href=(link) { "open it there" } ":" }
        p { code { (secret) } }
        (form(browser, "/account/second-factor/confirm", &fields, "Turn on"))
    };
    page(browser, status_of(problem), "Set up an app", false, &content)
}

pub(super) async fn enrol(State(app): State<App>, sent: Sent<Nothing>) -> Response {
    let Sent { browser, .. } = sent;
    let person = match person(&app, &browser).await {
        Ok(person) => person,
        Err(response) => return *response,
    };
    if app.identity.require_recent_always(&person.caller).await.is_err() {
        return browser.go("/sign-in");
    }
    match app.identity.enrol_factor(&person.caller).await {
        Ok(enrolment) => set_up(&browser, &enrolment.secret, &enrolment.otpauth_url, None),
        Err(problem) => overview(&app, &browser, &person, Some(&problem)).await,
    }
}

pub(super) async fn confirm(State(app): State<App>, sent: Sent<Confirm>) -> Response {
    let Sent { browser, value } = sent;
    let person = match person(&app, &browser).await {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match app.identity.confirm_factor(&person.caller, &value.code).await {
        Ok(codes) => {
            let content = html! {
                p { "Keep these somewhere safe. Each lets you in once when you have no app. They are not shown again." }
                ul { @for code in &codes.recovery_codes { li { code { (code) } } } }
                p { a href="/account" { "Your account" } }
            };
            page(&browser, StatusCode::OK, "Recovery codes", false, &content)
        }
        // Only links of the kind that we make are shown again.
        Err(problem) if value.link.starts_with("otpauth://totp/") => {
            set_up(&browser, &value.secret, &value.link, Some(&problem))
        }
        Err(problem) => overview(&app, &browser, &person, Some(&problem)).await,
    }
}

pub(super) async fn disable(State(app): State<App>, sent: Sent<Code>) -> Response {
    let Sent { browser, value } = sent;
    let person = match person(&app, &browser).await {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match app.identity.disable_factor(&person.caller, &value.code).await {
        Ok(()) => browser.go("/account"),
        Err(problem) => overview(&app, &browser, &person, Some(&problem)).await,
    }
}
