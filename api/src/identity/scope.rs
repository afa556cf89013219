//! Scopes of access tokens (`api.md`), as a set that is cheap to copy.
//!
//! # What is deliberately absent
//! Which route needs which scope: [`crate::access::table`].

macro_rules! scopes {
    ($($word:literal),* $(,)?) => {
        /// Every scope, in the order of its bit.
        pub const WORDS: &[&str] = &[$($word),*];
    };
}

scopes![
    "users:self",
    "users:read",
    "contracts:read",
    "contracts:write",
    "milestones:read",
    "milestones:write",
    "payments:read",
    "payments:write",
    "escrow:read",
    "escrow:manage",
    "payouts:read",
    "payouts:manage",
    "refunds:read",
    "refunds:manage",
    "wallet:read",
    "wallet:manage",
    "disputes:party",
    "disputes:moderate",
    "disputes:decide",
    "chargebacks:manage",
    "approvals:read",
    "approvals:manage",
    "risk:manage",
    "ledger:read",
    "ledger:adjust",
    "reports:read",
    "recon:manage",
    "periods:manage",
    "treasury:manage",
    "exports:manage",
    "events:read",
    "audit:read",
    "audit:export",
    "admin:manage",
    "ops:manage",
    "org:manage",
    "chargebacks:read",
    "keys:manage",
    "test_mode:use",
];

use domain::actor::StaffRole;

use crate::caller::Role;

/// What every role may: see itself and others, make keys, use what only a test has.
const OF_EVERY_ROLE: &str = "users:self users:read keys:manage test_mode:use";

/// What a token lets its bearer do, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u64);

impl ScopeSet {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(u64::MAX);

    /// The scopes of a list separated by spaces; words that are no scope of ours are left out.
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().fold(Self::NONE, Self::with)
    }

    /// With this scope, if there is one.
    #[must_use]
    pub fn with(self, word: &str) -> Self {
        WORDS.iter().position(|known| *known == word).map_or(self, |bit| Self(self.0 | (1 << bit)))
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether this scope is in it.
    pub fn has(self, word: &str) -> bool {
        WORDS.iter().position(|known| *known == word).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// The words of the scopes.
    pub fn words(self) -> Vec<&'static str> {
        WORDS.iter().copied().filter(|word| self.has(word)).collect()
    }

    /// What a role may have.
    pub fn of_role(role: Role) -> Self {
        let words: &[&str] = match role {
            Role::Client => &[
                "contracts:read contracts:write milestones:read milestones:write payments:read payments:write escrow:read",
                "refunds:read refunds:manage wallet:read wallet:manage payouts:read disputes:party org:manage",
            ],
            Role::Payee => &[
                "contracts:read contracts:write milestones:read milestones:write payments:read escrow:read payouts:read",
                "payouts:manage refunds:read refunds:manage wallet:read disputes:party org:manage",
            ],
            Role::Staff(StaffRole::Support) => &[
                "contracts:read milestones:read payments:read escrow:read payouts:read refunds:read approvals:read",
                "chargebacks:read",
            ],
            Role::Staff(StaffRole::Moderator) => &[
                "contracts:read milestones:read payments:read escrow:read escrow:manage refunds:read refunds:manage",
                "payouts:read payouts:manage chargebacks:read chargebacks:manage risk:manage disputes:moderate",
                "disputes:decide approvals:read approvals:manage",
            ],
            Role::Staff(StaffRole::Finance) => &[
                "contracts:read milestones:read payments:read escrow:read escrow:manage payouts:read payouts:manage",
                "refunds:read refunds:manage wallet:read chargebacks:read chargebacks:manage risk:manage approvals:read",
                "approvals:manage ledger:read ledger:adjust reports:read recon:manage periods:manage treasury:manage",
                "exports:manage events:read",
            ],
            Role::Staff(StaffRole::Auditor) => &[
                "contracts:read milestones:read payments:read escrow:read payouts:read refunds:read wallet:read",
                "chargebacks:read ledger:read reports:read events:read audit:read audit:export approvals:read",
                "exports:manage",
            ],
            Role::Staff(StaffRole::Admin) => return Self::ALL,
        };
        words.iter().fold(Self::parse(OF_EVERY_ROLE), |set, line| Self(set.0 | Self::parse(line).0))
    }
}

impl std::fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_is_written() {
        assert!(WORDS.len() <= 64, "one bit each");
        let set = ScopeSet::parse("payouts:read nonsense contracts:write");
        assert_eq!(set.to_string(), "contracts:write payouts:read");
        assert_eq!(ScopeSet::parse(&set.to_string()), set);
        assert!(set.has("payouts:read") && !set.has("nonsense") && !set.has("admin:manage"));
    }

    #[test]
    fn only_an_admin_has_every_scope() {
        for role in Role::all() {
            assert_eq!(ScopeSet::of_role(role).has("admin:manage"), role == Role::Staff(StaffRole::Admin), "{role:?}");
            assert!(ScopeSet::of_role(role).has("users:self"), "{role:?}");
        }
        assert!(!ScopeSet::of_role(Role::Client).has("ledger:read"));
    }
}
