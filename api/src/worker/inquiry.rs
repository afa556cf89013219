//! Asks the provider without being told: webhooks get lost.
//!
//! # Invariants
//! - Every two minutes of the tenant's clock, objects that are not at their end and of which nothing was heard for ten are
//!   looked up; every hour the provider's own list of notices is read from an hour before where it was left.
//! - A notice that is found in the list goes the way of all notices; one that was delivered is there already.
//! - When looking finds news although no webhook came for six hours, that is an operator's task.
//!
//! # What is deliberately absent
//! The list of each payee's account: only those with a bank payout of the last days are read.

use std::time::Duration;

use adapters::postgres::inbox::Filing;
use adapters::postgres::{inquiry, task};
use chrono::TimeDelta;
use domain::log::{Position, StoreError};
use domain::ports::provider::{ProviderError, ProviderObject};
use domain::ports::{PaymentProvider, ProviderHistory};
use domain::process;
use domain::time::Timestamp;
use tokio::sync::watch;

use super::record_at_rest;
use crate::app::App;
use crate::engine::EngineError;

/// Between two rounds over unfinished objects (`process-managers.md` C.2.8).
const POLL_EVERY: TimeDelta = TimeDelta::minutes(2);
/// An object of which something was heard since is left alone.
const QUIET_FOR: TimeDelta = TimeDelta::minutes(10);
/// Between two readings of the list of notices.
const BACKFILL_EVERY: TimeDelta = TimeDelta::hours(1);
/// How far a reading goes back behind the end of the one before.
const OVERLAP: TimeDelta = TimeDelta::hours(1);
/// Without a webhook for so long something is wrong, if there was something to tell.
const SILENCE: TimeDelta = TimeDelta::hours(6);
/// A bank returns a payout within days (<https://docs.stripe.com/payouts#payout-failures>: mostly five business days).
const RETURNS_WITHIN: TimeDelta = TimeDelta::days(14);
/// Objects in one round; those beyond come in the next one.
const ROUND: usize = 200;
/// Payees' accounts that are asked for at once; all are read.
const ACCOUNTS: usize = 1_000;
/// How often to look whether it is time.
const LOOK: Duration = Duration::from_secs(10);

pub(super) async fn run<P>(app: App, provider: P, mut stop: watch::Receiver<bool>)
where
    P: PaymentProvider + ProviderHistory,
{
    // A server that has just come up serves first.
    let mut moved = app.clock_moved.notified();
    loop {
        if *stop.borrow() {
            return;
        }
        tokio::select! {
            () = moved => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => return,
        }
        moved = app.clock_moved.notified();
        if let Err(error) = look(&app, &provider, &stop).await {
            tracing::error!(%error, "the provider cannot be asked what is new");
        }
    }
}

async fn look<P>(app: &App, provider: &P, stop: &watch::Receiver<bool>) -> Result<(), EngineError>
where
    P: PaymentProvider + ProviderHistory,
{
    super::coverage::look(app).await?;
    let now = app.engine.now().await?;
    if let Some(after) = inquiry::claim_poll(app.pool(), now, POLL_EVERY).await? {
        let changed = poll(app, provider, now, after, stop).await?;
        mind_silence(app, changed).await?;
    }
    backfill(app, provider, now, stop).await
}

/// Looks unfinished objects up. Tells how many had news.
async fn poll<P: PaymentProvider>(
    app: &App,
    provider: &P,
    now: Timestamp,
    after: Position,
    stop: &watch::Receiver<bool>,
) -> Result<u64, EngineError> {
    let objects = inquiry::unfinished(app.pool(), now - QUIET_FOR, after, ROUND).await?;
    let next = if objects.len() == ROUND { objects.last().map_or(0, |(position, _)| *position) } else { 0 };
    let mut changed = 0_u64;
    for object in objects.into_iter().filter_map(|(_, object)| object) {
        if *stop.borrow() {
            return Ok(changed);
        }
        if look_at(app, provider, &object).await? {
            changed = changed.saturating_add(1);
        }
    }
    inquiry::poll_reached(app.pool(), next).await?;
    metrics::counter!("psp_poll_changes_total").increment(changed);
    Ok(changed)
}

