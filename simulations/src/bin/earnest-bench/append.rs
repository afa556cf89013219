//! (a′) The append alone: rows of full size, with command records and control totals, no deciding, no projections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use adapters::postgres::PgStore;
use domain::log::{Append, EventStore, Verdict};

use crate::BenchError;
use crate::callers::{self, Measured};
use crate::database::Tenant;
use crate::latency::Latencies;
use crate::recorded::Recording;

/// Measures (a′) on a fresh tenant.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(tenant: &Tenant, callers: usize, recording: &Recording) -> Result<Measured, BenchError> {
    let store = Arc::new(PgStore::connect(tenant.app.clone(), &tenant.schema, 2));
    for append in &recording.setup {
        accepted(store.append(append.clone()).await?)?;
    }
    tenant.checkpoint().await?;
    let writing = Arc::clone(&store);
    let pieces = recording.contracts.iter().map(|contract| Mutex::new(contract.clone())).collect();
    let measured = callers::run(callers, pieces, move |pieces: Arc<Vec<Mutex<Vec<Append>>>>, index| {
        let store = Arc::clone(&writing);
        async move {
            let appends = pieces
                .get(index)
                .map(|piece| std::mem::take(&mut *piece.lock().unwrap_or_else(PoisonError::into_inner)));
            let mut latencies = Latencies::default();
            for append in appends.unwrap_or_default() {
                let begun = Instant::now();
                accepted(store.append(append).await?)?;
                latencies.note(begun.elapsed());
            }
            Ok(latencies)
        }
    })
    .await?;
    store.shutdown().await;
    Ok(measured)
}

fn accepted(verdict: Verdict) -> Result<(), BenchError> {
    match verdict {
        Verdict::Accepted(_) => Ok(()),
        other => Err(BenchError::Workload(format!("an append of fresh streams was not accepted: {other:?}"))),
    }
}
