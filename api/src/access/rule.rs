//! What a line of the table says.

use domain::actor::StaffRole;

use crate::caller::Role;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `GET` (`HEAD` with it), `POST`, `PUT`.
    pub method: &'static str,
    /// The route's template, such as `/v1/contracts/{id}`.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// The route that this one is an older name of: what holds for that one holds here.
    pub successor: Option<&'static str>,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the server.
    Open(Open),
    /// Who has a token that is good for it.
    Granted(Grant),
}

/// Why a route asks for no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// What it tells is for everybody, or for who watches the server.
    Public,
    /// The request brings what opens an account, or asks for a mail to its owner.
    Credentials,
    /// The provider signs what it sends.
    Signature,
    /// A page for people: their session is a cookie, and the page looks at it.
    Page,
}

/// What a token has to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// As what its bearer may come.
    pub roles: RoleSet,
    /// The scope; none where any token will do.
    pub scope: Option<&'static str>,
    /// Whose things are shown or changed.
    pub owner: Owner,
    /// How its bearer has shown who it is.
    pub strength: Strength,
}

/// Whose things a route shows or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The platform's: roles and scopes are all that counts.
    Platform,
    /// The caller's own; of lists staff sees everything.
    Caller,
    /// Those of the party that the path names; 404 to other parties.
    Party,
    /// Those of the parties to the thing that the request names; 404 to other parties.
    Parties,
}

/// How a caller has shown who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// By any token.
    Token,
    /// By any but an API key.
    Person,
    /// A short while ago (RFC 9470).
    Recent,
    /// The same from the policy's amount on; the handler compares.
    RecentAbove,
}

/// Roles, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleSet(u8);

impl RoleSet {
    /// Who pays.
    pub const CLIENT: Self = Self(1);
    /// Who delivers.
    pub const PAYEE: Self = Self(1 << 1);
    /// Both sides of a contract: which of them may is the contract's to say.
    pub const PARTIES: Self = Self::CLIENT.or(Self::PAYEE);
    /// Every member of staff.
    pub const STAFF: Self = Self(0b111_1100);
    /// Everybody with a token.
    pub const EVERYBODY: Self = Self::PARTIES.or(Self::STAFF);
    /// Staff that may stop money from moving, and let it move again: moderators, finance, administrators.
    pub const MONEY: Self = Self(1 << 3 | 1 << 4 | 1 << 6);
    /// Staff that moves the platform's own money.
    pub const FINANCE: Self = Self(1 << 4 | 1 << 6);
    /// Staff that reads the books.
    pub const BOOKS: Self = Self(1 << 4 | 1 << 5 | 1 << 6);
    /// Who runs the installation.
    pub const ADMIN: Self = Self(1 << 6);
    /// Who helps people with their accounts.
    pub const HELPERS: Self = Self(1 << 2 | 1 << 6);
    /// Who sees what others of the staff have looked at.
    pub const AUDITORS: Self = Self(1 << 5 | 1 << 6);

    /// Those of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this role is in it.
    pub fn has(self, role: Role) -> bool {
        let bit = match role {
            Role::Client => 0,
            Role::Payee => 1,
            Role::Staff(StaffRole::Support) => 2,
            Role::Staff(StaffRole::Moderator) => 3,
            Role::Staff(StaffRole::Finance) => 4,
            Role::Staff(StaffRole::Auditor) => 5,
            Role::Staff(StaffRole::Admin) => 6,
        };
        self.0 & (1 << bit) != 0
    }

    /// The words of its roles.
    pub fn words(self) -> Vec<&'static str> {
        Role::all().filter(|role| self.has(*role)).map(Role::word).collect()
    }
}

impl Rule {
    /// What anybody may read.
    pub(super) const fn open(method: &'static str, path: &'static str, why: Open) -> Self {
        Self { method, path, access: Access::Open(why), successor: None }
    }

    /// What these roles may do with this scope.
    pub(super) const fn granted(
        method: &'static str,
        path: &'static str,
        roles: RoleSet,
        scope: &'static str,
        owner: Owner,
    ) -> Self {
        let grant = Grant { roles, scope: Some(scope), owner, strength: Strength::Token };
        Self { method, path, access: Access::Granted(grant), successor: None }
    }

    /// The same with any token of these roles, whatever its scopes.
    pub(super) const fn with_any_scope(mut self) -> Self {
        if let Access::Granted(grant) = &mut self.access {
            grant.scope = None;
        }
        self
    }

    /// The same for who has shown this strongly who it is.
    pub(super) const fn asks(mut self, strength: Strength) -> Self {
        if let Access::Granted(grant) = &mut self.access {
            grant.strength = strength;
        }
        self
    }

    /// An older name of this route.
    pub(super) const fn alias(self, older: &'static str) -> Self {
        Self { method: self.method, path: older, access: self.access, successor: Some(self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sets are bits: each has the roles that its name says.
    #[test]
    fn a_set_has_the_roles_of_its_name() {
        let words = |set: RoleSet| set.words().join(" ");
        assert_eq!(words(RoleSet::PARTIES), "client payee");
        assert_eq!(words(RoleSet::STAFF), "support moderator finance auditor admin");
        assert_eq!(words(RoleSet::MONEY), "moderator finance admin");
        assert_eq!(words(RoleSet::FINANCE), "finance admin");
        assert_eq!(words(RoleSet::BOOKS), "finance auditor admin");
        assert_eq!(words(RoleSet::ADMIN), "admin");
        assert!(Role::all().all(|role| RoleSet::EVERYBODY.has(role)));
    }
}
