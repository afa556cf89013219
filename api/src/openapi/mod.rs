//! What the description of the API says beyond the routes: security, shared headers, answers.
//!
//! # Invariants
//! - Every operation has an example of its answer, taken from a real one (`examples.json`, written and kept true by
//!   `tests/description.rs`), and names the problems that it may be answered with.

mod answers;

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, KnownFormat, ObjectBuilder, OpenApi, OpenApiBuilder, Required, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::ProblemBody;

const DESCRIPTION: &str = "Escrow and contract ledger engine.

Amounts are integers of minor units of an ISO 4217 currency. Ids are a typed prefix and 26 base-32 digits.

**Commands** (POST) take `Idempotency-Key`: the same key and body again have no second effect and get the same answer,
for ever, with `Idempotent-Replayed: true`. Where two parties race on one thing, `If-Match` with its `ETag` is needed.
Answers carry `Log-Position`.

**Reads** take `Min-Log-Position`: give the `Log-Position` of a write, and the read is never older than it.

**Limits**: `RateLimit-Policy` tells how many requests (`q`) are allowed in how many seconds (`w`) per key (a session, a token
or a machine's key), per party and per network address, `RateLimit` how many are left (`r`) and in how many seconds one more
is (`t`). Beyond that the answer is 429, and `Retry-After` tells when to come again.

**Errors** are problem documents (RFC 9457); branch on `code`.";

/// Routes whose commands need `If-Match`.
const WITH_VERSION: &[&str] = &[
    "/v1/contracts/{id}/offer",
    "/v1/contracts/{id}/accept",
    "/v1/contracts/{id}/counter-offer",
    "/v1/contracts/{id}/decline",
    "/v1/contracts/{id}/withdraw",
    "/v1/contracts/{id}/cancel",
    "/v1/contracts/{id}/pause",
    "/v1/contracts/{id}/resume",
    "/v1/contracts/{id}/amendments",
    "/v1/contracts/{id}/amendments/{amendment_id}/accept",
    "/v1/contracts/{id}/amendments/{amendment_id}/reject",
    "/v1/amendments/{id}/accept",
    "/v1/amendments/{id}/reject",
    "/v1/contracts/{id}/end",
    "/v1/contracts/{id}/end/accept",
    "/v1/contracts/{id}/end/dispute",
    "/v1/contracts/{id}/dormancy/request-release",
    "/v1/milestones/{id}/submit",
    "/v1/milestones/{id}/withdraw-submission",
    "/v1/milestones/{id}/request-changes",
    "/v1/milestones/{id}/approve",
    "/v1/milestones/{id}/approve-partial",
    "/v1/milestones/{id}/roll-forward/accept",
    "/v1/milestones/{id}/roll-forward/reject",
    "/v1/milestones/{id}/cancel",
    "/v1/milestones/{id}/refund-requests",
    "/v1/milestones/{id}/grant-refund",
    "/v1/refund-requests/{id}/accept",
    "/v1/refund-requests/{id}/reject",
    "/v1/escrows/{id}/reallocate",
    "/v1/escrows/{id}/freeze",
    "/v1/escrows/{id}/unfreeze",
    "/v1/parties/{id}/payout-destinations/{currency}",
    "/v1/chargebacks/{id}/evidence",
];

/// Routes that make a key from the request when none is given.
const WITH_KEY_OF_ITS_OWN: &[&str] = &["/api/v1/contracts/{id}/payments"];

/// Routes that need no token.
const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/metrics",
    "/version",
    "/v1/meta/currencies",
    "/v1/meta/event-types",
    "/v1/meta/error-codes",
    "/v1/meta/state-machines",
    "/v1/meta/policies",
    "/v1/meta/fee-presets",
    "/v1/psp/webhooks/{endpoint}",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/v1/auth/register",
    "/v1/auth/verify-email",
    "/v1/auth/login",
    "/v1/auth/mfa/verify",
    "/v1/auth/refresh",
    "/v1/auth/logout",
    "/v1/auth/password-resets",
    "/v1/auth/password-resets/confirm",
];

/// The description before the routes are in it.
pub fn base() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Earnest")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(DESCRIPTION))
                .build(),
        )
        .build()
}

/// Adds to every operation what all of their kind have.
pub fn complete(description: &mut OpenApi) {
    let components = description.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("Of `/v1/auth/login`, of another issuer that is configured, or of `earnest token`."))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let examples = answers::examples();
    for (path, item) in &mut description.paths.paths {
        let open = OPEN.contains(&path.as_str());
        let with_version = WITH_VERSION.contains(&path.as_str());
        let mut asks = Vec::new();
        if let Some(operation) = &mut item.get {
            if !open {
                header(operation, "Min-Log-Position", Required::False, "Read at this position of the log or later.");
            }
            asks.push((operation, "GET"));
        }
        if let Some(operation) = &mut item.post {
            if takes_key(path) {
                let needed =
                    if WITH_KEY_OF_ITS_OWN.contains(&path.as_str()) { Required::False } else { Required::True };
                header(operation, "Idempotency-Key", needed, "New for each new request, 1 to 255 characters.");
            }
            if with_version {
                header(operation, "If-Match", Required::True, "The `ETag` that you have seen.");
            }
            asks.push((operation, "POST"));
        }
        if let Some(operation) = &mut item.put {
            header(operation, "Idempotency-Key", Required::True, "New for each new request, 1 to 255 characters.");
            if with_version {
                header(operation, "If-Match", Required::True, "The `ETag` that you have seen.");
            }
            asks.push((operation, "PUT"));
        }
        for (operation, method) in asks {
            operation.security =
                Some(if open { Vec::new() } else { vec![SecurityRequirement::new("bearer", Vec::<String>::new())] });
            answers::complete(operation, method, path, examples.get(&format!("{method} {path}")));
        }
    }
}

/// Whether a POST to this route is a command, which is carried out once per `Idempotency-Key`.
fn takes_key(path: &str) -> bool {
    // A preview is no command: it is carried out never.
    let of_test_mode = path.starts_with("/v1/test_clocks");
    !OPEN.contains(&path) && !of_test_mode && !is_preview(path) && !path.starts_with("/v1/auth/")
}

/// Whether a POST to this route only tells what a command would do.
fn is_preview(path: &str) -> bool {
    path.ends_with(":preview") || path.ends_with(":quote")
}

fn header(operation: &mut Operation, name: &str, required: Required, description: &str) {
    let schema = if name == "Min-Log-Position" {
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
    } else {
        ObjectBuilder::new().schema_type(Type::String)
    };
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(schema));
    operation.parameters.get_or_insert_default().push(parameter.build().into());
}