/// Records what is so of an object. Tells whether it was news.
async fn look_at<P: PaymentProvider>(app: &App, provider: &P, object: &ProviderObject) -> Result<bool, EngineError> {
    let report = match provider.look_up(object).await {
        Ok(report) => report,
        Err(error) => {
            // The next round asks again.
            tracing::warn!(%error, ?object, "an unfinished object cannot be looked up");
            return Ok(false);
        }
    };
    super::alert::about(app, &report).await?;
    let mut news = false;
    for fact in process::facts(&report) {
        match record_at_rest(app, &fact).await {
            Ok(changed) => news |= changed,
            Err(EngineError::Refused(refusal)) => {
                tracing::warn!(%refusal, ?object, "what the provider says of an object is refused");
                return Ok(news);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(news)
}

/// News that no webhook told, and no webhook for long: somebody has to look at the endpoint.
async fn mind_silence(app: &App, changed: u64) -> Result<(), StoreError> {
    #[expect(clippy::disallowed_methods, reason = "webhooks are delivered in wall time")]
    let wall = chrono::Utc::now();
    let silent_since = app.inbox.last_delivery().await?;
    let silent = silent_since.is_none_or(|last| last <= wall - SILENCE);
    if let Some(last) = silent_since {
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("psp_webhook_silence_seconds").set((wall - last).num_seconds().max(0) as f64);
    }
    if silent && changed > 0 {
        let detail = match silent_since {
            Some(last) => format!("{changed} changes were found by asking; the last webhook came at {last}"),
            None => format!("{changed} changes were found by asking; no webhook ever came"),
        };
        tracing::error!(detail, "webhooks do not arrive: look at the endpoint in the provider's dashboard");
        task::open(app.pool(), task::WEBHOOKS_SILENT, "webhooks", &detail).await?;
    } else if !silent {
        task::close(app.pool(), task::WEBHOOKS_SILENT, "webhooks").await?;
    }
    Ok(())
}

/// Reads the provider's list of notices, when it is time.
async fn backfill<P: ProviderHistory>(
    app: &App,
    provider: &P,
    now: Timestamp,
    stop: &watch::Receiver<bool>,
) -> Result<(), EngineError> {
    let until = inquiry::backfilled_until(app.pool()).await?;
    if until.is_some_and(|until| now - until < BACKFILL_EVERY) {
        return Ok(());
    }
    let since = until.unwrap_or(now) - OVERLAP;
    let mut found = 0_u64;
    let (mut round, mut last) = (vec![None], String::new());
    while !round.is_empty() {
        for account in &round {
            // What is not read now is read from the same instant by whoever comes next.
            if *stop.borrow() {
                return Ok(());
            }
            match read_list(app, provider, account.as_deref(), since).await? {
                Ok(new) => found = found.saturating_add(new),
                Err(error) if account.is_some() && tells_nothing(&error) => {
                    tracing::warn!(%error, account, "the list of notices of an account cannot be read");
                }
                Err(error) => {
                    // It is read again from the same instant.
                    tracing::warn!(%error, account, "the provider's list of notices cannot be read");
                    return Ok(());
                }
            }
        }
        let next = inquiry::accounts_paid_since(app.pool(), now - RETURNS_WITHIN, &last, ACCOUNTS).await?;
        last = next.last().cloned().unwrap_or(last);
        round = next.into_iter().map(Some).collect();
    }
    inquiry::backfilled(app.pool(), now).await?;
    metrics::counter!("psp_backfilled_total").increment(found);
    if found > 0 {
        tracing::warn!(found, "notices were found in the provider's list that no webhook brought");
        app.notified.notify_one();
    }
    Ok(())
}

/// Whether an error is about one account, and not about the provider: its payee has taken our access away, it is closed, or
/// its list has something in it that we cannot read. The others tell all the same.
fn tells_nothing(error: &ProviderError) -> bool {
    match error {
        ProviderError::NotAuthorized(_) | ProviderError::Unusable(_) | ProviderError::Refused { .. } => true,
        ProviderError::RateLimited { .. } | ProviderError::Unavailable { .. } | ProviderError::Unknown(_) => false,
    }
}

/// Takes what is in a list into the inbox. Tells how many were new there.
async fn read_list<P: ProviderHistory>(
    app: &App,
    provider: &P,
    account: Option<&str>,
    since: Timestamp,
) -> Result<Result<u64, ProviderError>, StoreError> {
    let (mut new, mut after) = (0_u64, None::<String>);
    loop {
        let page = match provider.notices(account, since, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        // Together, so that they share commits. Their order says nothing: what counts is the object when it is looked up.
        let stored = page.notices.iter().map(|(notice, raw)| {
            let right = notice.livemode == app.tenant.livemode;
            let filing = if right { Filing::of(notice) } else { Filing::Mismatch };
            app.inbox.receive(domain::reaction::PSP, notice, raw, filing, true)
        });
        for stored in futures::future::join_all(stored).await {
            if stored? {
                new = new.saturating_add(1);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(Ok(new)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C.2.8: one account's list says nothing about the others; a provider that does not answer does.
    #[test]
    fn one_list_that_cannot_be_read_stops_no_other() {
        let refused = ProviderError::Refused { code: "account_closed".to_owned() };
        assert!(tells_nothing(&refused));
        assert!(tells_nothing(&ProviderError::Unusable("an event without a kind".to_owned())));
        assert!(tells_nothing(&ProviderError::NotAuthorized("no access".to_owned())));
        assert!(!tells_nothing(&ProviderError::Unknown("lost".to_owned())));
        assert!(!tells_nothing(&ProviderError::RateLimited { retry_after: None }));
    }
}
