//! adapters.

pub mod embedded;
pub mod postgres;
