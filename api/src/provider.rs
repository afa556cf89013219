//! The payment provider for handlers: what has to be asked while somebody waits for the answer.
//!
//! # Invariants
//! - It shares its pace with the workers: requests do not get past the provider's limits.
//!
//! # What is deliberately absent
//! Orders that move money: only the outbox carries those out.

use domain::ports::PaymentProvider;
use domain::ports::provider::{ProviderError, ProviderObject, ProviderOrder, ProviderReport};
use futures::future::BoxFuture;

/// What a handler may ask of the provider.
pub trait Ask: Send + Sync + 'static {
    /// Reads an object as it is now.
    ///
    /// Fails with a [`ProviderError`].
    fn look_up<'a>(&'a self, object: &'a ProviderObject) -> BoxFuture<'a, Result<ProviderReport, ProviderError>>;

    /// Carries out an order that moves no money, under this key.
    ///
    /// Fails with a [`ProviderError`].
    fn carry_out<'a>(
        &'a self,
        order: &'a ProviderOrder,
        idempotency_key: &'a str,
    ) -> BoxFuture<'a, Result<ProviderReport, ProviderError>>;
}

impl<P: PaymentProvider> Ask for P {
    fn look_up<'a>(&'a self, object: &'a ProviderObject) -> BoxFuture<'a, Result<ProviderReport, ProviderError>> {
        Box::pin(PaymentProvider::look_up(self, object))
    }

    fn carry_out<'a>(
        &'a self,
        order: &'a ProviderOrder,
        idempotency_key: &'a str,
    ) -> BoxFuture<'a, Result<ProviderReport, ProviderError>> {
        Box::pin(async move {
            if order.moves_money() {
                return Err(ProviderError::Unusable("an order that only the outbox carries out".to_owned()));
            }
            PaymentProvider::carry_out(self, order, idempotency_key).await
        })
    }
}
