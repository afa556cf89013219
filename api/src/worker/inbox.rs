//! Works on notices of the payment provider: looks at the object, records what is so.
//!
//! # Invariants
//! - What counts is the object as it is now, not what the notice says of it: in whatever order notices come, the last look
//!   shows the end.
//! - A notice is done when its facts are in the log. One that cannot be recorded is put off, then an operator's task; none
//!   is dropped.
//!
//! # What is deliberately absent
//! Using the body of a notice while the provider cannot be asked: it waits.

use std::time::Duration;

use adapters::postgres::inbox::StoredNotice;
use domain::log::StoreError;
use domain::ports::PaymentProvider;
use domain::ports::provider::ProviderError;
use domain::process;
use tokio::sync::watch;

use super::{backoff, pause, payees, record_at_rest};
use crate::app::App;
use crate::engine::EngineError;

/// Notices in progress at once, each about another object: bounds what a backlog of any size holds in memory.
const AT_ONCE: usize = 32;

/// How long a notice is this process's alone: longer than its turn at the provider and the call (20 s) take.
const LEASE: Duration = Duration::from_secs(60);

pub(super) async fn run<P: PaymentProvider>(app: App, provider: P, mut stop: watch::Receiver<bool>) {
    loop {
        match turn(&app, &provider).await {
            Ok(0) => {}
            Ok(_) if !*stop.borrow() => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the inbox cannot be worked on"),
        }
        if !pause(&mut stop, app.notified.notified()).await {
            return;
        }
    }
}

async fn turn<P: PaymentProvider>(app: &App, provider: &P) -> Result<usize, StoreError> {
    let notices = app.inbox.take(AT_ONCE, LEASE).await?;
    let count = notices.len();
    futures::future::join_all(notices.into_iter().map(|notice| async move {
        if let Err(error) = work_on(app, provider, &notice).await {
            tracing::error!(%error, event_id = notice.event_id, "a notice could not be recorded; it is taken again");
            // Where even this fails the lease runs out.
            let _ = app.inbox.retry(&notice, backoff(notice.attempts), "the event store did not record it").await;
        }
    }))
    .await;
    Ok(count)
}

async fn work_on<P: PaymentProvider>(app: &App, provider: &P, notice: &StoredNotice) -> Result<(), EngineError> {
    let Some(object) = &notice.object else {
        app.inbox.done(notice.inbox_id, false).await?;
        return Ok(());
    };
    let report = match provider.look_up(object).await {
        Ok(report) => report,
        Err(ProviderError::RateLimited { retry_after }) => {
            let after = retry_after.unwrap_or_else(|| backoff(notice.attempts));
            app.inbox.retry(notice, after, "rate limited").await?;
            return Ok(());
        }
        Err(ProviderError::Unavailable { why, retry_after }) => {
            app.inbox.retry(notice, retry_after, &why).await?;
            return Ok(());
        }
        Err(ProviderError::Unknown(why) | ProviderError::NotAuthorized(why)) => {
            app.inbox.retry(notice, backoff(notice.attempts), &why).await?;
            return Ok(());
        }
        // An object that is not there, or a value that we do not know.
        Err(ProviderError::Refused { code: why } | ProviderError::Unusable(why)) => {
            app.inbox.park(notice, &why).await?;
            return Ok(());
        }
    };
    super::alert::about(app, &report).await?;
    let facts = process::facts(&payees::named(app, report).await?);
    let ours = !facts.is_empty();
    for fact in facts {
        match record_at_rest(app, &fact).await {
            Ok(_) => {}
            // It names something of ours that is not there, or that has not come so far: told too early, or by somebody
            // else's copy of us.
            Err(EngineError::Refused(refusal)) => {
                app.inbox.park(notice, &refusal.to_string()).await?;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    app.inbox.done(notice.inbox_id, ours).await?;
    Ok(())
}
