//! The commands of the binary `earnest`.
pub mod serve;
