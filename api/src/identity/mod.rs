//! Identity: the built-in issuer, other issuers' tokens, and who a caller is.
//!
//! # Where things are
//! - [`authenticate`]: from a bearer token to a caller; [`access_token`], [`external`], [`jwks`]: how tokens are checked
//! - [`accounts`], [`sign_in`], [`second_factor`]: what people do; [`password`], [`throttle`]: what they may
//! - [`vault`], [`personal`]: personal data, under a key per person; [`rewrap`]: another master key for all of it
//! - [`api_keys`]: machines; [`keyring`], [`seal`]: keys; [`step_up`]: who moves much money shows again who it is
//!
//! # Invariants
//! - Times here are wall time ([`clock`]), never a tenant's test clock.
//! - Nothing that opens an account is kept in clear: passwords are argon2id, tokens and codes are hashes, addresses and
//!   secrets are sealed.
//! - An answer says the same, after the same time, whether an address has an account or not.
//!
//! # What is deliberately absent
//! Which route needs which scope ([`crate::access`]); erasing a person. What needs four eyes says [`domain::approval`].

pub mod access_token;
pub mod accounts;
pub mod api_keys;
pub mod authenticate;
pub mod clock;
pub mod external;
pub mod jwks;
pub mod keyring;
mod mails;
pub mod page_session;
pub mod password;
pub mod personal;
pub mod rewrap;
pub mod scope;
pub mod seal;
pub mod second_factor;
pub mod shown;
pub mod sign_in;
pub mod step_up;
pub mod throttle;
pub mod vault;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use adapters::mail::{MailRoute, Mailbox, Smtp, SmtpConfig};
use adapters::postgres::identity::key;
use domain::log::StoreError;
use domain::ports::mail::MailError;
use domain::time::Timestamp;
use sqlx::PgPool;

use self::access_token::Expected;
use self::authenticate::Believed;
use self::clock::IdentityClock;
use self::external::{ExternalIssuer, ExternalIssuerConfig, ExternalIssuerError};
use self::keyring::Keyring;
use self::password::Hasher;
use self::seal::{MasterKey, new_secret};
use self::step_up::StepUpPolicy;
use self::vault::Vault;
use crate::network::Network;
use crate::outgoing::OutgoingConfig;
use crate::problem::Problem;

/// Where mails go.
#[derive(Debug, Clone, Default)]
pub enum MailConfig {
    /// To a mailbox page.
    #[default]
    Mailbox,
    /// To a mail server.
    Smtp(SmtpConfig),
}

/// How people come in.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    /// The URL that people and other services reach us at, without a slash at the end; it is the issuer's name, too. The
    /// address that is listened on when absent.
    pub public_url: Option<String>,
    /// Whom our tokens are for.
    pub audience: String,
    /// What secrets in the database are sealed with. When absent a new one for this process: secrets do not outlive it.
    pub master_key: Option<MasterKey>,
    /// Where mails go.
    pub mail: MailConfig,
    /// Whether people register and sign in here.
    pub built_in: bool,
    /// Other issuers whose tokens are taken.
    pub external: Vec<ExternalIssuerConfig>,
    /// Who shows again who it is, unless the tenant has a policy of its own.
    pub step_up: StepUpPolicy,
    /// The clock.
    pub clock: IdentityClock,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where other issuers' keys may be.
    pub outgoing: OutgoingConfig,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            audience: "earnest".to_owned(),
            master_key: None,
            mail: MailConfig::Mailbox,
            built_in: true,
            external: Vec::new(),
            step_up: StepUpPolicy::default(),
            clock: IdentityClock::default(),
            trusted_proxies: Vec::new(),
            outgoing: OutgoingConfig::default(),
        }
    }
}

/// Identity could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An issuer's configuration makes no sense.
    #[error(transparent)]
    Issuer(#[from] ExternalIssuerError),
    /// The mail server's configuration makes no sense.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Passwords cannot be hashed.
    #[error("passwords cannot be hashed: {0}")]
    Hash(argon2::Error),
    /// The secrets in the database are under another key.
    #[error("this tenant's secrets are sealed with another master key: give the server the one that it had")]
    OtherMasterKey,
}

