//! The fee engine: the figures of the specification, compared with its vectors account by account, and properties of any
//! schedule. That the figures are booked so is for the posting rules' tests to show.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod charge;
mod properties;
mod refund;
mod release;
mod schedule;
mod support;
mod tax;
