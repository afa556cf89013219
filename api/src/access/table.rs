//! The table: for every route who may use it. Sorted as the routes are in [`crate::router`].
//!
//! # Invariants
//! - Every route of the API is here once, aliases and pages included: `tests/access` compares it with the description, and
//!   asks each route as nobody, in a wrong role, without the scope, and as another party.
//! - A role that may use a route has its scope: nothing is granted in vain.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::rule::{Access, Open, Owner, RoleSet, Rule, Strength};

use Owner::{Caller, Parties, Party, Platform};
use Strength::{Person, Recent, RecentAbove};

const CLIENT: RoleSet = RoleSet::CLIENT;
const PAYEE: RoleSet = RoleSet::PAYEE;
const PARTIES: RoleSet = RoleSet::PARTIES;
const STAFF: RoleSet = RoleSet::STAFF;
const EVERYBODY: RoleSet = RoleSet::EVERYBODY;
const MONEY: RoleSet = RoleSet::MONEY;
const FINANCE: RoleSet = RoleSet::FINANCE;
const BOOKS: RoleSet = RoleSet::BOOKS;
const ADMIN: RoleSet = RoleSet::ADMIN;
const HELPERS: RoleSet = RoleSet::HELPERS;
const AUDITORS: RoleSet = RoleSet::AUDITORS;

const fn get(path: &'static str, roles: RoleSet, scope: &'static str, owner: Owner) -> Rule {
    Rule::granted("GET", path, roles, scope, owner)
}

const fn post(path: &'static str, roles: RoleSet, scope: &'static str, owner: Owner) -> Rule {
    Rule::granted("POST", path, roles, scope, owner)
}

const fn put(path: &'static str, roles: RoleSet, scope: &'static str, owner: Owner) -> Rule {
    Rule::granted("PUT", path, roles, scope, owner)
}

const fn public(path: &'static str) -> Rule {
    Rule::open("GET", path, Open::Public)
}

const fn credentials(path: &'static str) -> Rule {
    Rule::open("POST", path, Open::Credentials)
}

const fn page(method: &'static str, path: &'static str) -> Rule {
    Rule::open(method, path, Open::Page)
}

const PAY: Rule = post("/v1/contracts/{id}/fundings", CLIENT, "payments:write", Parties);
const REGISTER: Rule = credentials("/v1/auth/register");
const LOGIN: Rule = credentials("/v1/auth/login");
const JWKS: Rule = public("/.well-known/jwks.json");
const DISCOVERY: Rule = public("/.well-known/openid-configuration");

