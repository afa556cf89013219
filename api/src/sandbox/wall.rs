//! Wall time, for what the sandbox's own clock must not govern: retries and the age of signatures.

use chrono::{DateTime, Utc};

/// The operating system's time, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox is a provider of its own: this is the one place where its system clock is read"
)]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
