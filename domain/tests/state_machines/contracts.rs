//! What is tried with contracts, milestones and escrows.

use domain::contract::{
    Activity, Change, Contract, ContractCommand as K, MilestoneOutcome, MilestonePlan, OpenQuestion, Part, Parts, Role,
};
use domain::escrow::{
    Allocation, Deposit, Escrow, EscrowCommand as E, GratuityKind, PaidFrom, PspPlace, RefundReason, ReleaseReason,
};
use domain::event::DomainEvent;
use domain::id::{
    AmendmentId, ChargebackId, ContractId, DisputeId, EventId, FundingId, MilestoneId, ReallocationId, RefundId,
    ReleaseId,
};
use domain::milestone::{EndCause, LossCause, Milestone, MilestoneCommand as M, Plan, Remainder};
use domain::policy::{FeeSchedule, Policy};
use ledger::Currency;

use super::explore::{Found, Tried, client_id, explore, id, minor, now, payee_id};

const WORTH: i64 = 100_000;
const PART: i64 = WORTH / 4;

fn contract_id() -> ContractId {
    ContractId::from_uuid(id(3))
}

fn milestone_id(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(id(number))
}

fn funding_id(number: u128) -> FundingId {
    FundingId::from_uuid(id(number))
}

fn dispute_id() -> DisputeId {
    DisputeId::from_uuid(id(9))
}

fn chargeback_id() -> ChargebackId {
    ChargebackId::from_uuid(id(14))
}

fn block() -> (String, String) {
    ("none".to_owned(), "internal_error".to_owned())
}

pub fn contract() -> Found {
    let plan = |number| MilestonePlan {
        milestone_id: milestone_id(number),
        amount: minor(WORTH),
        due_at: None,
        review_days: None,
        reference: None,
    };
    let part = |held, payment_under_way, open_question| Part {
        milestone_id: milestone_id(4),
        funded: minor(WORTH),
        released: minor(0),
        refunded: minor(0),
        held: minor(held),
        refundable: minor(held),
        payment_under_way,
        open_question,
    };
    let parts = [
        Parts::default(),
        Parts { milestones: vec![part(WORTH, false, None)], last_activity_at: Some(now()) },
        Parts { milestones: vec![part(WORTH, true, Some(OpenQuestion::Open))], last_activity_at: Some(now()) },
    ];
    let changes = || vec![Change::ChangeAmount { milestone_id: milestone_id(5), amount: minor(WORTH + 1) }];
    let amendment_id = AmendmentId::from_uuid(id(8));
    let (key, reason) = block();
    let mut commands = vec![
        K::Draft {
            contract_id: contract_id(),
            client_id: client_id(),
            payee_id: payee_id(),
            currency: Currency::USD,
            milestones: vec![plan(4), plan(5)],
            reference: None,
        },
        K::Offer { fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() },
        K::CounterOffer { changes: changes() },
        K::Accept,
        K::Decline { reason: None },
        K::WithdrawOffer,
        K::ExpireOffer,
        K::RecordFunding { funding_id: funding_id(6) },
        K::AcceptAmendment { amendment_id },
        K::RejectAmendment { amendment_id },
        K::ExpireAmendment { amendment_id },
        K::Pause { reason: None },
        K::Resume,
        K::DisputeEnd,
        K::RequestDormancyRelease,
        K::NoteActivity { activity: Activity::Funding },
        K::NoteActivity { activity: Activity::Submission },
        K::NoteActivity { activity: Activity::Other },
        K::RestartClock { stopped_at: now() },
        K::BlockTimer { key, reason },
    ];
    for parts in parts {
        commands.extend([
            K::Cancel { reason: None, parts: parts.clone() },
            K::LapseFunding { parts: parts.clone() },
            K::ProposeAmendment { amendment_id, changes: changes(), parts: parts.clone() },
            K::RequestEnd { parts: parts.clone() },
            K::AcceptEnd { parts: parts.clone() },
            K::AgreeEndByTime { parts: parts.clone() },
            K::CheckDormancy { parts: parts.clone() },
            K::AdvanceDormancy { parts },
        ]);
    }
    for (number, outcome, released, refunded) in [
        (4, MilestoneOutcome::Released, WORTH, 0),
        (5, MilestoneOutcome::Released, WORTH, 0),
        (4, MilestoneOutcome::Refunded, 0, WORTH),
        (5, MilestoneOutcome::Refunded, 0, WORTH),
        (4, MilestoneOutcome::Cancelled, 0, 0),
        (5, MilestoneOutcome::Cancelled, 0, 0),
    ] {
        let milestone_id = milestone_id(number);
        commands.push(K::CloseMilestone {
            milestone_id,
            outcome,
            released: minor(released),
            refunded: minor(refunded),
            parts: Parts::default(),
        });
    }
    explore::<Contract>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Contract })
}

