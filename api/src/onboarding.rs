//! Links to the provider's own pages, handed from the worker that had them made to the request that asked for them.
//!
//! # Invariants
//! - A link is shown once, to who has asked for it; it is neither stored nor logged.
//!
//! # What is deliberately absent
//! Handing a link to another process: where another server's worker had it made, it is lost, and another one is asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::id::OnboardingLinkId;
use domain::ports::provider::OnboardingLinkReport;
use tokio::sync::oneshot;

/// How long a request waits for its link: twice what a provider usually takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that wait for a link.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<OnboardingLinkId, oneshot::Sender<OnboardingLinkReport>>>);

impl Links {
    /// Begins to wait, before the link is ordered.
    pub fn expect(&self, link_id: OnboardingLinkId) -> Waiting<'_> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(link_id, sender);
        Waiting { links: self, link_id, receiver }
    }

    /// Hands a link over, if somebody in this process waits for it.
    pub fn show(&self, link: &OnboardingLinkReport) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&link.link_id);
        if let Some(waiting) = waiting {
            // Who has gone meanwhile asks for another one.
            let _ = waiting.send(link.clone());
        }
    }
}

/// A request that waits for a link.
#[derive(Debug)]
pub struct Waiting<'a> {
    links: &'a Links,
    link_id: OnboardingLinkId,
    receiver: oneshot::Receiver<OnboardingLinkReport>,
}

impl Waiting<'_> {
    /// The link; `None` when it does not come in time.
    pub async fn link(mut self) -> Option<OnboardingLinkReport> {
        tokio::time::timeout(PATIENCE, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.links.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.link_id);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_link_is_handed_to_who_waits_for_it_and_to_nobody_twice() {
        let links = Links::default();
        let link_id = OnboardingLinkId::from_uuid(Uuid::from_u128(1));
        let report =
            OnboardingLinkReport { link_id, url: "https://example.com/1".to_owned(), expires_at: DateTime::UNIX_EPOCH };
        links.show(&report);
        let waiting = links.expect(link_id);
        links.show(&report);
        assert_eq!(waiting.link().await.map(|link| link.url), Some(report.url.clone()));
        drop(links.expect(link_id));
        assert!(links.0.lock().unwrap().is_empty(), "who has gone is forgotten");
    }
}
