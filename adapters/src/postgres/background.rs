//! A task with a thread of its own.
//!
//! What many wait for must not wait for its turn among them: on a server's own threads a task comes again only when all
//! that became ready before it had theirs.

use std::future::Future;
use std::io;
use std::thread;

use tokio::sync::oneshot;

/// A task that runs until it ends by itself.
#[derive(Debug)]
pub struct Background {
    name: &'static str,
    ended: oneshot::Receiver<()>,
}

impl Background {
    /// Starts the task that `make` makes, on a new thread.
    ///
    /// # Errors
    /// When the system gives no thread, or no means to wait on it.
    pub(crate) fn start<F>(name: &'static str, make: impl FnOnce() -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tell, ended) = oneshot::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(make());
            // Nobody may be waiting.
            let _ = tell.send(());
        })?;
        Ok(Self { name, ended })
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        if self.ended.await.is_err() {
            tracing::error!(task = self.name, "a background task ended badly");
        }
    }
}
