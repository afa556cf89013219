//! Who does something.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

/// What a member of staff may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaffRole {
    /// Helps parties; reads contracts.
    Support,
    /// Decides disputes.
    Moderator,
    /// Reads and corrects the books.
    Finance,
    /// Reads everything, changes nothing.
    Auditor,
    /// Runs the installation.
    Admin,
}

/// A part of the engine that acts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemPart {
    /// A deadline that passed.
    Timer,
    /// The payment provider told us a fact.
    Psp,
    /// The operator's command line.
    Operator,
}

/// Who a command comes from; kept in every event it causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// A party acting as the one who pays.
    Client(PartyId),
    /// A party acting as the one who delivers and is paid.
    Payee(PartyId),
    /// A member of staff, by the id of the access token.
    Staff(StaffRole, PartyId),
    /// The engine itself.
    System(SystemPart),
}

impl Actor {
    /// The party this actor acts for, if it is one.
    pub fn party(&self) -> Option<PartyId> {
        match self {
            Self::Client(party) | Self::Payee(party) => Some(*party),
            Self::Staff(..) | Self::System(_) => None,
        }
    }

    /// Whether it may stop money from moving, and let it move again: staff that decides, not staff that only reads.
    pub fn may_hold_money(&self) -> bool {
        matches!(self, Self::Staff(StaffRole::Moderator | StaffRole::Finance | StaffRole::Admin, _))
    }

    /// Whether a person or a machine of a person acted, and not the engine. Only such events make an `If-Match` stale.
    pub fn is_somebody(&self) -> bool {
        !matches!(self, Self::System(_))
    }

    /// The word for the kind of actor, as events and the API have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Payee(_) => "payee",
            Self::Staff(..) => "staff",
            Self::System(_) => "system",
        }
    }
}

impl StaffRole {
    /// The word for the role.
    pub fn word(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Moderator => "moderator",
            Self::Finance => "finance",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Every role.
    pub const ALL: [Self; 5] = [Self::Support, Self::Moderator, Self::Finance, Self::Auditor, Self::Admin];
}

impl SystemPart {
    /// The word for the part.
    pub fn word(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Psp => "psp",
            Self::Operator => "operator",
        }
    }
}

/// As event metadata keeps it: `client:pty_…`, `staff.finance:pty_…`, `system:timer`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(party) => write!(f, "client:{party}"),
            Self::Payee(party) => write!(f, "payee:{party}"),
            Self::Staff(role, id) => write!(f, "staff.{}:{id}", role.word()),
            Self::System(part) => write!(f, "system:{}", part.word()),
        }
    }
}

/// The text is not one that [`Actor`] prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an actor: {0:?}")]
pub struct ActorError(String);

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ActorError(text.to_owned());
        let (kind, id) = text.split_once(':').ok_or_else(error)?;
        if kind == "system" {
            let parts = [SystemPart::Timer, SystemPart::Psp, SystemPart::Operator];
            return parts.into_iter().find(|part| part.word() == id).map(Self::System).ok_or_else(error);
        }
        let party: PartyId = id.parse().map_err(|_| error())?;
        match kind {
            "client" => Ok(Self::Client(party)),
            "payee" => Ok(Self::Payee(party)),
            staff => {
                let word = staff.strip_prefix("staff.").ok_or_else(error)?;
                let role = StaffRole::ALL.into_iter().find(|role| role.word() == word).ok_or_else(error)?;
                Ok(Self::Staff(role, party))
            }
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let party = PartyId::from_uuid(uuid::Uuid::from_u128(9));
        for actor in [
            Actor::Client(party),
            Actor::Payee(party),
            Actor::Staff(StaffRole::Auditor, party),
            Actor::System(SystemPart::Timer),
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        assert!("system:ghost".parse::<Actor>().is_err());
        assert!("staff.king:pty_00000000000000000000000009".parse::<Actor>().is_err());
    }
}
