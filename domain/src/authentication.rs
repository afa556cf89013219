//! How the one who acts showed who it is: kept in the envelope of every event that a request causes (B.1.1).
//!
//! # Invariants
//! - It says with what, how strongly and when, never who: no name, no address, no token. Who is the actor's to say.
//! - What the engine does by itself has none.

use serde::{Deserialize, Serialize};

/// How the one who acts showed who it is. In the flat map of strings that an event's metadata is; absent parts, in events
/// from before this was kept too, are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuthContext {
    /// With what: `session:` and its id, `api_key:` and its id, `operator_token`, or `external_token` of another issuer.
    #[serde(rename = "auth_credential", default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// How strongly (RFC 9470, `acr`).
    #[serde(rename = "auth_acr", default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By which methods (RFC 8176, `amr`), separated by spaces.
    #[serde(rename = "auth_amr", default, skip_serializing_if = "Option::is_none")]
    pub amr: Option<String>,
    /// When the person last showed it, RFC 3339 in UTC.
    #[serde(rename = "auth_time", default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl AuthContext {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::Metadata;

    const BEFORE: &str = r#"{"event_id":"evt_00000000000000000000000001","occurred_at":"2026-12-01T10:00:00Z",
        "actor":"client:pty_00000000000000000000000001","command_id":"00000000-0000-0000-0000-000000000009",
        "correlation_id":"ctr_00000000000000000000000003","theirs":"kept"}"#;

    /// Metadata from before this was kept is read, and written again as it was.
    #[test]
    fn older_metadata_has_none() {
        let metadata: Metadata = serde_json::from_str(BEFORE).unwrap();
        assert!(metadata.auth.is_unknown());
        assert_eq!(metadata.more.get("theirs").map(String::as_str), Some("kept"));
        let written = serde_json::to_value(&metadata).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(BEFORE).unwrap());
    }

    /// What is written is read again, stays apart from what others put there, and is a flat map of strings.
    #[test]
    fn what_is_written_is_read_again() {
        let mut metadata: Metadata = serde_json::from_str(BEFORE).unwrap();
        metadata.auth = AuthContext {
            credential: Some("session:00000000-0000-0000-0000-000000000002".to_owned()),
            acr: Some("urn:earnest:acr:second-factor".to_owned()),
            amr: Some("pwd otp mfa".to_owned()),
            time: Some("2026-12-01T09:59:00Z".to_owned()),
        };
        let text = serde_json::to_string(&metadata).unwrap();
        let flat: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        assert_eq!(flat.get("auth_amr").map(String::as_str), Some("pwd otp mfa"));
        let read: Metadata = serde_json::from_str(&text).unwrap();
        assert_eq!(read, metadata);
        assert_eq!(read.more.len(), 1);
    }
}
