//! Slows down guessing without locking anybody out (OWASP, "device cookies").
//!
//! Attempts are counted per account and per address of the network, before they are made. Who shows a device from which
//! the account's owner signed in before is counted by that device alone: however many others guess, the right password
//! from there still gets in. A reset of the password makes the device that it is done with a known one.
//!
//! # What is deliberately absent
//! Limits of requests that are no attempts to sign in.

use std::net::{IpAddr, Ipv6Addr};

use adapters::postgres::identity::attempts;
use axum::http::header;
use chrono::TimeDelta;

use super::Identity;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// How long attempts are counted together.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// Attempts at one account from unknown devices: few enough that the worst password lasts, and far below the 100 of NIST.
const PER_ACCOUNT: i32 = 10;

/// Attempts from one known device.
const PER_DEVICE: i32 = 20;

/// Wrong attempts from one address: an office behind one shares it.
const PER_ADDRESS: i32 = 50;

/// Wrong second factors for one account: a guess is right once in a million, three codes are good at a time.
const PER_FACTOR: i32 = 5;

/// Mails asked for by one address, and to one mailbox.
const MAILS_PER_ADDRESS: i32 = 30;
const MAILS_PER_MAILBOX: i32 = 3;

/// What an attempt is counted under.
#[derive(Debug, Clone)]
pub enum Counter<'a> {
    /// An account, by the HMAC of its address; also one that does not exist.
    Account(&'a [u8]),
    /// A device that the account's owner used before.
    Device(&'a [u8; 32]),
    /// An address of the network; IPv6 by its /64, which is one customer's.
    Address(IpAddr),
    /// The second factor of an account.
    Factor(uuid::Uuid),
    /// Registrations and resets asked for from an address.
    MailsFrom(IpAddr),
    /// Mails to one mailbox, by the HMAC of its address.
    MailsTo(&'a [u8]),
}

impl Counter<'_> {
    fn name(&self) -> Vec<u8> {
        let (kind, rest): (&[u8], Vec<u8>) = match self {
            Self::Account(index) => (b"account", index.to_vec()),
            Self::Device(device) => (b"device", device.to_vec()),
            Self::Address(address) => (b"address", network(*address).to_string().into_bytes()),
            Self::Factor(account) => (b"factor", account.as_bytes().to_vec()),
            Self::MailsFrom(address) => (b"mails-from", network(*address).to_string().into_bytes()),
            Self::MailsTo(index) => (b"mails-to", index.to_vec()),
        };
        [kind, b":", &rest].concat()
    }

    fn most(&self) -> i32 {
        match self {
            Self::Account(_) => PER_ACCOUNT,
            Self::Device(_) => PER_DEVICE,
            Self::Address(_) => PER_ADDRESS,
            Self::Factor(_) => PER_FACTOR,
            Self::MailsFrom(_) => MAILS_PER_ADDRESS,
            Self::MailsTo(_) => MAILS_PER_MAILBOX,
        }
    }
}

/// What of an address is one customer's.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Identity {
    fn counter(&self, counter: &Counter<'_>) -> [u8; 32] {
        self.master.mac("attempts", &counter.name())
    }

    /// Counts an attempt. Whether it may be made.
    pub(super) async fn may_try(&self, counter: &Counter<'_>) -> Result<bool, Problem> {
        let count = attempts::count(&self.pool, &self.counter(counter), self.now(), WINDOW).await?;
        Ok(count.attempts <= counter.most())
    }

    /// Counts an attempt, and refuses it when there were too many.
    ///
    /// # Errors
    /// `rate_limited`, with `Retry-After`.
    pub(super) async fn attempt(&self, counter: &Counter<'_>) -> Result<(), Problem> {
        let now = self.now();
        let count = attempts::count(&self.pool, &self.counter(counter), now, WINDOW).await?;
        if count.attempts <= counter.most() {
            return Ok(());
        }
        let wait = (count.ends_at - now).num_seconds().max(1);
        Err(Problem::new(
            ErrorCode::RateLimited,
            "too many attempts; wait, or use a device that you signed in from before",
        )
        .with_header(header::RETRY_AFTER, wait.to_string()))
    }

    /// A good attempt does not count.
    pub(super) async fn forgive(&self, counter: &Counter<'_>) -> Result<(), Problem> {
        Ok(attempts::forgive(&self.pool, &self.counter(counter)).await?)
    }

    /// After a good attempt counting begins anew.
    pub(super) async fn clear(&self, counter: &Counter<'_>) -> Result<(), Problem> {
        Ok(attempts::clear(&self.pool, &self.counter(counter)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_with_many_addresses_is_counted_once() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
