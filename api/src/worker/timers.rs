//! Wakes the scopes in which something is due. How late it does so never changes who wins.

use std::collections::BTreeMap;

use adapters::postgres::clock;
use domain::log::StoreError;
use domain::timer::Scope;
use tokio::sync::watch;

use super::pause;
use crate::app::App;

/// Scopes woken per look.
const BATCH: usize = 256;

pub(super) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let moved = app.clock_moved.notified();
        if let Err(error) = wake_due(&app).await {
            tracing::error!(%error, "timers cannot be looked at");
        }
        if !pause(&mut stop, moved).await {
            return;
        }
    }
}

async fn wake_due(app: &App) -> Result<(), StoreError> {
    loop {
        let now = app.engine.now().await?;
        let due = clock::due_wakeups(app.pool(), now, BATCH).await?;
        let full = due.len() == BATCH;
        // One look at a scope serves all that is due in it.
        let mut scopes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (stream, due_at) in due {
            scopes.entry(stream).or_default().push(due_at);
        }
        let mut failed = false;
        for (stream, instants) in scopes {
            let woken = match Scope::of_stream(stream.clone()) {
                Some(scope) => app.engine.wake(scope).await,
                None => Ok(()),
            };
            match woken {
                Ok(()) => {
                    for due_at in instants {
                        clock::woken(app.pool(), &stream, due_at).await?;
                    }
                }
                Err(error) => {
                    failed = true;
                    tracing::error!(%error, %stream, "a timer could not fire");
                }
            }
        }
        if !full || failed {
            return Ok(());
        }
    }
}
