//! Mail to people.

use std::future::Future;

/// A mail. It may hold personal data and links that open an account: it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address that it goes to.
    pub to: String,
    /// Its subject, one line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").finish_non_exhaustive()
    }
}

/// A mail could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It cannot be sent as it is, now or later.
    #[error("the mail cannot be sent: {0}")]
    Refused(String),
    /// It may work later.
    #[error("the mail server cannot be reached: {0}")]
    Unavailable(String),
}

/// Takes mails for delivery.
pub trait Mailer: Send + Sync {
    /// Hands a mail over. Sent twice, it arrives twice.
    ///
    /// # Errors
    /// [`MailError`], without the address or the text.
    fn send(&self, mail: Mail) -> impl Future<Output = Result<(), MailError>> + Send;
}
