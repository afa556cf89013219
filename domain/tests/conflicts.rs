//! What two people want of one milestone at the same moment: whoever comes first is heard, and the money goes one way.
//!
//! Requests at one instant are carried out one after the other; so it is enough to try every pair in both orders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod life;

use std::fmt::Write;

use domain::aggregate::AggregateState;
use domain::contract::{Change, ContractCommand as C, Parts};
use domain::milestone::MilestoneCommand as M;
use life::Who::{Client, Payee};
use life::{Who, World, amendment, dispute, m, minor, plan};

/// Something that somebody wants.
enum Wish {
    OnMilestone(Who, M),
    OnContract(Who, C),
}

const WISHES: [&str; 12] = [
    "approve",
    "approve a part",
    "dispute (client)",
    "dispute (payee)",
    "request changes",
    "withdraw the submission",
    "ask for a refund",
    "grant a refund",
    "cancel",
    "amend",
    "accept the amendment",
    "ask for the end",
];

fn wish(name: &str) -> Wish {
    let raise = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
    match name {
        "approve" => Wish::OnMilestone(Client, M::Approve { amount: None, currency: None }),
        "approve a part" => {
            let remainder = domain::milestone::Remainder::Keep;
            Wish::OnMilestone(Client, M::ApprovePartially { gross: minor(40_000), currency: None, remainder })
        }
        "dispute (client)" => Wish::OnMilestone(Client, M::OpenDispute { dispute_id: dispute(1) }),
        "dispute (payee)" => Wish::OnMilestone(Payee, M::OpenDispute { dispute_id: dispute(2) }),
        "request changes" => Wish::OnMilestone(Client, M::RequestChanges { note_ref: None }),
        "withdraw the submission" => Wish::OnMilestone(Payee, M::WithdrawSubmission),
        "ask for a refund" => Wish::OnMilestone(Client, M::RequestRefund { amount: None, currency: None }),
        "grant a refund" => Wish::OnMilestone(Payee, M::GrantRefund { amount: None, currency: None }),
        "cancel" => Wish::OnMilestone(Client, M::Cancel),
        "amend" => {
            let amendment_id = amendment(2);
            Wish::OnContract(Payee, C::ProposeAmendment { amendment_id, changes: raise, parts: Parts::default() })
        }
        "accept the amendment" => Wish::OnContract(Payee, C::AcceptAmendment { amendment_id: amendment(1) }),
        "ask for the end" => Wish::OnContract(Client, C::RequestEnd { parts: Parts::default() }),
        other => panic!("{other}"),
    }
}

fn try_wish(world: &mut World, name: &str) -> Result<(), &'static str> {
    let done = match wish(name) {
        Wish::OnMilestone(who, command) => world.on_milestone(1, who, command),
        Wish::OnContract(who, command) => world.on_contract(who, command),
    };
    done.map(|_| ()).map_err(|refusal| refusal.code())
}

/// A milestone of 1,000.00 beside another one, and an amendment that the client has proposed.
fn world(submitted: bool) -> World {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(110_000) }];
    let propose = C::ProposeAmendment { amendment_id: amendment(1), changes, parts: Parts::default() };
    world.on_contract(Client, propose).unwrap();
    if submitted {
        world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    }
    world
}

/// What of the 1,000.00 is held, locked, released and sent back. The escrow, the milestone and the books agree on it.
fn money(world: &World) -> [i64; 4] {
    let AggregateState::Escrow(escrow) = world.state_of(&domain::escrow::stream(world.contract)) else { panic!() };
    let holding = escrow.holdings().unwrap().milestone(m(1)).unwrap().clone();
    assert!(escrow.holdings().unwrap().is_conserved());
    let parts = [holding.held, holding.disputed, holding.released, holding.refunded].map(ledger::Minor::get);
    assert_eq!(parts.iter().sum::<i64>(), 100_000, "each minor unit has one place");
    let progress = world.milestone(1).progress().unwrap().clone();
    let known = [progress.held.get(), progress.released.get(), progress.refunded.get()];
    assert_eq!(known, [parts[0] + parts[1], parts[2], parts[3]]);
    parts
}

/// D-38, D-39, D-40, I5: every pair in both orders. What gives all of the money one disposition leaves nothing for the
/// second to dispose of; the second is refused with the code of the reason.
#[test]
fn of_two_wishes_about_one_milestone_one_disposes() {
    let disposes = ["approve", "dispute (client)", "dispute (payee)", "grant a refund"];
    for submitted in [true, false] {
        for first in WISHES {
            let mut alone = world(submitted);
            if try_wish(&mut alone, first).is_err() {
                continue;
            }
            let after_first = money(&alone);
            for second in WISHES {
                let mut both = alone.clone();
                let answer = try_wish(&mut both, second);
                let at_the_end = money(&both);
                if let Err(code) = answer {
                    assert_ne!(code, "internal_error", "{first}, {second}");
                    assert_eq!(at_the_end, after_first, "a refusal changes nothing");
                }
                if disposes.contains(&first) && disposes.contains(&second) {
                    assert!(answer.is_err(), "{first}, then {second}, submitted {submitted}");
                }
                if after_first[0] == 0 {
                    assert_eq!(at_the_end, after_first, "{first}, then {second}");
                }
                let gone = |parts: [i64; 4]| parts[2] + parts[3];
                assert!(gone(at_the_end) >= gone(after_first), "what is gone does not come back");
            }
        }
    }
}