/// Who may do what.
pub const TABLE: &[Rule] = &[
    // Contracts. Which side of one may do something is the contract's to say.
    post("/v1/contracts", CLIENT, "contracts:write", Caller),
    get("/v1/contracts", EVERYBODY, "contracts:read", Caller),
    get("/v1/contracts/{id}", EVERYBODY, "contracts:read", Parties),
    get("/v1/contracts/{id}/timeline", EVERYBODY, "contracts:read", Parties),
    get("/v1/contracts/{id}/journal", EVERYBODY, "contracts:read", Parties),
    post("/v1/contracts/{id}/offer", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/accept", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/counter-offer", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/decline", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/withdraw", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/cancel", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/pause", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/resume", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/amendments", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/amendments/{amendment_id}/accept", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/amendments/{amendment_id}/reject", PARTIES, "contracts:write", Parties),
    post("/v1/amendments/{id}/accept", PARTIES, "contracts:write", Parties),
    post("/v1/amendments/{id}/reject", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/end", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/end/accept", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/end/dispute", PARTIES, "contracts:write", Parties),
    post("/v1/contracts/{id}/dormancy/request-release", PARTIES, "contracts:write", Parties),
    // Payments into them.
    PAY,
    PAY.alias("/api/v1/contracts/{id}/payments"),
    get("/v1/fundings/{id}", EVERYBODY, "payments:read", Parties),
    post("/v1/fundings/{id}/cancel", CLIENT, "payments:write", Parties),
    post("/v1/fundings:quote", CLIENT, "payments:write", Parties),
    post("/v1/contracts/{id}/bonuses", CLIENT, "payments:write", Parties).asks(RecentAbove),
    post("/v1/contracts/{id}/tips", CLIENT, "payments:write", Parties).asks(RecentAbove),
    // What is held.
    get("/v1/escrows/{id}", EVERYBODY, "escrow:read", Parties),
    post("/v1/escrows/{id}/reallocate", PARTIES, "milestones:write", Parties),
    post("/v1/escrows/{id}/freeze", MONEY, "escrow:manage", Platform),
    post("/v1/escrows/{id}/unfreeze", MONEY, "escrow:manage", Platform),
    // Milestones.
    get("/v1/milestones/{id}", EVERYBODY, "milestones:read", Parties),
    post("/v1/milestones/{id}/submit", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/withdraw-submission", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/request-changes", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/approve", PARTIES, "milestones:write", Parties).asks(RecentAbove),
    post("/v1/milestones/{id}/approve-partial", PARTIES, "milestones:write", Parties).asks(RecentAbove),
    post("/v1/milestones/{id}/approve:preview", PARTIES, "milestones:read", Parties),
    post("/v1/milestones/{id}/roll-forward/accept", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/roll-forward/reject", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/cancel", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/refund-requests", PARTIES, "milestones:write", Parties),
    post("/v1/milestones/{id}/grant-refund", PARTIES, "milestones:write", Parties),
    post("/v1/refund-requests/{id}/accept", PARTIES, "milestones:write", Parties),
    post("/v1/refund-requests/{id}/reject", PARTIES, "milestones:write", Parties),
    // What goes back, and the client's wallet.
    post("/v1/refunds", PAYEE, "refunds:manage", Parties).asks(RecentAbove),
    get("/v1/refunds", EVERYBODY, "refunds:read", Caller),
    get("/v1/refunds/{id}", EVERYBODY, "refunds:read", Parties),
    post("/v1/refunds/{id}/redirect", CLIENT.or(MONEY), "refunds:manage", Parties),
    get("/v1/wallets/me", PARTIES, "wallet:read", Caller),
    post("/v1/wallets/me/top-ups", CLIENT, "wallet:manage", Caller).asks(RecentAbove),
    post("/v1/wallets/me/withdrawals", CLIENT, "wallet:manage", Caller).asks(RecentAbove),
    // Parties, and how they are paid.
    get("/v1/parties/{id}", EVERYBODY, "users:read", Party),
    get("/v1/parties/{id}/balance", EVERYBODY, "payouts:read", Party),
    get("/v1/balances/me", EVERYBODY, "payouts:read", Caller),
    get("/v1/parties/{id}/requirements", EVERYBODY, "payouts:read", Party),
    post("/v1/parties/{id}/payout-account", PAYEE, "payouts:manage", Party).asks(Recent),
    post("/v1/parties/{id}/onboarding-links", PAYEE, "payouts:manage", Party).asks(Recent),
    put("/v1/parties/{id}/payout-destinations/{currency}", PAYEE, "payouts:manage", Party).asks(Recent),
    put("/v1/parties/{id}/payout-schedule", PAYEE, "payouts:manage", Party),
    put("/v1/parties/{id}/payout-policy", MONEY, "payouts:manage", Platform),
    post("/v1/parties/{id}/balance/hold", MONEY, "payouts:manage", Platform),
    post("/v1/parties/{id}/balance/release", MONEY, "payouts:manage", Platform),
    post("/v1/parties/{id}/balance/write-off", MONEY, "payouts:manage", Platform),
    post("/v1/parties/{id}/restrict", MONEY, "risk:manage", Platform),
    post("/v1/parties/{id}/lift-restriction", MONEY, "risk:manage", Platform),
    post("/v1/parties/{id}/sanctions/hit", MONEY, "risk:manage", Platform),
    post("/v1/parties/{id}/sanctions/propose-clearance", MONEY, "risk:manage", Platform),
    post("/v1/parties/{id}/sanctions/clear", MONEY, "risk:manage", Platform),
    post("/v1/payouts", PAYEE, "payouts:manage", Caller).asks(RecentAbove),
    get("/v1/payouts", EVERYBODY, "payouts:read", Caller),
    get("/v1/payouts/{id}", EVERYBODY, "payouts:read", Parties),
    post("/v1/payouts/{id}/approve", MONEY, "payouts:manage", Platform).asks(RecentAbove),
    post("/v1/payouts/{id}/cancel", PAYEE.or(MONEY), "payouts:manage", Parties),
    post("/v1/payouts/{id}/retry", PAYEE, "payouts:manage", Parties).asks(RecentAbove),
    // What banks say.
    get("/v1/chargebacks", STAFF, "chargebacks:read", Platform),
    get("/v1/chargebacks/{id}", STAFF, "chargebacks:read", Platform),
    get("/v1/chargebacks/{id}/evidence", STAFF, "chargebacks:read", Platform),
    post("/v1/chargebacks/{id}/evidence", MONEY, "chargebacks:manage", Platform),
    post("/v1/chargebacks/{id}/submit", MONEY, "chargebacks:manage", Platform).asks(RecentAbove),
    post("/v1/chargebacks/{id}/accept", MONEY, "chargebacks:manage", Platform).asks(RecentAbove),
    // What others of the staff have to approve.
    get("/v1/approvals", STAFF, "approvals:read", Platform),
    get("/v1/approvals/{id}", STAFF, "approvals:read", Platform),
    post("/v1/approvals/{id}/approve", MONEY, "approvals:manage", Platform).asks(Recent),
    post("/v1/approvals/{id}/reject", MONEY, "approvals:manage", Platform).asks(Recent),
    post("/v1/approvals/{id}/withdraw", MONEY, "approvals:manage", Platform),
    // Who somebody is, and who has looked.
    get("/v1/users/{id}", HELPERS, "users:read", Platform),
    get("/v1/audit/access", AUDITORS, "audit:read", Platform),
    // The log, the books, the platform's own money.
    get("/v1/events", BOOKS, "events:read", Platform),
    get("/v1/ledger/balances", BOOKS, "ledger:read", Platform),
    get("/v1/reports/trial-balance", BOOKS, "reports:read", Platform),
    get("/v1/reports/coverage", BOOKS, "reports:read", Platform),
    get("/v1/treasury", BOOKS, "reports:read", Platform),
    post("/v1/treasury/top-ups", FINANCE, "treasury:manage", Platform).asks(RecentAbove),
    post("/v1/treasury/sweeps", FINANCE, "treasury:manage", Platform).asks(RecentAbove),
    post("/v1/treasury/sweeps/{id}/approve", FINANCE, "treasury:manage", Platform).asks(Recent),
    post("/v1/treasury/sweeps/{id}/reject", FINANCE, "treasury:manage", Platform),
    post("/v1/treasury/payouts/{id}/adopt", FINANCE, "treasury:manage", Platform).asks(Recent),
    // The caller, and machines that act for it.
    get("/v1/users/me", EVERYBODY, "users:self", Caller).with_any_scope(),
    post("/v1/auth/step-up", EVERYBODY, "users:self", Caller).with_any_scope().asks(Person),
    post("/v1/auth/mfa/enroll", EVERYBODY, "users:self", Caller).asks(Recent),
    post("/v1/auth/mfa/confirm", EVERYBODY, "users:self", Caller).asks(Person),
    post("/v1/auth/mfa/disable", EVERYBODY, "users:self", Caller).asks(Recent),
    post("/v1/api-keys", EVERYBODY, "keys:manage", Caller).asks(Recent),
    get("/v1/api-keys", EVERYBODY, "keys:manage", Caller),
    get("/v1/api-keys/{id}", EVERYBODY, "keys:manage", Parties),
    post("/v1/api-keys/{id}/rotate", EVERYBODY, "keys:manage", Parties).asks(Recent),
    post("/v1/api-keys/{id}/revoke", EVERYBODY, "keys:manage", Parties),
    // Test mode.
    get("/v1/test_clocks", EVERYBODY, "test_mode:use", Platform),
    post("/v1/test_clocks/{id}/advance", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/{helper}", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/payout-fail", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/payout-return", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/account-onboard", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/account-restrict", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/account-deauthorize", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/account-close", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/account-adjust", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/dispute", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/win", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/lose", ADMIN, "test_mode:use", Platform),
    post("/v1/test_helpers/psp/return", ADMIN, "test_mode:use", Platform),
    // For everybody, or for whoever brings what opens an account.
    public("/v1/meta/currencies"),
    public("/v1/meta/event-types"),
    public("/v1/meta/error-codes"),
    public("/v1/meta/state-machines"),
    public("/v1/meta/policies"),
    public("/v1/meta/fee-presets"),
    JWKS,
    JWKS.alias("/v1/.well-known/jwks.json"),
    DISCOVERY,
    DISCOVERY.alias("/v1/.well-known/openid-configuration"),
    REGISTER,
    REGISTER.alias("/auth/register"),
    REGISTER.alias("/api/v1/auth/register"),
    LOGIN,
    LOGIN.alias("/auth/login"),
    LOGIN.alias("/api/v1/auth/login"),
    credentials("/v1/auth/verify-email"),
    credentials("/v1/auth/mfa/verify"),
    credentials("/v1/auth/refresh"),
    credentials("/v1/auth/logout"),
    credentials("/v1/auth/password-resets"),
    credentials("/v1/auth/password-resets/confirm"),
    Rule::open("POST", "/v1/psp/webhooks/{endpoint}", Open::Signature),
    // The server, its description, and the pages.
    public("/healthz"),
    public("/readyz"),
    public("/metrics"),
    public("/version"),
    public("/openapi.json"),
    public("/docs"),
    public("/docs/"),
    public("/docs/{*rest}"),
    public("/pages.css"),
    page("GET", "/sign-in"),
    page("POST", "/sign-in"),
    page("POST", "/sign-in/code"),
    page("POST", "/sign-out"),
    page("GET", "/register"),
    page("POST", "/register"),
    page("GET", "/verify-email"),
    page("POST", "/verify-email"),
    page("GET", "/forgotten-password"),
    page("POST", "/forgotten-password"),
    page("GET", "/new-password"),
    page("POST", "/new-password"),
    page("GET", "/account"),
    page("POST", "/account/second-factor"),
    page("POST", "/account/second-factor/confirm"),
    page("POST", "/account/second-factor/off"),
    page("GET", "/mailbox"),
];

/// What the table has for a method and a route's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Who may.
    Access(Access),
    /// The route is known with these methods only.
    OtherMethods(Vec<&'static str>),
    /// Nothing: nobody may.
    Nothing,
}

/// The lines by route.
static BY_PATH: LazyLock<HashMap<&'static str, Vec<&'static Rule>>> = LazyLock::new(|| {
    let mut by_path: HashMap<_, Vec<_>> = HashMap::with_capacity(TABLE.len());
    for rule in TABLE {
        by_path.entry(rule.path).or_default().push(rule);
    }
    by_path
});

/// Who may use this route.
pub fn find(method: &str, path: &str) -> Found {
    let Some(rules) = BY_PATH.get(path) else { return Found::Nothing };
    if let Some(rule) = rules.iter().find(|rule| rule.method == method) {
        return Found::Access(rule.access);
    }
    let with_head = |rule: &&'static Rule| match rule.method {
        "GET" => vec!["GET", "HEAD"],
        other => vec![other],
    };
    Found::OtherMethods(rules.iter().flat_map(with_head).collect())
}

/// What a token has to be good for; `None` for routes that ask for none, and for those that nobody may use.
pub fn grant(method: &str, path: &str) -> Option<super::rule::Grant> {
    match find(method, path) {
        Found::Access(Access::Granted(grant)) => Some(grant),
        _ => None,
    }
}

/// Whether a route asks for no token.
pub fn is_open(method: &str, path: &str) -> bool {
    matches!(find(method, path), Found::Access(Access::Open(_)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::caller::Role;
    use crate::identity::scope::{ScopeSet, WORDS};

    #[test]
    fn every_route_is_in_the_table_once() {
        let mut seen = HashSet::new();
        for rule in TABLE {
            assert!(seen.insert((rule.method, rule.path)), "{} {} is there twice", rule.method, rule.path);
        }
    }

    /// A grant names a scope that there is, and every role that it names can have it.
    #[test]
    fn nothing_is_granted_in_vain() {
        for rule in TABLE {
            let Access::Granted(grant) = rule.access else { continue };
            let Some(scope) = grant.scope else { continue };
            assert!(WORDS.contains(&scope), "{} {}: {scope}", rule.method, rule.path);
            assert!(!grant.roles.words().is_empty());
            for role in Role::all().filter(|role| grant.roles.has(*role)) {
                assert!(ScopeSet::of_role(role).has(scope), "{} {}: {role:?} has no {scope}", rule.method, rule.path);
            }
        }
    }

    /// An older name grants what the route grants that it stands for.
    #[test]
    fn an_alias_is_as_its_successor() {
        for rule in TABLE {
            let Some(successor) = rule.successor else { continue };
            assert_eq!(find(rule.method, successor), Found::Access(rule.access), "{}", rule.path);
        }
    }

    #[test]
    fn what_is_not_in_it_is_nobodys() {
        assert_eq!(find("GET", "/v1/nothing"), Found::Nothing);
        assert_eq!(find("DELETE", "/v1/contracts"), Found::OtherMethods(vec!["POST", "GET", "HEAD"]));
        assert!(grant("GET", "/healthz").is_none() && is_open("GET", "/healthz"));
        assert!(!is_open("POST", "/healthz"));
    }

    /// Staff that only reads changes nothing but what is its own.
    #[test]
    fn auditors_and_support_change_nothing() {
        for rule in TABLE.iter().filter(|rule| rule.method != "GET") {
            let Access::Granted(grant) = rule.access else { continue };
            let reads = RoleSet::STAFF.words().into_iter().filter(|word| ["support", "auditor"].contains(word));
            let may = reads.filter(|word| grant.roles.words().contains(word)).count();
            assert!(
                may == 0 || grant.scope.is_none_or(|scope| ["users:self", "keys:manage"].contains(&scope)),
                "{}",
                rule.path
            );
        }
    }
}
