//! Rules of a payee account.

use ledger::{Currency, Minor};

use super::withdraw::{self, Wanted};
use super::{
    DebtPart, GratuityPaid, HeldBackPart, HoldReason, PayeeAccount, PayeeCommand, PayeeEvent, PendingEarning,
    PendingPart,
};
use crate::actor::Actor;
use crate::escrow::GratuityKind;
use crate::id::{ContractId, PartyId, ReleaseId};
use crate::party::PayeeStanding;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(
    payee: &PayeeAccount,
    command: &PayeeCommand,
    context: &Context,
) -> Result<Vec<PayeeEvent>, Refusal> {
    match command {
        PayeeCommand::Under { standing, command } => under(payee, standing, command, context),
        command => under(payee, &PayeeStanding::default(), command, context),
    }
}

fn under(
    payee: &PayeeAccount,
    standing: &PayeeStanding,
    command: &PayeeCommand,
    context: &Context,
) -> Result<Vec<PayeeEvent>, Refusal> {
    match command {
        PayeeCommand::Under { .. } => Err(Refusal::Defect("a standing under another one".to_owned())),
        PayeeCommand::Clear { release_id } => match payee.pending.get(release_id) {
            Some(earning) => clear(payee, *release_id, earning, standing.standing.holds()),
            // Cleared before.
            None => Ok(Vec::new()),
        },
        PayeeCommand::ReservePayout { payee_id, currency, payout_id, amount, account } => {
            withdraw::only_the_payee(context, *payee_id, "request a payout")?;
            let wanted = Wanted {
                payee_id: *payee_id,
                currency: *currency,
                payout_id: *payout_id,
                amount: *amount,
                account,
                retry_of: None,
                by_schedule: false,
            };
            Ok(vec![withdraw::reserve(payee, standing, &wanted, context)?])
        }
        PayeeCommand::RetryPayout { payee_id, currency, payout_id, retry_of, amount, account } => {
            withdraw::only_the_payee(context, *payee_id, "request a payout")?;
            let wanted = Wanted {
                payee_id: *payee_id,
                currency: *currency,
                payout_id: *payout_id,
                amount: *amount,
                account,
                retry_of: Some(*retry_of),
                by_schedule: false,
            };
            Ok(vec![withdraw::reserve(payee, standing, &wanted, context)?])
        }
        PayeeCommand::PayBySchedule { payee_id, currency } => {
            Ok(withdraw::pay_by_schedule(payee, standing, (*payee_id, *currency), context))
        }
        PayeeCommand::SetPayoutSchedule { .. } | PayeeCommand::SetPayoutPolicy { .. } => {
            withdraw::set(command, context)
        }
        PayeeCommand::HoldForStanding { payee_id, currency, reason } => {
            let held = withdraw::held_for_standing((*payee_id, *currency), payee.available, Some(*reason));
            Ok(held.into_iter().collect())
        }
        PayeeCommand::HoldReturned { payee_id, currency, amount } => {
            let reason = standing.standing.holds().filter(|reason| *reason == HoldReason::Sanctions);
            // Debts come first: what pays them off is not there to be held.
            let amount = (*amount).min(payee.available);
            Ok(withdraw::held_for_standing((*payee_id, *currency), amount, reason).into_iter().collect())
        }
        PayeeCommand::LetGo { payee_id, currency, reason } => {
            Ok(with_debts_set_off(payee, withdraw::let_go(payee, *payee_id, *currency, *reason), *payee_id, *currency))
        }
        PayeeCommand::SetOffDebts { payee_id, currency } => {
            Ok(with_debts_set_off(payee, Vec::new(), *payee_id, *currency))
        }
        PayeeCommand::CallBack { payee_id, currency, psp_account } => {
            Ok(withdraw::call_back(payee, (*payee_id, *currency), psp_account, context))
        }
        PayeeCommand::Hold { payee_id, currency, amount, reason } => {
            only_staff(context, "hold earnings back")?;
            let amount = amount.unwrap_or(payee.available);
            if amount.is_zero() || amount > payee.available {
                return Err(Refusal::InsufficientAvailable { available: payee.available });
            }
            Ok(vec![PayeeEvent::EarningsHeld {
                payee_id: *payee_id,
                amount,
                currency: *currency,
                reason: *reason,
                automatic: false,
            }])
        }
        PayeeCommand::ReleaseHold { payee_id, currency, amount, reason } => {
            only_staff(context, "let earnings go")?;
            let held = payee.held.get(reason).copied().unwrap_or_default();
            let amount = amount.unwrap_or(held);
            if amount.is_zero() || amount > held {
                return Err(Refusal::ExceedsHeld { held });
            }
            let released =
                PayeeEvent::EarningsHoldReleased { payee_id: *payee_id, amount, currency: *currency, reason: *reason };
            Ok(with_debts_set_off(payee, vec![released], *payee_id, *currency))
        }
        PayeeCommand::GrantRefund { .. } => grant_refund(payee, command),
        PayeeCommand::ChargeLoss { .. } => charge_loss(payee, command),
        PayeeCommand::WriteOffDebt { payee_id, currency, cause, amount } => {
            only_staff(context, "write a debt off")?;
            let owed = payee.debts.get(cause).copied().ok_or(Refusal::NotFound { what: "debt" })?;
            let amount = amount.unwrap_or(owed);
            if amount.is_zero() || amount > owed {
                return Err(Refusal::invalid("/amount", format!("must be from 1 to {owed}, which is owed")));
            }
            let (payee_id, cause, currency) = (*payee_id, cause.clone(), *currency);
            Ok(vec![PayeeEvent::DebtWrittenOff { payee_id, cause, amount, currency }])
        }
        PayeeCommand::HoldAtClearance { payee_id, currency, contract_id, reason } => {
            let pending = payee.pending.iter().filter(|(id, earning)| {
                earning.contract_id == *contract_id && !payee.hold_at_clearance.contains_key(*id)
            });
            let releases: Vec<_> = pending.map(|(id, _)| *id).collect();
            if releases.is_empty() {
                return Ok(Vec::new());
            }
            Ok(vec![PayeeEvent::ClearanceHoldPlaced {
                payee_id: *payee_id,
                contract_id: *contract_id,
                releases,
                reason: *reason,
                currency: *currency,
            }])
        }
        PayeeCommand::RecordGratuity { payee_id, client_id, contract_id, funding_id, currency, gratuity, place } => {
            // Told again.
            if payee.gratuities.contains(funding_id) {
                return Ok(Vec::new());
            }
            let paid = GratuityPaid {
                payee_id: *payee_id,
                client_id: *client_id,
                contract_id: *contract_id,
                funding_id: *funding_id,
                release_id: ReleaseId::derived(funding_id.as_uuid(), "gratuity"),
                currency: *currency,
                gratuity: gratuity.clone(),
                clears_at: days_after(context.now, gratuity.clearance_days),
                place: place.clone(),
            };
            Ok(vec![match gratuity.kind {
                GratuityKind::Bonus => PayeeEvent::BonusPaid { paid },
                GratuityKind::Tip => PayeeEvent::TipPaid { paid },
            }])
        }
        PayeeCommand::BlockTimer { key, reason } => {
            Ok(vec![PayeeEvent::TimerBlocked { key: key.clone(), reason: reason.clone() }])
        }
    }
}