pub fn milestone() -> Found {
    let plan = Plan {
        milestone_id: milestone_id(4),
        contract_id: contract_id(),
        client_id: client_id(),
        payee_id: payee_id(),
        amount: minor(WORTH),
        currency: Currency::USD,
        review_days: 14,
        refund_request_days: 7,
        due_at: None,
        reference: None,
    };
    let (key, reason) = block();
    let mut commands = vec![
        M::Plan { plan },
        M::Amend { amount: minor(WORTH + 10), due_at: None, review_days: 7 },
        M::RecordFundingFailure { funding_id: funding_id(6), reason: "card_declined".to_owned() },
        M::Cancel,
        M::SubmitWork,
        M::WithdrawSubmission,
        M::RequestChanges { note_ref: None },
        M::Approve { amount: None, currency: None },
        M::AutoApprove,
        M::ExpectMoney { contract_id: contract_id(), from: milestone_id(5) },
        M::AcceptRollForward,
        M::RejectRollForward,
        M::RecordMovedIn { contract_id: contract_id(), from: None, amount: minor(1) },
        M::AcceptRefund,
        M::RejectRefund { dispute_id: dispute_id() },
        M::AgreeRefundByTime,
        M::ReachHoldLimit { funding_id: funding_id(6) },
        M::OpenDispute { dispute_id: dispute_id() },
        M::ResumeAfterDispute { dispute_id: dispute_id() },
        M::RestartClock { stopped_at: now() },
        M::Suspend { chargeback_id: chargeback_id() },
        M::Resume { chargeback_id: chargeback_id() },
        M::BlockTimer { key, reason },
    ];
    for (number, amount) in [(6, WORTH), (6, 10)] {
        let (funding_id, pointer) = (funding_id(number), String::new());
        let (contract_id, amount) = (contract_id(), minor(amount));
        commands.push(M::RequestFunding { contract_id, funding_id, amount, pointer });
        commands.push(M::RecordFunded { funding_id, amount });
    }
    let to = milestone_id(5);
    for remainder in [Remainder::Keep, Remainder::RollForward { milestone_id: to }, Remainder::RefundRequest] {
        commands.push(M::ApprovePartially { gross: minor(PART), currency: None, remainder });
    }
    // A part, the rest, all of it; releases and refunds are named after the milestone and their number.
    for amount in [PART, WORTH - PART, WORTH] {
        for number in [1, 2] {
            let release_id = ReleaseId::derived(id(4), &format!("release/{number}"));
            let refund_id = RefundId::derived(id(4), &format!("refund/{number}"));
            commands.push(M::RecordRelease { release_id, gross: minor(amount), net: minor(amount) });
            commands.push(M::RecordRefund { refund_id, amount: minor(amount) });
        }
        commands.push(M::RecordMovedOut { to, amount: minor(amount) });
        commands.push(M::RequestRefund { amount: Some(minor(amount)), currency: None });
        commands.push(M::GrantRefund { amount: Some(minor(amount)), currency: None });
    }
    for cause in [LossCause::FundingLost, LossCause::FundingReturned] {
        commands.push(M::RecordFundingLost { funding_id: funding_id(6), cause, amount: minor(WORTH) });
    }
    for to in [Role::Client, Role::Payee] {
        commands.push(M::End { to, cause: EndCause::Agreed });
    }
    explore::<Milestone>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Milestone })
}

