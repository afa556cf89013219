//! The payment provider's own record: what it did, whether or not we were told.
//!
//! # Invariants
//! - [`Found::Absent`] is proof: the search was exhaustive and over lists that are never behind.
//!
//! # What is deliberately absent
//! Search indexes that are brought up to date some time later: what they do not show proves nothing.

use std::future::Future;

use super::provider::{ProviderError, ProviderNotice, ProviderOrder, ProviderReport};
use crate::time::Timestamp;

/// What a search for the outcome of an order has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The provider did it: the objects that carry the order's id, as they are now. Never empty.
    Reports(Vec<ProviderReport>),
    /// The provider has nothing that carries the order's id.
    Absent,
    /// Nothing is proved, and why.
    Uncertain(String),
}

/// A page of notices, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticePage {
    /// Notices, each with its body as JSON.
    pub notices: Vec<(ProviderNotice, Vec<u8>)>,
    /// What to give for the next page; `None` on the last.
    pub next: Option<String>,
}

/// What the provider has that carries ids of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// Payments, transfers, and bank payouts of the accounts asked for; newest first within each kind.
    pub reports: Vec<ProviderReport>,
    /// Whether that is everything since the instant asked for.
    pub complete: bool,
}

/// A payment provider that can be asked what it did.
pub trait ProviderHistory: Send + Sync + 'static {
    /// Looks for what an order brought about, by the ids of ours that it carries. `since`: not later than its first
    /// sending; nothing older need be looked at where an order cannot be younger than what it brought about. Bank payouts
    /// and payouts of the platform are looked for however old they are: a log that was restored orders them anew.
    ///
    /// # Errors
    /// [`ProviderError`]; nothing is proved then.
    fn find(
        &self,
        order: &ProviderOrder,
        since: Timestamp,
    ) -> impl Future<Output = Result<Found, ProviderError>> + Send;

    /// Notices since an instant: the platform's own, or those of a payee's account. `after` is the `next` of the page
    /// before.
    ///
    /// # Errors
    /// [`ProviderError`].
    fn notices(
        &self,
        account: Option<&str>,
        since: Timestamp,
        after: Option<&str>,
    ) -> impl Future<Output = Result<NoticePage, ProviderError>> + Send;

    /// Everything since an instant that carries an id of ours: payments, transfers, and bank payouts of the accounts
    /// that were transferred to.
    ///
    /// # Errors
    /// [`ProviderError`].
    fn recent(&self, since: Timestamp) -> impl Future<Output = Result<Recent, ProviderError>> + Send;

    /// Calls per second that stay below the provider's limit; `None` where it has none.
    fn calls_per_second(&self) -> Option<u32>;
}
