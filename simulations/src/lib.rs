//! Whole-engine simulation from one seed: the real rules, a log in memory, a payment provider of its own, and everything
//! that can go wrong between them.
//!
//! # Where things are
//! - [`run`]: one seed, from nothing to drained books
//! - [`world`]: what there is (log, clock, provider, records) and how one step of it is chosen
//! - [`driver`]: the unit of work, driven as a server does it: stale views, conflicts, lost answers
//! - [`actor`]: parties who do sensible things, and remember what was promised to them: [`agreement`] has what they do
//!   about a contract, [`delivery`] what they do about a milestone, [`money`] what they do about money beside that,
//!   [`desk`] what they and staff do about payouts and the platform's own money; [`terms`] has the fees and periods they
//!   agree on
//! - [`senseless`]: the wrong party, the wrong moment, the wrong amount
//! - [`worker`]: outbox, inbox, timers and projections, with a process that dies between any two steps; [`bank`]: answers to
//!   banks
//! - [`provider`]: a payment provider that is slow, forgetful and sometimes wrong, with books of its own
//! - [`payouts`]: ten thousand payouts at a provider that loses answers and forgets keys
//! - [`oracle`]: what must hold, recomputed from the JSON of the log without the engine's code
//!
//! # Invariants
//! - A seed is a run, byte for byte: all randomness is one ChaCha stream, all time is the simulation's own.
//!
//! # What is deliberately absent
//! Postgres (crash tests on the real database are elsewhere), HTTP, threads: what runs at once is interleaved.

pub mod actor;
pub mod agreement;
pub mod bank;
pub mod chance;
pub mod delivery;
pub mod desk;
pub mod driver;
pub mod failure;
pub mod money;
pub mod oracle;
pub mod payouts;
pub mod provider;
pub mod senseless;
pub mod terms;
pub mod worker;
pub mod world;

use std::collections::BTreeMap;

pub use failure::Failure;
use world::World;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// SHA-256 of the log as text, hex.
    pub log_digest: String,
    /// Events in the log.
    pub events: u64,
    /// How often each kind of thing happened: `accepted …`, `refused …`, `fault …`, `provider …`.
    pub counts: BTreeMap<String, u64>,
}

/// Runs one seed for so many steps, drains what is left, and judges the whole.
///
/// # Errors
/// [`Failure`]: which invariant broke, at which step, and what had happened before.
pub fn run(seed: u64, steps: u64) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed);
    match world.live(steps) {
        Ok(()) => Ok(world.outcome()),
        Err(violation) => Err(Box::new(world.failure(violation))),
    }
}
