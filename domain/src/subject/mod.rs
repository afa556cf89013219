//! Data subject: a person, as far as somebody's reading of personal data is told in the log (B.14).
//!
//! Its stream is apart from the party's: who looks at a person's data makes no version of the party stale.
//!
//! # Invariants
//! - Every reading is an event of its own, also when the same was read a moment before.
//! - An event names what was read, never what it said.
//!
//! # What is deliberately absent
//! The data, and the keys that it is under. Erasure: its request, its guards and its end will be events of this aggregate.
//! Who may read what: the api says, before it asks for this.

mod event;

use serde::{Deserialize, Serialize};

pub use event::SubjectEvent;

use crate::actor::Actor;
use crate::id::PartyId;
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "subject";

/// The stream of a person. A member of staff is one, too, by the id of its account.
pub fn stream(id: PartyId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// A field of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalField {
    /// The e-mail address of the account.
    Email,
    /// What staff says to a bank about a payment of the person.
    EvidenceStatement,
}

impl PersonalField {
    /// The word for it, in events and in what binds ciphertext to its place.
    pub fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EvidenceStatement => "evidence_statement",
        }
    }
}

/// What personal data is read for. A closed list: words of one's own could themselves say who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessPurpose {
    /// The person asked for help.
    SupportRequest,
    /// The person cannot get into the account.
    AccountRecovery,
    /// A bank took a payment back, and is answered.
    Chargeback,
    /// The parties of a contract are at odds.
    Dispute,
    /// Fraud is suspected.
    FraudReview,
    /// An authority or a court asks.
    LegalRequest,
    /// The person wants to know, or take along, what is stored (GDPR Art. 15 and 20).
    SubjectRequest,
}

impl AccessPurpose {
    /// Every purpose.
    pub const ALL: [Self; 7] = [
        Self::SupportRequest,
        Self::AccountRecovery,
        Self::Chargeback,
        Self::Dispute,
        Self::FraudReview,
        Self::LegalRequest,
        Self::SubjectRequest,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::SupportRequest => "support_request",
            Self::AccountRecovery => "account_recovery",
            Self::Chargeback => "chargeback",
            Self::Dispute => "dispute",
            Self::FraudReview => "fraud_review",
            Self::LegalRequest => "legal_request",
            Self::SubjectRequest => "subject_request",
        }
    }
}

/// What the log tells of a person's data. There is none that is "not opened": the first reading makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// How often staff has read personal data.
    pub readings: u64,
}

/// A request about a person's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectCommand {
    /// Tell that staff reads personal data, before it does. By the member of staff itself.
    RecordAccess {
        /// Whose data.
        subject_id: PartyId,
        /// What for.
        purpose: AccessPurpose,
        /// Which of it.
        fields: Vec<PersonalField>,
    },
}

impl Rules for Subject {
    const TYPE: &'static str = TYPE;
    type Command = SubjectCommand;
    type Event = SubjectEvent;

    fn decide(&self, command: &SubjectCommand, context: &Context) -> Result<Vec<SubjectEvent>, Refusal> {
        let SubjectCommand::RecordAccess { subject_id, purpose, fields } = command;
        match context.actor {
            Actor::Staff(_, staff_id) => Ok(vec![SubjectEvent::PiiAccessed {
                subject_id: *subject_id,
                staff_id,
                purpose: *purpose,
                fields: fields.clone(),
            }]),
            Actor::Client(_) | Actor::Payee(_) => Err(Refusal::NotAParty),
            Actor::System(_) => Err(Refusal::Forbidden { who: "staff", action: "read personal data" }),
        }
    }

    fn evolve(&mut self, event: &SubjectEvent) {
        let SubjectEvent::PiiAccessed { .. } = event;
        self.readings = self.readings.saturating_add(1);
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are those that events have.
    #[test]
    fn words_are_those_of_events() {
        for purpose in AccessPurpose::ALL {
            assert_eq!(serde_json::to_string(&purpose).unwrap(), format!("{:?}", purpose.word()));
        }
        for field in [PersonalField::Email, PersonalField::EvidenceStatement] {
            assert_eq!(serde_json::to_string(&field).unwrap(), format!("{:?}", field.word()));
        }
    }
}
