//! Mail: kept in a mailbox to be read here, or sent through a mail server.
//!
//! # What is deliberately absent
//! No queue: a mail that cannot be handed over is given back to the caller. What is mailed here can be asked for again.

mod mailbox;
mod smtp;

pub use mailbox::{Envelope, KeptMail, Mailbox};
pub use smtp::{Smtp, SmtpConfig};

use domain::ports::mail::{Mail, MailError, Mailer};

/// The way that mails go.
#[derive(Debug, Clone)]
pub enum MailRoute {
    /// Kept, to be read here.
    Mailbox(Mailbox),
    /// Sent.
    Smtp(Box<Smtp>),
}

impl Mailer for MailRoute {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.send(mail).await,
            Self::Smtp(smtp) => smtp.send(mail).await,
        }
    }
}
