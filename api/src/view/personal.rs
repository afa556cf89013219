//! Personal data that is gone, as the API shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::identity::vault::Redacted;

/// What stands where personal data was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedactedView {
    /// The key that was destroyed.
    pub kid: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl From<Redacted> for RedactedView {
    fn from(redacted: Redacted) -> Self {
        Self { kid: redacted.kid.to_string(), at: redacted.at }
    }
}