/// Debt first; the rest can be withdrawn, or is held: where the earning is suspicious, until staff lets it go; else where
/// the party is not paid, until it is again.
fn clear(
    payee: &PayeeAccount,
    release_id: ReleaseId,
    earning: &PendingEarning,
    hold: Option<HoldReason>,
) -> Result<Vec<PayeeEvent>, Refusal> {
    let (payee_id, currency) = (earning.account.payee_id, earning.account.currency);
    let mut rest = earning.amount;
    let mut debt_recovered = Vec::new();
    for (cause, debt) in &payee.debts {
        let amount = (*debt).min(rest);
        if !amount.is_zero() {
            debt_recovered.push(DebtPart { cause: cause.clone(), amount });
            rest = rest.checked_sub(amount)?;
        }
    }
    let recovered = debt_recovered.clone();
    let mut events = vec![PayeeEvent::EarningsCleared {
        payee_id,
        release_id,
        contract_id: earning.contract_id,
        amount: earning.amount,
        currency,
        debt_recovered,
    }];
    let recovered = recovered.into_iter();
    events.extend(recovered.map(|DebtPart { cause, amount }| PayeeEvent::DebtRecovered {
        payee_id,
        cause,
        amount,
        currency,
        from_available: false,
    }));
    if let Some(reason) = payee.hold_at_clearance.get(&release_id)
        && !rest.is_zero()
    {
        events.push(PayeeEvent::EarningsHeld { payee_id, amount: rest, currency, reason: *reason, automatic: false });
    } else {
        events.extend(withdraw::held_for_standing((payee_id, currency), rest, hold));
    }
    Ok(events)
}

