//! A client's bank that disagrees with a payment, or asks about one; and a network that warns.
//!
//! # Invariants
//! - What the bank takes is never more than it wants, and comes back at most once; money and status are told apart, in
//!   whichever order.
//! - Each movement has a booking of its own, which every later report names again.

use chrono::TimeDelta;
use domain::id::FundingId;
use domain::ports::provider::{
    DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, FraudWarningReport, ProviderReport,
};
use domain::time::Timestamp;
use ledger::Currency;

use super::minor;
use super::payment::exchanged;
use crate::chance::Chance;

/// What the provider takes for itself with each withdrawal.
const FEE: i64 = 1500;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Is(DisputeStatus),
    Withdraw(i64),
    Reinstate(i64),
    /// The provider gives its fee back.
    FeeBack(i64),
}

/// Somebody's bank, about one charge.
#[derive(Debug, Clone)]
pub(super) struct Dispute {
    funding_id: FundingId,
    pub(super) charge_ref: String,
    currency: Currency,
    amount: i64,
    status: DisputeStatus,
    due_by: Option<Timestamp>,
    /// The currency of the balance that its money moves from and to, where that is another one.
    lies_in: Option<Currency>,
    movements: Vec<DisputeMovement>,
    next: Vec<(Timestamp, Step)>,
}

impl Dispute {
    /// A bank begins to disagree. `left` is what has not gone back of the payment.
    pub(super) fn begin(
        (funding_id, charge_ref): (FundingId, String),
        (left, currency): (i64, Currency),
        lies_in: Option<Currency>,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        let amount = if chance.per_mille(700) { left } else { chance.between(1, left) };
        let due_by = chance.per_mille(850).then(|| now + TimeDelta::hours(chance.between(20, 300)));
        let mut script = Script { at: now, amount, steps: Vec::new() };
        let inquiry = chance.per_mille(300);
        if inquiry {
            script.then(Step::Is(DisputeStatus::WarningNeedsResponse), 0, chance);
        }
        if inquiry && chance.per_mille(600) {
            script.then(Step::Is(DisputeStatus::WarningClosed), 144, chance);
            // A bank may come back all the same.
            if chance.per_mille(250) {
                script.disagree(48, chance);
            }
        } else {
            script.disagree(if inquiry { 96 } else { 0 }, chance);
        }
        Self {
            funding_id,
            charge_ref,
            currency,
            amount,
            status: DisputeStatus::NeedsResponse,
            due_by,
            lies_in,
            movements: Vec::new(),
            next: script.steps,
        }
    }

    /// Goes on by one step, if it is time.
    pub(super) fn tick(&mut self, now: Timestamp, name: &str, chance: &mut Chance) -> Option<Step> {
        let (at, step) = self.next.first().copied()?;
        if at > now {
            return None;
        }
        self.next.remove(0);
        let number = self.movements.len();
        let mut moves = |direction, amount, fee, fee_returned| {
            let paid = self.lies_in.filter(|_| amount != 0).map(|_| minor(amount));
            let amount = if paid.is_some() { exchanged(amount, chance) } else { amount };
            self.movements.push(DisputeMovement {
                balance_transaction_ref: format!("txn_{name}_{number}"),
                direction,
                amount: minor(amount),
                fee: minor(fee),
                fee_returned: minor(fee_returned),
                currency: self.lies_in.unwrap_or(self.currency),
                paid,
                booked_on: at.date_naive(),
            });
        };
        match step {
            Step::Is(status) => self.status = status,
            Step::Withdraw(amount) => moves(DisputeDirection::Withdrawn, amount, FEE, 0),
            Step::Reinstate(amount) => moves(DisputeDirection::Reinstated, amount, 0, 0),
            Step::FeeBack(amount) => moves(DisputeDirection::Reinstated, 0, 0, amount),
        }
        Some(step)
    }

    /// Takes our answer, if it still waits for one.
    pub(super) fn answer(&mut self) -> bool {
        self.status = match self.status {
            DisputeStatus::NeedsResponse => DisputeStatus::UnderReview,
            DisputeStatus::WarningNeedsResponse => DisputeStatus::WarningUnderReview,
            _ => return false,
        };
        true
    }

    /// Takes our concession, if it still waits for an answer: it is lost, and gives nothing back any more.
    pub(super) fn concede(&mut self) -> bool {
        if self.status != DisputeStatus::NeedsResponse {
            return false;
        }
        self.status = DisputeStatus::Lost;
        let gives_back = |(_, step): &(Timestamp, Step)| {
            matches!(step, Step::Reinstate(_) | Step::FeeBack(_) | Step::Is(DisputeStatus::Won))
        };
        let until = self.next.iter().position(gives_back).unwrap_or(self.next.len());
        self.next.truncate(until);
        self.next.retain(|(_, step)| matches!(step, Step::Withdraw(_)));
        true
    }

