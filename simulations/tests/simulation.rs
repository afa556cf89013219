//! The simulation, on as many seeds as fit into a few seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use domain::event::EVENT_TYPES;
use simulations::{Outcome, run};

/// Seeds of every test run; `earnest-simulate` takes any others.
const SEEDS: std::ops::Range<u64> = 0..120;

/// Steps of each.
const STEPS: u64 = 600;

/// Everything that somebody asks for, or the provider says.
const ASKED: [&str; 23] = [
    "register_party",
    "link_payout_account",
    "draft_contract",
    "offer_contract",
    "counter_offer",
    "decline_offer",
    "withdraw_offer",
    "accept_contract",
    "cancel_contract",
    "propose_amendment",
    "accept_amendment",
    "reject_amendment",
    "pause_contract",
    "resume_contract",
    "fund_milestones",
    "submit_work",
    "withdraw_submission",
    "request_changes",
    "approve_milestone",
    "approve_a_part",
    "cancel_milestone",
    "request_payout",
    "fact",
];

/// Events that nobody can bring about yet. One that happens after all fails the test, so that it leaves the list and gets
/// a rule of the oracle.
///
/// - Ends, dormancy, refunds and roll-forward need an escrow that gives money back or moves it between milestones: no
///   actor asks for them, and no milestone ends for which money can still arrive.
/// - Disputes have no settlement.
/// - No timer of the rest can be refused, so none is blocked.
const NOT_YET: &[&str] = &[
    "contract.end_requested",
    "contract.end_agreed",
    "contract.dormancy_warned",
    "contract.dormancy_postponed",
    "contract.marked_dormant",
    "contract.dormancy_escalated_to_payee",
    "contract.dormancy_release_requested",
    "contract.dormancy_defaulted",
    "contract.reactivated",
    "milestone.roll_forward_accepted",
    "milestone.roll_forward_rejected",
    "milestone.moved_out",
    "milestone.moved_in",
    "milestone.refund_requested",
    "milestone.refund_agreed",
    "milestone.refund_rejected",
    "milestone.refunded",
    "milestone.disputed",
    "milestone.dispute_withdrawn",
    "contract.timer_blocked",
    "milestone.timer_blocked",
    "payee.timer_blocked",
];

fn lived(seed: u64) -> Outcome {
    run(seed, STEPS).unwrap_or_else(|failure| panic!("{failure}"))
}

/// What happened over all seeds.
fn counted() -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seed in SEEDS {
        for (what, times) in lived(seed).counts {
            *counts.entry(what).or_default() += times;
        }
    }
    counts
}

#[test]
fn nothing_breaks_and_everything_happens() {
    let counts = counted();
    let missing = |names: &[&str]| -> Vec<String> {
        names.iter().filter(|name| !counts.contains_key(**name)).map(|name| (*name).to_owned()).collect()
    };
    for word in ASKED {
        let (accepted, replayed) = (format!("accepted {word}"), format!("replayed {word}"));
        assert_eq!(missing(&[&accepted, &replayed]), Vec::<String>::new());
    }
    let faults = [
        "fault store before commit",
        "fault store after commit",
        "fault store reading",
        "fault process died",
        "fault died before an append",
        "fault died after an append",
        "fault died between reading and projecting",
        "fault died before an order is sent",
        "fault died before an order's outcome is recorded",
        "fault died between two facts of an order",
        "fault died before a notice is recorded",
        "fault notice delivered twice",
        "fault notice out of order",
        "fault notice lost",
        "fault provider rate limit",
        "fault provider timeout before",
        "fault provider timeout after",
        "fault provider look-up",
        "provider same key again",
        "provider captured another amount",
        "provider captured another currency",
        "provider refused a transfer",
        "provider refused a bank payout",
        "provider bank payout failed",
        "provider bank payout returned",
        "conflict",
        "timer lost a race",
        "timer contract.offer_expired",
        "timer contract.cancelled",
        "timer contract.deadline_extended",
        "timer contract.amendment_rejected",
        "timer milestone.auto_approved",
        "timer payee.earnings_cleared",
        "outcome unknown",
        "command repeated",
        "unchanged fact",
    ];
    assert_eq!(missing(&faults), Vec::<String>::new());
    let happens: Vec<String> = EVENT_TYPES
        .iter()
        .filter(|kind| !NOT_YET.contains(&kind.name))
        .map(|kind| format!("event {}", kind.name))
        .collect();
    assert_eq!(missing(&happens.iter().map(String::as_str).collect::<Vec<_>>()), Vec::<String>::new());
    for name in NOT_YET {
        assert!(EVENT_TYPES.iter().any(|kind| kind.name == *name), "there is no event {name}");
        assert!(!counts.contains_key(&format!("event {name}")), "{name} happens now: it is no exception any more");
    }
    let codes = [
        "forbidden",
        "validation_failed",
        "contract_wrong_state",
        "offer_expired",
        "milestone_wrong_state",
        "milestone_not_funded",
        "milestone_already_approved",
        "review_window_closed",
        "payment_under_way",
        "amendment_pending",
        "exceeds_held",
        "insufficient_available",
        "payout_account_required",
        "currency_mismatch",
        "version_mismatch",
        "not_found",
    ];
    let refusals: Vec<String> = codes.iter().map(|code| format!("refused {code}")).collect();
    assert_eq!(missing(&refusals.iter().map(String::as_str).collect::<Vec<_>>()), Vec::<String>::new());
}

#[test]
fn a_seed_is_a_run_byte_for_byte() {
    for seed in [1, 7, 4_711] {
        let (first, again) = (lived(seed), lived(seed));
        assert_eq!(first, again);
        assert!(first.events > 50, "seed {seed} had {} events only", first.events);
    }
    assert_ne!(lived(1).log_digest, lived(2).log_digest);
}

#[test]
fn a_run_of_no_steps_comes_to_rest() {
    let outcome = run(0, 0).expect("parties register and nothing else happens");
    assert!(outcome.counts.keys().all(|what| !what.starts_with("event ") || what.starts_with("event party.")));
}