/// The events, and what of the debts is paid off with what is available after them, in the order of their causes.
fn with_debts_set_off(
    payee: &PayeeAccount,
    mut events: Vec<PayeeEvent>,
    payee_id: PartyId,
    currency: Currency,
) -> Vec<PayeeEvent> {
    let mut after = payee.clone();
    for event in &events {
        after.evolve(event);
    }
    let mut left = after.available;
    for (cause, debt) in after.debts {
        let amount = debt.min(left);
        if !amount.is_zero() {
            left = left.saturating_sub(amount);
            events.push(PayeeEvent::DebtRecovered { payee_id, cause, amount, currency, from_available: true });
        }
    }
    events
}

/// What of `amount` is pending of the contract, the latest to clear first, and what that leaves.
fn from_pending(
    payee: &PayeeAccount,
    contract_id: ContractId,
    amount: Minor,
) -> Result<(Vec<PendingPart>, Minor), Refusal> {
    let mut rest = amount;
    let mut pending: Vec<_> = payee.pending.iter().filter(|(_, earning)| earning.contract_id == contract_id).collect();
    pending.sort_by(|(a, first), (b, second)| second.clears_at.cmp(&first.clears_at).then(a.cmp(b)));
    let mut parts = Vec::new();
    for (release_id, earning) in pending {
        let amount = earning.amount.min(rest);
        if !amount.is_zero() {
            parts.push(PendingPart { release_id: *release_id, amount });
            rest = rest.checked_sub(amount)?;
        }
    }
    Ok((parts, rest))
}

/// Of what is pending of the contract; then of what is available; then of what is held, which is the payee's, too; the
/// rest is debt.
fn charge_loss(payee: &PayeeAccount, command: &PayeeCommand) -> Result<Vec<PayeeEvent>, Refusal> {
    let PayeeCommand::ChargeLoss {
        chargeback_id,
        funding_id,
        payee_id,
        contract_id,
        client_id,
        currency,
        gross,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_payee,
    } = command
    else {
        return Ok(Vec::new());
    };
    let (from_pending, rest) = from_pending(payee, *contract_id, *from_payee)?;
    let from_available = rest.min(payee.available);
    let mut rest = rest.checked_sub(from_available)?;
    let mut from_held = Vec::new();
    for (reason, held) in &payee.held {
        let amount = rest.min(*held);
        if !amount.is_zero() {
            from_held.push(HeldBackPart { reason: *reason, amount });
            rest = rest.checked_sub(amount)?;
        }
    }
    let mut events = vec![PayeeEvent::ChargebackLossCharged {
        payee_id: *payee_id,
        chargeback_id: *chargeback_id,
        funding_id: *funding_id,
        contract_id: *contract_id,
        client_id: *client_id,
        currency: *currency,
        gross: *gross,
        payee_fee: *payee_fee,
        client_fee: *client_fee,
        payee_tax: payee_tax.clone(),
        client_tax: client_tax.clone(),
        from_pending,
        from_available,
        from_held,
        as_debt: rest,
    }];
    if rest > Minor::ZERO {
        events.push(PayeeEvent::DebtRecorded {
            payee_id: *payee_id,
            cause: chargeback_id.to_string(),
            amount: rest,
            currency: *currency,
        });
    }
    Ok(events)
}

/// Of what is pending of the contract, the latest to clear first; then of what is available; the rest is debt.
fn grant_refund(payee: &PayeeAccount, command: &PayeeCommand) -> Result<Vec<PayeeEvent>, Refusal> {
    let PayeeCommand::GrantRefund {
        refund_id,
        payee_id,
        contract_id,
        client_id,
        currency,
        gross,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_payee,
        parts,
    } = command
    else {
        return Ok(Vec::new());
    };
    if payee.granted.contains(refund_id) {
        return Ok(Vec::new());
    }
    let (from_pending, rest) = from_pending(payee, *contract_id, *from_payee)?;
    let from_available = rest.min(payee.available);
    let as_debt = rest.checked_sub(from_available)?;
    let mut events = vec![PayeeEvent::PayeeRefundGranted {
        payee_id: *payee_id,
        refund_id: *refund_id,
        contract_id: *contract_id,
        client_id: *client_id,
        currency: *currency,
        gross: *gross,
        payee_fee: *payee_fee,
        client_fee: *client_fee,
        payee_tax: payee_tax.clone(),
        client_tax: client_tax.clone(),
        from_pending,
        from_available,
        as_debt,
        parts: parts.clone(),
    }];
    if as_debt > Minor::ZERO {
        events.push(PayeeEvent::DebtRecorded {
            payee_id: *payee_id,
            cause: refund_id.to_string(),
            amount: as_debt,
            currency: *currency,
        });
    }
    Ok(events)
}

fn only_staff(context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::System(_) => Ok(()),
        actor if actor.may_hold_money() => Ok(()),
        _ => Err(Refusal::Forbidden { who: "staff", action }),
    }
}
