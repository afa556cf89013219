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

use crate::access::rule::{Grant, RoleSet, Strength};
use crate::access::table;
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

/// What is said of `Idempotency-Key`.
const NEW_KEY: &str = "New for each new request, 1 to 255 characters. It is in the log: no personal data.";

/// Routes that make a key from the request when none is given.
const WITH_KEY_OF_ITS_OWN: &[&str] = &["/api/v1/contracts/{id}/payments"];

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
        .description(Some("Of `/v1/auth/login`, of another issuer that is configured, of `/v1/api-keys`, or of `earnest token`. Each operation names the scope that it needs."))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let examples = answers::examples();
    for (path, item) in &mut description.paths.paths {
        let with_version = WITH_VERSION.contains(&path.as_str());
        let mut asks = Vec::new();
        if let Some(operation) = &mut item.get {
            if reads_log(path) {
                header(operation, "Min-Log-Position", Required::False, "Read at this position of the log or later.");
            }
            asks.push((operation, "GET"));
        }
        if let Some(operation) = &mut item.post {
            if takes_key(path) {
                let needed =
                    if WITH_KEY_OF_ITS_OWN.contains(&path.as_str()) { Required::False } else { Required::True };
                header(operation, "Idempotency-Key", needed, NEW_KEY);
            }
            if with_version {
                header(operation, "If-Match", Required::True, "The `ETag` that you have seen.");
            }
            asks.push((operation, "POST"));
        }
        if let Some(operation) = &mut item.put {
            header(operation, "Idempotency-Key", Required::True, NEW_KEY);
            if with_version {
                header(operation, "If-Match", Required::True, "The `ETag` that you have seen.");
            }
            asks.push((operation, "PUT"));
        }
        for (operation, method) in asks {
            operation.security = Some(security(method, path));
            if let Some(grant) = table::grant(method, path) {
                let said = operation.description.get_or_insert_default();
                let gap = if said.is_empty() { "" } else { "\n\n" };
                said.push_str(gap);
                said.push_str(&needed(grant));
            }
            answers::complete(operation, method, path, examples.get(&format!("{method} {path}")));
        }
    }
}

/// What a token has to be good for, by the table: its scope. Nothing for a route that asks for none.
fn security(method: &str, path: &str) -> Vec<SecurityRequirement> {
    let needed = |grant: Grant| SecurityRequirement::new("bearer", grant.scope);
    if table::is_open(method, path) { Vec::new() } else { table::grant(method, path).map(needed).into_iter().collect() }
}

/// Who may, in words.
fn needed(grant: Grant) -> String {
    let roles = if grant.roles == RoleSet::EVERYBODY { "any role".to_owned() } else { grant.roles.words().join(", ") };
    let scope = grant.scope.map_or_else(|| "any scope".to_owned(), |scope| format!("scope `{scope}`"));
    let strength = match grant.strength {
        Strength::Token => "",
        Strength::Person => ", not with an API key",
        Strength::Recent => ", signed in a short while ago",
        Strength::RecentAbove => ", signed in a short while ago when it is about much",
    };
    format!("For: {roles}; {scope}{strength}.")
}

/// Whether a GET of this route reads what the log has led to.
pub(super) fn reads_log(path: &str) -> bool {
    !table::is_open("GET", path) && path != "/v1/users/me" && !path.starts_with("/v1/api-keys")
}

/// Whether a POST to this route is a command, which is carried out once per `Idempotency-Key`.
fn takes_key(path: &str) -> bool {
    // A preview is no command: it is carried out never. What answers with a secret is not kept to be answered again.
    let without = ["/v1/test_clocks", "/v1/auth/", "/v1/api-keys"];
    !table::is_open("POST", path) && !is_preview(path) && !without.iter().any(|start| path.starts_with(start))
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
