//! What the program says of itself: lists that the code is made of, for everybody, without a token.
//!
//! They change with the version of the program and with nothing else.

use axum::Json;
use serde::Serialize;

use super::Page;
use crate::view::meta::{
    self, CurrencyView, ErrorCodeView, EventTypeView, FeePresetView, PolicyPresetView, StateMachineView,
};

/// Lists the currencies: exponents in ISO 4217, and what a provider makes of them.
#[utoipa::path(get, path = "/v1/meta/currencies", tag = "meta", responses((status = 200, body = Page<CurrencyView>)))]
pub async fn currencies() -> Json<Page<CurrencyView>> {
    all(meta::currencies())
}

/// Lists the types of events.
#[utoipa::path(get, path = "/v1/meta/event-types", tag = "meta", responses((status = 200, body = Page<EventTypeView>)))]
pub async fn event_types() -> Json<Page<EventTypeView>> {
    all(meta::event_types())
}

/// Lists the error codes, with their HTTP status.
#[utoipa::path(get, path = "/v1/meta/error-codes", tag = "meta", responses((status = 200, body = Page<ErrorCodeView>)))]
pub async fn error_codes() -> Json<Page<ErrorCodeView>> {
    all(meta::error_codes())
}

/// Lists the states of everything, and what leads from one to another.
#[utoipa::path(get, path = "/v1/meta/state-machines", tag = "meta",
    responses((status = 200, body = Page<StateMachineView>)))]
pub async fn state_machines() -> Json<Page<StateMachineView>> {
    all(meta::state_machines())
}

/// Lists the policies that come with the program: the periods of contracts.
#[utoipa::path(get, path = "/v1/meta/policies", tag = "meta", responses((status = 200, body = Page<PolicyPresetView>)))]
pub async fn policies() -> Json<Page<PolicyPresetView>> {
    all(meta::policies())
}

/// Lists the fee schedules that come with the program.
#[utoipa::path(get, path = "/v1/meta/fee-presets", tag = "meta", responses((status = 200, body = Page<FeePresetView>)))]
pub async fn fee_presets() -> Json<Page<FeePresetView>> {
    all(meta::fee_presets())
}

/// A list on one page.
fn all<T: Serialize>(data: Vec<T>) -> Json<Page<T>> {
    Json(Page { object: "list".to_owned(), data, next_cursor: None })
}
