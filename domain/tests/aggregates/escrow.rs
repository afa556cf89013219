//! Escrow.

use domain::actor::Actor;
use domain::escrow::{Escrow, EscrowCommand as C, PaidFrom, PspPlace, ReleaseReason};
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, MilestoneId, ReleaseId};
use domain::policy::{FeeSchedule, Policy};
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
    C::RecordFunding { funding_id: FundingId::from_uuid(id(funding)), place, charge: None }
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
