//! Read models: the present state of every aggregate as a document, folded from the log.
//!
//! # Invariants
//! - A view is a function of the events of its stream: rebuilt from zero it is the same, byte for byte.
//! - What a command answers and what a later read shows come from the same state through the same functions.

pub mod document;

pub use document::{Document, DocumentError, Keys};
