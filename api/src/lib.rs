//! api.

pub mod sandbox;
