//! Contract.

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::contract::{
    Activity, Change, Contract, ContractCommand as C, MilestoneOutcome, MilestonePlan, Part, Parts,
};
use domain::event::DomainEvent;
use domain::id::{AmendmentId, ContractId, FundingId, MilestoneId};
use domain::policy::{FeeSchedule, Policy};
use ledger::Currency;

use super::{SYSTEM, after, after_that, client_id, id, minor, now, payee_id, table, table_at, table_of};

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

fn to_amount(number: u128, amount: i64) -> Vec<Change> {
    vec![Change::ChangeAmount { milestone_id: milestone(number), amount: minor(amount) }]
}

fn counter() -> C {
    C::CounterOffer { changes: to_amount(4, 40_000) }
}

fn propose(changes: Vec<Change>) -> C {
    C::ProposeAmendment { amendment_id: amendment(8), changes, parts: Parts::default() }
}

fn amendment(number: u128) -> AmendmentId {
    AmendmentId::from_uuid(id(number))
}

fn accept_amendment() -> C {
    C::AcceptAmendment { amendment_id: amendment(8) }
}

fn record_funding() -> C {
    C::RecordFunding { funding_id: FundingId::from_uuid(id(6)) }
}

fn cancel() -> C {
    C::Cancel { reason: None, parts: Parts::default() }
}

fn pause() -> C {
    C::Pause { reason: None }
}

/// The end, as it is asked for while milestone 4 holds money.
fn request_end() -> C {
    C::RequestEnd { parts: holding() }
}

fn accept_end() -> C {
    C::AcceptEnd { parts: holding() }
}

fn check_dormancy() -> C {
    C::CheckDormancy { parts: holding() }
}

fn advance_dormancy() -> C {
    C::AdvanceDormancy { parts: holding() }
}

fn note(activity: Activity) -> C {
    C::NoteActivity { activity }
}

/// Milestone 4 holds all of its money; the client is paying for it, or not.
fn with_payment(payment_under_way: bool) -> Parts {
    let held = minor(50_000);
    let part = Part {
        milestone_id: milestone(4),
        funded: held,
        released: minor(0),
        refunded: minor(0),
        held,
        refundable: held,
        payment_under_way,
        open_question: None,
    };
    Parts { milestones: vec![part], last_activity_at: Some(now()) }
}

fn holding() -> Parts {
    with_payment(false)
}

fn close(number: u128) -> C {
    let (outcome, released) = (MilestoneOutcome::Released, minor(50_000));
    let parts = Parts::default();
    C::CloseMilestone { milestone_id: milestone(number), outcome, released, refunded: minor(0), parts }
}

fn give_back(number: u128) -> C {
    let (outcome, refunded) = (MilestoneOutcome::Refunded, minor(50_000));
    let parts = Parts::default();
    C::CloseMilestone { milestone_id: milestone(number), outcome, released: minor(0), refunded, parts }
}

fn block() -> C {
    C::BlockTimer { key: "offer_expiry".to_owned(), reason: "internal_error".to_owned() }
}

type Told = Vec<(Actor, C)>;

/// Accepted, and then the first money.
fn active() -> Told {
    let (client, payee) = (Actor::Client(client_id()), Actor::Payee(payee_id()));
    vec![(client, draft()), (client, offer()), (payee, C::Accept), (SYSTEM, record_funding())]
}

