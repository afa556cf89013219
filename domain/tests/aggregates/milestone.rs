//! Milestone.

use domain::actor::Actor;
use domain::contract::Role;
use domain::event::DomainEvent;
use domain::id::{ContractId, DisputeId, FundingId, MilestoneId, RefundId, ReleaseId};
use domain::milestone::{EndCause, Milestone, MilestoneCommand as C, Plan, Remainder};
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, payee_id, table, table_of};

const WORTH: i64 = 100_000;

fn plan() -> C {
    let plan = Plan {
        milestone_id: MilestoneId::from_uuid(id(4)),
        contract_id: ContractId::from_uuid(id(3)),
        client_id: client_id(),
        payee_id: payee_id(),
        amount: minor(WORTH),
        currency: Currency::USD,
        review_days: 14,
        refund_request_days: 7,
        due_at: None,
        reference: None,
    };
    C::Plan { plan }
}

fn funding(number: u128) -> FundingId {
    FundingId::from_uuid(id(number))
}

fn request(contract: u128, amount: i64) -> C {
    C::RequestFunding {
        contract_id: ContractId::from_uuid(id(contract)),
        funding_id: funding(6),
        amount: minor(amount),
        pointer: "/allocations/0/amount".to_owned(),
    }
}

fn funded(number: u128) -> C {
    C::RecordFunded { funding_id: funding(number), amount: minor(WORTH) }
}

fn failed(number: u128) -> C {
    C::RecordFundingFailure { funding_id: funding(number), reason: "card_declined".to_owned() }
}

fn approve(amount: Option<i64>, currency: Option<Currency>) -> C {
    C::Approve { amount: amount.map(minor), currency }
}

fn released(gross: i64) -> C {
    let release_id = ReleaseId::from_uuid(id(7));
    C::RecordRelease { release_id, gross: minor(gross), net: minor(gross - gross / 10) }
}

fn block() -> C {
    C::BlockTimer { key: "review_window".to_owned(), reason: "internal_error".to_owned() }
}

fn milestone(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(id(number))
}

fn amend(amount: i64) -> C {
    C::Amend { amount: minor(amount), due_at: None, review_days: 7 }
}

fn changes() -> C {
    C::RequestChanges { note_ref: Some("note/1".to_owned()) }
}

fn approve_part(gross: i64, remainder: Remainder) -> C {
    C::ApprovePartially { gross: minor(gross), currency: None, remainder }
}

fn refund() -> C {
    C::RequestRefund { amount: None, currency: None }
}

fn grant() -> C {
    C::GrantRefund { amount: None, currency: None }
}

fn open_dispute() -> C {
    C::OpenDispute { dispute_id: dispute(9) }
}

fn dispute(number: u128) -> DisputeId {
    DisputeId::from_uuid(id(number))
}

/// The first refund of the milestone, as the rules name it.
fn refunded(amount: i64) -> C {
    C::RecordRefund { refund_id: RefundId::derived(id(4), "refund/1"), amount: minor(amount) }
}

fn moved_out(amount: i64) -> C {
    C::RecordMovedOut { to: milestone(5), amount: minor(amount) }
}

fn moved_in() -> C {
    C::RecordMovedIn { contract_id: ContractId::from_uuid(id(3)), from: Some(milestone(5)), amount: minor(1) }
}

fn expect_money(contract: u128) -> C {
    C::ExpectMoney { contract_id: ContractId::from_uuid(id(contract)), from: milestone(5) }
}

fn end(to: Role, cause: EndCause) -> C {
    C::End { to, cause }
}

/// What was released first is a part of it.
const PART: i64 = WORTH / 4;

