//! Keys that must not be seen.

use std::fmt;

/// A secret: an API key, or the signing secret of a webhook endpoint. What prints it prints dots.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps it; spaces and line ends around it, as files have them, are no part of it.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(secret.as_ref().trim().to_owned())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