fn states() -> Vec<(&'static str, Contract)> {
    let (client, payee) = (Actor::Client(client_id()), Actor::Payee(payee_id()));
    let active = active();
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| after::<Contract>(&[before, more].concat());
    let (drafted, offered, accepted) = (&active[..1], &active[..2], &active[..3]);
    let paused = [active.clone(), vec![(client, pause())]].concat();
    let ending = [active.clone(), vec![(client, request_end())]].concat();
    let ended = [ending.clone(), vec![(payee, accept_end())]].concat();
    vec![
        ("not_drafted", Contract::default()),
        ("draft", after(drafted)),
        ("cancelled (draft)", then(drafted, &[(client, cancel())])),
        ("offered", after(offered)),
        ("offered (timer blocked)", then(offered, &[(SYSTEM, block())])),
        ("countered", then(offered, &[(payee, counter())])),
        ("declined", then(offered, &[(payee, C::Decline { reason: None })])),
        ("withdrawn", then(offered, &[(client, C::WithdrawOffer)])),
        ("expired", then(offered, &[(SYSTEM, C::ExpireOffer)])),
        ("pending_funding", after(accepted)),
        ("cancelled (never paid)", then(accepted, &[(payee, cancel())])),
        ("active", after(&active)),
        ("active (client proposed 8)", then(&active, &[(client, propose(to_amount(5, 60_000)))])),
        ("active (4 closed)", then(&active, &[(SYSTEM, close(4))])),
        ("paused by client", after(&paused)),
        ("paused (client proposed 8)", then(&active, &[(client, propose(to_amount(5, 60_000))), (client, pause())])),
        ("ending", after(&ending)),
        ("ending (agreed)", after(&ended)),
        ("ending (4 refunded)", then(&ended, &[(SYSTEM, give_back(4))])),
        ("completed", then(&active, &[(SYSTEM, close(4)), (SYSTEM, close(5))])),
        ("cancelled (ended)", then(&ended, &[(SYSTEM, give_back(4)), (SYSTEM, give_back(5))])),
    ]
}

