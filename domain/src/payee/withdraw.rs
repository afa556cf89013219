//! Rules about payouts out of a payee account: gates, reservation, schedule, holds that follow from the party's standing.

use ledger::{Currency, Minor};

use super::{CallBackPart, HoldReason, PayeeAccount, PayeeCommand, PayeeEvent};
use crate::actor::Actor;
use crate::escrow::{PLATFORM_ACCOUNT, PspPlace};
use crate::id::{PartyId, PayoutId, TransferReversalId};
use crate::party::{PayeeStanding, PayoutAccount};
use crate::payout::ApprovalCause;
use crate::refusal::Refusal;
use crate::rules::Context;

/// A payout that is wanted.
pub(super) struct Wanted<'a> {
    pub payee_id: PartyId,
    pub currency: Currency,
    pub payout_id: PayoutId,
    pub amount: Minor,
    pub account: &'a PayoutAccount,
    pub retry_of: Option<PayoutId>,
    pub by_schedule: bool,
}

/// The gates of PM5, and the reservation.
pub(super) fn reserve(
    payee: &PayeeAccount,
    standing: &PayeeStanding,
    wanted: &Wanted<'_>,
    context: &Context,
) -> Result<PayeeEvent, Refusal> {
    let Wanted { payee_id, currency, amount, account, .. } = *wanted;
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    let quantum = currency.payout_quantum();
    if currency.round_down_to_payout(amount) != amount {
        let message = format!("must be a multiple of {quantum} minor units: {currency} is paid out in whole ones");
        return Err(Refusal::invalid("/amount", message));
    }
    standing.standing.may_be_paid(currency, context.now)?;
    let policy = payee.payouts.policy;
    let debt = payee.debt_total();
    if !debt.is_zero() && !policy.pays_debtors {
        return Err(Refusal::PayeeInDebt { debt });
    }
    if amount < policy.minimum {
        return Err(Refusal::BelowMinimum { minimum: policy.minimum });
    }
    let available = can_go_through(payee, account);
    if amount > available {
        return Err(Refusal::InsufficientAvailable { available });
    }
    let transfer_amount = if account.psp_account == PLATFORM_ACCOUNT {
        Minor::ZERO
    } else {
        amount.saturating_sub(payee.payouts.free_at(&account.psp_account))
    };
    let above = policy.approval_above.is_some_and(|limit| amount > limit);
    Ok(PayeeEvent::PayoutReserved {
        payee_id,
        payout_id: wanted.payout_id,
        amount,
        transfer_amount,
        currency,
        place: PspPlace { psp: account.psp.clone(), psp_account: account.psp_account.clone() },
        approval: above.then_some(ApprovalCause::AboveThreshold),
        retry_of: wanted.retry_of,
        by_schedule: wanted.by_schedule,
    })
}

/// What is available, less what lies at the provider where this account does not reach it: the platform would pay it
/// twice until it is back.
fn can_go_through(payee: &PayeeAccount, account: &PayoutAccount) -> Minor {
    payee.available.saturating_sub(payee.payouts.stranded_for(&account.psp_account))
}

pub(super) fn only_the_payee(context: &Context, payee_id: PartyId, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(caller) if caller == payee_id => Ok(()),
        Actor::Client(caller) if caller == payee_id => Err(Refusal::Forbidden { who: "payee", action }),
        _ => Err(Refusal::NotAParty),
    }
}