    /// The currency of the balance that its money moves from and to.
    pub(super) fn moves_in(&self) -> Currency {
        self.lies_in.unwrap_or(self.currency)
    }

    /// What it has moved of the platform's balance by now; negative when it has taken more than it gave.
    pub(super) fn moved(&self) -> i64 {
        self.movements.iter().fold(0, |sum, movement| {
            let amount = match movement.direction {
                DisputeDirection::Withdrawn => movement.amount.get().saturating_neg(),
                DisputeDirection::Reinstated => movement.amount.get(),
            };
            sum.saturating_add(amount).saturating_sub(movement.fee.get()).saturating_add(movement.fee_returned.get())
        })
    }

    /// Whether the bank has money of the payment, or is to take some.
    pub(super) fn blocks_refunds(&self) -> bool {
        !matches!(self.status, DisputeStatus::Won | DisputeStatus::WarningClosed) && !self.movements.is_empty()
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn report(&self, name: &str) -> ProviderReport {
        ProviderReport::Dispute(DisputeReport {
            dispute_ref: name.to_owned(),
            funding_id: Some(self.funding_id),
            charge_ref: self.charge_ref.clone(),
            status: self.status,
            reason: "product_not_received".to_owned(),
            amount: minor(self.amount),
            currency: self.currency,
            evidence_due_by: self.due_by,
            movements: self.movements.clone(),
        })
    }
}

/// What a bank is going to do, and when.
struct Script {
    at: Timestamp,
    amount: i64,
    steps: Vec<(Timestamp, Step)>,
}

impl Script {
    /// Then this, within so many hours.
    fn then(&mut self, step: Step, hours: i64, chance: &mut Chance) {
        self.at += TimeDelta::minutes(chance.between(0, hours.saturating_mul(60)));
        self.steps.push((self.at, step));
    }

    fn disagree(&mut self, hours: i64, chance: &mut Chance) {
        let open = Step::Is(DisputeStatus::NeedsResponse);
        let whole = self.amount;
        let taken = if chance.per_mille(850) { whole } else { chance.between(1, whole) };
        match chance.between(0, 9) {
            // The money goes before anything is told, or a while after.
            0..=2 => {
                self.then(Step::Withdraw(taken), hours, chance);
                self.then(open, 0, chance);
            }
            3..=8 => {
                self.then(open, hours, chance);
                self.then(Step::Withdraw(taken), 24, chance);
            }
            // It never goes until it is decided.
            _ => {
                self.then(open, hours, chance);
                self.then(Step::Is(DisputeStatus::Lost), 120, chance);
                return self.then(Step::Withdraw(taken), 48, chance);
            }
        }
        if chance.per_mille(150) && taken < whole {
            self.then(Step::Withdraw(whole.saturating_sub(taken)), 24, chance);
        }
        if chance.per_mille(400) {
            self.then(Step::Is(DisputeStatus::UnderReview), 72, chance);
        }
        match chance.between(0, 9) {
            0..=3 => self.win(taken, chance),
            4..=7 => self.then(Step::Is(DisputeStatus::Lost), 240, chance),
            // Some of it comes back, and the rest is lost.
            8 => {
                let part = chance.between(1, taken);
                self.then(Step::Reinstate(part), 240, chance);
                self.then(Step::Is(DisputeStatus::Lost), 48, chance);
            }
            // Lost; and given back all the same.
            _ => {
                self.then(Step::Is(DisputeStatus::Lost), 240, chance);
                self.then(Step::Reinstate(taken), 240, chance);
            }
        }
    }

    fn win(&mut self, taken: i64, chance: &mut Chance) {
        let won = Step::Is(DisputeStatus::Won);
        if chance.per_mille(500) {
            self.then(Step::Reinstate(taken), 240, chance);
            self.then(won, 12, chance);
        } else {
            self.then(won, 240, chance);
            self.then(Step::Reinstate(taken), 72, chance);
        }
        if chance.per_mille(400) {
            self.then(Step::FeeBack(FEE), 48, chance);
        }
        // The bank presents it again.
        if chance.per_mille(450) {
            self.then(Step::Is(DisputeStatus::NeedsResponse), 96, chance);
            self.then(Step::Withdraw(taken), 12, chance);
            let end = if chance.per_mille(700) { Step::Is(DisputeStatus::Lost) } else { won };
            if end == won {
                self.then(Step::Reinstate(taken), 120, chance);
            }
            self.then(end, 120, chance);
        }
    }
}

/// A warning that a charge may be fraud.
pub(super) fn warning(name: &str, funding_id: FundingId, charge_ref: &str) -> ProviderReport {
    ProviderReport::FraudWarning(FraudWarningReport {
        warning_ref: name.to_owned(),
        funding_id: Some(funding_id),
        charge_ref: charge_ref.to_owned(),
    })
}
