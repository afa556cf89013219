//! Mail through a server, by SMTP over TLS.

use domain::ports::mail::{Mail, MailError, Mailer};
use lettre::message::{Mailbox, header::ContentType};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

/// How the mail server is reached.
#[derive(Clone)]
pub struct SmtpConfig {
    /// `smtps://user:password@host`, or `smtp://host?tls=required` for STARTTLS; `smtp://localhost` sends in clear.
    pub url: String,
    /// The sender, such as `Earnest <no-reply@example.com>`.
    pub from: String,
}

impl std::fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpConfig").field("from", &self.from).finish_non_exhaustive()
    }
}

/// A mail server.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

impl Smtp {
    /// A way to the server; nothing is connected yet.
    ///
    /// # Errors
    /// [`MailError::Refused`] when the URL or the sender makes no sense.
    pub fn new(config: &SmtpConfig) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.url)
            .map_err(|_| MailError::Refused("the URL of the mail server cannot be used".to_owned()))?
            .build();
        let from = config.from.parse().map_err(|_| MailError::Refused("the sender is not an address".to_owned()))?;
        Ok(Self { transport, from })
    }
}

impl Mailer for Smtp {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let to = mail.to.parse().map_err(|_| MailError::Refused("not an address".to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body)
            .map_err(|error| MailError::Refused(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // The server's words may repeat the address: only their kind is told.
            Err(error) if error.is_permanent() => Err(MailError::Refused("the server refused it for good".to_owned())),
            Err(_) => Err(MailError::Unavailable("the server did not take it".to_owned())),
        }
    }
}
