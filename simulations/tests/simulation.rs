//! The simulation, on as many seeds as fit into a few seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use domain::event::EVENT_TYPES;
use simulations::{Outcome, run};

/// Seeds of every test run; `earnest-simulate` takes any others.
const SEEDS: std::ops::Range<u64> = 0..160;

/// Steps of each.
const STEPS: u64 = 900;

/// Everything that somebody asks for, or the provider says.
const ASKED: [&str; 67] = [
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
    "request_end",
    "accept_end",
    "request_dormancy_release",
    "fund_milestones",
    "submit_work",
    "withdraw_submission",
    "request_changes",
    "approve_milestone",
    "approve_a_part",
    "accept_roll_forward",
    "reject_roll_forward",
    "request_refund",
    "grant_refund",
    "accept_refund",
    "reject_refund",
    "open_dispute",
    "cancel_milestone",
    "pay_in",
    "pay_in_by_wallet",
    "cancel_funding",
    "allocate_deposit",
    "pay_bonus",
    "pay_tip",
    "give_back",
    "freeze_escrow",
    "unfreeze_escrow",
    "redirect_refund",
    "top_up_wallet",
    "withdraw_from_wallet",
    "hold_earnings",
    "let_earnings_go",
    "request_payout",
    "retry_payout",
    "approve_payout",
    "cancel_payout",
    "set_payout_schedule",
    "set_payout_policy",
    "request_psp_account",
    "request_onboarding_link",
    "request_payout_destination",
    "restrict_party",
    "lift_restriction",
    "record_sanctions_hit",
    "propose_sanctions_clearance",
    "approve_sanctions_clearance",
    "request_top_up",
    "propose_sweep",
    "approve_sweep",
    "reject_sweep",
    "adopt_platform_payout",
    "draft_evidence",
    "accept_chargeback",
    "fact",
];

/// Events that nobody can bring about yet. One that happens after all fails the test, so that it leaves the list and gets
/// a rule of the oracle.
///
/// - Disputes have no settlement, and nobody can take one back.
/// - No timer can be refused: those that would move held money stand still while it is frozen, clearance and a provider's
///   limit leave alone what is frozen or disputed, the end of a payment is a fact, and nobody has to be asked when a bank
///   is to be answered, or a payout comes by itself.
/// - No report of the port tells of a transfer out of a balance in another currency, or what a payout has cost; and no
///   request writes a debt off.
/// - What nobody expected in a balance is found by reconciliation, which there is not yet.
/// - Staff gives its commands at once, as where the tenant's rules ask nobody else: what is proposed is played by a property
///   of its own (`domain/tests/chargeback/four_eyes.rs`).
const NOT_YET: &[&str] = &[
    "contract.timer_blocked",
    "milestone.timer_blocked",
    "escrow.timer_blocked",
    "funding.timer_blocked",
    "payee.timer_blocked",
    "chargeback.timer_blocked",
    "milestone.dispute_withdrawn",
    "escrow.dispute_hold_lifted",
    "party.psp_account_refused",
    "payout.transfer_converted",
    "payout.psp_fee_recorded",
    "payee.debt_written_off",
    "treasury.unmatched_receipt_recorded",
    "treasury.unmatched_debit_recorded",
    "approval.requested",
    "approval.granted",
    "approval.consumed",
    "approval.failed",
    "approval.rejected",
    "approval.withdrawn",
    "approval.lapsed",
    // Accounts and their personal data are outside the engine: nobody signs in here.
    "subject.pii_accessed",
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
        "provider called a payment off",
        "provider could not call a payment off",
        "provider lacks money for a refund",
        "provider refused a refund",
        "provider refund succeeded later",
        "provider refund failed later",
        "provider refund called off",
        "provider refund came back",
        "provider a bank disagrees",
        "provider a bank says how far it is",
        "provider a bank took money",
        "provider a bank gave money back",
        "provider gave a fee back",
        "provider took evidence",
        "provider took no evidence any more",
        "provider took a concession",
        "provider took no concession any more",
        "provider made a transfer that it had refused",
        "provider made a refund that it had refused",
        "provider refused a bank account",
        "provider refused to take a transfer back",
        "provider a network warns",
        "provider a bank returned a debit",
        "provider a bank returned what another has",
        "provider settles in another currency",
        "provider refused a refund of what a bank has",
        "provider account restricted",
        "provider account rejected",
        "provider account in order",
        "provider account has another bank",
        "provider account balance told",
        "provider account ended",
        "provider refused a transfer to an account that cannot receive",
        "provider topped up elsewhere",
        "provider paid out by itself",
        "notice parked",
        "conflict",
        "timer lost a race",
        "timer contract.offer_expired",
        "timer contract.cancelled",
        "timer contract.deadline_extended",
        "timer contract.amendment_rejected",
        "timer contract.end_agreed",
        "timer contract.dormancy_warned",
        "timer contract.dormancy_postponed",
        "timer contract.marked_dormant",
        "timer contract.dormancy_escalated_to_payee",
        "timer contract.dormancy_defaulted",
        "timer milestone.auto_approved",
        "timer milestone.refund_agreed",
        "timer escrow.hold_limit_warned",
        "timer escrow.hold_limit_reached",
        "timer funding.expired",
        "timer payee.earnings_cleared",
        "timer payee.payout_schedule_reached",
        "timer chargeback.evidence_due",
        "outcome unknown",
        "command repeated",
        "unchanged fact",
        "contract cancelled by its payee",
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
        "not_supported",
        "milestone_disputed",
        "exceeds_held",
        "exceeds_released",
        "escrow_frozen",
        "escrow_not_frozen",
        "consent_required",
        "bonus_window_closed",
        "insufficient_wallet_balance",
        "payee_in_debt",
        "refund_wrong_state",
        "funding_wrong_state",
        "amount_too_large",
        "insufficient_available",
        "payout_account_required",
        "payout_account_exists",
        "payout_wrong_state",
        "party_restricted",
        "not_restricted",
        "destination_cooling",
        "destination_blocked",
        "negative_psp_balance",
        "below_minimum",
        "four_eyes_violation",
        "exceeds_platform_surplus",
        "charge_disputed",
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
