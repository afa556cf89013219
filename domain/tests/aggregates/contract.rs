//! Contract.

use domain::actor::Actor;
use domain::contract::{Contract, ContractCommand as C, MilestoneOutcome, MilestonePlan};
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, MilestoneId};
use domain::policy::{FeeSchedule, Policy};
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, payee_id, table};

fn milestone(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(id(number))
}

fn draft() -> C {
    let plan = |number| MilestonePlan {
        milestone_id: milestone(number),
        amount: minor(50_000),
        due_at: None,
        review_days: None,
        reference: None,
    };
    C::Draft {
        contract_id: ContractId::from_uuid(id(3)),
        client_id: client_id(),
        payee_id: payee_id(),
        currency: Currency::USD,
        milestones: vec![plan(4), plan(5)],
        reference: None,
    }
}

fn offer() -> C {
    C::Offer { fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() }
}

fn record_funding() -> C {
    C::RecordFunding { funding_id: FundingId::from_uuid(id(6)) }
}

fn close(number: u128) -> C {
    C::CloseMilestone {
        milestone_id: milestone(number),
        outcome: MilestoneOutcome::Released,
        released: minor(50_000),
        refunded: minor(0),
    }
}

fn block() -> C {
    C::BlockTimer { key: "offer_expiry".to_owned(), reason: "internal_error".to_owned() }
}

fn states() -> Vec<(&'static str, Contract)> {
    let (client, payee) = (Actor::Client(client_id()), Actor::Payee(payee_id()));
    let drafted = vec![(client, draft())];
    let offered = [drafted.clone(), vec![(client, offer())]].concat();
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| after::<Contract>(&[before, more].concat());
    let accepted = [offered.clone(), vec![(payee, C::Accept)]].concat();
    let active = [accepted.clone(), vec![(SYSTEM, record_funding())]].concat();
    vec![
        ("not_drafted", Contract::default()),
        ("draft", after(&drafted)),
        ("offered", after(&offered)),
        ("offered (timer blocked)", then(&offered, &[(SYSTEM, block())])),
        ("expired", then(&offered, &[(SYSTEM, C::ExpireOffer)])),
        ("pending_funding", after(&accepted)),
        ("active", after(&active)),
        ("active (4 closed)", then(&active, &[(SYSTEM, close(4))])),
        ("completed", then(&active, &[(SYSTEM, close(4)), (SYSTEM, close(5))])),
    ]
}

#[test]
fn what_a_contract_does_in_each_state() {
    let commands = [
        ("Draft", draft()),
        ("Offer", offer()),
        ("Accept", C::Accept),
        ("ExpireOffer", C::ExpireOffer),
        ("RecordFunding", record_funding()),
        ("CloseMilestone 4", close(4)),
        ("CloseMilestone 5", close(5)),
        ("CloseMilestone of another contract", close(99)),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Contract), @r"
    Draft by client
      not_drafted: contract.drafted
      otherwise: refused contract_wrong_state
    Draft by client as payee, payee, payee as client, outsider, staff, system
      not_drafted: refused forbidden
      otherwise: refused contract_wrong_state
    Offer by client
      draft: contract.offered
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Offer by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Offer by payee, payee as client
      not_drafted, draft: refused not_found
      otherwise: refused forbidden
    Offer by outsider, staff, system
      always: refused not_found
    Accept by client, client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Accept by payee
      offered, offered (timer blocked): contract.accepted
      not_drafted, draft: refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    Accept by payee as client
      not_drafted, draft: refused not_found
      otherwise: refused forbidden
    Accept by outsider, staff, system
      always: refused not_found
    ExpireOffer
      offered, offered (timer blocked): contract.offer_expired
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    RecordFunding
      pending_funding: contract.activated
      active, active (4 closed): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone 4
      pending_funding, active: contract.milestone_closed
      active (4 closed): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone 5
      pending_funding, active: contract.milestone_closed
      active (4 closed): contract.milestone_closed, contract.completed
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone of another contract
      not_drafted, pending_funding, active, active (4 closed): refused not_found
      otherwise: refused contract_wrong_state
    BlockTimer
      not_drafted: refused not_found
      otherwise: contract.timer_blocked
    ");
}