fn states() -> Vec<(&'static str, Milestone)> {
    let (client, payee) = (Actor::Client(client_id()), Actor::Payee(payee_id()));
    let pending = vec![(SYSTEM, plan()), (client, request(3, WORTH))];
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| [before, more].concat();
    let held = then(&pending, &[(SYSTEM, funded(6))]);
    // An amendment has raised the amount, and the client pays the difference.
    let paying = then(&held, &[(SYSTEM, amend(WORTH + 10)), (client, request(3, 10))]);
    let submitted = then(&held, &[(payee, C::SubmitWork)]);
    let approved = then(&held, &[(client, approve(None, None))]);
    let by_time = then(&submitted, &[(SYSTEM, C::AutoApprove)]);
    let part = |remainder| then(&held, &[(client, approve_part(PART, remainder)), (SYSTEM, released(PART))]);
    let roll = Remainder::RollForward { milestone_id: milestone(5) };
    let asked = then(&held, &[(client, refund())]);
    let agreed = then(&asked, &[(payee, C::AcceptRefund)]);
    vec![
        ("not_planned", Milestone::default()),
        ("planned", after(&pending[..1])),
        ("funding_pending", after(&pending)),
        ("planned (payment failed)", after(&then(&pending, &[(SYSTEM, failed(6))]))),
        ("cancelled", after(&then(&pending[..1], &[(client, C::Cancel)]))),
        ("funded", after(&held)),
        ("funded (paying more)", after(&paying)),
        ("submitted", after(&submitted)),
        ("submitted (timer blocked)", after(&then(&submitted, &[(SYSTEM, block())]))),
        ("changes_requested", after(&then(&submitted, &[(client, changes())]))),
        ("approved", after(&approved)),
        ("approved (by time)", after(&by_time)),
        ("partially_released", after(&part(Remainder::Keep))),
        ("partially_released (to roll)", after(&part(roll))),
        ("refund_pending", after(&asked)),
        ("refund_pending (agreed)", after(&agreed)),
        ("disputed", after(&then(&submitted, &[(payee, open_dispute())]))),
        ("released", after(&then(&approved, &[(SYSTEM, released(WORTH))]))),
        ("released (by time)", after(&then(&by_time, &[(SYSTEM, released(WORTH))]))),
        ("refunded", after(&then(&agreed, &[(SYSTEM, refunded(WORTH))]))),
    ]
}

