//! What requests have to keep to, and what is asked outside: options of `serve`.

use clap::Args;

use crate::edge::EdgeConfig;
use crate::edge::headers::Origin;
use crate::edge::quota::Limit;
use crate::edge::rate_limit::{LimitClock, RateLimits};
use crate::network::Network;
use crate::outgoing::{Lookup, OutgoingConfig};

/// What requests have to keep to.
#[derive(Debug, Args)]
pub struct EdgeOptions {
    /// Requests per session or token, and in how many seconds; or off.
    #[arg(long, env = "EARNEST_RATE_LIMIT_KEY", default_value = "1800/60")]
    rate_limit_key: Limit,
    /// Requests per party, over all its tokens.
    #[arg(long, env = "EARNEST_RATE_LIMIT_PARTY", default_value = "3000/60")]
    rate_limit_party: Limit,
    /// Requests per address of the network. Behind a proxy say --trusted-proxies, or all clients count as one.
    #[arg(long, env = "EARNEST_RATE_LIMIT_ADDRESS", default_value = "12000/60")]
    rate_limit_address: Limit,
    /// Origins whose scripts may read answers, such as https://app.example.com, separated by commas. Default: none.
    #[arg(long, env = "EARNEST_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<Origin>,
    /// How long browsers are told to use TLS only, when --public-url is https; 0 for not at all.
    #[arg(long, env = "EARNEST_HSTS_SECONDS", default_value_t = 31_536_000)]
    hsts_seconds: u32,
}

impl EdgeOptions {
    /// The configuration.
    pub fn config(&self) -> EdgeConfig {
        EdgeConfig {
            rate_limits: RateLimits {
                key: self.rate_limit_key.0,
                party: self.rate_limit_party.0,
                address: self.rate_limit_address.0,
                clock: LimitClock::default(),
            },
            cors_origins: self.cors_origins.clone(),
            hsts_seconds: self.hsts_seconds,
            ..EdgeConfig::default()
        }
    }
}

/// What is asked outside.
#[derive(Debug, Args)]
pub struct OutgoingOptions {
    /// Ask URLs that others name without TLS, too. For development.
    #[arg(long, env = "EARNEST_OUTGOING_ALLOW_HTTP")]
    outgoing_allow_http: bool,
    /// Networks that are asked although they are not public, such as 10.20.0.0/16, separated by commas. Default: none.
    #[arg(long, env = "EARNEST_OUTGOING_ALLOW_NETWORKS", value_delimiter = ',')]
    outgoing_allow_networks: Vec<Network>,
}

impl OutgoingOptions {
    /// The configuration.
    pub fn config(&self) -> OutgoingConfig {
        OutgoingConfig {
            allow_http: self.outgoing_allow_http,
            allowed_networks: self.outgoing_allow_networks.clone(),
            lookup: Lookup::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        edge: EdgeOptions,
        #[command(flatten)]
        outgoing: OutgoingOptions,
    }

    #[test]
    fn options_are_those_of_the_library_unless_said_otherwise() {
        let options = Options::try_parse_from(["serve"]).unwrap();
        let (config, default) = (options.edge.config(), EdgeConfig::default());
        let limits =
            |config: &EdgeConfig| (config.rate_limits.key, config.rate_limits.party, config.rate_limits.address);
        assert_eq!((limits(&config), config.hsts_seconds), (limits(&default), default.hsts_seconds));
        assert!(config.cors_origins.is_empty() && limits(&config).0.is_some());
        let outgoing = options.outgoing.config();
        assert!(!outgoing.allow_http && outgoing.allowed_networks.is_empty());
        let said = Options::try_parse_from([
            "serve",
            "--rate-limit-key=100/60",
            "--rate-limit-address=off",
            "--cors-origins=https://a.example,https://b.example",
            "--outgoing-allow-networks=10.0.0.0/8,::1",
        ]);
        let said = said.unwrap();
        let config = said.edge.config();
        assert_eq!(config.rate_limits.key.map(|quota| (quota.requests(), quota.seconds())), Some((100, 60)));
        assert_eq!((config.rate_limits.address, config.cors_origins.len()), (None, 2));
        assert_eq!(said.outgoing.config().allowed_networks.len(), 2);
        for wrong in ["--rate-limit-key=0/60", "--cors-origins=*", "--outgoing-allow-networks=10.0.0.0/64"] {
            assert!(Options::try_parse_from(["serve", wrong]).is_err(), "{wrong}");
        }
    }
}
