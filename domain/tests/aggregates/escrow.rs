//! Escrow.

use domain::actor::{Actor, StaffRole};
use domain::escrow::{
    Allocation, Deposit, Escrow, EscrowCommand as C, GratuityKind, PaidFrom, PspPlace, RefundReason, ReleaseReason,
};
use domain::event::DomainEvent;
use domain::id::{
    ContractId, DisputeId, EventId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use domain::policy::{FeeSchedule, HoldAction, Policy};
use ledger::{Currency, Minor};

use super::{SYSTEM, after, client_id, id, minor, payee_id, table, table_of};

const WORTH: i64 = 100_000;

fn milestone(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(id(number))
}

fn open() -> C {
    C::Open {
        contract_id: ContractId::from_uuid(id(3)),
        client_id: client_id(),
        payee_id: payee_id(),
        currency: Currency::USD,
        fee_schedule: FeeSchedule::two_sided(),
        policy: Policy::default(),
    }
}

fn request(funding: u128, allocations: &[(u128, i64)]) -> C {
    C::RequestFunding {
        funding_id: FundingId::from_uuid(id(funding)),
        allocations: allocations.iter().map(|(number, amount)| (milestone(*number), minor(*amount))).collect(),
        deposit: minor(0),
        currency: Currency::USD,
        paid_from: PaidFrom::Provider,
        payment_method: "pm_card_visa".to_owned(),
    }
}

/// The same request with something wrong in it.
fn request_but(change: impl FnOnce(&mut Currency, &mut String)) -> C {
    let mut command = request(26, &[(4, WORTH)]);
    if let C::RequestFunding { currency, payment_method, .. } = &mut command {
        change(currency, payment_method);
    }
    command
}

fn record(funding: u128) -> C {
    let place = PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
    C::RecordFunding { funding_id: FundingId::from_uuid(id(funding)), place, charge: None, settled: None }
}

fn release(number: u128, gross: i64) -> C {
    release_as(7, number, gross)
}

/// A release that led to a state: told again, it would be known by its id.
fn earlier(number: u128, gross: i64) -> C {
    release_as(8, number, gross)
}

fn release_as(release: u128, number: u128, gross: i64) -> C {
    C::Release {
        release_id: ReleaseId::from_uuid(id(release)),
        milestone_id: milestone(number),
        gross: minor(gross),
        reason: ReleaseReason::Approved,
    }
}

const FINANCE: Actor = Actor::Staff(StaffRole::Finance, PartyId::from_uuid(uuid::Uuid::from_u128(98)));

/// As [`open`], with this done at the provider's limit.
fn open_with(action: HoldAction) -> C {
    let mut command = open();
    if let C::Open { policy, .. } = &mut command {
        policy.psp_hold.action = action;
    }
    command
}

fn deposit() -> C {
    let mut command = request(6, &[]);
    if let C::RequestFunding { deposit, .. } = &mut command {
        *deposit = minor(WORTH);
    }
    command
}

fn by_wallet() -> C {
    C::RecordWalletFunding {
        funding_id: FundingId::from_uuid(id(36)),
        allocations: vec![Allocation {
            milestone_id: milestone(4),
            amount: minor(WORTH),
            client_fee: minor(WORTH / 20),
        }],
        deposit: Deposit::default(),
        initiation_fee: minor(0),
        tax: None,
        source_event_id: EventId::from_uuid(id(70)),
    }
}

fn refund(from: Option<u128>, amount: i64) -> C {
    C::InitiateRefund {
        refund_id: RefundId::from_uuid(id(50)),
        milestone_id: from.map(milestone),
        amount: minor(amount),
        reason: RefundReason::Agreed,
    }
}

fn reallocate(from: Option<u128>, amount: i64, consent: &[PartyId]) -> C {
    C::Reallocate {
        reallocation_id: ReallocationId::from_uuid(id(51)),
        from: from.map(milestone),
        to: milestone(5),
        amount: minor(amount),
        consent: consent.to_vec(),
    }
}

fn lock(dispute: u128) -> C {
    C::PlaceDisputeHold {
        dispute_id: DisputeId::from_uuid(id(dispute)),
        milestone_id: milestone(4),
        amount: minor(WORTH),
    }
}

fn lift(dispute: u128) -> C {
    C::LiftDisputeHold { dispute_id: DisputeId::from_uuid(id(dispute)) }
}

fn freeze() -> C {
    C::Freeze { reason: "court_order".to_owned(), legal_ref: Some("1 BvR 1/26".to_owned()) }
}

fn give_back(refund: u128, gross: i64) -> C {
    C::ReturnRelease {
        refund_id: RefundId::from_uuid(id(refund)),
        milestone_id: milestone(4),
        gross: minor(gross),
        currency: None,
    }
}

fn tip(funding: u128) -> C {
    C::RequestGratuity {
        funding_id: FundingId::from_uuid(id(funding)),
        kind: GratuityKind::Tip,
        amount: minor(1000),
        currency: Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
    }
}

fn block() -> C {
    C::BlockTimer { key: format!("psp_hold/{}/30", FundingId::from_uuid(id(6))), reason: "internal_error".to_owned() }
}

fn warn() -> C {
    C::WarnOfHoldLimit { funding_id: FundingId::from_uuid(id(6)), days_left: 14 }
}

fn reach() -> C {
    C::ReachHoldLimit { funding_id: FundingId::from_uuid(id(6)) }
}

/// What can be done with money that is held, by what has become of it.
fn states_of_money() -> Vec<(&'static str, Escrow)> {
    let client = Actor::Client(client_id());
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| [before, more].concat();
    let begun = |action| vec![(SYSTEM, open_with(action))];
    let held = |action| then(&begun(action), &[(client, request(6, &[(4, WORTH)])), (SYSTEM, record(6))]);
    let kept = held(HoldAction::Refund);
    let locked = then(&kept, &[(client, lock(9))]);
    let released = then(&kept, &[(SYSTEM, earlier(4, WORTH))]);
    let deposited = then(&begun(HoldAction::Refund), &[(client, deposit()), (SYSTEM, record(6))]);
    let frozen = |before: &[(Actor, C)]| after(&then(before, &[(FINANCE, freeze())]));
    vec![
        ("not_opened", Escrow::default()),
        ("open", after(&begun(HoldAction::Refund))),
        ("held", after(&kept)),
        ("held (warned)", after(&then(&kept, &[(SYSTEM, warn())]))),
        ("held (timer blocked)", after(&then(&kept, &[(SYSTEM, block())]))),
        ("held (paid at the limit if submitted)", after(&held(HoldAction::ReleaseIfSubmitted))),
        ("held (operator at the limit)", after(&held(HoldAction::Operator))),
        ("deposit", after(&deposited)),
        ("disputed", after(&locked)),
        ("dispute over", after(&then(&locked, &[(SYSTEM, lift(9))]))),
        ("frozen", frozen(&kept)),
        ("frozen (deposit)", frozen(&deposited)),
        ("frozen (disputed)", frozen(&locked)),
        ("released", after(&released)),
        (
            "released (half given back)",
            after(&then(&released, &[(Actor::Payee(payee_id()), give_back(52, WORTH / 2))])),
        ),
        ("refunded", after(&then(&kept, &[(SYSTEM, refund(Some(4), WORTH))]))),
        ("closed", after(&then(&released, &[(SYSTEM, C::Close)]))),
    ]
}

/// D-45, D-86, D-77, D-28: everything beside the usual way, in each of those states.
#[test]
fn what_becomes_of_money_that_is_held() {
    let both = [client_id(), payee_id()];
    let commands = [
        ("RecordWalletFunding", by_wallet()),
        ("InitiateRefund", refund(Some(4), WORTH)),
        ("InitiateRefund of more", refund(Some(4), WORTH + 1)),
        ("InitiateRefund of nothing", refund(Some(4), 0)),
        ("InitiateRefund of the deposit", refund(None, WORTH)),
        ("Reallocate", reallocate(Some(4), WORTH, &both)),
        ("Reallocate with the client's consent alone", reallocate(Some(4), WORTH, &both[..1])),
        ("Reallocate of the deposit", reallocate(None, WORTH, &both[..1])),
        ("PlaceDisputeHold", lock(9)),
        ("PlaceDisputeHold of another dispute", lock(19)),
        ("LiftDisputeHold", lift(9)),
        ("LiftDisputeHold of another dispute", lift(19)),
        ("Release", release(4, WORTH)),
        ("Freeze", freeze()),
        ("Unfreeze", C::Unfreeze),
        ("WarnOfHoldLimit", warn()),
        ("ReachHoldLimit", reach()),
        (
            "RefundAtHoldLimit",
            C::RefundAtHoldLimit { funding_id: FundingId::from_uuid(id(6)), milestone_id: milestone(4) },
        ),
        ("ReturnRelease", give_back(53, WORTH / 2)),
        ("ReturnRelease of more", give_back(53, WORTH + 1)),
        ("RequestGratuity", tip(60)),
        ("Close", C::Close),
        ("BlockTimer", block()),
    ];
    insta::assert_snapshot!(table(&states_of_money(), &commands, DomainEvent::Escrow), @r"
    RecordWalletFunding
      closed: refused contract_wrong_state
      not_opened: refused not_found
      otherwise: escrow.wallet_funding_noted
    InitiateRefund
      refunded: nothing
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      open, deposit, released, released (half given back), closed: refused exceeds_held
      disputed: refused milestone_disputed
      not_opened: refused not_found
      otherwise: escrow.refund_initiated
    InitiateRefund of more
      refunded: nothing
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      disputed: refused milestone_disputed
      not_opened: refused not_found
      otherwise: refused exceeds_held
    InitiateRefund of nothing
      refunded: nothing
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      open, deposit: refused exceeds_held
      disputed: refused milestone_disputed
      not_opened: refused not_found
      otherwise: refused validation_failed
    InitiateRefund of the deposit
      deposit: escrow.refund_initiated
      refunded: nothing
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Reallocate by client, client as payee, payee, payee as client, staff, system
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      open, deposit, released, released (half given back), refunded, closed: refused exceeds_held
      disputed: refused milestone_disputed
      not_opened: refused not_found
      otherwise: escrow.funds_reallocated, escrow.fees_reallocated
    Reallocate by outsider
      always: refused not_found
    Reallocate with the client's consent alone by client, client as payee, payee, payee as client, staff, system
      not_opened: refused not_found
      otherwise: refused consent_required
    Reallocate with the client's consent alone by outsider
      always: refused not_found
    Reallocate of the deposit by client, client as payee, payee, payee as client, staff, system
      deposit: escrow.funds_reallocated
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Reallocate of the deposit by outsider
      always: refused not_found
    PlaceDisputeHold
      held, held (warned), held (timer blocked), held (paid at the limit if submitted), held (operator at the limit), frozen: escrow.dispute_hold_placed
      disputed, frozen (disputed): nothing
      not_opened: refused not_found
      dispute over: refused validation_failed
      otherwise: refused exceeds_held
    PlaceDisputeHold of another dispute
      open, deposit, frozen (deposit), released, released (half given back), refunded, closed: refused exceeds_held
      disputed, frozen (disputed): refused milestone_disputed
      not_opened: refused not_found
      otherwise: escrow.dispute_hold_placed
    LiftDisputeHold
      disputed, frozen (disputed): escrow.dispute_hold_lifted
      dispute over: nothing
      otherwise: refused not_found
    LiftDisputeHold of another dispute
      always: refused not_found
    Release
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      open, deposit, released, released (half given back), refunded, closed: refused exceeds_held
      disputed: refused milestone_disputed
      not_opened: refused not_found
      otherwise: escrow.released
    Freeze by client, client as payee, payee, payee as client, system
      not_opened: refused not_found
      otherwise: refused forbidden
    Freeze by outsider
      always: refused not_found
    Freeze by staff
      closed: refused contract_wrong_state
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      not_opened: refused not_found
      otherwise: escrow.frozen
    Unfreeze by client, client as payee, payee, payee as client, system
      not_opened: refused not_found
      otherwise: refused forbidden
    Unfreeze by outsider
      always: refused not_found
    Unfreeze by staff
      frozen, frozen (deposit), frozen (disputed): escrow.unfrozen
      not_opened: refused not_found
      otherwise: refused escrow_not_frozen
    WarnOfHoldLimit
      open, held (warned), held (timer blocked): nothing
      not_opened: refused not_found
      otherwise: escrow.hold_limit_warned
    ReachHoldLimit
      held, held (warned), deposit, dispute over: escrow.hold_limit_reached, escrow.refund_initiated
      open, held (timer blocked), released, released (half given back), refunded, closed: nothing
      not_opened: refused not_found
      otherwise: escrow.hold_limit_reached
    RefundAtHoldLimit
      held, held (warned), held (timer blocked), held (paid at the limit if submitted), held (operator at the limit), dispute over: escrow.refund_initiated
      frozen, frozen (deposit), frozen (disputed): refused escrow_frozen
      not_opened: refused not_found
      otherwise: nothing
    ReturnRelease by client, client as payee, payee as client
      not_opened: refused not_found
      otherwise: refused forbidden
    ReturnRelease by payee
      released, released (half given back), closed: escrow.release_returned
      not_opened: refused not_found
      otherwise: refused exceeds_released
    ReturnRelease by outsider, staff, system
      always: refused not_found
    ReturnRelease of more by client, client as payee, payee as client
      not_opened: refused not_found
      otherwise: refused forbidden
    ReturnRelease of more by payee
      not_opened: refused not_found
      otherwise: refused exceeds_released
    ReturnRelease of more by outsider, staff, system
      always: refused not_found
    RequestGratuity by client
      not_opened: refused not_found
      otherwise: escrow.gratuity_requested
    RequestGratuity by client as payee, payee, payee as client
      not_opened: refused not_found
      otherwise: refused forbidden
    RequestGratuity by outsider, staff, system
      always: refused not_found
    Close
      deposit: escrow.refund_initiated, escrow.closed
      closed: nothing
      held, held (warned), held (timer blocked), held (paid at the limit if submitted), held (operator at the limit), disputed, dispute over: refused contract_wrong_state
      not_opened: refused not_found
      otherwise: escrow.closed
    BlockTimer
      not_opened: refused not_found
      otherwise: escrow.timer_blocked
    ");
}

fn states() -> Vec<(&'static str, Escrow)> {
    let client = Actor::Client(client_id());
    let then = |before: &[(Actor, C)], more: &[(Actor, C)]| [before, more].concat();
    let opened = vec![(SYSTEM, open())];
    let requested = then(&opened, &[(client, request(6, &[(4, WORTH)]))]);
    let held = then(&requested, &[(SYSTEM, record(6))]);
    let partly = then(&held, &[(SYSTEM, earlier(4, WORTH / 2))]);
    let empty = then(&held, &[(SYSTEM, earlier(4, WORTH))]);
    // A second payment for the same milestone is on its way, and a third one when the escrow closes.
    let again = then(&requested, &[(client, request(16, &[(4, WORTH)]))]);
    vec![
        ("not_opened", Escrow::default()),
        ("open", after(&opened)),
        ("requested 6", after(&requested)),
        ("requested 16 after 6", after(&again)),
        ("held", after(&held)),
        ("half released", after(&partly)),
        ("all released", after(&empty)),
        ("closed", after(&then(&empty, &[(SYSTEM, C::Close)]))),
        ("closed (16 on its way)", after(&then(&empty, &[(client, request(16, &[(5, 1)])), (SYSTEM, C::Close)]))),
    ]
}

#[test]
fn what_an_escrow_does_in_each_state() {
    let commands = [
        ("Open", open()),
        ("RequestFunding", request(26, &[(4, WORTH)])),
        ("RecordFunding 6", record(6)),
        ("RecordFunding 16", record(16)),
        ("RecordFunding that nobody asked for", record(99)),
        ("Release half", release(4, WORTH / 2)),
        ("Release all", release(4, WORTH)),
        ("Release more", release(4, WORTH + 1)),
        ("Release of a milestone without money", release(5, 1)),
        ("Close", C::Close),
    ];
    insta::assert_snapshot!(table(&states(), &commands, DomainEvent::Escrow), @r"
    Open
      not_opened: escrow.opened
      otherwise: refused internal_error
    RequestFunding by client
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: escrow.funding_requested
    RequestFunding by client as payee, payee, payee as client
      not_opened: refused contract_wrong_state
      otherwise: refused forbidden
    RequestFunding by outsider, staff, system
      not_opened: refused contract_wrong_state
      otherwise: refused not_found
    RecordFunding 6
      requested 6: escrow.funded
      requested 16 after 6: escrow.funding_rejected
      not_opened: refused not_found
      otherwise: nothing
    RecordFunding 16
      requested 16 after 6: escrow.funded
      not_opened: refused not_found
      otherwise: nothing
    RecordFunding that nobody asked for
      not_opened: refused not_found
      otherwise: nothing
    Release half
      held, half released: escrow.released
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Release all
      held: escrow.released
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Release more
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Release of a milestone without money
      not_opened: refused not_found
      otherwise: refused exceeds_held
    Close
      closed, closed (16 on its way): nothing
      held, half released: refused contract_wrong_state
      not_opened: refused not_found
      otherwise: escrow.closed
    ");
}

#[test]
fn what_an_escrow_makes_of_a_request_to_pay() {
    let most = Minor::MAX_INPUT.get();
    let requests = [
        ("for nothing", request(26, &[])),
        ("of zero", request(26, &[(4, 0)])),
        ("twice for one milestone", request(26, &[(4, 1), (4, 1)])),
        ("of the most there is, and its fee", request(26, &[(4, most)])),
        ("of more than the most", request(26, &[(4, most + 1)])),
        ("in another currency", request_but(|currency, _| *currency = Currency::EUR)),
        ("without a token", request_but(|_, token| token.clear())),
        ("with a card number", request_but(|_, token| "4242424242424242".clone_into(token))),
        ("with words", request_but(|_, token| "Jane's card".clone_into(token))),
        ("with a token of 128 characters", request_but(|_, token| *token = "a".repeat(128))),
        ("with a token of 129 characters", request_but(|_, token| *token = "a".repeat(129))),
    ];
    let client = Actor::Client(client_id());
    insta::assert_snapshot!(table_of(client, &states(), &requests, DomainEvent::Escrow), @r"
    for nothing
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    of zero
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    twice for one milestone
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    of the most there is, and its fee
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused amount_too_large
    of more than the most
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused amount_too_large
    in another currency
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused currency_mismatch
    without a token
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    with a card number
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    with words
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    with a token of 128 characters
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: escrow.funding_requested
    with a token of 129 characters
      not_opened, closed, closed (16 on its way): refused contract_wrong_state
      otherwise: refused validation_failed
    ");
}

/// R5: money added after a release lowers the share of the fee that is due; what was earned stays earned.
#[test]
fn a_fee_that_was_earned_is_not_given_back_when_money_is_added() {
    let client = Actor::Client(client_id());
    let escrow: Escrow = after(&[
        (SYSTEM, open()),
        (client, request(6, &[(4, 10)])),
        (SYSTEM, record(6)),
        // 0.5 of 1, rounded up.
        (SYSTEM, release_as(7, 4, 5)),
        (client, request(16, &[(4, 9)])),
        (SYSTEM, record(16)),
        // 6/19 of 1, which is none.
        (SYSTEM, release_as(8, 4, 1)),
        (SYSTEM, release_as(9, 4, 13)),
    ]);
    let holding = &escrow.holdings().unwrap().milestones[&milestone(4)];
    assert_eq!((holding.fees.client_fee, holding.client_fee_earned, holding.held), (minor(1), minor(1), minor(0)));
}
