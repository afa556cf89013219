//! What the built-in issuer writes to people. Links go to the pages; a link alone does nothing until a button is pressed,
//! because some mail servers open links to look at them.

use domain::ports::mail::{Mail, Mailer};

use super::Identity;

/// A mail of the issuer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Letter<'a> {
    /// Confirms a registration.
    Confirm { token: &'a str },
    /// Somebody registered with an address that has an account.
    AlreadyRegistered,
    /// Leads to a new password.
    Reset { token: &'a str },
    /// The password was changed.
    PasswordChanged,
    /// The second factor was turned on or off.
    SecondFactor { on: bool },
}

impl Letter<'_> {
    fn write(&self, to: String, url: &str) -> Mail {
        let (subject, body) = match self {
            Self::Confirm { token } => (
                "Confirm your address",
                format!(
                    "Somebody registered at Earnest with this address. If it was you, confirm it within a day:\n\n\
                     {url}/verify-email?token={token}\n\n\
                     If it was not you, do nothing: without this nothing comes of it.\n"
                ),
            ),
            Self::AlreadyRegistered => (
                "You have an account",
                format!(
                    "Somebody registered at Earnest with this address. You have an account: sign in at\n\n\
                     {url}/sign-in\n\n\
                     If you forgot the password, choose a new one there. If it was not you, do nothing.\n"
                ),
            ),
            Self::Reset { token } => (
                "Choose a new password",
                format!(
                    "Somebody asked for a new password of your account at Earnest. If it was you, choose one within an \
                     hour:\n\n{url}/new-password?token={token}\n\nIf it was not you, do nothing: your password stays.\n"
                ),
            ),
            Self::PasswordChanged => (
                "Your password was changed",
                format!(
                    "The password of your account at Earnest was changed, and every device was signed out. If it was not \
                     you, choose a new one at\n\n{url}/forgotten-password\n"
                ),
            ),
            Self::SecondFactor { on } => (
                "Your sign-in was changed",
                format!(
                    "Signing in to your account at Earnest {} a code now. If you did not change that, choose a new \
                     password at\n\n{url}/forgotten-password\n",
                    if *on { "needs" } else { "no longer needs" }
                ),
            ),
        };
        Mail { to, subject: subject.to_owned(), body }
    }
}

/// How often a mail is tried, and how long is waited between: about half a minute, then the person asks again.
const TRIES_AFTER_SECONDS: [u64; 4] = [0, 2, 8, 20];

impl Identity {
    /// Sends a mail, in the background: how long that takes tells nobody anything.
    pub(super) fn mail(&self, to: String, letter: Letter<'_>) {
        let mail = letter.write(to, &self.expected.issuer);
        let route = self.mail_route.clone();
        tokio::spawn(async move {
            for seconds in TRIES_AFTER_SECONDS {
                tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                match route.send(mail.clone()).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "a mail could not be handed over"),
                }
            }
            tracing::error!("a mail was given up");
        });
    }
}
