//! Requests to URLs that others name: an issuer's keys, a receiver of webhooks. Such a URL must not make us ask ourselves,
//! our neighbours or our cloud (server-side request forgery).
//!
//! # Invariants
//! - [`OutgoingClient::request`] is the only way out, and looks at the URL each time: https only, no user in it, and an
//!   address only if it is the public's ([`address`]).
//! - A name is looked up again for every connection, and the connection goes to an address that was looked at: a name that
//!   means something else by then (DNS rebinding) is refused. One address that is not the public's refuses the name.
//! - No redirect is followed, and no proxy asked: it would look the name up itself.
//!
//! # What is deliberately absent
//! The payment provider and the mail server: the operator names them. Reading answers: whoever asks bounds them.

pub mod address;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Method, RequestBuilder, Url};

use self::address::is_public;
use crate::code::ErrorCode;
use crate::network::{LOOPBACK, Network};
use crate::problem::Problem;

/// Longest URL.
const MAX_URL: usize = 2048;

/// A name's addresses.
pub type LookUp = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

/// How names become addresses.
#[derive(Clone, Default)]
pub enum Lookup {
    /// As the system does it.
    #[default]
    System,
    /// As this function says. For tests.
    Stub(Arc<LookUp>),
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Stub(_) => "Stub",
        })
    }
}

/// What may be asked. By default: the public's addresses, over TLS.
#[derive(Debug, Clone, Default)]
pub struct OutgoingConfig {
    /// Ask without TLS, too. For development.
    pub allow_http: bool,
    /// Networks that may be asked although they are not the public's.
    pub allowed_networks: Vec<Network>,
    /// How names become addresses.
    pub lookup: Lookup,
}

impl OutgoingConfig {
    /// What a developer's own machine needs: no TLS, and this very machine.
    pub fn development() -> Self {
        Self { allow_http: true, allowed_networks: LOOPBACK.to_vec(), lookup: Lookup::System }
    }

    fn check_address(&self, address: IpAddr) -> Result<(), UrlNotAllowed> {
        let allowed = self.allowed_networks.iter().any(|network| network.contains(address));
        if allowed || is_public(address) { Ok(()) } else { Err(UrlNotAllowed::Address(address)) }
    }

    /// What can be said of a URL without looking its name up.
    ///
    /// # Errors
    /// [`UrlNotAllowed`].
    pub fn parse(&self, url: &str) -> Result<Url, UrlNotAllowed> {
        if url.len() > MAX_URL {
            return Err(UrlNotAllowed::Malformed);
        }
        let url = Url::parse(url).map_err(|_| UrlNotAllowed::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(UrlNotAllowed::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlNotAllowed::User);
        }
        let host = url.host_str().ok_or(UrlNotAllowed::Malformed)?;
        if let Some(address) = literal(host) {
            self.check_address(address)?;
        }
        Ok(url)
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, UrlNotAllowed> {
        let found: Vec<IpAddr> = match &self.lookup {
            Lookup::Stub(stub) => stub(host),
            Lookup::System => {
                let found = tokio::net::lookup_host((host, 0)).await.map_err(|_| UrlNotAllowed::Unknown)?;
                found.map(|address| address.ip()).collect()
            }
        };
        if found.is_empty() {
            return Err(UrlNotAllowed::Unknown);
        }
        found.iter().try_for_each(|address| self.check_address(*address))?;
        Ok(found)
    }
}

/// The address that a host is, when it is none that has to be looked up. The parser of URLs has brought all the ways to
/// write one of IPv4 (2130706433, 0x7f.1) into one.
fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// A URL that is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlNotAllowed {
    /// Nothing that could be asked.
    #[error("is no URL")]
    Malformed,
    /// Without TLS, or no URL of HTTP.
    #[error("must be an https URL")]
    Scheme,
    /// With a name or password in it.
    #[error("must not have a user in it")]
    User,
    /// The name has no address.
    #[error("names a host that has no address")]
    Unknown,
    /// The address is not the public's.
    #[error("leads to {0}, which is not a public address")]
    Address(IpAddr),
}

impl UrlNotAllowed {
    /// As an answer to who named the URL, in this field. The address that was found is for the log: it would tell what our
    /// network looks like from inside.
    pub fn problem(&self, pointer: &str) -> Problem {
        let detail = match self {
            Self::Address(address) => {
                tracing::warn!(%address, "a URL that was named to us is not allowed");
                "must lead to public addresses only".to_owned()
            }
            other => other.to_string(),
        };
        Problem::field(ErrorCode::UrlNotAllowed, pointer, detail)
    }
}

/// Asks only what may be asked.
#[derive(Debug, Clone)]
pub struct OutgoingClient {
    http: reqwest::Client,
    config: Arc<OutgoingConfig>,
}

impl OutgoingClient {
    /// A client whose requests take at most `timeout`, answers included.
    ///
    /// # Errors
    /// When the system gives no client.
    pub fn new(config: OutgoingConfig, timeout: Duration) -> Result<Self, reqwest::Error> {
        let config = Arc::new(config);
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Guarded(Arc::clone(&config))))
            .build()?;
        Ok(Self { http, config })
    }

    /// A request to a URL, ready to be sent. Sending it fails when its name does not lead to public addresses then.
    ///
    /// # Errors
    /// [`UrlNotAllowed`], of what can be said without looking the name up.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, UrlNotAllowed> {
        Ok(self.http.request(method, self.config.parse(url)?))
    }

    /// Whether a URL could be asked now, name included: for when somebody names one that is asked later.
    ///
    /// # Errors
    /// [`UrlNotAllowed`].
    pub async fn check(&self, url: &str) -> Result<Url, UrlNotAllowed> {
        let url = self.config.parse(url)?;
        let host = url.host_str().ok_or(UrlNotAllowed::Malformed)?;
        if literal(host).is_none() {
            self.config.look_up(host).await?;
        }
        Ok(url)
    }
}

/// Looks names up for a client, each time that it connects.
struct Guarded(Arc<OutgoingConfig>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let config = Arc::clone(&self.0);
        Box::pin(async move {
            let found = config.look_up(name.as_str()).await?;
            // The client puts the URL's port in.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Why a request failed, down to the first cause, without the URL.
pub fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
