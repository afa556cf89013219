//! How people come in: options of `serve`, and the commands `keys rotate`, `keys rotate-master` and `staff`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use adapters::embedded::default_data_dir;
use adapters::mail::SmtpConfig;
use adapters::postgres::identity::key::claim_master;
use adapters::postgres::identity::rewrap::Rewrapped;
use adapters::postgres::tenant_pool;
use clap::{Args, Subcommand};

use super::database::DatabaseOptions;
use super::edge::OutgoingOptions;
use super::operator::Failure;
use crate::caller::Role;
use crate::identity::external::ExternalIssuerConfig;
use crate::identity::keyring::{LEAD, rotate};
use crate::identity::rewrap::rewrap;
use crate::identity::seal::MasterKey;
use crate::identity::{Identity, IdentityConfig, IdentityError, MailConfig};
use crate::network::Network;

/// How people come in.
#[derive(Debug, Args)]
pub struct IdentityOptions {
    /// The URL that people reach the server at; also the name of the issuer in its tokens. Default: where it listens.
    #[arg(long, env = "EARNEST_PUBLIC_URL")]
    public_url: Option<String>,
    /// The key that secrets in the database are sealed with: 64 hexadecimal digits, the same for all servers of a tenant.
    /// Default: the file identity.key in the data directory, made when it is missing.
    #[arg(long, env = "EARNEST_IDENTITY_KEY", hide_env_values = true)]
    identity_key: Option<MasterKey>,
    /// The mail server, such as smtps://user:password@host. Without it mails are kept and shown on a page.
    #[arg(long, env = "EARNEST_SMTP_URL", hide_env_values = true, requires = "mail_from")]
    smtp_url: Option<String>,
    /// The sender of mails, such as "Earnest <no-reply@example.com>".
    #[arg(long, env = "EARNEST_MAIL_FROM")]
    mail_from: Option<String>,
    /// A JSON file with a list of other issuers whose tokens are taken. The built-in issuer is off then.
    #[arg(long, env = "EARNEST_ISSUERS")]
    issuers: Option<PathBuf>,
    /// Keep the built-in issuer on beside others.
    #[arg(long)]
    built_in_issuer: bool,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks such as 10.0.0.0/8, separated by commas.
    #[arg(long, env = "EARNEST_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<Network>,
    #[command(flatten)]
    outgoing: OutgoingOptions,
}

/// Options of `keys`.
#[derive(Debug, Args)]
pub struct KeysOptions {
    #[command(subcommand)]
    command: KeysCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a new signing key. It is published at once and signs in an hour; the old ones stay until their tokens are over.
    Rotate(RotateOptions),
    /// Puts all secrets and persons' keys under another master key. No server may run on the tenant meanwhile.
    RotateMaster(RotateMasterOptions),
}

/// Options of `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(flatten)]
    identity: IdentityOptions,
    /// Sign with it at once: others may refuse tokens until they fetch the keys again.
    #[arg(long)]
    now: bool,
}

/// Options of `keys rotate-master`.
#[derive(Debug, Args)]
pub struct RotateMasterOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(flatten)]
    identity: IdentityOptions,
    /// The new master key: 64 hexadecimal digits. Default: a new one in the file identity.key.next in the data directory, which
    /// takes the place of identity.key afterwards, if the old key came from there.
    #[arg(long, env = "EARNEST_NEW_IDENTITY_KEY", hide_env_values = true)]
    new_identity_key: Option<MasterKey>,
}

/// Options of `staff`.
#[derive(Debug, Args)]
pub struct StaffOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(flatten)]
    identity: IdentityOptions,
    /// Where mails reach the person.
    #[arg(long)]
    email: String,
    /// support, moderator, finance, auditor or admin.
    #[arg(long)]
    role: Role,
}

impl IdentityOptions {
    /// The configuration, with the key read or made.
    ///
    /// # Errors
    /// What cannot be read, in words for the operator.
    pub fn config(&self, database: &DatabaseOptions) -> Result<IdentityConfig, Failure> {
        let directory = database.data_dir.clone().unwrap_or_else(default_data_dir);
        let master_key = match &self.identity_key {
            Some(key) => key.clone(),
            None => key_file(&directory.join("identity.key"))?,
        };
        let external: Vec<ExternalIssuerConfig> = match &self.issuers {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Vec::new(),
        };
        let mail = match (&self.smtp_url, &self.mail_from) {
            (Some(url), Some(from)) => MailConfig::Smtp(SmtpConfig { url: url.clone(), from: from.clone() }),
            _ => MailConfig::Mailbox,
        };
        Ok(IdentityConfig {
            public_url: self.public_url.clone(),
            master_key: Some(master_key),
            mail,
            built_in: external.is_empty() || self.built_in_issuer,
            external,
            trusted_proxies: self.trusted_proxies.clone(),
            outgoing: self.outgoing.config(),
            ..IdentityConfig::default()
        })
    }
}

