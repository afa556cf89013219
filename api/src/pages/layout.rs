//! What every page looks like, and the parts that forms are made of.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::cookies::Browser;
use crate::problem::Problem;

/// A page.
pub(super) fn page(browser: &Browser, status: StatusCode, title: &str, wide: bool, content: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – Earnest" }
                link rel="stylesheet" href="/pages.css";
            }
            body {
                main class=[wide.then_some("wide")] {
                    h1 { (title) }
                    (content)
                }
            }
        }
    };
    browser.keep(
        ([(axum::http::header::CONTENT_TYPE, "text/html; charset=utf-8")], Html(markup.into_string())).into_response(),
        status,
    )
}

/// A form with its token.
pub(super) fn form(browser: &Browser, action: &str, fields: &Markup, button: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="csrf" value=(browser.form_token());
            (fields)
            button type="submit" { (button) }
        }
    }
}

/// A field with its label.
pub(super) fn field(label: &str, name: &str, kind: &str, autocomplete: &str) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type=(kind) autocomplete=(autocomplete) required;
    }
}

/// What went wrong, above a form.
pub(super) fn trouble(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            p class="error" role="alert" { (sentence(problem)) }
        }
    }
}

/// What went wrong, for a person. What went wrong inside is for the log.
fn sentence(problem: &Problem) -> String {
    if problem.code().status().is_server_error() {
        return "That did not work. Please try again in a moment.".to_owned();
    }
    let detail = problem.detail();
    let mut letters = detail.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The status of a page that shows a problem.
pub(super) fn status_of(problem: Option<&Problem>) -> StatusCode {
    problem.map_or(StatusCode::OK, |problem| problem.code().status())
}

/// A page that says what went wrong, and no more.
pub(super) fn sorry(browser: &Browser, problem: &Problem) -> Response {
    if problem.code().status().is_server_error() {
        tracing::error!(code = problem.code().code(), detail = problem.detail(), "a page could not be shown");
    }
    let content = html! {
        (trouble(Some(problem)))
        p { a href="/sign-in" { "Sign in" } }
    };
    page(browser, problem.code().status(), "That did not work", false, &content)
}
