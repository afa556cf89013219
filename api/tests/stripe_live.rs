//! The suite of `stripe_clients`, against Stripe itself in test mode. Only when it is asked for:
//!
//! ```text
//! STRIPE_TEST_KEY=sk_test_… cargo test -p api --features stripe-live --test stripe_live
//! ```
//!
//! It leaves test payments behind. What needs a payee who was onboarded by hand, or a webhook endpoint that Stripe
//! can reach, is not in it. `docs/stripe.md` tells more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod stripe_suite;

use std::process::Command;

#[test]
fn the_suite_passes_at_stripe() {
    let key = std::env::var("STRIPE_TEST_KEY").expect("STRIPE_TEST_KEY is to hold a test key, sk_test_…");
    let status = Command::new(stripe_suite::python()).args([stripe_suite::SUITE, "", &key, "stripe"]).status().unwrap();
    assert!(status.success(), "see above");
}