/// The day of the schedule has come: all that can be paid is, and where nothing can, the next day is waited for.
pub(super) fn pay_by_schedule(
    payee: &PayeeAccount,
    standing: &PayeeStanding,
    (payee_id, currency): (PartyId, Currency),
    context: &Context,
) -> Vec<PayeeEvent> {
    let Some(scheduled) = payee.payouts.scheduled else { return Vec::new() };
    let reached = |skipped: Option<&str>| PayeeEvent::PayoutScheduleReached {
        payee_id,
        currency,
        next_at: scheduled.schedule.next_after(context.now),
        skipped: skipped.map(str::to_owned),
    };
    let Some(account) = &standing.account else {
        return vec![reached(Some(Refusal::PayoutAccountRequired.code()))];
    };
    let amount = currency.round_down_to_payout(can_go_through(payee, account));
    if amount.is_zero() {
        return vec![reached(Some("nothing_available"))];
    }
    if amount < scheduled.minimum {
        return vec![reached(Some(Refusal::BelowMinimum { minimum: scheduled.minimum }.code()))];
    }
    let name = format!("schedule/{currency}/{}", context.now.timestamp_millis());
    let payout_id = PayoutId::derived(payee_id.as_uuid(), &name);
    let wanted = Wanted { payee_id, currency, payout_id, amount, account, retry_of: None, by_schedule: true };
    match reserve(payee, standing, &wanted, context) {
        Ok(reserved) => vec![reached(None), reserved],
        Err(refusal) => vec![reached(Some(refusal.code()))],
    }
}

/// What has just become available is held where the party is not paid.
pub(super) fn held_for_standing(
    (payee_id, currency): (PartyId, Currency),
    amount: Minor,
    reason: Option<HoldReason>,
) -> Option<PayeeEvent> {
    let reason = reason.filter(|_| !amount.is_zero())?;
    Some(PayeeEvent::EarningsHeld { payee_id, amount, currency, reason, automatic: true })
}

/// What was held for the party's standing, and not what staff has held for the same reason.
pub(super) fn let_go(
    payee: &PayeeAccount,
    payee_id: PartyId,
    currency: Currency,
    reason: HoldReason,
) -> Vec<PayeeEvent> {
    let amount = payee.payouts.automatic_holds.get(&reason).copied().unwrap_or_default();
    if amount.is_zero() {
        return Vec::new();
    }
    vec![PayeeEvent::EarningsHoldReleased { payee_id, amount, currency, reason }]
}

/// All that lies at that account comes back to the platform.
pub(super) fn call_back(
    payee: &PayeeAccount,
    (payee_id, currency): (PartyId, Currency),
    psp_account: &str,
    context: &Context,
) -> Vec<PayeeEvent> {
    let lots = payee.payouts.lots.iter().filter(|lot| lot.psp_account == psp_account && lot.called_back.is_none());
    let parts: Vec<_> = lots
        .map(|lot| CallBackPart {
            payout_id: lot.payout_id,
            reversal_id: TransferReversalId::derived(
                lot.payout_id.as_uuid(),
                &format!("call_back/{}", context.now.timestamp_millis()),
            ),
            amount: lot.amount,
        })
        .collect();
    if parts.is_empty() {
        return Vec::new();
    }
    vec![PayeeEvent::CallBackRequested { payee_id, currency, psp_account: psp_account.to_owned(), parts }]
}

/// Schedule and policy.
pub(super) fn set(command: &PayeeCommand, context: &Context) -> Result<Vec<PayeeEvent>, Refusal> {
    match command {
        PayeeCommand::SetPayoutSchedule { payee_id, currency, schedule, minimum } => {
            only_the_payee(context, *payee_id, "choose a payout schedule")?;
            schedule.check()?;
            Ok(vec![PayeeEvent::PayoutScheduleChanged {
                payee_id: *payee_id,
                currency: *currency,
                schedule: *schedule,
                minimum: *minimum,
                next_at: schedule.next_after(context.now),
            }])
        }
        PayeeCommand::SetPayoutPolicy { payee_id, currency, policy } => {
            let is_operator = matches!(context.actor, Actor::System(_));
            if !is_operator && !context.actor.may_hold_money() {
                return Err(Refusal::Forbidden { who: "staff", action: "set the policy of payouts" });
            }
            Ok(vec![PayeeEvent::PayoutPolicySet { payee_id: *payee_id, currency: *currency, policy: *policy }])
        }
        _ => Ok(Vec::new()),
    }
}
