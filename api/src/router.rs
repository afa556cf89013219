//! All routes, with what every request goes through.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::access;
use crate::app::App;
use crate::code::ErrorCode;
use crate::edge::{self, Edge};
use crate::extract::MAX_BODY_BYTES;
use crate::openapi;
use crate::pages;
use crate::problem::Problem;
use crate::routes::webhooks::MAX_WEBHOOK_BYTES;
use crate::routes::{
    amendments, api_keys, approvals, auth, balances, chargebacks, contracts, endings, escrows, events, fundings,
    gratuities, health, meta, milestones, offers, onboarding, parties, payments, payouts, preview, psp_disputes,
    refund_requests, refunds, reports, standing, test_clocks, test_helpers, test_helpers_payouts, treasury, users,
    wallets, webhooks,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(contracts::draft, contracts::list))
        .routes(routes!(contracts::show))
        .routes(routes!(offers::offer))
        .routes(routes!(offers::accept))
        .routes(routes!(offers::counter))
        .routes(routes!(offers::decline))
        .routes(routes!(offers::withdraw))
        .routes(routes!(amendments::propose))
        .routes(routes!(amendments::accept))
        .routes(routes!(amendments::reject))
        .routes(routes!(contracts::cancel))
        .routes(routes!(contracts::pause))
        .routes(routes!(contracts::resume))
        .routes(routes!(amendments::accept_alone))
        .routes(routes!(amendments::reject_alone))
        .routes(routes!(endings::request))
        .routes(routes!(endings::accept))
        .routes(routes!(endings::dispute))
        .routes(routes!(endings::request_release))
        .routes(routes!(contracts::timeline))
        .routes(routes!(contracts::journal))
        .routes(routes!(fundings::create))
        .routes(routes!(fundings::show))
        .routes(routes!(fundings::cancel))
        .routes(routes!(payments::create))
        .routes(routes!(gratuities::bonus))
        .routes(routes!(gratuities::tip))
        .routes(routes!(escrows::show))
        .routes(routes!(escrows::reallocate))
        .routes(routes!(escrows::freeze))
        .routes(routes!(escrows::unfreeze))
        .routes(routes!(milestones::show))
        .routes(routes!(milestones::submit))
        .routes(routes!(milestones::withdraw_submission))
        .routes(routes!(milestones::request_changes))
        .routes(routes!(milestones::approve))
        .routes(routes!(milestones::approve_partial))
        .routes(routes!(milestones::accept_roll_forward))
        .routes(routes!(milestones::reject_roll_forward))
        .routes(routes!(milestones::cancel))
        .routes(routes!(preview::approve))
        .routes(routes!(preview::quote_funding))
        .routes(routes!(refund_requests::request))
        .routes(routes!(refund_requests::grant))
        .routes(routes!(refund_requests::accept))
        .routes(routes!(refund_requests::reject))
        .routes(routes!(refunds::give_back, refunds::list))
        .routes(routes!(refunds::show))
        .routes(routes!(refunds::redirect))
        .routes(routes!(wallets::mine))
        .routes(routes!(wallets::top_up))
        .routes(routes!(wallets::withdraw))
        .routes(routes!(parties::show))
        .routes(routes!(onboarding::payout_account))
        .routes(routes!(onboarding::onboarding_link))
        .routes(routes!(onboarding::requirements))
        .routes(routes!(onboarding::payout_destination))
        .routes(routes!(standing::restrict))
        .routes(routes!(standing::lift_restriction))
        .routes(routes!(standing::sanctions_hit))
        .routes(routes!(standing::propose_clearance))
        .routes(routes!(standing::clear))
        .routes(routes!(parties::my_balances))
        .routes(routes!(parties::balances))
        .routes(routes!(parties::hold))
        .routes(routes!(parties::release))
        .routes(routes!(parties::write_off))
        .routes(routes!(payouts::create, payouts::list))
        .routes(routes!(payouts::show))
        .routes(routes!(payouts::approve))
        .routes(routes!(payouts::cancel))
        .routes(routes!(payouts::retry))
        .routes(routes!(payouts::schedule))
        .routes(routes!(payouts::policy))
        .routes(routes!(chargebacks::list))
        .routes(routes!(chargebacks::show))
        .merge(evidence())
        .routes(routes!(chargebacks::submit))
        .routes(routes!(chargebacks::accept))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::show))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(approvals::withdraw))
        .routes(routes!(psp_disputes::dispute))
        .routes(routes!(psp_disputes::win))
        .routes(routes!(psp_disputes::lose))
        .routes(routes!(psp_disputes::return_payment))
        .routes(routes!(events::list))
        .routes(routes!(users::show))
        .routes(routes!(users::accesses))
        .routes(routes!(meta::currencies))
        .routes(routes!(meta::event_types))
        .routes(routes!(meta::error_codes))
        .routes(routes!(meta::state_machines))
        .routes(routes!(meta::policies))
        .routes(routes!(meta::fee_presets))
        .routes(routes!(reports::trial_balance))
        .routes(routes!(balances::balances))
        .routes(routes!(reports::coverage))
        .routes(routes!(treasury::list))
        .routes(routes!(treasury::top_up))
        .routes(routes!(treasury::propose_sweep))
        .routes(routes!(treasury::approve_sweep))
        .routes(routes!(treasury::reject_sweep))
        .routes(routes!(treasury::adopt))
        .routes(routes!(test_clocks::show))
        .routes(routes!(test_clocks::advance))
        .routes(routes!(test_helpers_payouts::fail))
        .routes(routes!(test_helpers_payouts::give_back))
        .routes(routes!(test_helpers_payouts::onboard))
        .routes(routes!(test_helpers_payouts::restrict))
        .routes(routes!(test_helpers_payouts::deauthorize))
        .routes(routes!(test_helpers_payouts::close))
        .routes(routes!(test_helpers_payouts::adjust))
        .merge(test_helpers::router())
        .routes(routes!(auth::register))
        .routes(routes!(auth::verify_email))
        .routes(routes!(auth::login))
        .routes(routes!(auth::verify_factor))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::forgotten_password))
        .routes(routes!(auth::new_password))
        .routes(routes!(auth::step_up))
        .routes(routes!(auth::enrol_factor))
        .routes(routes!(auth::confirm_factor))
        .routes(routes!(auth::disable_factor))
        .routes(routes!(auth::me))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::show))
        .routes(routes!(api_keys::rotate))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(auth::jwks))
        .routes(routes!(auth::discovery))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .merge(OpenApiRouter::new().routes(routes!(webhooks::receive)).layer(DefaultBodyLimit::max(MAX_WEBHOOK_BYTES)))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::version))
}

