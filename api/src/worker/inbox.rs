//! Works on notices of the payment provider: looks at the object, records what is so.
//!
//! # Invariants
//! - What counts is the object as it is now, not what the notice says of it: in whatever order notices come, the last look
//!   shows the end.
//! - That a payee's account is not to be seen ends it only with the key of the platform that it was first used with.
//! - A notice is done when its facts are in the log. One that cannot be recorded is put off, then an operator's task; none
//!   is dropped.
//!
//! # What is deliberately absent
//! Using the body of a notice while the provider cannot be asked: it waits.

use std::time::Duration;

use adapters::postgres::inbox::StoredNotice;
use domain::log::StoreError;
use domain::party::AccountEnd;
use domain::ports::PaymentProvider;
use domain::ports::provider::{ProviderError, ProviderReport};
use domain::process;
use tokio::sync::{OnceCell, watch};

use super::{backoff, pause, payees, record_at_rest};
use crate::app::App;
use crate::engine::EngineError;

/// Notices in progress at once, each about another object: bounds what a backlog of any size holds in memory.
const AT_ONCE: usize = 32;

/// How long a notice is this process's alone: longer than its turn at the provider and the call (20 s) take.
const LEASE: Duration = Duration::from_secs(60);

pub(super) async fn run<P: PaymentProvider>(app: App, provider: P, mut stop: watch::Receiver<bool>) {
    let platform = Platform::default();
    loop {
        match turn(&app, &provider, &platform).await {
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

async fn turn<P: PaymentProvider>(app: &App, provider: &P, platform: &Platform) -> Result<usize, StoreError> {
    let notices = app.inbox.take(AT_ONCE, LEASE).await?;
    let count = notices.len();
    if count > 0 {
        // Early, so that the platform is known before a key of another one is used.
        platform.is_ours(app, provider).await.ok();
    }
    futures::future::join_all(notices.into_iter().map(|notice| async move {
        if let Err(error) = work_on(app, provider, platform, &notice).await {
            tracing::error!(%error, event_id = notice.event_id, "a notice could not be recorded; it is taken again");
            // Where even this fails the lease runs out.
            let _ = app.inbox.retry(&notice, backoff(notice.attempts), "the event store did not record it").await;
        }
    }))
    .await;
    Ok(count)
}

/// Whether our key is that of the platform whose payees these are. Asked once: a process has one key.
#[derive(Debug, Default)]
struct Platform(OnceCell<bool>);

impl Platform {
    async fn is_ours<P: PaymentProvider>(&self, app: &App, provider: &P) -> Result<bool, ProviderError> {
        let ask = || async {
            let Some(account) = provider.platform().await? else { return Ok(true) };
            app.outbox.is_platform(&account).await.map_err(|error| ProviderError::Unknown(error.to_string()))
        };
        self.0.get_or_try_init(ask).await.copied()
    }

    /// The report, if it proves what it says: that an account is not to be seen proves nothing with the key of another
    /// platform.
    async fn proves<P: PaymentProvider>(
        &self,
        app: &App,
        provider: &P,
        report: ProviderReport,
    ) -> Result<ProviderReport, ProviderError> {
        let closed =
            matches!(&report, ProviderReport::Account(account) if account.status.end == Some(AccountEnd::Closed));
        if closed && !self.is_ours(app, provider).await? {
            return Err(ProviderError::NotAuthorized("the key is that of another platform".to_owned()));
        }
        Ok(report)
    }
}

async fn work_on<P: PaymentProvider>(
    app: &App,
    provider: &P,
    platform: &Platform,
    notice: &StoredNotice,
) -> Result<(), EngineError> {
    let Some(object) = &notice.object else {
        app.inbox.done(notice.inbox_id, false).await?;
        return Ok(());
    };
    let looked_up = match provider.look_up(object).await {
        Ok(report) => platform.proves(app, provider, report).await,
        error => error,
    };
    let report = match looked_up {
        Ok(report) => {
            if notice.attempts > 0 {
                super::alert::key_is_taken(app).await?;
            }
            report
        }
        Err(ProviderError::RateLimited { retry_after }) => {
            let after = retry_after.unwrap_or_else(|| backoff(notice.attempts));
            app.inbox.retry(notice, after, "rate limited").await?;
            return Ok(());
        }
        Err(ProviderError::Unavailable { why, retry_after }) => {
            app.inbox.retry(notice, retry_after, &why).await?;
            return Ok(());
        }
        Err(ProviderError::NotAuthorized(why)) => {
            let event_id = &notice.event_id;
            tracing::error!(event_id, why, "the provider does not accept our key: look at STRIPE_SECRET_KEY");
            super::alert::key_is_not_taken(app, &why).await?;
            app.inbox.retry(notice, backoff(notice.attempts), &why).await?;
            return Ok(());
        }
        Err(ProviderError::Unknown(why)) => {
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