/// Identity, at work.
#[derive(Debug)]
pub struct Identity {
    pool: PgPool,
    master: MasterKey,
    vault: Vault,
    expected: Expected,
    keys: Keyring,
    hasher: Hasher,
    mail_route: MailRoute,
    external: Vec<ExternalIssuer>,
    built_in: bool,
    step_up: StepUpPolicy,
    clock: IdentityClock,
    trusted_proxies: Vec<Network>,
    mailbox_key: String,
    believed: Mutex<HashMap<[u8; 32], Believed>>,
    step_up_known: Mutex<Option<(Instant, StepUpPolicy)>>,
}

impl Identity {
    /// Sets identity up for a tenant that is reached at `url` unless configured otherwise.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn open(config: IdentityConfig, pool: PgPool, tenant: &str, url: String) -> Result<Self, IdentityError> {
        let now = config.clock.now();
        let lasts = config.master_key.is_some();
        let master = match config.master_key {
            Some(master) => {
                if !key::claim_master(&pool, &master.fingerprint(), now).await? {
                    return Err(IdentityError::OtherMasterKey);
                }
                master
            }
            None => MasterKey::random(),
        };
        let issuer = config.public_url.unwrap_or(url).trim_end_matches('/').to_owned();
        let mail_route = match &config.mail {
            MailConfig::Mailbox => MailRoute::Mailbox(Mailbox::new(pool.clone(), Arc::new(master.clone()))),
            MailConfig::Smtp(smtp) => MailRoute::Smtp(Box::new(Smtp::new(smtp)?)),
        };
        let external = config.external.into_iter().map(|issuer| ExternalIssuer::new(issuer, &config.outgoing));
        let external = external.collect::<Result<Vec<_>, _>>()?;
        let identity = Self {
            vault: Vault::new(pool.clone(), master.clone(), tenant),
            keys: Keyring::open(pool.clone(), master.clone(), now).await?,
            expected: Expected { issuer, audience: config.audience, tenant: tenant.to_owned() },
            hasher: Hasher::new().map_err(IdentityError::Hash)?,
            mail_route,
            external,
            built_in: config.built_in,
            step_up: config.step_up,
            clock: config.clock,
            trusted_proxies: config.trusted_proxies,
            mailbox_key: new_secret(""),
            believed: Mutex::default(),
            step_up_known: Mutex::default(),
            master,
            pool,
        };
        if lasts {
            identity.seal_what_is_older().await?;
        }
        Ok(identity)
    }

    /// The instant now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The URL that people reach us at, and the issuer's name.
    pub fn issuer(&self) -> &str {
        &self.expected.issuer
    }

    /// Where personal data is sealed and opened.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The keys of the built-in issuer.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// The mailbox, when mails are kept in one, and the key that opens its page.
    pub fn mailbox(&self) -> Option<(&Mailbox, &str)> {
        match &self.mail_route {
            MailRoute::Mailbox(mailbox) => Some((mailbox, &self.mailbox_key)),
            MailRoute::Smtp(_) => None,
        }
    }

    /// The address that a request comes from: the peer's, or the last one that a proxy of ours did not add itself.
    pub fn client_address(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        let ours =
            |address: &IpAddr| self.trusted_proxies.iter().any(|proxies| proxies.contains(address.to_canonical()));
        if !ours(&peer) {
            return peer;
        }
        let mut hops = forwarded_for.unwrap_or_default().rsplit(',').map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        hops.find(|hop| !ours(hop)).unwrap_or(peer)
    }

    /// A MAC of `data` under the master key, for the pages' forms.
    pub(crate) fn form_mac(&self, data: &str) -> String {
        hex::encode(self.master.mac("form", data.as_bytes()))
    }

    /// Refuses when people sign in elsewhere.
    ///
    /// # Errors
    /// `not_found`.
    pub fn require_built_in(&self) -> Result<(), Problem> {
        if self.built_in { Ok(()) } else { Err(Problem::not_found()) }
    }
}