/// What is said to a bank may be longer than other requests. The limit that is nearer to the route is the one that counts.
fn evidence() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(chargebacks::evidence, chargebacks::draft_evidence))
        .layer(DefaultBodyLimit::max(chargebacks::MAX_EVIDENCE_BYTES))
}

/// The description of the API, OpenAPI 3.1.
pub fn description() -> utoipa::openapi::OpenApi {
    let (_, mut description) = documented().split_for_parts();
    openapi::complete(&mut description);
    description
}

/// The service.
pub fn router(app: App, edge: &Edge) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .layer(middleware::from_fn_with_state(app.clone(), test_helpers::once))
        .merge(pages::router())
        .with_state(app.clone())
        .merge(SwaggerUi::new("/docs").url("/openapi.json", description()))
        .fallback(|| std::future::ready(Problem::new(ErrorCode::NotFound, "there is no such route")))
        .method_not_allowed_fallback(|| {
            std::future::ready(Problem::new(ErrorCode::MethodNotAllowed, ErrorCode::MethodNotAllowed.title()))
        })
        .layer(middleware::from_fn_with_state(app.clone(), access::guard))
        .layer(
            ServiceBuilder::new()
                .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
                .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
                .layer(TraceLayer::new_for_http().make_span_with(span))
                .layer(PropagateRequestIdLayer::new(REQUEST_ID))
                .layer(middleware::from_fn(count))
                .layer(CompressionLayer::new())
                .layer(middleware::from_fn_with_state(edge.clone(), edge::headers::protect))
                .option_layer(edge.cors())
                .layer(middleware::from_fn(problem_with_request_id))
                .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
                    Problem::new(ErrorCode::InternalError, "a handler panicked").into_response()
                }))
                .layer(middleware::from_fn_with_state(edge.clone(), edge::in_time))
                .layer(middleware::from_fn_with_state((app, edge.clone()), edge::rate_limit::limit))
                .layer(RequestBodyTimeoutLayer::new(edge.body_timeout())),
        )
}

/// Names a request in the log, without its query or body.
fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id)
}

/// Counts requests by method and status.
async fn count(request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let response = next.run(request).await;
    metrics::counter!("http_requests_total", "method" => method, "status" => response.status().as_str().to_owned())
        .increment(1);
    response
}

/// Puts the request's id into problem documents, so that a report of one can be found in the log.
async fn problem_with_request_id(request: Request, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == b"application/problem+json");
    let Some(id) = id.filter(|_| is_problem) else { return response };
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, MAX_WEBHOOK_BYTES).await else {
        return Problem::new(ErrorCode::InternalError, "a problem could not be written").into_response();
    };
    let text = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(mut members)) => {
            members.insert("request_id".to_owned(), id.into());
            serde_json::Value::Object(members).to_string().into_bytes()
        }
        _ => bytes.to_vec(),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, text.into())
}
