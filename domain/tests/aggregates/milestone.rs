//! Milestone.

use domain::actor::Actor;
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, MilestoneId, ReleaseId};
use domain::milestone::{Milestone, MilestoneCommand as C, Plan};
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

fn states() -> Vec<(&'static str, Milestone)> {
    let (client, payee) = (Actor::Client(client_id()), Actor::Payee(payee_id()));
    let pending = vec![(SYSTEM, plan()), (client, request(3, WORTH))];
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| [before, more].concat();
    let held = then(&pending, &[(SYSTEM, funded(6))]);
    let submitted = then(&held, &[(payee, C::SubmitWork)]);
    let approved = then(&held, &[(client, approve(None, None))]);
    vec![
        ("not_planned", Milestone::default()),
        ("planned", after(&pending[..1])),
        ("funding_pending", after(&pending)),
        ("planned (payment failed)", after(&then(&pending, &[(SYSTEM, failed(6))]))),
        ("funded", after(&held)),
        ("submitted", after(&submitted)),
        ("submitted (timer blocked)", after(&then(&submitted, &[(SYSTEM, block())]))),
        ("approved", after(&approved)),
        ("approved (by time)", after(&then(&submitted, &[(SYSTEM, C::AutoApprove)]))),
        ("released", after(&then(&approved, &[(SYSTEM, released(WORTH))]))),
    ]
}

#[test]
fn what_a_milestone_does_in_each_state() {
    let commands = [
        ("Plan", plan()),
        ("RequestFunding", request(3, WORTH)),
        ("RecordFunded", funded(6)),
        ("RecordFundingFailure", failed(6)),
        ("SubmitWork", C::SubmitWork),
        ("Approve", approve(None, None)),
        ("AutoApprove", C::AutoApprove),
        ("RecordRelease", released(WORTH)),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Milestone), @r"
    Plan
      not_planned: milestone.planned
      otherwise: refused milestone_wrong_state
    RequestFunding
      planned, planned (payment failed): milestone.funding_requested
      not_planned: refused validation_failed
      otherwise: refused milestone_wrong_state
    RecordFunded
      released: milestone.funded, milestone.refund_agreed
      not_planned: refused not_found
      otherwise: milestone.funded
    RecordFundingFailure
      funding_pending: milestone.funding_failed
      not_planned: refused not_found
      otherwise: nothing
    SubmitWork by client, client as payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    SubmitWork by payee
      funded: milestone.work_submitted
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    SubmitWork by outsider, staff, system
      always: refused not_found
    Approve by client
      approved, approved (by time), released: refused milestone_already_approved
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: milestone.approved
    Approve by client as payee, payee, payee as client
      not_planned: refused not_found
      otherwise: refused forbidden
    Approve by outsider, staff, system
      always: refused not_found
    AutoApprove
      submitted, submitted (timer blocked): milestone.auto_approved
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    RecordRelease
      approved, approved (by time): milestone.released
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
        ("RequestFunding of less", request(3, WORTH - 1)),
        ("RequestFunding of more", request(3, WORTH + 1)),
        ("RequestFunding under another contract", request(13, WORTH)),
        ("RecordFunded by another funding", funded(16)),
        ("RecordFundingFailure of another funding", failed(16)),
        ("Approve what is held", approve(Some(WORTH), Some(Currency::USD))),
        ("Approve more", approve(Some(WORTH + 1), None)),
        ("Approve less", approve(Some(WORTH - 1), None)),
        ("Approve in another currency", approve(None, Some(Currency::EUR))),
        ("RecordRelease of less", released(WORTH - 1)),
    ];
    let client = Actor::Client(client_id());
    insta::assert_snapshot!(table_of(client, &states(), &of_client, DomainEvent::Milestone), @r"
    RequestFunding of less
      not_planned, planned, planned (payment failed): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding of more
      not_planned, planned, planned (payment failed): refused validation_failed
      otherwise: refused milestone_wrong_state
    RequestFunding under another contract
      always: refused validation_failed
    RecordFunded by another funding
      released: milestone.funded, milestone.refund_agreed
      not_planned: refused not_found
      otherwise: milestone.funded
    RecordFundingFailure of another funding
      not_planned: refused not_found
      otherwise: nothing
    Approve what is held
      approved, approved (by time), released: refused milestone_already_approved
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: milestone.approved
    Approve more
      approved, approved (by time), released: refused milestone_already_approved
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused exceeds_held
    Approve less
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      funded, submitted, submitted (timer blocked): refused validation_failed
      otherwise: refused milestone_already_approved
    Approve in another currency
      approved, approved (by time), released: refused milestone_already_approved
      planned, funding_pending, planned (payment failed): refused milestone_not_funded
      not_planned: refused not_found
      otherwise: refused currency_mismatch
    RecordRelease of less
      not_planned: refused not_found
      otherwise: refused milestone_wrong_state
    ");
}
