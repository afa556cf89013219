//! Countries, and parts of them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Where a law or a limit holds: a country of ISO 3166-1 (`GB`), perhaps with a part of it as in ISO 3166-2 (`US-CA`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Jurisdiction(String);

/// The text is not the code of a jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a code of ISO 3166: {0:?}")]
pub struct JurisdictionError(String);

impl Jurisdiction {
    /// Reads a code. Whether the country exists is not checked.
    ///
    /// # Errors
    /// [`JurisdictionError`] when it is not two capital letters, perhaps with a dash and one to three capitals or digits.
    pub fn new(code: &str) -> Result<Self, JurisdictionError> {
        let (country, part) = code.split_once('-').unwrap_or((code, "0"));
        let letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let part = (1..=3).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if letters && part { Ok(Self(code.to_owned())) } else { Err(JurisdictionError(code.chars().take(8).collect())) }
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// The country alone, two letters.
    pub fn country(&self) -> &str {
        self.0.get(..2).unwrap_or_default()
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Jurisdiction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&code).map_err(serde::de::Error::custom)
    }
}
