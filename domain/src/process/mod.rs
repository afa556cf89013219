//! Process managers: work towards the outside, as two pure functions.
//!
//! ```text
//! event ──orders──▶ outbox ──(worker)──▶ provider ──▶ report ──facts──▶ commands on aggregates
//!                                        webhook ──▶ look up ──▶ report ─┘
//! ```
//!
//! # Invariants
//! - An order's id follows from its event: read again, it is the same order.
//! - A fact's command id follows from the provider's object and its state: told by the answer, by a webhook or by both,
//!   in any order, it is recorded once.
//!
//! # What is deliberately absent
//! Sending and storing: the outbox worker does that.

pub mod facts;
pub mod gate;
pub mod orders;
pub mod settlement;
pub mod unfinished;

pub use facts::{Fact, facts, lacks_funds, refused, withheld};
pub use gate::gate;
pub use orders::{Order, lane, orders, read_again_after, receipt_again_after, settles};
pub use settlement::{Next, Settlement, must_be_looked_for, searched, settle};
pub use unfinished::unfinished;