/// D-34, D-35, D-36, D-39, D-40: every command of a milestone that somebody may try or that follows from something else.
#[test]
fn what_a_milestone_does_in_each_state() {
    let commands = [
        ("Plan", plan()),
        ("Amend", amend(WORTH + 20)),
        ("RequestFunding", request(3, WORTH)),
        ("RecordFunded", funded(6)),
        ("RecordFundingFailure", failed(6)),
        ("Cancel", C::Cancel),
        ("SubmitWork", C::SubmitWork),
        ("WithdrawSubmission", C::WithdrawSubmission),
        ("RequestChanges", changes()),
        ("Approve", approve(None, None)),
        ("ApprovePartially", approve_part(PART, Remainder::Keep)),
        ("AutoApprove", C::AutoApprove),
        ("RecordRelease", released(WORTH)),
        ("ExpectMoney", expect_money(3)),
        ("AcceptRollForward", C::AcceptRollForward),
        ("RejectRollForward", C::RejectRollForward),
        ("RecordMovedOut", moved_out(WORTH / 2)),
        ("RecordMovedIn", moved_in()),
        ("RequestRefund", refund()),
        ("GrantRefund", grant()),
        ("AcceptRefund", C::AcceptRefund),
        ("RejectRefund", C::RejectRefund { dispute_id: dispute(9) }),
        ("AgreeRefundByTime", C::AgreeRefundByTime),
        ("RecordRefund", refunded(WORTH)),
        ("End for the client", end(Role::Client, EndCause::Agreed)),
        ("End for the payee", end(Role::Payee, EndCause::Dormant)),
        ("OpenDispute", open_dispute()),
        ("ResumeAfterDispute", C::ResumeAfterDispute { dispute_id: dispute(9) }),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Milestone), @r"
    Plan
      not_planned: milestone.planned
      otherwise: refused milestone_wrong_state
    Amend
      disputed: refused milestone_disputed
      cancelled, approved, approved (by time), refund_pending, refund_pending (agreed), released, released (by time), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      funding_pending, funded (paying more): refused payment_under_way
      otherwise: milestone.amended
    RequestFunding
      planned, planned (payment failed): milestone.funding_requested
      disputed: refused milestone_disputed
      funded (paying more): refused payment_under_way
      not_planned: refused validation_failed
      otherwise: refused milestone_wrong_state
    RecordFunded
      cancelled, released, released (by time), refunded: milestone.funded, milestone.refund_agreed
      not_planned: refused not_found
      otherwise: milestone.funded
    RecordFundingFailure
      funding_pending, funded (paying more): milestone.funding_failed
      not_planned: refused not_found
      otherwise: nothing
    Cancel by client, payee, system
      planned, planned (payment failed): milestone.cancelled
      not_planned: refused not_found
      funding_pending: refused payment_under_way
      otherwise: refused milestone_wrong_state
    Cancel by client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    Cancel by outsider, staff
      always: refused not_found
    SubmitWork by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    SubmitWork by payee
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): milestone.work_submitted
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    SubmitWork by outsider, staff, system
      always: refused not_found
    WithdrawSubmission by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    WithdrawSubmission by payee
      submitted, submitted (timer blocked): milestone.submission_withdrawn
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    WithdrawSubmission by outsider, staff, system
      always: refused not_found
    RequestChanges by client
      submitted, submitted (timer blocked): milestone.changes_requested
      approved, approved (by time), released: refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      released (by time): refused review_window_closed
      otherwise: refused milestone_wrong_state
    RequestChanges by client as payee, payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    RequestChanges by outsider, staff, system
      always: refused not_found
    Approve by client
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: milestone.approved
    Approve by client as payee, payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    Approve by outsider, staff, system
      always: refused not_found
    ApprovePartially by client
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: milestone.partially_approved
    ApprovePartially by client as payee, payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    ApprovePartially by outsider, staff, system
      always: refused not_found
    AutoApprove
      submitted, submitted (timer blocked): milestone.auto_approved
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordRelease
      approved, approved (by time): milestone.released
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    ExpectMoney
      disputed: refused milestone_disputed
      cancelled, approved, approved (by time), refund_pending, refund_pending (agreed), released, released (by time), refunded: refused milestone_wrong_state
      funding_pending, funded (paying more): refused payment_under_way
      not_planned: refused validation_failed
      otherwise: nothing
    AcceptRollForward by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    AcceptRollForward by payee
      partially_released (to roll): milestone.roll_forward_accepted
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    AcceptRollForward by outsider, staff, system
      always: refused not_found
    RejectRollForward by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    RejectRollForward by payee
      partially_released (to roll): milestone.roll_forward_rejected
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RejectRollForward by outsider, staff, system
      always: refused not_found
    RecordMovedOut
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): milestone.moved_out
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordMovedIn
      disputed: refused milestone_disputed
      cancelled, approved, approved (by time), refund_pending, refund_pending (agreed), released, released (by time), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      funding_pending, funded (paying more): refused payment_under_way
      otherwise: milestone.moved_in
    RequestRefund by client
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): milestone.refund_requested
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RequestRefund by client as payee, payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    RequestRefund by outsider, staff, system
      always: refused not_found
    GrantRefund by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    GrantRefund by payee
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): milestone.refund_agreed
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    GrantRefund by outsider, staff, system
      always: refused not_found
    AcceptRefund by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    AcceptRefund by payee
      refund_pending: milestone.refund_agreed
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    AcceptRefund by outsider, staff, system
      always: refused not_found
    RejectRefund by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    RejectRefund by payee
      refund_pending: milestone.refund_rejected, milestone.disputed
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RejectRefund by outsider, staff, system
      always: refused not_found
    AgreeRefundByTime
      refund_pending: milestone.refund_agreed
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordRefund
      partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, refund_pending, refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: milestone.refunded
    End for the client
      planned, planned (payment failed): milestone.cancelled
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll), refund_pending: milestone.refund_agreed
      not_planned: refused not_found
      otherwise: nothing
    End for the payee
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll), refund_pending: milestone.approved
      planned, planned (payment failed): milestone.cancelled
      not_planned: refused not_found
      otherwise: nothing
    OpenDispute by client, payee
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: milestone.disputed
    OpenDispute by client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    OpenDispute by outsider, staff, system
      always: refused not_found
    ResumeAfterDispute
      disputed: milestone.dispute_withdrawn
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    BlockTimer
      not_planned: refused not_found
      otherwise: milestone.timer_blocked
    ");
}

