//! Money that comes in: what the client has to pay, and what arrived.

use std::collections::BTreeSet;

use ledger::{Currency, Minor, closing_share};

use super::only_client;
use crate::escrow::timers::hold_limit;
use crate::escrow::{
    Allocation, Deposit, EscrowCommand, EscrowEvent, FeeTax, Holdings, PaidFrom, RejectionReason, RequestedFunding,
};
use crate::fee::{FeeSchedule, Part, TaxLine};
use crate::id::{FundingId, MilestoneId};
use crate::policy::hours_after;
use crate::refusal::Refusal;
use crate::rules::Context;

/// Longest token of a payment method; Stripe's have about 27 characters.
const MAX_PAYMENT_METHOD_LENGTH: usize = 128;

pub(super) fn request(
    holdings: &Holdings,
    command: &EscrowCommand,
    pair_billed: Option<Minor>,
    failed: &[FundingId],
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let EscrowCommand::RequestFunding { funding_id, allocations: wanted, deposit, currency, paid_from, payment_method } =
        command
    else {
        return Ok(Vec::new());
    };
    only_client(holdings, context, "pay into an escrow")?;
    right_currency(holdings, *currency)?;
    if holdings.requested.contains_key(funding_id) || holdings.fundings.contains_key(funding_id) {
        return Ok(Vec::new());
    }
    if *paid_from == PaidFrom::Provider {
        check_payment_method(payment_method)?;
    }
    if wanted.is_empty() && deposit.is_zero() {
        return Err(Refusal::invalid("/allocations", "must name at least one milestone"));
    }
    check_amounts(wanted)?;
    small_enough(*deposit)?;

    let fees_of = |id: &MilestoneId| holdings.milestone(*id).map(|holding| holding.fees).unwrap_or_default();
    let mut parts: Vec<_> = wanted.iter().map(|(id, amount)| Part { amount: *amount, before: fees_of(id) }).collect();
    if !deposit.is_zero() {
        parts.push(Part { amount: *deposit, before: holdings.unallocated_fees });
    }
    let schedule = &holdings.fee_schedule;
    let initiation = initiation_is_due(holdings, wanted, failed);
    let billed = holdings.standing(pair_billed);
    let due = schedule.charge(holdings.currency, &parts, &holdings.contract_fees, billed, initiation)?;
    let by_wallet = *paid_from == PaidFrom::Wallet;
    let (charge, surplus) = if by_wallet { (due.total, Minor::ZERO) } else { (due.charge, due.surplus) };
    small_enough(charge)?;
    let mut fees = due.client_fees.iter().copied();
    let allocations = wanted
        .iter()
        .map(|(milestone_id, amount)| Allocation {
            milestone_id: *milestone_id,
            amount: *amount,
            client_fee: fees.next().unwrap_or_default(),
        })
        .collect();
    let deposit = Deposit { amount: *deposit, client_fee: fees.next().unwrap_or_default() };
    Ok(vec![EscrowEvent::FundingRequested {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id: *funding_id,
        currency: holdings.currency,
        allocations,
        client_fee: due.client_fee,
        amount_due: due.total,
        surplus_to_wallet: surplus,
        charge,
        payment_method: if by_wallet { String::new() } else { payment_method.clone() },
        deposit,
        initiation_fee: due.initiation_fee,
        tax: client_tax(schedule, due.tax),
        paid_from: *paid_from,
        expires_at: (!by_wallet).then(|| hours_after(context.now, holdings.policy.funding_intent_hours)),
    }])
}

/// A tax on what the client pays on top, as the books want it; `None` where there is none.
pub(super) fn client_tax(schedule: &FeeSchedule, amount: Minor) -> Option<FeeTax> {
    let tax = schedule.tax.client.as_ref().filter(|_| !amount.is_zero())?;
    let line = TaxLine { jurisdiction: tax.jurisdiction.clone(), percent: tax.percent, amount };
    Some(FeeTax { line, deferred: !schedule.tax.deferred(amount).is_zero() })
}

/// Once per contract, with the first funding. Another request may carry it already; unless that one has failed, as it has
/// when it is for milestones that this one is for, too.
fn initiation_is_due(holdings: &Holdings, wanted: &[(MilestoneId, Minor)], failed: &[FundingId]) -> bool {
    let replaced = |id: &MilestoneId| wanted.iter().any(|(wanted, _)| wanted == id);
    let carried = holdings.requested.iter().any(|(funding_id, requested)| {
        !requested.initiation_fee.is_zero()
            && !failed.contains(funding_id)
            && !requested.allocations.iter().any(|allocation| replaced(&allocation.milestone_id))
    });
    !initiation_is_taken(holdings) && !carried
}

/// Whether the initiation fee has been paid, and was not given back.
fn initiation_is_taken(holdings: &Holdings) -> bool {
    let earned = holdings.milestones.values().any(|holding| !holding.released.is_zero());
    earned || !holdings.contract_fees.initiation_fee_deferred().is_zero()
}