/// The key in a file that only its owner reads; a new one when there is no file.
fn key_file(path: &Path) -> Result<MasterKey, Failure> {
    let read = |path: &Path| -> Result<MasterKey, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.parse().map_err(|error| format!("{}: {error}", path.display()).into())
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let key = MasterKey::random();
            writeln!(file, "{}", key.to_hex())?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// Works on keys.
///
/// # Errors
/// What went wrong.
pub async fn keys(options: KeysOptions) -> Result<(), Failure> {
    let options = match options.command {
        KeysCommand::Rotate(options) => options,
        KeysCommand::RotateMaster(options) => return rotate_master(options).await,
    };
    let config = options.identity.config(&options.database)?;
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 2);
    let master = config.master_key.clone().ok_or("there is no master key")?;
    // Also refuses a master key that is not the tenant's.
    let identity = Identity::open(config, pool.clone(), options.database.tenant.as_str(), String::new()).await?;
    let now = identity.now();
    let signs_from = if options.now { now } else { now + LEAD };
    let kid = rotate(&pool, &master, now, signs_from).await?;
    writeln!(std::io::stdout(), "Key {kid} is published, and signs from {}.", signs_from.format("%Y-%m-%d %H:%M UTC"))?;
    pool.close().await;
    database.close().await
}

/// Puts everything under another master key. Told again after it broke off, it goes on: the file with the new key is used again,
/// and takes its place also when the database has the new key already.
async fn rotate_master(options: RotateMasterOptions) -> Result<(), Failure> {
    let directory = options.database.data_dir.clone().unwrap_or_else(default_data_dir);
    let (file, next) = (directory.join("identity.key"), directory.join("identity.key.next"));
    let config = options.identity.config(&options.database)?;
    let old = config.master_key.clone().ok_or("there is no master key")?;
    let new = match &options.new_identity_key {
        Some(key) => key.clone(),
        None => key_file(&next)?,
    };
    let database = options.database.open().await?;
    let tenant = options.database.tenant.as_str();
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 2);
    let now = config.clock.now();
    // Seals first what an older version kept otherwise. The database may have the new key already.
    match Identity::open(config, pool.clone(), tenant, String::new()).await {
        Ok(_) | Err(IdentityError::OtherMasterKey) => {}
        Err(error) => return Err(error.into()),
    }
    let done = rewrap(&pool, tenant, &old, &new, now).await?;
    let fulfilled = done.is_some() || claim_master(&pool, &new.fingerprint(), now).await?;
    pool.close().await;
    database.close().await?;
    if !fulfilled {
        return Err("the tenant's master key is neither the old one nor the new one".into());
    }
    let mut out = std::io::stdout();
    if let Some(Rewrapped { subject_keys, others }) = done {
        writeln!(out, "{subject_keys} keys of persons and {others} other entries are under the new master key.")?;
    }
    if options.new_identity_key.is_some() {
        writeln!(out, "Start servers with the new key.")?;
    } else if options.identity.identity_key.is_some() {
        writeln!(out, "Start servers with the key in {}.", next.display())?;
    } else {
        std::fs::rename(&next, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        writeln!(out, "The new key is in {}.", file.display())?;
    }
    Ok(())
}

/// Makes an account for a member of staff.
///
/// # Errors
/// What went wrong.
pub async fn staff(options: StaffOptions) -> Result<(), Failure> {
    let Role::Staff(role) = options.role else { return Err("choose a role of staff".into()) };
    let config = options.identity.config(&options.database)?;
    let url = options.identity.public_url.clone().unwrap_or_else(|| "http://127.0.0.1:8400".to_owned());
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 2);
    let identity = Identity::open(config, pool.clone(), options.database.tenant.as_str(), url).await?;
    let link = identity.invite_staff(&options.email, role).await.map_err(|problem| problem.detail().to_owned())?;
    let mut out = std::io::stdout();
    match link {
        Some(link) => writeln!(out, "Give this link to the person; it is good for an hour:\n{link}")?,
        None => writeln!(out, "There is an account with this address.")?,
    }
    pool.close().await;
    database.close().await
}
