//! A forgotten password, and a new one.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::cookies::{Browser, Cookie};
use super::form::Sent;
use super::layout::{field, form, page, sorry, status_of, trouble};
use super::register::Link;
use crate::app::App;
use crate::identity::sign_in::Visitor;
use crate::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Forgotten {
    email: String,
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    token: String,
    password: String,
}

pub(super) async fn forgotten(State(app): State<App>, browser: Browser) -> Response {
    if let Err(problem) = app.identity.require_built_in() {
        return sorry(&browser, &problem);
    }
    let fields = field("E-mail address", "email", "email", "username");
    let content = form(&browser, "/forgotten-password", &fields, "Send a link");
    page(&browser, StatusCode::OK, "Forgotten password", false, &content)
}

pub(super) async fn ask(State(app): State<App>, visitor: Visitor, sent: Sent<Forgotten>) -> Response {
    let Sent { browser, value } = sent;
    match app.identity.forgotten(&app, &value.email, &visitor).await {
        Ok(()) => {
            let content = html! { p { "If there is an account with this address, a mail with a link is on its way." } };
            page(&browser, StatusCode::OK, "Look into your mail", false, &content)
        }
        Err(problem) => sorry(&browser, &problem),
    }
}

fn ask_new(browser: &Browser, token: &str, problem: Option<&Problem>) -> Response {
    let fields = html! {
        input type="hidden" name="token" value=(token);
        (field("New password", "password", "password", "new-password"))
        small { "At least 8 characters. Every device is signed out." }
    };
    let content = html! { (trouble(problem)) (form(browser, "/new-password", &fields, "Change")) };
    page(browser, status_of(problem), "Choose a new password", false, &content)
}

pub(super) async fn link(browser: Browser, Query(link): Query<Link>) -> Response {
    ask_new(&browser, &link.token, None)
}

pub(super) async fn choose(State(app): State<App>, sent: Sent<Chosen>) -> Response {
    let Sent { mut browser, value } = sent;
    match app.identity.choose_password(&value.token, &value.password).await {
        Ok(device) => {
            browser.set(Cookie::Device, &device);
            browser.drop(Cookie::Session);
            browser.go("/sign-in")
        }
        Err(problem) => ask_new(&browser, &value.token, Some(&problem)),
    }
}
