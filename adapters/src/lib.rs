//! adapters.

pub mod embedded;
