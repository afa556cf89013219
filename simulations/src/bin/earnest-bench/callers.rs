//! Many callers at once: each takes the next piece of work when it is done with its last.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::BenchError;
use crate::latency::Latencies;

/// What a measurement of many callers gives.
#[derive(Debug)]
pub struct Measured {
    /// From the first call to the last answer.
    pub took: Duration,
    /// Of each command.
    pub latencies: Latencies,
}

/// Lets `callers` callers do `pieces` of work, each of several commands whose durations `work` notes.
///
/// # Errors
/// The first error of any of them.
pub async fn run<P, F, R>(callers: usize, pieces: Vec<P>, work: F) -> Result<Measured, BenchError>
where
    P: Send + Sync + 'static,
    F: Fn(Arc<Vec<P>>, usize) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Latencies, BenchError>> + Send,
{
    let (pieces, work, next) = (Arc::new(pieces), Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (pieces, work, next) = (Arc::clone(&pieces), Arc::clone(&work), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= pieces.len() {
                        return Ok::<_, BenchError>(latencies);
                    }
                    latencies.merge(work(Arc::clone(&pieces), index).await?);
                }
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    for task in tasks {
        latencies.merge(task.await??);
    }
    Ok(Measured { took: started.elapsed(), latencies })
}
