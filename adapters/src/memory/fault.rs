//! Ways in which an append can fail without a verdict.

/// How an append fails. The caller sees the same error either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written.
    BeforeCommit,
    /// What would have been written was written; only the answer is lost.
    AfterCommit,
}