/// D-04, D-07, D-08: every command of a contract that somebody may try or that follows from something else.
#[test]
fn what_a_contract_does_in_each_state() {
    let commands = [
        ("Draft", draft()),
        ("Offer", offer()),
        ("CounterOffer", counter()),
        ("Accept", C::Accept),
        ("Decline", C::Decline { reason: None }),
        ("WithdrawOffer", C::WithdrawOffer),
        ("ExpireOffer", C::ExpireOffer),
        ("RecordFunding", record_funding()),
        ("Cancel", cancel()),
        ("LapseFunding", C::LapseFunding { parts: Parts::default() }),
        ("ProposeAmendment", propose(to_amount(5, 60_000))),
        ("AcceptAmendment 8", accept_amendment()),
        ("RejectAmendment 8", C::RejectAmendment { amendment_id: amendment(8) }),
        ("ExpireAmendment 8", C::ExpireAmendment { amendment_id: amendment(8) }),
        ("Pause", pause()),
        ("Resume", C::Resume),
        ("RequestEnd", request_end()),
        ("AcceptEnd", accept_end()),
        ("AgreeEndByTime", C::AgreeEndByTime { parts: holding() }),
        ("DisputeEnd", C::DisputeEnd),
        ("CheckDormancy", check_dormancy()),
        ("AdvanceDormancy", advance_dormancy()),
        ("RequestDormancyRelease", C::RequestDormancyRelease),
        ("NoteActivity of a payment", note(Activity::Funding)),
        ("NoteActivity of a delivery", note(Activity::Submission)),
        ("NoteActivity of another kind", note(Activity::Other)),
        ("CloseMilestone 4", close(4)),
        ("CloseMilestone 5", close(5)),
        ("CloseMilestone 5, refunded", give_back(5)),
        ("CloseMilestone of another contract", close(99)),
        ("RestartClock", C::RestartClock { stopped_at: now() }),
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
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Offer by outsider, staff, system
      always: refused not_found
    CounterOffer by client
      countered: contract.countered
      offered, offered (timer blocked): refused forbidden
      not_drafted: refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    CounterOffer by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    CounterOffer by payee
      offered, offered (timer blocked): contract.countered
      countered: refused forbidden
      not_drafted, draft, cancelled (draft): refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    CounterOffer by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    CounterOffer by outsider, staff, system
      always: refused not_found
    Accept by client
      countered: contract.accepted
      not_drafted: refused not_found
      otherwise: refused forbidden
    Accept by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Accept by payee
      offered, offered (timer blocked): contract.accepted
      countered: refused forbidden
      not_drafted, draft, cancelled (draft): refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    Accept by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Accept by outsider, staff, system
      always: refused not_found
    Decline by client, client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Decline by payee
      offered, offered (timer blocked), countered: contract.declined
      not_drafted, draft, cancelled (draft): refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    Decline by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Decline by outsider, staff, system
      always: refused not_found
    WithdrawOffer by client
      offered, offered (timer blocked), countered: contract.offer_withdrawn
      not_drafted: refused not_found
      expired: refused offer_expired
      otherwise: refused contract_wrong_state
    WithdrawOffer by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    WithdrawOffer by payee, payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    WithdrawOffer by outsider, staff, system
      always: refused not_found
    ExpireOffer
      offered, offered (timer blocked), countered: contract.offer_expired
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    RecordFunding
      pending_funding: contract.activated
      active, active (client proposed 8), active (4 closed), paused by client, paused (client proposed 8), ending, ending (agreed), ending (4 refunded): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Cancel by client
      draft, pending_funding: contract.cancelled
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Cancel by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Cancel by payee
      pending_funding: contract.cancelled
      ending: contract.end_agreed
      active, active (client proposed 8), paused by client, paused (client proposed 8): contract.end_requested, contract.end_agreed
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    Cancel by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Cancel by outsider, staff, system
      always: refused not_found
    LapseFunding
      pending_funding: contract.cancelled
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    ProposeAmendment by client
      active, active (4 closed): contract.amendment_proposed
      active (client proposed 8): refused amendment_pending
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    ProposeAmendment by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    ProposeAmendment by payee
      active, active (4 closed): contract.amendment_proposed
      active (client proposed 8): refused amendment_pending
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    ProposeAmendment by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    ProposeAmendment by outsider, staff, system
      always: refused not_found
    AcceptAmendment 8 by client
      active (client proposed 8): refused forbidden
      not_drafted, active, active (4 closed): refused not_found
      otherwise: refused contract_wrong_state
    AcceptAmendment 8 by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    AcceptAmendment 8 by payee
      active (client proposed 8): contract.amendment_accepted
      not_drafted, draft, cancelled (draft), active, active (4 closed): refused not_found
      otherwise: refused contract_wrong_state
    AcceptAmendment 8 by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    AcceptAmendment 8 by outsider, staff, system
      always: refused not_found
    RejectAmendment 8 by client
      active (client proposed 8), paused (client proposed 8): contract.amendment_rejected
      not_drafted, active, active (4 closed), paused by client: refused not_found
      otherwise: refused contract_wrong_state
    RejectAmendment 8 by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    RejectAmendment 8 by payee
      active (client proposed 8), paused (client proposed 8): contract.amendment_rejected
      not_drafted, draft, cancelled (draft), active, active (4 closed), paused by client: refused not_found
      otherwise: refused contract_wrong_state
    RejectAmendment 8 by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    RejectAmendment 8 by outsider, staff, system
      always: refused not_found
    ExpireAmendment 8
      active (client proposed 8), paused (client proposed 8): contract.amendment_rejected
      not_drafted, active, active (4 closed), paused by client: refused not_found
      otherwise: refused contract_wrong_state
    Pause by client
      active, active (client proposed 8), active (4 closed): contract.paused
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Pause by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Pause by payee
      active, active (client proposed 8), active (4 closed): contract.paused
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    Pause by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Pause by outsider, staff, system
      always: refused not_found
    Resume by client
      paused by client, paused (client proposed 8): contract.resumed
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Resume by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    Resume by payee
      paused by client, paused (client proposed 8): refused forbidden
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    Resume by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    Resume by outsider, staff, system
      always: refused not_found
    RequestEnd by client
      active, active (client proposed 8), active (4 closed), paused by client, paused (client proposed 8): contract.end_requested
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    RequestEnd by client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    RequestEnd by payee, payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    RequestEnd by outsider, staff, system
      always: refused not_found
    AcceptEnd by client, client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    AcceptEnd by payee
      ending: contract.end_agreed
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    AcceptEnd by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    AcceptEnd by outsider, staff, system
      always: refused not_found
    AgreeEndByTime
      ending: contract.end_agreed
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    DisputeEnd by client, client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    DisputeEnd by payee
      not_drafted, draft, cancelled (draft): refused not_found
      ending: refused not_supported
      otherwise: refused contract_wrong_state
    DisputeEnd by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    DisputeEnd by outsider, staff, system
      always: refused not_found
    CheckDormancy
      active, active (client proposed 8), active (4 closed): contract.dormancy_postponed
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    AdvanceDormancy
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    RequestDormancyRelease by client, client as payee
      not_drafted: refused not_found
      otherwise: refused forbidden
    RequestDormancyRelease by payee
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    RequestDormancyRelease by payee as client
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused forbidden
    RequestDormancyRelease by outsider, staff, system
      always: refused not_found
    NoteActivity of a payment
      pending_funding, active, active (client proposed 8), active (4 closed): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    NoteActivity of a delivery
      pending_funding, active, active (client proposed 8), active (4 closed), ending (agreed), ending (4 refunded): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    NoteActivity of another kind
      not_drafted: refused not_found
      otherwise: nothing
    CloseMilestone 4
      pending_funding, active, active (client proposed 8), paused by client, paused (client proposed 8), ending, ending (agreed): contract.milestone_closed
      cancelled (draft), cancelled (never paid), active (4 closed), ending (4 refunded), cancelled (ended): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone 5
      pending_funding, active, active (client proposed 8), paused by client, paused (client proposed 8), ending, ending (agreed): contract.milestone_closed
      active (4 closed), ending (4 refunded): contract.milestone_closed, contract.completed
      cancelled (draft), cancelled (never paid), cancelled (ended): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone 5, refunded
      pending_funding, active, active (client proposed 8), paused by client, paused (client proposed 8), ending, ending (agreed): contract.milestone_closed
      ending (4 refunded): contract.milestone_closed, contract.cancelled
      active (4 closed): contract.milestone_closed, contract.completed
      cancelled (draft), cancelled (never paid), cancelled (ended): nothing
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    CloseMilestone of another contract
      cancelled (draft), cancelled (never paid), cancelled (ended): nothing
      draft, offered, offered (timer blocked), countered, declined, withdrawn, expired, completed: refused contract_wrong_state
      otherwise: refused not_found
    RestartClock
      ending: contract.deadline_extended
      not_drafted: refused not_found
      otherwise: nothing
    BlockTimer
      not_drafted: refused not_found
      otherwise: contract.timer_blocked
    ");
}

/// What is asked while a payment is under way, or with something wrong in it.
#[test]
fn what_a_contract_makes_of_what_a_command_says() {
    let paying = || with_payment(true);
    let commands = [
        ("Cancel while a payment is under way", C::Cancel { reason: None, parts: paying() }),
        ("Cancel with words", C::Cancel { reason: Some("he is rude".to_owned()), parts: Parts::default() }),
        ("LapseFunding while a payment is under way", C::LapseFunding { parts: paying() }),
        ("RequestEnd while a payment is under way", C::RequestEnd { parts: paying() }),
        ("RequestEnd with nothing held", C::RequestEnd { parts: Parts::default() }),
        ("AgreeEndByTime while a payment is under way", C::AgreeEndByTime { parts: paying() }),
        ("Pause with words", C::Pause { reason: Some("on holiday, call me".to_owned()) }),
        ("ProposeAmendment of nothing", propose(Vec::new())),
        ("ProposeAmendment below what was paid in", {
            C::ProposeAmendment { amendment_id: amendment(8), changes: to_amount(4, 49_999), parts: holding() }
        }),
        ("AcceptAmendment 9", C::AcceptAmendment { amendment_id: amendment(9) }),
        ("RejectAmendment 8 by who proposed it", C::RejectAmendment { amendment_id: amendment(8) }),
    ];
    let payee = Actor::Payee(payee_id());
    let mut released = holding();
    released.milestones[0].released = minor(1);
    let by_payee = [
        ("Cancel while a payment is under way", C::Cancel { reason: None, parts: paying() }),
        ("Cancel with words", C::Cancel { reason: Some("he is rude".to_owned()), parts: holding() }),
        ("Cancel after a release", C::Cancel { reason: None, parts: released }),
    ];
    insta::assert_snapshot!(table_of(payee, &states(), &by_payee, DomainEvent::Contract), @r"
    Cancel while a payment is under way
      not_drafted, draft, cancelled (draft): refused not_found
      pending_funding, active, active (client proposed 8), paused by client, paused (client proposed 8), ending: refused payment_under_way
      otherwise: refused contract_wrong_state
    Cancel with words
      not_drafted, draft, cancelled (draft): refused not_found
      pending_funding, active, active (client proposed 8), paused by client, paused (client proposed 8), ending: refused validation_failed
      otherwise: refused contract_wrong_state
    Cancel after a release
      pending_funding: contract.cancelled
      not_drafted, draft, cancelled (draft): refused not_found
      otherwise: refused contract_wrong_state
    ");
    let client = Actor::Client(client_id());
    insta::assert_snapshot!(table_of(client, &states(), &commands, DomainEvent::Contract), @r"
    Cancel while a payment is under way
      draft: contract.cancelled
      not_drafted: refused not_found
      pending_funding: refused payment_under_way
      otherwise: refused contract_wrong_state
    Cancel with words
      not_drafted: refused not_found
      draft, pending_funding: refused validation_failed
      otherwise: refused contract_wrong_state
    LapseFunding while a payment is under way
      pending_funding: contract.deadline_extended
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    RequestEnd while a payment is under way
      not_drafted: refused not_found
      active, active (client proposed 8), active (4 closed), paused by client, paused (client proposed 8): refused payment_under_way
      otherwise: refused contract_wrong_state
    RequestEnd with nothing held
      active, active (client proposed 8), active (4 closed), paused by client, paused (client proposed 8): contract.end_requested, contract.end_agreed
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    AgreeEndByTime while a payment is under way
      ending: contract.deadline_extended
      not_drafted: refused not_found
      otherwise: refused contract_wrong_state
    Pause with words
      not_drafted: refused not_found
      active, active (client proposed 8), active (4 closed): refused validation_failed
      otherwise: refused contract_wrong_state
    ProposeAmendment of nothing
      active (client proposed 8): refused amendment_pending
      not_drafted: refused not_found
      active, active (4 closed): refused validation_failed
      otherwise: refused contract_wrong_state
    ProposeAmendment below what was paid in
      active (client proposed 8): refused amendment_pending
      not_drafted: refused not_found
      active, active (4 closed): refused validation_failed
      otherwise: refused contract_wrong_state
    AcceptAmendment 9
      not_drafted, active, active (client proposed 8), active (4 closed): refused not_found
      otherwise: refused contract_wrong_state
    RejectAmendment 8 by who proposed it
      active (client proposed 8), paused (client proposed 8): contract.amendment_rejected
      not_drafted, active, active (4 closed), paused by client: refused not_found
      otherwise: refused contract_wrong_state
    ");
}

/// D-80: the same contract on the days on which somebody looks, and what wakes it when it is dormant.
#[test]
fn what_silence_does_to_a_contract() {
    let payee = Actor::Payee(payee_id());
    let day = |days| now() + TimeDelta::days(days);
    let active: Contract = after(&active());
    let warned = after_that(&active, day(76), &[(SYSTEM, check_dormancy())]);
    let warned_twice = after_that(&warned, day(83), &[(SYSTEM, check_dormancy())]);
    let dormant = after_that(&warned_twice, day(90), &[(SYSTEM, check_dormancy())]);
    let escalated = after_that(&dormant, day(97), &[(SYSTEM, advance_dormancy())]);
    let requested = after_that(&escalated, day(98), &[(payee, C::RequestDormancyRelease)]);
    let states = [
        ("active", active),
        ("warned", warned),
        ("warned twice", warned_twice),
        ("dormant (client asked)", dormant),
        ("dormant (payee asked)", escalated.clone()),
        ("dormant (release requested)", requested),
        ("ending (by default)", after_that(&escalated, day(104), &[(SYSTEM, advance_dormancy())])),
    ];
    let commands = [
        ("CheckDormancy", check_dormancy()),
        ("CheckDormancy with activity just now", {
            C::CheckDormancy { parts: Parts { last_activity_at: Some(day(104)), ..holding() } }
        }),
        ("AdvanceDormancy", advance_dormancy()),
        ("RequestDormancyRelease", C::RequestDormancyRelease),
        ("Resume", C::Resume),
        ("Pause", pause()),
        ("Cancel", cancel()),
        ("ProposeAmendment", propose(to_amount(5, 60_000))),
        ("AcceptAmendment 8", accept_amendment()),
        ("RequestEnd", request_end()),
        ("NoteActivity of a payment", note(Activity::Funding)),
        ("NoteActivity of another kind", note(Activity::Other)),
        ("RecordFunding", record_funding()),
        ("CloseMilestone 4", close(4)),
        ("BlockTimer", C::BlockTimer { key: "dormancy".to_owned(), reason: "internal_error".to_owned() }),
    ];
    insta::assert_snapshot!(table_at(day(104), &states, &commands, DomainEvent::Contract), @r"
    CheckDormancy
      active, warned: contract.dormancy_warned
      warned twice: contract.marked_dormant
      otherwise: refused contract_wrong_state
    CheckDormancy with activity just now
      active, warned, warned twice: contract.dormancy_postponed
      otherwise: refused contract_wrong_state
    AdvanceDormancy
      dormant (payee asked), dormant (release requested): contract.dormancy_defaulted
      dormant (client asked): contract.dormancy_escalated_to_payee
      otherwise: refused contract_wrong_state
    RequestDormancyRelease by client, client as payee, payee as client
      always: refused forbidden
    RequestDormancyRelease by payee
      dormant (payee asked): contract.dormancy_release_requested
      otherwise: refused contract_wrong_state
    RequestDormancyRelease by outsider, staff, system
      always: refused not_found
    Resume by client, payee
      dormant (client asked), dormant (payee asked), dormant (release requested): contract.reactivated
      otherwise: refused contract_wrong_state
    Resume by client as payee, payee as client
      always: refused forbidden
    Resume by outsider, staff, system
      always: refused not_found
    Pause by client, payee
      active, warned, warned twice: contract.paused
      otherwise: refused contract_wrong_state
    Pause by client as payee, payee as client
      always: refused forbidden
    Pause by outsider, staff, system
      always: refused not_found
    Cancel by client
      always: refused contract_wrong_state
    Cancel by client as payee, payee as client
      always: refused forbidden
    Cancel by payee
      dormant (client asked), dormant (payee asked), dormant (release requested): contract.reactivated, contract.end_requested, contract.end_agreed
      ending (by default): refused contract_wrong_state
      otherwise: contract.end_requested, contract.end_agreed
    Cancel by outsider, staff, system
      always: refused not_found
    ProposeAmendment by client, payee
      dormant (client asked), dormant (payee asked), dormant (release requested): contract.reactivated, contract.amendment_proposed
      ending (by default): refused contract_wrong_state
      otherwise: contract.amendment_proposed
    ProposeAmendment by client as payee, payee as client
      always: refused forbidden
    ProposeAmendment by outsider, staff, system
      always: refused not_found
    AcceptAmendment 8 by client, payee
      active, warned, warned twice: refused not_found
      otherwise: refused contract_wrong_state
    AcceptAmendment 8 by client as payee, payee as client
      always: refused forbidden
    AcceptAmendment 8 by outsider, staff, system
      always: refused not_found
    RequestEnd by client
      dormant (client asked), dormant (payee asked), dormant (release requested): contract.reactivated, contract.end_requested
      ending (by default): refused contract_wrong_state
      otherwise: contract.end_requested
    RequestEnd by client as payee, payee, payee as client
      always: refused forbidden
    RequestEnd by outsider, staff, system
      always: refused not_found
    NoteActivity of a payment
      active, warned, warned twice: nothing
      ending (by default): refused contract_wrong_state
      otherwise: contract.reactivated
    NoteActivity of another kind
      dormant (client asked), dormant (payee asked), dormant (release requested): contract.reactivated
      otherwise: nothing
    RecordFunding
      always: nothing
    CloseMilestone 4
      always: contract.milestone_closed
    BlockTimer
      always: contract.timer_blocked
    ");
}