/// What each wish comes to after each of `firsts`.
fn answers(submitted: bool, firsts: &[&str]) -> String {
    let mut text = String::new();
    for first in firsts {
        let mut alone = world(submitted);
        try_wish(&mut alone, first).unwrap();
        writeln!(text, "{first}").unwrap();
        for second in WISHES {
            let answer = match try_wish(&mut alone.clone(), second) {
                Ok(()) => "accepted",
                Err(code) => code,
            };
            writeln!(text, "  {second}: {answer}").unwrap();
        }
    }
    text
}

/// The codes of the pairs that matter, as a client sees them: of work that is under review.
#[test]
fn the_second_is_told_why() {
    let text = answers(true, &["approve", "approve a part", "dispute (payee)", "request changes", "ask for the end"]);
    insta::assert_snapshot!(text, @r"
    approve
      approve: milestone_already_approved
      approve a part: milestone_already_approved
      dispute (client): milestone_already_approved
      dispute (payee): milestone_already_approved
      request changes: milestone_already_approved
      withdraw the submission: milestone_already_approved
      ask for a refund: milestone_already_approved
      grant a refund: milestone_already_approved
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: validation_failed
      ask for the end: accepted
    approve a part
      approve: accepted
      approve a part: accepted
      dispute (client): accepted
      dispute (payee): accepted
      request changes: milestone_wrong_state
      withdraw the submission: milestone_wrong_state
      ask for a refund: accepted
      grant a refund: accepted
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: accepted
      ask for the end: accepted
    dispute (payee)
      approve: milestone_disputed
      approve a part: milestone_disputed
      dispute (client): milestone_disputed
      dispute (payee): milestone_disputed
      request changes: milestone_disputed
      withdraw the submission: milestone_disputed
      ask for a refund: milestone_disputed
      grant a refund: milestone_disputed
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: milestone_disputed
      ask for the end: accepted
    request changes
      approve: milestone_wrong_state
      approve a part: milestone_wrong_state
      dispute (client): accepted
      dispute (payee): accepted
      request changes: milestone_wrong_state
      withdraw the submission: milestone_wrong_state
      ask for a refund: accepted
      grant a refund: accepted
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: accepted
      ask for the end: accepted
    ask for the end
      approve: accepted
      approve a part: accepted
      dispute (client): accepted
      dispute (payee): accepted
      request changes: accepted
      withdraw the submission: accepted
      ask for a refund: milestone_wrong_state
      grant a refund: milestone_wrong_state
      cancel: milestone_wrong_state
      amend: contract_wrong_state
      accept the amendment: contract_wrong_state
      ask for the end: contract_wrong_state
    ");
}

/// The same of money that nobody has delivered for.
#[test]
fn the_second_is_told_why_before_delivery() {
    let text =
        answers(false, &["approve", "ask for a refund", "grant a refund", "dispute (client)", "accept the amendment"]);
    insta::assert_snapshot!(text, @r"
    approve
      approve: milestone_already_approved
      approve a part: milestone_already_approved
      dispute (client): milestone_already_approved
      dispute (payee): milestone_already_approved
      request changes: milestone_already_approved
      withdraw the submission: milestone_already_approved
      ask for a refund: milestone_already_approved
      grant a refund: milestone_already_approved
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: validation_failed
      ask for the end: accepted
    ask for a refund
      approve: milestone_wrong_state
      approve a part: milestone_wrong_state
      dispute (client): milestone_wrong_state
      dispute (payee): milestone_wrong_state
      request changes: milestone_wrong_state
      withdraw the submission: milestone_wrong_state
      ask for a refund: milestone_wrong_state
      grant a refund: milestone_wrong_state
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: milestone_wrong_state
      ask for the end: accepted
    grant a refund
      approve: milestone_wrong_state
      approve a part: milestone_wrong_state
      dispute (client): milestone_wrong_state
      dispute (payee): milestone_wrong_state
      request changes: milestone_wrong_state
      withdraw the submission: milestone_wrong_state
      ask for a refund: milestone_wrong_state
      grant a refund: milestone_wrong_state
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: validation_failed
      ask for the end: accepted
    dispute (client)
      approve: milestone_disputed
      approve a part: milestone_disputed
      dispute (client): milestone_disputed
      dispute (payee): milestone_disputed
      request changes: milestone_disputed
      withdraw the submission: milestone_disputed
      ask for a refund: milestone_disputed
      grant a refund: milestone_disputed
      cancel: milestone_wrong_state
      amend: amendment_pending
      accept the amendment: milestone_disputed
      ask for the end: accepted
    accept the amendment
      approve: accepted
      approve a part: accepted
      dispute (client): accepted
      dispute (payee): accepted
      request changes: milestone_wrong_state
      withdraw the submission: milestone_wrong_state
      ask for a refund: accepted
      grant a refund: accepted
      cancel: milestone_wrong_state
      amend: accepted
      accept the amendment: not_found
      ask for the end: accepted
    ");
}