/// What banks do with the first payment.
fn of_banks(place: &PspPlace) -> Vec<E> {
    vec![
        E::NoteChargeback { chargeback_id: chargeback_id(), funding_id: funding_id(6), inquiry: true },
        E::NoteChargeback { chargeback_id: chargeback_id(), funding_id: funding_id(6), inquiry: false },
        E::HoldForChargeback { chargeback_id: chargeback_id(), amount: minor(WORTH) },
        E::HoldForChargeback { chargeback_id: chargeback_id(), amount: minor(0) },
        E::AbsorbChargeback { chargeback_id: chargeback_id(), funding_id: funding_id(6), amount: minor(WORTH) },
        E::ClearChargeback { chargeback_id: chargeback_id() },
        E::RecordFundingReturn { funding_id: funding_id(6), amount: minor(WORTH), place: place.clone() },
    ]
}

pub fn escrow() -> Found {
    let place = PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
    let request = |number, allocations: &[(u128, i64)], deposit| E::RequestFunding {
        funding_id: funding_id(number),
        allocations: allocations.iter().map(|(number, amount)| (milestone_id(*number), minor(*amount))).collect(),
        deposit: minor(deposit),
        currency: Currency::USD,
        paid_from: PaidFrom::Provider,
        payment_method: "pm_card_visa".to_owned(),
    };
    let refund = |milestone_id, amount| E::InitiateRefund {
        refund_id: RefundId::from_uuid(id(11)),
        milestone_id,
        amount: minor(amount),
        reason: RefundReason::Agreed,
    };
    let open = E::Open {
        contract_id: contract_id(),
        client_id: client_id(),
        payee_id: payee_id(),
        currency: Currency::USD,
        fee_schedule: FeeSchedule::two_sided(),
        policy: Policy::default(),
    };
    let mut banks = vec![open.clone(), request(6, &[(4, WORTH)], 0)];
    banks.push(E::RecordFunding { funding_id: funding_id(6), place: place.clone(), charge: None, settled: None });
    banks.extend(of_banks(&place));
    let (key, reason) = block();
    let mut commands = vec![
        open,
        request(6, &[(4, WORTH)], PART),
        request(16, &[(4, WORTH)], 0),
        E::RecordWalletFunding {
            funding_id: funding_id(26),
            allocations: vec![Allocation {
                milestone_id: milestone_id(4),
                amount: minor(WORTH),
                client_fee: minor(5000),
            }],
            deposit: Deposit::default(),
            initiation_fee: minor(0),
            tax: None,
            source_event_id: EventId::from_uuid(id(70)),
        },
        refund(Some(milestone_id(4)), WORTH),
        refund(None, PART),
        E::PlaceDisputeHold { dispute_id: dispute_id(), milestone_id: milestone_id(4), amount: minor(WORTH) },
        E::LiftDisputeHold { dispute_id: dispute_id() },
        E::Freeze { reason: "court_order".to_owned(), legal_ref: None },
        E::Unfreeze,
        E::Close,
        E::BlockTimer { key, reason },
    ];
    commands.extend(of_banks(&place));
    for from in [None, Some(milestone_id(4))] {
        commands.push(E::Reallocate {
            reallocation_id: ReallocationId::from_uuid(id(12)),
            from,
            to: milestone_id(5),
            amount: minor(PART),
            consent: vec![client_id(), payee_id()],
        });
    }
    for number in [6, 16] {
        let funding_id = funding_id(number);
        commands.extend([
            E::RecordFunding { funding_id, place: place.clone(), charge: None, settled: None },
            E::WarnOfHoldLimit { funding_id, days_left: 30 },
            E::ReachHoldLimit { funding_id },
            E::RefundAtHoldLimit { funding_id, milestone_id: milestone_id(4) },
        ]);
    }
    for (number, gross) in [(7, PART), (17, WORTH)] {
        let (release_id, milestone_id) = (ReleaseId::from_uuid(id(number)), milestone_id(4));
        commands.push(E::Release { release_id, milestone_id, gross: minor(gross), reason: ReleaseReason::Approved });
    }
    for gross in [PART, WORTH] {
        commands.push(E::ReturnRelease {
            refund_id: RefundId::from_uuid(id(13)),
            milestone_id: milestone_id(4),
            gross: minor(gross),
            currency: None,
        });
    }
    for (number, kind) in [(36, GratuityKind::Bonus), (46, GratuityKind::Tip)] {
        commands.push(E::RequestGratuity {
            funding_id: funding_id(number),
            kind,
            amount: minor(PART),
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        });
    }
    let of = |commands| explore::<Escrow>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Escrow });
    of(commands).and(of(banks))
}