#[test]
fn what_a_milestone_makes_of_what_a_command_says() {
    let of_client = [
        ("Amend to what was paid in", amend(WORTH)),
        ("Amend to less", amend(WORTH - 1)),
        ("RequestFunding of less", request(3, WORTH - 1)),
        ("RequestFunding of what is missing", request(3, 10)),
        ("RequestFunding of more", request(3, WORTH + 1)),
        ("RequestFunding under another contract", request(13, WORTH)),
        ("RecordFunded by another funding", funded(16)),
        ("RecordFundingFailure of another funding", failed(16)),
        ("Approve what is held", approve(Some(WORTH), Some(Currency::USD))),
        ("Approve more", approve(Some(WORTH + 1), None)),
        ("Approve less", approve(Some(WORTH - 1), None)),
        ("Approve in another currency", approve(None, Some(Currency::EUR))),
        ("ApprovePartially all", approve_part(WORTH, Remainder::Keep)),
        ("ApprovePartially nothing", approve_part(0, Remainder::Keep)),
        ("ApprovePartially for itself", approve_part(1, Remainder::RollForward { milestone_id: milestone(4) })),
        ("RequestChanges with words", C::RequestChanges { note_ref: Some("make it pop".to_owned()) }),
        ("RequestRefund of more", C::RequestRefund { amount: Some(minor(WORTH + 1)), currency: None }),
        ("RequestRefund in another currency", C::RequestRefund { amount: None, currency: Some(Currency::EUR) }),
        ("RecordRelease of less", released(WORTH - 1)),
        ("ExpectMoney of another contract", expect_money(13)),
        ("RecordMovedOut of more", moved_out(WORTH + 1)),
        ("RecordRefund of less", refunded(WORTH - 1)),
        ("RecordRefund of more", refunded(WORTH + 1)),
        ("ResumeAfterDispute of another dispute", C::ResumeAfterDispute { dispute_id: dispute(19) }),
    ];
    let client = Actor::Client(client_id());
    insta::assert_snapshot!(table_of(client, &states(), &of_client, DomainEvent::Milestone), @r"
    Amend to what was paid in
      disputed: refused milestone_disputed
      cancelled, approved, approved (by time), refund_pending, refund_pending (agreed), released, released (by time), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      funded (paying more): refused payment_under_way
      otherwise: milestone.amended
    Amend to less
      planned, planned (payment failed): milestone.amended
      disputed: refused milestone_disputed
      not_planned: refused not_found
      funding_pending, funded (paying more): refused payment_under_way
      funded, submitted, submitted (timer blocked), changes_requested, partially_released, partially_released (to roll): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding of less
      disputed: refused milestone_disputed
      funded (paying more): refused payment_under_way
      not_planned, planned, planned (payment failed): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding of what is missing
      disputed: refused milestone_disputed
      funded (paying more): refused payment_under_way
      not_planned, planned, planned (payment failed): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding of more
      disputed: refused milestone_disputed
      funded (paying more): refused payment_under_way
      not_planned, planned, planned (payment failed): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding under another contract
      always: refused validation_failed
    RecordFunded by another funding
      cancelled, released, released (by time), refunded: milestone.funded, milestone.refund_agreed
      not_planned: refused not_found
      otherwise: milestone.funded
    RecordFundingFailure of another funding
      not_planned: refused not_found
      otherwise: nothing
    Approve what is held
      funded, funded (paying more), submitted, submitted (timer blocked): milestone.approved
      partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    Approve more
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: refused exceeds_held
    Approve less
      partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      funded, funded (paying more), submitted, submitted (timer blocked): refused validation_failed
      otherwise: refused milestone_wrong_state
    Approve in another currency
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: refused currency_mismatch
    ApprovePartially all
      partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      funded, funded (paying more), submitted, submitted (timer blocked): refused validation_failed
      otherwise: refused milestone_wrong_state
    ApprovePartially nothing
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: refused validation_failed
    ApprovePartially for itself
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, changes_requested, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: refused validation_failed
    RequestChanges with words
      approved, approved (by time), released: refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      released (by time): refused review_window_closed
      submitted, submitted (timer blocked): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestRefund of more
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RequestRefund in another currency
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): refused currency_mismatch
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordRelease of less
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    ExpectMoney of another contract
      always: refused validation_failed
    RecordMovedOut of more
      funded, funded (paying more), changes_requested, partially_released, partially_released (to roll): refused exceeds_held
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordRefund of less
      partially_released, partially_released (to roll): refused exceeds_held
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: milestone.refunded
    RecordRefund of more
      approved, approved (by time), released, released (by time): refused milestone_already_approved
      disputed: refused milestone_disputed
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      cancelled, refund_pending, refund_pending (agreed), refunded: refused milestone_wrong_state
      not_planned: refused not_found
      otherwise: refused exceeds_held
    ResumeAfterDispute of another dispute
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    ");
}
