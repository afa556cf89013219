//! Held money that becomes the payee's.

use ledger::Minor;

use super::funding::client_tax;
use super::movable;
use crate::escrow::{EscrowCommand, EscrowEvent, Holdings, Withheld, lots};
use crate::fee::{FeeSchedule, Standing};
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn release(
    holdings: &Holdings,
    command: &EscrowCommand,
    pair_billed: Option<Minor>,
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let EscrowCommand::Release { release_id, milestone_id, gross, reason } = command else {
        return Ok(Vec::new());
    };
    if holdings.done.releases.contains(release_id) {
        return Ok(Vec::new());
    }
    let holding = movable(holdings, *milestone_id, *gross)?;
    let schedule = &holdings.fee_schedule;
    let billed = holdings.standing(pair_billed);
    let standing = Standing { billed, now: context.now };
    let split = schedule.release(&holding.fees, &holdings.contract_fees, standing, *gross)?;
    Ok(vec![EscrowEvent::Released {
        release_id: *release_id,
        contract_id: holdings.contract_id,
        milestone_id: *milestone_id,
        payee_id: holdings.payee_id,
        client_id: holdings.client_id,
        currency: holdings.currency,
        reason: *reason,
        gross: split.gross,
        payee_fee: split.payee_fee,
        client_fee_earned: split.client_fee_earned,
        net: split.net,
        lots: lots::oldest(&holding.lots, *gross)?,
        clears_at: days_after(context.now, holdings.policy.clearance_days),
        withheld: withheld(schedule, split.withheld),
        initiation_fee_earned: split.initiation_fee_earned,
        payee_tax: split.payee_tax,
        client_tax: client_tax(schedule, split.client_tax),
        taxes: schedule.tax_of_release(&split),
        billed_before: pair_billed.map(|_| billed),
    }])
}

/// Income tax withheld, as the books want it; `None` where there is none.
pub(super) fn withheld(schedule: &FeeSchedule, amount: Minor) -> Option<Withheld> {
    let tax = schedule.tax.payee.as_ref().filter(|_| !amount.is_zero())?;
    Some(Withheld { jurisdiction: tax.jurisdiction.clone(), amount })
}
