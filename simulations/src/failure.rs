//! A run that broke a rule, told so that somebody can follow it.

use std::fmt;

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant of `architecture.md` §8, such as `I1`; `W` for the simulation's own expectations.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

impl Violation {
    /// This invariant is broken, as `found` says.
    pub fn new(invariant: &'static str, found: impl Into<String>) -> Self {
        Self { invariant, found: found.into() }
    }
}

/// A run with a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed: run it again to see the same.
    pub seed: u64,
    /// The step in which it was found.
    pub step: u64,
    /// What was found.
    pub violation: Violation,
    /// What had happened last, oldest first.
    pub story: Vec<String>,
    /// Every event of the log: position, stream, type and what it tells.
    pub log: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "seed {}, step {}: {} is broken", self.seed, self.step, self.violation.invariant)?;
        write!(f, "  {}", self.violation.found)
    }
}

impl std::error::Error for Failure {}
