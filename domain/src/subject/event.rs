//! Facts about a person's data.

use serde::{Deserialize, Serialize};

use super::{AccessPurpose, PersonalField};
use crate::id::PartyId;

/// A fact about a person's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SubjectEvent {
    /// A member of staff read personal data (B.14).
    PiiAccessed {
        /// Whose data.
        subject_id: PartyId,
        /// Who read it; the role is in the envelope.
        staff_id: PartyId,
        /// What for.
        purpose: AccessPurpose,
        /// Which of it.
        fields: Vec<PersonalField>,
    },
}
