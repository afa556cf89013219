//! Identifiers: a typed prefix and a UUID in base 32, such as `ctr_01jd…`.
//!
//! # Invariants
//! - The text is canonical: 26 lower-case Crockford digits after the prefix, so one id has one spelling.
//! - New ids are UUIDv7 and therefore ordered by time, which keeps database indexes compact.
//! - What is derived has a derived id (UUIDv5): a replay makes the same one.
//!
//! # What is deliberately absent
//! No id is made here from a clock or a random source: the caller brings the UUID.

use uuid::Uuid;

/// Crockford's base 32 alphabet, lower case (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Digits that 128 bits take at 5 bits each.
const DIGITS: usize = 26;

/// The text given is not an id of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{prefix}_` followed by 26 base-32 digits was expected")]
pub struct IdError {
    /// The prefix that an id of this type has.
    pub prefix: &'static str,
}

/// Writes the 26 digits of `uuid`.
pub fn encode_uuid(uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    let mut text = String::with_capacity(DIGITS);
    for place in (0..DIGITS).rev() {
        let digit = (bits >> (5 * place)) & 0x1f;
        // `digit` is below 32 by the mask.
        text.push(char::from(ALPHABET[usize::try_from(digit).unwrap_or(0)]));
    }
    text
}

/// Reads the 26 digits of a UUID; `None` when they are not canonical.
pub fn decode_uuid(text: &str) -> Option<Uuid> {
    if text.len() != DIGITS {
        return None;
    }
    let mut bits: u128 = 0;
    for (place, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        // 26 digits hold 130 bits: the first may use only three of its five.
        if place == 0 && digit > 7 {
            return None;
        }
        bits = (bits << 5) | u128::try_from(digit).ok()?;
    }
    Some(Uuid::from_u128(bits))
}

/// Declares an identifier type with its prefix.
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// What the text of every id of this type starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these bits; a UUIDv7 for new things.
            pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// The bits.
            pub const fn as_uuid(&self) -> uuid::Uuid {
                self.0
            }

            /// The id of the thing called `name` that follows from `origin`; the same each time.
            pub fn derived(origin: uuid::Uuid, name: &str) -> Self {
                Self(uuid::Uuid::new_v5(&origin, name.as_bytes()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}_{}", $prefix, $crate::id::encode_uuid(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then($crate::id::decode_uuid)
                    .map(Self)
                    .ok_or($crate::id::IdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// A person or organisation that takes part in contracts, as client, payee or both.
    PartyId, "pty"
);
typed_id!(
    /// A contract; its escrow has the same id.
    ContractId, "ctr"
);
typed_id!(
    /// A milestone of a contract.
    MilestoneId, "mst"
);
typed_id!(
    /// One attempt to pay into an escrow.
    FundingId, "fnd"
);
typed_id!(
    /// One release of held money to a payee.
    ReleaseId, "rel"
);
typed_id!(
    /// One withdrawal of a payee's earnings to a bank account.
    PayoutId, "pot"
);
typed_id!(
    /// One movement of money back to a client.
    RefundId, "rfd"
);
typed_id!(
    /// One disagreement about held money.
    DisputeId, "dsp"
);
typed_id!(
    /// One cycle of a disagreement that the client's bank has with a payment.
    ChargebackId, "cbk"
);
typed_id!(
    /// One movement of held money from one milestone to another.
    ReallocationId, "rea"
);
typed_id!(
    /// One proposal to change the terms of a contract.
    AmendmentId, "amd"
);
typed_id!(
    /// A difference between the books and the outside that somebody has to explain.
    BreakId, "brk"
);
typed_id!(
    /// One movement of money from a payee's account at the provider back to the platform.
    TransferReversalId, "trr"
);
typed_id!(
    /// One invitation of a payee to the provider's own pages.
    OnboardingLinkId, "onb"
);
typed_id!(
    /// One movement of the platform's own money to its balance at the provider.
    TopUpId, "tup"
);
typed_id!(
    /// One movement of the platform's own money away from its balance at the provider.
    SweepId, "swp"
);
typed_id!(
    /// One command of staff that waits for others to approve it.
    ApprovalId, "apr"
);
typed_id!(
    /// One event of the log.
    EventId, "evt"
);

impl EventId {
    /// The id of event number `index` of a command: time-ordered (UUIDv7 layout with `occurred_ms`), and the same
    /// whenever the same command is carried out again, since the other bits follow from the command's id.
    pub fn of_command(command_id: Uuid, index: usize, occurred_ms: u64) -> Self {
        let derived = Uuid::new_v5(&command_id, index.to_string().as_bytes());
        let mut random = [0_u8; 10];
        random.copy_from_slice(&derived.as_bytes()[..10]);
        Self(uuid::Builder::from_unix_timestamp_millis(occurred_ms, &random).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_type_is_refused() {
        let contract = ContractId::from_uuid(Uuid::from_u128(7)).to_string();
        assert_eq!(contract, "ctr_00000000000000000000000007");
        assert_eq!(contract.parse::<MilestoneId>(), Err(IdError { prefix: "mst" }));
    }

    #[test]
    fn an_id_has_one_spelling() {
        assert!("ctr_0000000000000000000000000A".parse::<ContractId>().is_err(), "upper case");
        assert!("ctr_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<ContractId>().is_err(), "more than 128 bits");
        assert!("ctr_000000000000000000000000il".parse::<ContractId>().is_err(), "letters left out of the alphabet");
        assert!("ctr_0".parse::<ContractId>().is_err());
    }

    proptest! {
        #[test]
        fn text_and_bits_agree(bits: u128) {
            let id = PartyId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<PartyId>(), Ok(id));
        }

        #[test]
        fn order_of_text_is_order_of_bits(a: u128, b: u128) {
            let (left, right) = (PartyId::from_uuid(Uuid::from_u128(a)), PartyId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(left.to_string().cmp(&right.to_string()), left.cmp(&right));
        }
    }
}
