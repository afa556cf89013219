//! Bonuses and tips: paid by the client for the payee, never held.

use ledger::Minor;

use super::funding::{check_payment_method, right_currency, small_enough};
use super::only_client;
use super::release::withheld;
use crate::escrow::{EscrowCommand, EscrowEvent, Gratuity, GratuityKind, Holdings};
use crate::fee::{ContractFees, FeeSchedule, MilestoneFees, Part, Standing, TaxLine};
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn request(
    holdings: &Holdings,
    command: &EscrowCommand,
    pair_billed: Option<Minor>,
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let EscrowCommand::RequestGratuity { funding_id, kind, amount, currency, payment_method } = command else {
        return Ok(Vec::new());
    };
    only_client(holdings, context, "pay a bonus or a tip")?;
    right_currency(holdings, *currency)?;
    if holdings.done.gratuities.contains(funding_id) {
        return Ok(Vec::new());
    }
    check_payment_method(payment_method)?;
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    small_enough(*amount)?;
    let window = holdings.closed_at.map(|closed_at| days_after(closed_at, holdings.policy.bonus_window_days));
    if let Some(closed_at) = window.filter(|closes_at| context.now >= *closes_at) {
        return Err(Refusal::BonusWindowClosed { closed_at });
    }
    let (gratuity, charge) = match kind {
        GratuityKind::Bonus => with_fees(holdings, *amount, holdings.standing(pair_billed), context)?,
        GratuityKind::Tip => {
            let charge = holdings.currency.round_up_to_charge(*amount)?;
            let tip = Gratuity {
                kind: GratuityKind::Tip,
                gross: *amount,
                payee_fee: Minor::ZERO,
                net: *amount,
                client_fee: Minor::ZERO,
                withheld: None,
                taxes: Vec::new(),
                surplus_to_wallet: charge.checked_sub(*amount)?,
                clearance_days: holdings.policy.clearance_days,
            };
            (tip, charge)
        }
    };
    small_enough(charge)?;
    Ok(vec![EscrowEvent::GratuityRequested {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        payee_id: holdings.payee_id,
        funding_id: *funding_id,
        currency: holdings.currency,
        gratuity,
        charge,
        payment_method: payment_method.clone(),
    }])
}

/// A bonus costs what a milestone of that amount would.
fn with_fees(
    holdings: &Holdings,
    amount: Minor,
    billed: Minor,
    context: &Context,
) -> Result<(Gratuity, Minor), Refusal> {
    let schedule = &holdings.fee_schedule;
    let (part, none) = (Part { amount, before: MilestoneFees::default() }, ContractFees::default());
    let due = schedule.charge(holdings.currency, &[part], &none, billed, false)?;
    let (mut fees, mut contract) = (MilestoneFees::default(), ContractFees::default());
    fees.add(amount, due.client_fee);
    contract.add(due.client_fee, Minor::ZERO, due.tax);
    let split = schedule.release(&fees, &contract, Standing { billed, now: context.now }, amount)?;
    let bonus = Gratuity {
        kind: GratuityKind::Bonus,
        gross: amount,
        payee_fee: split.payee_fee,
        net: split.net,
        client_fee: due.client_fee,
        withheld: withheld(schedule, split.withheld),
        taxes: taxes(schedule, split.payee_tax, due.tax),
        surplus_to_wallet: due.surplus,
        clearance_days: holdings.policy.clearance_days,
    };
    Ok((bonus, due.charge))
}

/// Tax on both fees, payable at once whatever the tax point: the fees are earned when they are paid.
fn taxes(schedule: &FeeSchedule, payee_tax: Minor, client_tax: Minor) -> Vec<TaxLine> {
    let parties = [(&schedule.tax.payee, payee_tax), (&schedule.tax.client, client_tax)];
    let lines = parties.into_iter().filter_map(|(party, amount)| {
        let party = party.as_ref().filter(|_| !amount.is_zero())?;
        Some(TaxLine { jurisdiction: party.jurisdiction.clone(), percent: party.percent, amount })
    });
    lines.collect()
}
