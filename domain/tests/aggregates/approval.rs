//! Approval request: who may do what with it in each of its states.

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::approval::{ApprovalCommand as C, ApprovalRequest, MAX_APPROVERS, MAX_HOURS, Proposed, Rule, Strength};
use domain::event::DomainEvent;
use domain::id::{ApprovalId, ContractId, EventId, PartyId};
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use ledger::Currency;

use super::{after, after_that, client_id, id, minor, now, payee_id, shown};

fn who(role: StaffRole, number: u128) -> Actor {
    Actor::Staff(role, PartyId::from_uuid(id(number)))
}

fn proposer() -> Actor {
    who(StaffRole::Finance, 90)
}

fn approver() -> Actor {
    who(StaffRole::Moderator, 91)
}

const TIMER: Actor = Actor::System(SystemPart::Timer);

/// Everybody who might try.
fn all() -> [(&'static str, Actor); 8] {
    [
        ("proposer", proposer()),
        ("proposer as admin", who(StaffRole::Admin, 90)),
        ("approver", approver()),
        ("another approver", who(StaffRole::Admin, 92)),
        ("support", who(StaffRole::Support, 93)),
        ("client", Actor::Client(client_id())),
        ("payee", Actor::Payee(payee_id())),
        ("system", TIMER),
    ]
}

fn write_off(amount: i64) -> Proposed {
    let cause = "refund".to_owned();
    Proposed::WriteOffDebt { payee_id: payee_id(), currency: Currency::USD, cause, amount: minor(amount) }
}

fn rule(approvers: u8) -> Rule {
    Rule { approvers, roles: vec![StaffRole::Moderator, StaffRole::Admin], hours: 72 }
}

fn request(approvers: u8) -> C {
    let approval_id = ApprovalId::from_uuid(id(50));
    C::Request { approval_id, command: write_off(90_000), rule: rule(approvers), acr: Strength::SecondFactor }
}

fn approve() -> C {
    C::Approve { acr: Strength::Password }
}

fn consume() -> C {
    C::Consume { event_id: EventId::from_uuid(id(70)), payload_digest: write_off(90_000).digest().unwrap() }
}

fn states() -> Vec<(&'static str, ApprovalRequest)> {
    let one = (proposer(), request(1));
    let two = (proposer(), request(2));
    let granted = (approver(), approve());
    let then = |last: (Actor, C)| after(&[one.clone(), last]);
    let late = now() + TimeDelta::hours(72);
    vec![
        ("none", ApprovalRequest::default()),
        ("pending", after(std::slice::from_ref(&one))),
        ("pending (1 of 2)", after(&[two.clone(), granted.clone()])),
        ("approved", then(granted.clone())),
        ("executed", after(&[one.clone(), granted.clone(), (TIMER, consume())])),
        ("failed", after(&[one.clone(), granted, (TIMER, C::Fail { code: "not_found".to_owned() })])),
        ("rejected", then((approver(), C::Reject { acr: Strength::Machine }))),
        ("withdrawn", then((proposer(), C::Withdraw))),
        ("lapsed", after_that(&after(&[two]), late, &[(TIMER, C::Lapse)])),
    ]
}

fn commands() -> [(&'static str, C); 7] {
    [
        ("Request", request(1)),
        ("Approve", approve()),
        ("Reject", C::Reject { acr: Strength::Password }),
        ("Withdraw", C::Withdraw),
        ("Lapse", C::Lapse),
        ("Consume", consume()),
        ("Fail", C::Fail { code: "not_found".to_owned() }),
    ]
}

/// D-96, D-184: the proposer never approves, in whatever role; one person is one voice; what is over stays so.
#[test]
fn what_an_approval_request_does_in_each_state() {
    insta::assert_snapshot!(shown(now(), &states(), &commands(), &all(), DomainEvent::Approval), @r"
    Request by proposer, proposer as admin, approver, another approver, support
      none: approval.requested
      otherwise: nothing
    Request by client, payee
      none: refused not_found
      otherwise: nothing
    Request by system
      none: refused forbidden
      otherwise: nothing
    Approve by proposer, proposer as admin
      none: refused not_found
      otherwise: refused four_eyes_violation
    Approve by approver
      pending: approval.granted
      pending (1 of 2): nothing
      none: refused not_found
      otherwise: refused approval_wrong_state
    Approve by another approver
      pending, pending (1 of 2): approval.granted
      none: refused not_found
      otherwise: refused approval_wrong_state
    Approve by support, system
      none: refused not_found
      otherwise: refused forbidden
    Approve by client, payee
      always: refused not_found
    Reject by proposer, proposer as admin
      none: refused not_found
      otherwise: refused four_eyes_violation
    Reject by approver, another approver
      pending, pending (1 of 2): approval.rejected
      none: refused not_found
      otherwise: refused approval_wrong_state
    Reject by support, system
      none: refused not_found
      otherwise: refused forbidden
    Reject by client, payee
      always: refused not_found
    Withdraw by proposer, proposer as admin
      pending, pending (1 of 2): approval.withdrawn
      none: refused not_found
      otherwise: refused approval_wrong_state
    Withdraw by approver, another approver, support, system
      none: refused not_found
      otherwise: refused forbidden
    Withdraw by client, payee
      always: refused not_found
    Lapse
      always: nothing
    Consume
      approved: approval.consumed
      otherwise: refused internal_error
    Fail
      approved: approval.failed
      otherwise: refused internal_error
    ");
    let late = now() + TimeDelta::hours(72);
    let lapse = [("Lapse after 72 hours", C::Lapse)];
    insta::assert_snapshot!(shown(late, &states(), &lapse, &all(), DomainEvent::Approval), @r"
    Lapse after 72 hours
      pending, pending (1 of 2): approval.lapsed
      otherwise: nothing
    ");
}

/// At the instant at which it expires its time is over, whether somebody has looked after deadlines or not; a millisecond
/// before it is not.
#[test]
fn at_its_instant_it_is_over() {
    let pending = after::<ApprovalRequest>(&[(proposer(), request(1))]);
    let expires_at = pending.request().unwrap().expires_at;
    assert_eq!(expires_at, now() + TimeDelta::hours(72));
    for (actor, command, action) in [
        (approver(), approve(), "approved"),
        (approver(), C::Reject { acr: Strength::Password }, "rejected"),
        (proposer(), C::Withdraw, "withdrawn"),
    ] {
        let before = Context { now: expires_at - TimeDelta::milliseconds(1), actor };
        assert_eq!(pending.decide(&command, &before).unwrap().len(), 1, "{action}");
        let refused = pending.decide(&command, &Context { now: expires_at, actor });
        assert_eq!(refused, Err(Refusal::ApprovalWrongState { action, state: "lapsed" }));
    }
    let early = Context { now: expires_at - TimeDelta::milliseconds(1), actor: TIMER };
    assert_eq!(pending.decide(&C::Lapse, &early), Ok(Vec::new()));
}

/// A rule that cannot be kept is not taken: nobody, too many, roles that could not give the command themselves, no time.
#[test]
fn a_rule_asks_somebody_who_may() {
    let kind = write_off(1).kind();
    let good = Rule::standard(kind);
    assert_eq!(good.check(kind), Ok(()));
    let refused = |rule: Rule| match rule.check(kind) {
        Err(Refusal::Invalid { pointer, .. }) => pointer,
        other => format!("{other:?}"),
    };
    for approvers in [0, MAX_APPROVERS + 1] {
        assert_eq!(refused(Rule { approvers, ..good.clone() }), "/approvers");
    }
    for hours in [0, MAX_HOURS + 1] {
        assert_eq!(refused(Rule { hours, ..good.clone() }), "/hours");
    }
    for roles in [vec![], vec![StaffRole::Admin, StaffRole::Support]] {
        assert_eq!(refused(Rule { roles, ..good.clone() }), "/roles");
    }
    let nobody = C::Request {
        approval_id: ApprovalId::from_uuid(id(50)),
        command: write_off(1),
        rule: Rule { approvers: 0, ..good },
        acr: Strength::Machine,
    };
    let context = Context { now: now(), actor: proposer() };
    let refusal = ApprovalRequest::default().decide(&nobody, &context).unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid { pointer, .. } if pointer == "/rule/approvers"));
}

/// What is carried out is what was approved, to the byte; another command under the id of a request is a defect.
#[test]
fn nothing_else_is_carried_out_than_was_approved() {
    let approved = after::<ApprovalRequest>(&[(proposer(), request(1)), (approver(), approve())]);
    let other =
        C::Consume { event_id: EventId::from_uuid(id(70)), payload_digest: write_off(90_001).digest().unwrap() };
    let context = Context { now: now(), actor: approver() };
    assert_eq!(approved.decide(&other, &context).unwrap_err().code(), "internal_error");
    let unfreeze = Proposed::UnfreezeEscrow { contract_id: ContractId::from_uuid(id(3)) };
    let again = C::Request {
        approval_id: ApprovalId::from_uuid(id(50)),
        command: unfreeze,
        rule: rule(1),
        acr: Strength::Machine,
    };
    assert_eq!(approved.decide(&again, &context).unwrap_err().code(), "internal_error");
}
