//! The money of a contract as the API shows it.
//!
//! # Invariants
//! - Which payments money came by is shown to who pays, and to staff; to the payee sums only.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::escrow::{Escrow, Holding, Holdings};
use domain::id::MilestoneId;
use domain::rules::Rules;
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The money of a contract, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscrowView {
    /// `open`, `frozen` or `closed`.
    #[schema(example = "open")]
    pub status: String,
    /// Paid in for milestones, fees not included.
    pub funded: i64,
    /// Held for milestones and free.
    pub held: i64,
    /// Held, and locked by disputes.
    pub disputed: i64,
    /// Deposited for no milestone yet.
    pub unallocated: i64,
    /// Released, before the payee's fee.
    pub released: i64,
    /// Of that, given back by the payee.
    pub given_back: i64,
    /// Gone back to the client out of what was held for milestones, fees not included.
    pub refunded: i64,
    /// Moved to milestones from others, and from what was deposited.
    pub moved: i64,
    /// The payee's fee on what was released.
    pub payee_fees: i64,
    /// The client's fee paid.
    pub client_fees: i64,
    /// The part of it that is earned.
    pub client_fees_earned: i64,
    /// The contract's initiation fee paid.
    pub initiation_fee: i64,
    /// Tax on the client's fees paid.
    pub tax: i64,
    /// Whether staff has stopped everything.
    pub frozen: bool,
    /// When the provider lets the first of what is held lie no longer, if it says so.
    pub hold_limit_at: Option<DateTime<Utc>>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
}

/// The money of a contract in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscrowDetailView {
    /// The contract, which its escrow is named by.
    #[schema(example = "ctr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `escrow`.
    #[schema(example = "escrow")]
    pub object: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Sums.
    #[serde(flatten)]
    pub money: EscrowView,
    /// Milestones that anything was paid in for or moved to.
    pub milestones: Vec<HoldingView>,
    /// How long the provider lets what is held of each payment lie; absent for the payee.
    pub hold_limits: Option<Vec<HoldLimitView>>,
}

/// The money of one milestone, minor units, fees not included:
/// `funded + moved_in = held + disputed + released + refunded + moved_out + lost`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HoldingView {
    /// The milestone.
    pub milestone_id: String,
    /// Paid in for it.
    pub funded: i64,
    /// Came from other milestones, or from what was deposited.
    pub moved_in: i64,
    /// Held and free.
    pub held: i64,
    /// Held, and locked by a dispute.
    pub disputed: i64,
    /// Released, before the payee's fee.
    pub released: i64,
    /// Of that, given back by the payee.
    pub given_back: i64,
    /// Gone back to the client.
    pub refunded: i64,
    /// Went to other milestones.
    pub moved_out: i64,
    /// The client's fee on it that is neither earned nor gone back.
    pub client_fee_deferred: i64,
    /// Lost to a bank.
    pub lost: i64,
    /// Whether a client's bank disagrees with a payment for it.
    pub charge_disputed: bool,
    /// Whether a client's bank asks about a payment for it; nothing rests because of that.
    pub charge_inquiry: bool,
}

/// How long the provider lets the money of a payment lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HoldLimitView {
    /// The payment.
    pub funding_id: String,
    /// What is still held of it, minor units, fees not included.
    pub amount: i64,
    /// When it has to be gone.
    pub limit_at: DateTime<Utc>,
}

impl EscrowView {
    /// The view of an escrow; `None` before it is opened.
    pub fn of(escrow: &Escrow) -> Option<Self> {
        let holdings = escrow.holdings()?;
        let total = |part: fn(&Holding) -> Minor| sum(holdings.milestones.values().map(part));
        let limits = limits(holdings);
        Some(Self {
            status: escrow.state_name().to_owned(),
            funded: total(|held| held.funded),
            held: total(|held| held.held),
            disputed: total(|held| held.disputed),
            unallocated: holdings.unallocated_amount().get(),
            released: total(|held| held.released),
            given_back: total(|held| held.given_back.gross),
            refunded: total(|held| held.refunded),
            moved: total(|held| held.moved_in),
            payee_fees: total(|held| held.fees.payee_fee),
            client_fees: holdings.contract_fees.client_fees.get(),
            client_fees_earned: total(|held| held.client_fee_earned),
            initiation_fee: holdings.contract_fees.initiation_fee.get(),
            tax: holdings.contract_fees.tax.get(),
            frozen: holdings.frozen,
            hold_limit_at: limits.iter().map(|limit| limit.limit_at).min(),
            closed_at: holdings.closed_at,
        })
    }
}

impl EscrowDetailView {
    /// The view of an escrow; `None` before it is opened. `with_payments`: whether the caller may know which payments
    /// the money came by.
    pub fn of(escrow: &Escrow, with_payments: bool) -> Option<Self> {
        let holdings = escrow.holdings()?;
        Some(Self {
            id: holdings.contract_id.to_string(),
            object: "escrow".to_owned(),
            currency: holdings.currency.code().to_owned(),
            money: EscrowView::of(escrow)?,
            milestones: holdings.milestones.iter().map(|(id, held)| HoldingView::of(*id, held, holdings)).collect(),
            hold_limits: with_payments.then(|| limits(holdings)),
        })
    }
}

impl HoldingView {
    fn of(milestone_id: MilestoneId, held: &Holding, holdings: &Holdings) -> Self {
        let known = |inquiry: bool| {
            let mut all = holdings.chargebacks.values();
            all.any(|hold| hold.inquiry == inquiry && hold.milestones.contains(&milestone_id))
        };
        Self {
            milestone_id: milestone_id.to_string(),
            funded: held.funded.get(),
            moved_in: held.moved_in.get(),
            held: held.held.get(),
            disputed: held.disputed.get(),
            released: held.released.get(),
            given_back: held.given_back.gross.get(),
            refunded: held.refunded.get(),
            moved_out: held.moved_out.get(),
            client_fee_deferred: held.fees.deferred().get(),
            lost: held.lost.get(),
            charge_disputed: known(false),
            charge_inquiry: known(true),
        }
    }
}

/// The limits of payments of which something is held, the nearest first.
fn limits(holdings: &Holdings) -> Vec<HoldLimitView> {
    let limited = holdings.fundings.iter().filter_map(|(id, paid)| Some((*id, paid.hold_limit.as_ref()?.limit_at)));
    let mut by_instant = BTreeMap::new();
    for (funding_id, limit_at) in limited {
        let amount = holdings.remaining_of(funding_id).get();
        if amount > 0 {
            by_instant
                .insert((limit_at, funding_id), HoldLimitView { funding_id: funding_id.to_string(), amount, limit_at });
        }
    }
    by_instant.into_values().collect()
}

/// A sum for display: what does not fit is shown as the largest number, which no sum of an escrow's amounts reaches.
fn sum(parts: impl Iterator<Item = Minor>) -> i64 {
    Minor::sum(parts).map_or(i64::MAX, Minor::get)
}
