//! The answers of an operation: an example of its success, and the problems that it may be answered with.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::{WITH_VERSION, reads_log, takes_key};
use crate::access::rule::{RoleSet, Strength};
use crate::access::table;
use crate::code::ErrorCode;
use crate::edge::rate_limit::is_limited;

/// Problems that are an operation's own, by method and route.
const OWN: &[(&str, &[ErrorCode])] = &[
    ("POST /v1/contracts", &[ErrorCode::AmountTooLarge]),
    (
        "POST /v1/contracts/{id}/offer",
        &[ErrorCode::ContractWrongState, ErrorCode::CurrencyMismatch, ErrorCode::AmountTooLarge],
    ),
    ("POST /v1/contracts/{id}/accept", &[ErrorCode::ContractWrongState, ErrorCode::OfferExpired]),
    (
        "POST /v1/contracts/{id}/counter-offer",
        &[ErrorCode::ContractWrongState, ErrorCode::OfferExpired, ErrorCode::AmountTooLarge],
    ),
    ("POST /v1/contracts/{id}/decline", &[ErrorCode::ContractWrongState, ErrorCode::OfferExpired]),
    ("POST /v1/contracts/{id}/withdraw", &[ErrorCode::ContractWrongState, ErrorCode::OfferExpired]),
    ("POST /v1/contracts/{id}/cancel", &[ErrorCode::ContractWrongState, ErrorCode::PaymentUnderWay]),
    ("POST /v1/contracts/{id}/pause", &[ErrorCode::ContractWrongState]),
    ("POST /v1/contracts/{id}/resume", &[ErrorCode::ContractWrongState]),
    (
        "POST /v1/contracts/{id}/amendments",
        &[ErrorCode::ContractWrongState, ErrorCode::AmendmentPending, ErrorCode::AmountTooLarge],
    ),
    (
        "POST /v1/contracts/{id}/amendments/{amendment_id}/accept",
        &[
            ErrorCode::ContractWrongState,
            ErrorCode::MilestoneWrongState,
            ErrorCode::PaymentUnderWay,
            ErrorCode::AmountTooLarge,
        ],
    ),
    ("POST /v1/contracts/{id}/amendments/{amendment_id}/reject", &[ErrorCode::ContractWrongState]),
    (
        "POST /v1/amendments/{id}/accept",
        &[
            ErrorCode::ContractWrongState,
            ErrorCode::MilestoneWrongState,
            ErrorCode::PaymentUnderWay,
            ErrorCode::AmountTooLarge,
        ],
    ),
    ("POST /v1/amendments/{id}/reject", &[ErrorCode::ContractWrongState]),
    ("POST /v1/contracts/{id}/end", &[ErrorCode::ContractWrongState, ErrorCode::PaymentUnderWay]),
    ("POST /v1/contracts/{id}/end/accept", &[ErrorCode::ContractWrongState, ErrorCode::PaymentUnderWay]),
    ("POST /v1/contracts/{id}/end/dispute", &[ErrorCode::NotSupported, ErrorCode::ContractWrongState]),
    ("POST /v1/contracts/{id}/dormancy/request-release", &[ErrorCode::ContractWrongState]),
    ("POST /v1/contracts/{id}/fundings", PAYING),
    ("POST /api/v1/contracts/{id}/payments", PAYING),
    ("POST /v1/contracts/{id}/bonuses", GIVING),
    ("POST /v1/contracts/{id}/tips", GIVING),
    ("POST /v1/fundings/{id}/cancel", &[ErrorCode::FundingWrongState]),
    (
        "POST /v1/escrows/{id}/reallocate",
        &[
            ErrorCode::ExceedsHeld,
            ErrorCode::EscrowFrozen,
            ErrorCode::ConsentRequired,
            ErrorCode::MilestoneDisputed,
            ErrorCode::MilestoneWrongState,
            ErrorCode::PaymentUnderWay,
            ErrorCode::ContractWrongState,
            ErrorCode::AmountTooLarge,
        ],
    ),
    ("POST /v1/escrows/{id}/freeze", &[ErrorCode::EscrowFrozen, ErrorCode::ContractWrongState]),
    ("POST /v1/escrows/{id}/unfreeze", &[ErrorCode::EscrowNotFrozen]),
    ("POST /v1/approvals/{id}/approve", APPROVING),
    ("POST /v1/approvals/{id}/reject", APPROVING),
    ("POST /v1/approvals/{id}/withdraw", &[ErrorCode::ApprovalWrongState]),
    ("POST /v1/parties/{id}/balance/write-off", &[ErrorCode::AmountTooLarge]),
    (
        "POST /v1/milestones/{id}/submit",
        &[ErrorCode::MilestoneNotFunded, ErrorCode::MilestoneWrongState, ErrorCode::ContractWrongState],
    ),
    (
        "POST /v1/milestones/{id}/withdraw-submission",
        &[ErrorCode::MilestoneNotFunded, ErrorCode::MilestoneWrongState, ErrorCode::MilestoneAlreadyApproved],
    ),
    (
        "POST /v1/milestones/{id}/request-changes",
        &[
            ErrorCode::ReviewWindowClosed,
            ErrorCode::MilestoneNotFunded,
            ErrorCode::MilestoneWrongState,
            ErrorCode::MilestoneAlreadyApproved,
        ],
    ),
    ("POST /v1/milestones/{id}/cancel", &[ErrorCode::MilestoneWrongState, ErrorCode::PaymentUnderWay]),
    (
        "POST /v1/milestones/{id}/approve",
        &[
            ErrorCode::InsufficientUserAuthentication,
            ErrorCode::MilestoneNotFunded,
            ErrorCode::MilestoneAlreadyApproved,
            ErrorCode::MilestoneDisputed,
            ErrorCode::MilestoneWrongState,
            ErrorCode::EscrowFrozen,
            ErrorCode::ExceedsHeld,
            ErrorCode::CurrencyMismatch,
            ErrorCode::AmountTooLarge,
        ],
    ),
    (
        "POST /v1/milestones/{id}/approve:preview",
        &[
            ErrorCode::MalformedRequest,
            ErrorCode::Forbidden,
            ErrorCode::MilestoneNotFunded,
            ErrorCode::MilestoneAlreadyApproved,
            ErrorCode::MilestoneWrongState,
            ErrorCode::VersionMismatch,
            ErrorCode::ValidationFailed,
            ErrorCode::ExceedsHeld,
            ErrorCode::CurrencyMismatch,
            ErrorCode::AmountTooLarge,
        ],
    ),
    (
        "POST /v1/milestones/{id}/approve-partial",
        &[
            ErrorCode::MilestoneNotFunded,
            ErrorCode::MilestoneAlreadyApproved,
            ErrorCode::MilestoneDisputed,
            ErrorCode::MilestoneWrongState,
            ErrorCode::EscrowFrozen,
            ErrorCode::ExceedsHeld,
            ErrorCode::CurrencyMismatch,
            ErrorCode::AmountTooLarge,
        ],
    ),
    (
        "POST /v1/fundings:quote",
        &[
            ErrorCode::MalformedRequest,
            ErrorCode::Forbidden,
            ErrorCode::NotFound,
            ErrorCode::ContractWrongState,
            ErrorCode::PaymentUnderWay,
            ErrorCode::MilestoneWrongState,
            ErrorCode::ValidationFailed,
            ErrorCode::CurrencyMismatch,
            ErrorCode::AmountTooLarge,
            ErrorCode::InsufficientWalletBalance,
        ],
    ),
    (
        "POST /v1/milestones/{id}/roll-forward/accept",
        &[
            ErrorCode::MilestoneWrongState,
            ErrorCode::MilestoneDisputed,
            ErrorCode::PaymentUnderWay,
            ErrorCode::EscrowFrozen,
        ],
    ),
    ("POST /v1/milestones/{id}/roll-forward/reject", &[ErrorCode::MilestoneWrongState]),
    ("POST /v1/milestones/{id}/refund-requests", GIVING_BACK),
    ("POST /v1/milestones/{id}/grant-refund", GIVING_BACK),
    ("POST /v1/refund-requests/{id}/accept", &[ErrorCode::MilestoneWrongState, ErrorCode::EscrowFrozen]),
    ("POST /v1/refund-requests/{id}/reject", &[ErrorCode::MilestoneWrongState]),
    (
        "POST /v1/refunds",
        &[
            ErrorCode::ChargeDisputed,
            ErrorCode::ExceedsReleased,
            ErrorCode::CurrencyMismatch,
            ErrorCode::AmountTooLarge,
            ErrorCode::NotFound,
        ],
    ),
    (
        "POST /v1/refunds/{id}/redirect",
        &[ErrorCode::RefundWrongState, ErrorCode::RefundNotRedirectable, ErrorCode::ChargeDisputed],
    ),
    ("POST /v1/wallets/me/top-ups", &[ErrorCode::AmountTooLarge]),
    ("POST /v1/wallets/me/withdrawals", &[ErrorCode::InsufficientWalletBalance, ErrorCode::AmountTooLarge]),
    ("POST /v1/parties/{id}/balance/hold", &[ErrorCode::InsufficientAvailable, ErrorCode::AmountTooLarge]),
    ("POST /v1/parties/{id}/balance/release", &[ErrorCode::ExceedsHeld, ErrorCode::AmountTooLarge]),
    (
        "POST /v1/parties/{id}/payout-account",
        &[ErrorCode::PayoutAccountUnknown, ErrorCode::PayoutAccountExists, ErrorCode::PspUnavailable],
    ),
    ("POST /v1/parties/{id}/onboarding-links", &[ErrorCode::PayoutAccountRequired]),
    ("PUT /v1/parties/{id}/payout-destinations/{currency}", &[ErrorCode::PayoutAccountRequired]),
    ("PUT /v1/parties/{id}/payout-schedule", &[ErrorCode::AmountTooLarge]),
    ("PUT /v1/parties/{id}/payout-policy", &[ErrorCode::AmountTooLarge]),
    ("POST /v1/parties/{id}/restrict", &[ErrorCode::PartyRestricted]),
    ("POST /v1/parties/{id}/lift-restriction", &[ErrorCode::NotRestricted]),
    ("POST /v1/parties/{id}/sanctions/propose-clearance", &[ErrorCode::NotRestricted]),
    ("POST /v1/parties/{id}/sanctions/clear", &[ErrorCode::NotRestricted, ErrorCode::FourEyesViolation]),
    ("POST /v1/payouts", PAYING_OUT),
    ("POST /v1/payouts/{id}/approve", LETTING_GO),
    ("POST /v1/payouts/{id}/cancel", &[ErrorCode::PayoutWrongState]),
    ("POST /v1/payouts/{id}/retry", RETRYING),
    ("POST /v1/test_helpers/psp/payout-fail", HELPING),
    ("POST /v1/test_helpers/psp/payout-return", HELPING),
    ("POST /v1/test_helpers/psp/account-onboard", HELPING),
    ("POST /v1/test_helpers/psp/account-restrict", HELPING),
    ("POST /v1/test_helpers/psp/account-deauthorize", HELPING),
    ("POST /v1/test_helpers/psp/account-close", HELPING),
    ("POST /v1/test_helpers/psp/account-adjust", HELPING),
    ("GET /v1/chargebacks", &[ErrorCode::Forbidden]),
    ("GET /v1/chargebacks/{id}", &[ErrorCode::Forbidden]),
    ("GET /v1/chargebacks/{id}/evidence", &[ErrorCode::Forbidden, ErrorCode::NotSupported]),
    ("POST /v1/chargebacks/{id}/submit", &[ErrorCode::ChargebackWrongState, ErrorCode::NotSupported]),
    (
        "POST /v1/chargebacks/{id}/evidence",
        &[ErrorCode::ChargebackWrongState, ErrorCode::NotSupported, ErrorCode::SubjectErased],
    ),
    ("POST /v1/chargebacks/{id}/accept", &[ErrorCode::ChargebackWrongState]),
    ("POST /v1/test_helpers/psp/dispute", AT_A_BANK),
    ("POST /v1/test_helpers/psp/win", AT_A_BANK),
    ("POST /v1/test_helpers/psp/lose", AT_A_BANK),
    ("POST /v1/test_helpers/psp/return", AT_A_BANK),
    ("GET /v1/events", &[ErrorCode::Forbidden]),
    ("GET /v1/users/{id}", &[ErrorCode::Forbidden]),
    ("GET /v1/audit/access", &[ErrorCode::Forbidden]),
    ("GET /v1/reports/trial-balance", &[ErrorCode::Forbidden]),
    ("GET /v1/ledger/balances", &[ErrorCode::Forbidden, ErrorCode::ValidationFailed]),
    ("GET /v1/reports/coverage", &[ErrorCode::Forbidden]),
    ("GET /v1/treasury", &[ErrorCode::Forbidden]),
    ("POST /v1/treasury/top-ups", &[ErrorCode::AmountTooLarge]),
    ("POST /v1/treasury/sweeps", &[ErrorCode::ExceedsPlatformSurplus, ErrorCode::AmountTooLarge]),
    (
        "POST /v1/treasury/sweeps/{id}/approve",
        &[ErrorCode::FourEyesViolation, ErrorCode::ExceedsPlatformSurplus, ErrorCode::PayoutWrongState],
    ),
    ("POST /v1/treasury/sweeps/{id}/reject", &[ErrorCode::PayoutWrongState]),
    ("POST /v1/treasury/payouts/{id}/adopt", &[ErrorCode::PayoutWrongState]),
    ("GET /v1/escrows/{id}", &[ErrorCode::ValidationFailed]),
    ("GET /v1/test_clocks", &[ErrorCode::NotInTestMode]),
    (
        "POST /v1/test_clocks/{id}/advance",
        &[
            ErrorCode::Forbidden,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::ClockBackwards,
            ErrorCode::NotInTestMode,
            ErrorCode::PspUnavailable,
        ],
    ),
    (
        "POST /v1/test_helpers/psp/{helper}",
        &[
            ErrorCode::Forbidden,
            ErrorCode::NotFound,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::AmountTooLarge,
            ErrorCode::FundingWrongState,
            ErrorCode::PspUnavailable,
        ],
    ),
    (
        "POST /v1/psp/webhooks/{endpoint}",
        &[ErrorCode::InvalidSignature, ErrorCode::NotFound, ErrorCode::PayloadTooLarge, ErrorCode::Unavailable],
    ),
    (
        "POST /v1/auth/register",
        &[
            ErrorCode::ValidationFailed,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/verify-email",
        &[
            ErrorCode::LinkNotValid,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/login",
        &[
            ErrorCode::InvalidCredentials,
            ErrorCode::MfaRequired,
            ErrorCode::InvalidCode,
            ErrorCode::Forbidden,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/mfa/verify",
        &[
            ErrorCode::InvalidCode,
            ErrorCode::LinkNotValid,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/refresh",
        &[
            ErrorCode::InvalidCredentials,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/logout",
        &[
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/password-resets",
        &[
            ErrorCode::ValidationFailed,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/password-resets/confirm",
        &[
            ErrorCode::LinkNotValid,
            ErrorCode::ValidationFailed,
            ErrorCode::MalformedRequest,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/step-up",
        &[
            ErrorCode::InvalidCredentials,
            ErrorCode::InvalidCode,
            ErrorCode::MfaRequired,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/mfa/enroll",
        &[ErrorCode::MfaWrongState, ErrorCode::InsufficientUserAuthentication, ErrorCode::NotFound],
    ),
    (
        "POST /v1/auth/mfa/confirm",
        &[
            ErrorCode::InvalidCode,
            ErrorCode::MfaWrongState,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    (
        "POST /v1/auth/mfa/disable",
        &[
            ErrorCode::InvalidCode,
            ErrorCode::MfaWrongState,
            ErrorCode::InsufficientUserAuthentication,
            ErrorCode::RateLimited,
            ErrorCode::MalformedRequest,
            ErrorCode::ValidationFailed,
            ErrorCode::UnsupportedMediaType,
            ErrorCode::PayloadTooLarge,
            ErrorCode::NotFound,
            ErrorCode::Unavailable,
        ],
    ),
    ("GET /v1/api-keys", &[ErrorCode::ValidationFailed]),
    ("POST /v1/api-keys", OF_KEYS),
    ("POST /v1/api-keys/{id}/rotate", OF_KEYS),
    ("GET /.well-known/jwks.json", &[ErrorCode::NotFound, ErrorCode::Unavailable]),
    ("GET /.well-known/openid-configuration", &[ErrorCode::NotFound]),
    ("GET /readyz", &[ErrorCode::ProjectionLagging, ErrorCode::Unavailable]),
    ("GET /metrics", &[ErrorCode::Unavailable]),
];

/// Problems of making keys for machines.
const OF_KEYS: &[ErrorCode] = &[
    ErrorCode::ApiKeyWrongState,
    ErrorCode::Forbidden,
    ErrorCode::MalformedRequest,
    ErrorCode::ValidationFailed,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::PayloadTooLarge,
];

/// Problems of paying into escrow.
const PAYING: &[ErrorCode] = &[
    ErrorCode::ContractWrongState,
    ErrorCode::PaymentUnderWay,
    ErrorCode::MilestoneWrongState,
    ErrorCode::InsufficientWalletBalance,
    ErrorCode::CurrencyMismatch,
    ErrorCode::AmountTooLarge,
];

/// Problems of withdrawing earnings: the gates.
const PAYING_OUT: &[ErrorCode] = &[
    ErrorCode::InsufficientAvailable,
    ErrorCode::PayoutAccountRequired,
    ErrorCode::PartyRestricted,
    ErrorCode::DestinationBlocked,
    ErrorCode::DestinationRequired,
    ErrorCode::DestinationCooling,
    ErrorCode::NegativePspBalance,
    ErrorCode::PayeeInDebt,
    ErrorCode::BelowMinimum,
    ErrorCode::AmountTooLarge,
];

/// Problems of withdrawing them again.
const RETRYING: &[ErrorCode] = &[
    ErrorCode::PayoutWrongState,
    ErrorCode::InsufficientAvailable,
    ErrorCode::PayoutAccountRequired,
    ErrorCode::PartyRestricted,
    ErrorCode::DestinationBlocked,
    ErrorCode::DestinationRequired,
    ErrorCode::DestinationCooling,
    ErrorCode::NegativePspBalance,
    ErrorCode::PayeeInDebt,
    ErrorCode::BelowMinimum,
];

/// Problems of letting a payout go: the gates again.
const LETTING_GO: &[ErrorCode] = &[
    ErrorCode::PayoutWrongState,
    ErrorCode::PayoutAccountRequired,
    ErrorCode::PayoutAccountChanged,
    ErrorCode::PartyRestricted,
    ErrorCode::DestinationBlocked,
    ErrorCode::DestinationRequired,
    ErrorCode::DestinationCooling,
    ErrorCode::NegativePspBalance,
    ErrorCode::FourEyesViolation,
];

/// Problems of having the built-in provider do something.
const HELPING: &[ErrorCode] = &[
    ErrorCode::NotInTestMode,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::PayoutWrongState,
    ErrorCode::MalformedRequest,
    ErrorCode::ValidationFailed,
    ErrorCode::PspUnavailable,
];

/// Problems of bonuses and tips.
const GIVING: &[ErrorCode] = &[
    ErrorCode::ContractWrongState,
    ErrorCode::BonusWindowClosed,
    ErrorCode::CurrencyMismatch,
    ErrorCode::AmountTooLarge,
];

/// Problems of making a bank act.
const AT_A_BANK: &[ErrorCode] = &[
    ErrorCode::ValidationFailed,
    ErrorCode::NotInTestMode,
    ErrorCode::Forbidden,
    ErrorCode::MalformedRequest,
    ErrorCode::PspUnavailable,
];

/// Problems of giving back what is held.
const GIVING_BACK: &[ErrorCode] = &[
    ErrorCode::MilestoneNotFunded,
    ErrorCode::MilestoneAlreadyApproved,
    ErrorCode::MilestoneDisputed,
    ErrorCode::MilestoneWrongState,
    ErrorCode::ChargeDisputed,
    ErrorCode::EscrowFrozen,
    ErrorCode::ExceedsHeld,
    ErrorCode::CurrencyMismatch,
    ErrorCode::AmountTooLarge,
];

/// Problems of deciding on what somebody else has proposed.
const APPROVING: &[ErrorCode] =
    &[ErrorCode::InsufficientUserAuthentication, ErrorCode::FourEyesViolation, ErrorCode::ApprovalWrongState];

/// Problems of every command.
const OF_COMMANDS: &[ErrorCode] = &[
    ErrorCode::IdempotencyKeyRequired,
    ErrorCode::MalformedRequest,
    ErrorCode::Forbidden,
    ErrorCode::IdempotencyInProgress,
    ErrorCode::IdempotencyExpired,
    ErrorCode::ConflictRetry,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::ValidationFailed,
    ErrorCode::IdempotencyMismatch,
];

/// Answers by method and route, such as `GET /v1/contracts/{id}`. Read from the file once per description.
pub(super) fn examples() -> Map<String, Value> {
    // A test compares the file with real answers, so that it can be read.
    serde_json::from_str(include_str!("examples.json")).unwrap_or_default()
}

/// Fills in what the route does not say of its answers itself.
pub(super) fn complete(operation: &mut Operation, method: &str, path: &str, example: Option<&Value>) {
    // What others may have to approve has two answers; the example is one of them.
    let waits = example.is_some_and(|example| example["object"] == "approval_request");
    let successes = operation.responses.responses.keys().filter(|status| status.starts_with('2')).count();
    let may_wait = successes > 1;
    for (status, answer) in &mut operation.responses.responses {
        let RefOr::T(answer) = answer else { continue };
        if answer.description.is_empty() {
            let words = match status.as_str() {
                "201" => "Made; `Location` tells where.",
                "202" if may_wait => "Nothing is done yet: others have to approve it; `Location` tells where.",
                _ => "As asked.",
            };
            answer.description.push_str(words);
        }
        if may_wait && waits != (status == "202") {
            continue;
        }
        for content in answer.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = example.cloned();
            }
        }
    }
    for (status, codes) in problems(method, path) {
        operation.responses.responses.insert(status.to_string(), problem(&codes).into());
    }
    let other =
        ResponseBuilder::new().description("A problem: see `code`.").content("application/problem+json", body());
    operation.responses.responses.insert("default".to_owned(), other.build().into());
}

/// The problems of an operation, by status.
fn problems(method: &str, path: &str) -> BTreeMap<u16, Vec<ErrorCode>> {
    let grant = table::grant(method, path);
    let with_token = grant.is_some();
    let own = OWN.iter().find(|(route, _)| route.split_once(' ') == Some((method, path)));
    // The operation's own first: it is the first of a status that is shown as its example.
    let mut codes = own.map_or_else(Vec::new, |(_, codes)| codes.to_vec());
    if method == "PUT" || (method == "POST" && takes_key(path)) {
        codes.extend(OF_COMMANDS);
    }
    if method != "GET" && WITH_VERSION.contains(&path) {
        codes.extend([ErrorCode::PreconditionRequired, ErrorCode::VersionMismatch]);
    }
    if with_token && path.contains("{id}") {
        codes.extend([ErrorCode::NotFound, ErrorCode::NotAValidId]);
    }
    if method == "GET" && reads_log(path) {
        // A paging parameter, or `Min-Log-Position`, that makes no sense; and a read model that is not that far yet.
        codes.extend([ErrorCode::ValidationFailed, ErrorCode::ProjectionLagging]);
    }
    if let Some(grant) = grant {
        codes.extend([ErrorCode::Unauthenticated, ErrorCode::Unavailable]);
        if grant.roles != RoleSet::EVERYBODY || grant.strength == Strength::Person {
            codes.push(ErrorCode::Forbidden);
        }
        if grant.scope.is_some() {
            codes.push(ErrorCode::InsufficientScope);
        }
        if matches!(grant.strength, Strength::Recent | Strength::RecentAbove) {
            codes.push(ErrorCode::InsufficientUserAuthentication);
        }
    }
    if is_limited(path) {
        codes.push(ErrorCode::RateLimited);
    }
    if codes.contains(&ErrorCode::PayloadTooLarge) {
        codes.push(ErrorCode::RequestTimeout);
    }
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        let of_status = by_status.entry(code.status().as_u16()).or_default();
        if !of_status.contains(&code) {
            of_status.push(code);
        }
    }
    by_status
}

/// The answer with one of these codes, which have one status.
fn problem(codes: &[ErrorCode]) -> Response {
    let lines: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.code(), code.title())).collect();
    let example = codes.first().map(|code| {
        json!({
            "type": format!("/problems/{}", code.code().replace('_', "-")),
            "title": code.title(),
            "status": code.status().as_u16(),
            "code": code.code(),
            "detail": code.title(),
            "request_id": "5f0c2a4e-8b57-4c0e-9d38-2f1a6b7c9e10",
        })
    });
    let content = ContentBuilder::from(body()).example(example).build();
    ResponseBuilder::new().description(lines.join("\n\n")).content("application/problem+json", content).build()
}

fn body() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build()
}