/// What is taken of a payment on top: initiation fee, tax, and what goes to the wallet. A payment that succeeds after it
/// had failed may carry an initiation fee that another has paid since: that goes to the wallet, with the tax on it.
fn taken_on_top(holdings: &Holdings, requested: &RequestedFunding) -> (Minor, Option<FeeTax>, Minor) {
    let (initiation_fee, surplus) = (requested.initiation_fee, requested.surplus_to_wallet);
    if initiation_fee.is_zero() || !initiation_is_taken(holdings) {
        return (initiation_fee, requested.tax.clone(), surplus);
    }
    let tax = requested.tax.as_ref().map_or(Minor::ZERO, |tax| tax.line.amount);
    let fees = requested.client_fee.saturating_add(initiation_fee);
    let tax_on_it = closing_share(tax, initiation_fee, fees, Minor::ZERO).unwrap_or_default();
    let rest = tax.saturating_sub(tax_on_it);
    let with_rest = |tax: &FeeTax| FeeTax { line: TaxLine { amount: rest, ..tax.line.clone() }, ..tax.clone() };
    let left = requested.tax.as_ref().filter(|_| !rest.is_zero()).map(with_rest);
    (Minor::ZERO, left, surplus.saturating_add(initiation_fee).saturating_add(tax_on_it))
}

pub(super) fn right_currency(holdings: &Holdings, received: Currency) -> Result<(), Refusal> {
    let expected = holdings.currency;
    if received == expected { Ok(()) } else { Err(Refusal::CurrencyMismatch { expected, received }) }
}

pub(crate) fn small_enough(amount: Minor) -> Result<(), Refusal> {
    if amount > Minor::MAX_INPUT { Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT }) } else { Ok(()) }
}

pub(crate) fn check_payment_method(payment_method: &str) -> Result<(), Refusal> {
    let token_like = payment_method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if payment_method.is_empty() || payment_method.len() > MAX_PAYMENT_METHOD_LENGTH || !token_like {
        return Err(Refusal::invalid(
            "/payment_method",
            "must be a payment method token of the provider, like pm_1A2b",
        ));
    }
    // A card number is digits only; a token of the provider never is.
    if payment_method.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::invalid("/payment_method", "must be a token of the provider, never a card number"));
    }
    Ok(())
}

fn check_amounts(wanted: &[(MilestoneId, Minor)]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for (index, (milestone_id, amount)) in wanted.iter().enumerate() {
        if !seen.insert(*milestone_id) {
            return Err(Refusal::invalid(format!("/allocations/{index}/milestone_id"), "appears twice"));
        }
        if amount.is_zero() {
            return Err(Refusal::invalid(format!("/allocations/{index}/amount"), "must be greater than zero"));
        }
        small_enough(*amount)?;
    }
    Ok(())
}

pub(super) fn record(holdings: &Holdings, command: &EscrowCommand, context: &Context) -> Vec<EscrowEvent> {
    let EscrowCommand::RecordFunding { funding_id, place, charge, settled } = command else {
        return Vec::new();
    };
    // Held or rejected before: a fact told again.
    let Some(requested) = holdings.requested.get(funding_id) else {
        return Vec::new();
    };
    let awaited = requested.allocations.iter().all(|allocation| {
        holdings.milestone(allocation.milestone_id).is_some_and(|holding| holding.awaited == Some(*funding_id))
    });
    if !awaited {
        return vec![rejected(holdings, *funding_id, RejectionReason::Superseded)];
    }
    let (initiation_fee, tax, surplus_to_wallet) = taken_on_top(holdings, requested);
    vec![EscrowEvent::Funded {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id: *funding_id,
        currency: holdings.currency,
        allocations: requested.allocations.clone(),
        client_fee: requested.client_fee,
        surplus_to_wallet,
        place: place.clone(),
        deposit: requested.deposit,
        initiation_fee,
        tax,
        charge: charge.clone(),
        hold_limit: Some(hold_limit(&holdings.policy, context.now)),
        settled: *settled,
    }]
}

pub(super) fn record_after_the_end(holdings: &Holdings, funding_id: FundingId) -> Vec<EscrowEvent> {
    match holdings.requested.get(&funding_id) {
        Some(_) => vec![rejected(holdings, funding_id, RejectionReason::EscrowClosed)],
        // Held or rejected before: a fact told again.
        None => Vec::new(),
    }
}

pub(super) fn record_wallet(holdings: &Holdings, command: &EscrowCommand) -> Vec<EscrowEvent> {
    let EscrowCommand::RecordWalletFunding { funding_id, allocations, deposit, initiation_fee, tax, source_event_id } =
        command
    else {
        return Vec::new();
    };
    if holdings.fundings.contains_key(funding_id) {
        return Vec::new();
    }
    vec![EscrowEvent::WalletFundingNoted {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id: *funding_id,
        currency: holdings.currency,
        allocations: allocations.clone(),
        deposit: *deposit,
        initiation_fee: *initiation_fee,
        tax: tax.clone(),
        source_event_id: *source_event_id,
    }]
}

fn rejected(holdings: &Holdings, funding_id: FundingId, reason: RejectionReason) -> EscrowEvent {
    EscrowEvent::FundingRejected { contract_id: holdings.contract_id, funding_id, reason }
}
