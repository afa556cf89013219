//! Rules of a payee account.

use ledger::Minor;

use super::{DebtPart, GratuityPaid, PayeeAccount, PayeeCommand, PayeeEvent, PendingEarning, PendingPart};
use crate::actor::Actor;
use crate::escrow::{GratuityKind, PspPlace};
use crate::id::ReleaseId;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    payee: &PayeeAccount,
    command: &PayeeCommand,
    context: &Context,
) -> Result<Vec<PayeeEvent>, Refusal> {
    match command {
        PayeeCommand::Clear { release_id } => match payee.pending.get(release_id) {
            Some(earning) => clear(payee, *release_id, earning),
            // Cleared before.
            None => Ok(Vec::new()),
        },
        PayeeCommand::ReservePayout { payee_id, currency, payout_id, amount, account } => {
            match context.actor {
                Actor::Payee(caller) if caller == *payee_id => {}
                Actor::Client(caller) if caller == *payee_id => {
                    return Err(Refusal::Forbidden { who: "payee", action: "request a payout" });
                }
                _ => return Err(Refusal::NotAParty),
            }
            if amount.is_zero() {
                return Err(Refusal::invalid("/amount", "must be greater than zero"));
            }
            let quantum = currency.payout_quantum();
            if currency.round_down_to_payout(*amount) != *amount {
                let message =
                    format!("must be a multiple of {quantum} minor units: {currency} is paid out in whole ones");
                return Err(Refusal::invalid("/amount", message));
            }
            let debt = payee.debt_total();
            if !debt.is_zero() {
                return Err(Refusal::PayeeInDebt { debt });
            }
            if *amount > payee.available {
                return Err(Refusal::InsufficientAvailable { available: payee.available });
            }
            Ok(vec![PayeeEvent::PayoutReserved {
                payee_id: *payee_id,
                payout_id: *payout_id,
                amount: *amount,
                transfer_amount: amount.saturating_sub(payee.at_provider),
                currency: *currency,
                place: PspPlace { psp: account.psp.clone(), psp_account: account.psp_account.clone() },
            }])
        }
        PayeeCommand::Hold { payee_id, currency, amount, reason } => {
            only_staff(context, "hold earnings back")?;
            let amount = amount.unwrap_or(payee.available);
            if amount.is_zero() || amount > payee.available {
                return Err(Refusal::InsufficientAvailable { available: payee.available });
            }
            Ok(vec![PayeeEvent::EarningsHeld { payee_id: *payee_id, amount, currency: *currency, reason: *reason }])
        }
        PayeeCommand::ReleaseHold { payee_id, currency, amount, reason } => {
            only_staff(context, "let earnings go")?;
            let held = payee.held.get(reason).copied().unwrap_or_default();
            let amount = amount.unwrap_or(held);
            if amount.is_zero() || amount > held {
                return Err(Refusal::ExceedsHeld { held });
            }
            Ok(vec![PayeeEvent::EarningsHoldReleased {
                payee_id: *payee_id,
                amount,
                currency: *currency,
                reason: *reason,
            }])
        }
        PayeeCommand::GrantRefund { .. } => grant_refund(payee, command),
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

/// Debt first, the rest can be withdrawn.
fn clear(payee: &PayeeAccount, release_id: ReleaseId, earning: &PendingEarning) -> Result<Vec<PayeeEvent>, Refusal> {
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
    }));
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
    let mut rest = *from_payee;
    let mut pending: Vec<_> = payee.pending.iter().filter(|(_, earning)| earning.contract_id == *contract_id).collect();
    pending.sort_by(|(a, first), (b, second)| second.clears_at.cmp(&first.clears_at).then(a.cmp(b)));
    let mut from_pending = Vec::new();
    for (release_id, earning) in pending {
        let amount = earning.amount.min(rest);
        if !amount.is_zero() {
            from_pending.push(PendingPart { release_id: *release_id, amount });
            rest = rest.checked_sub(amount)?;
        }
    }
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
