//! The tenant's clock.

use std::future::Future;

use crate::log::StoreError;
use crate::time::Timestamp;

/// Tells the tenant's business time: the system's, or a test clock's.
pub trait Clock: Send + Sync + 'static {
    /// The instant now, to the millisecond. Asked once per command.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when a stored test clock cannot be read.
    fn now(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;
}
