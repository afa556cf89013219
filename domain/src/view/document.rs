//! A document per aggregate.
//!
//! The document of a payee account has its balances only: its state grows with every earning that waits for clearance,
//! and a page about it needs their sum.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::aggregate::AggregateState;
use crate::event::DomainEvent;
use crate::id::{ContractId, PartyId};
use crate::log::StreamId;
use crate::payee::{self, PayeeEvent};

/// The present state of one aggregate, for reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// A payee account.
    Payee(PayeeBalance),
    /// Anything else: its state.
    Aggregate(AggregateState),
}

/// Balances of a payee account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeBalance {
    /// Whose; absent before the first credit.
    pub payee_id: Option<PartyId>,
    /// In which currency.
    pub currency: Option<Currency>,
    /// Not cleared yet.
    pub pending: Minor,
    /// Can be withdrawn.
    pub available: Minor,
    /// On its way to the bank.
    pub in_transit: Minor,
    /// Ever paid out, less what came back.
    pub paid_out: Minor,
    /// Held back.
    #[serde(default)]
    pub held: Minor,
    /// Owed to the platform.
    #[serde(default)]
    pub debt: Minor,
}

/// A document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// No aggregate of ours has this name.
    #[error("no aggregate is called {0:?}")]
    UnknownAggregate(String),
    /// Not of the shape that the kind says.
    #[error("a stored document cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// What documents are found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The contract that it is part of.
    pub contract_id: Option<ContractId>,
    /// The party that pays in it.
    pub client_id: Option<PartyId>,
    /// The party that is paid in it. Absent for drafts: a draft is the client's own.
    pub payee_id: Option<PartyId>,
    /// The word for its state.
    pub status: &'static str,
}

impl Document {
    /// The document before the first event.
    ///
    /// # Errors
    /// [`DocumentError::UnknownAggregate`] for a kind that is not one of ours.
    pub fn initial(stream: &StreamId) -> Result<Self, DocumentError> {
        if stream.aggregate_type == payee::TYPE {
            return Ok(Self::Payee(PayeeBalance::default()));
        }
        AggregateState::initial(&stream.aggregate_type)
            .map(Self::Aggregate)
            .ok_or_else(|| DocumentError::UnknownAggregate(stream.aggregate_type.to_string()))
    }

    /// Reads what [`Document::to_json`] wrote.
    ///
    /// # Errors
    /// [`DocumentError`] when it is not a document of this kind.
    pub fn from_json(stream: &StreamId, text: &str) -> Result<Self, DocumentError> {
        if stream.aggregate_type == payee::TYPE {
            return Ok(Self::Payee(serde_json::from_str(text)?));
        }
        Ok(Self::Aggregate(AggregateState::from_json(&stream.aggregate_type, text)?))
    }

    /// The document as JSON text.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`] if a value cannot be written, which no value of ours does.
    pub fn to_json(&self) -> Result<String, DocumentError> {
        Ok(match self {
            Self::Payee(balance) => serde_json::to_string(balance)?,
            Self::Aggregate(state) => serde_json::to_string(state)?,
        })
    }

    /// Folds an event of the document's stream.
    pub fn fold(&mut self, event: &DomainEvent) {
        match (self, event) {
            (Self::Payee(balance), DomainEvent::Payee(event)) => balance.fold(event),
            (Self::Payee(_), _) => {}
            (Self::Aggregate(state), event) => state.evolve(event),
        }
    }

    /// What it is found by.
    pub fn keys(&self) -> Keys {
        let state = match self {
            Self::Payee(balance) => {
                return Keys { payee_id: balance.payee_id, status: "open", ..Keys::default() };
            }
            Self::Aggregate(state) => state,
        };
        let of =
            |contract_id, client_id, payee_id| Keys { contract_id, client_id, payee_id, status: state.state_name() };
        match state {
            AggregateState::Contract(contract) => contract.agreement().map_or_else(
                || of(None, None, None),
                |agreement| {
                    let payee_id = contract.is_shown().then_some(agreement.payee_id);
                    of(Some(agreement.contract_id), Some(agreement.client_id), payee_id)
                },
            ),
            AggregateState::Milestone(milestone) => milestone.plan().map_or_else(
                || of(None, None, None),
                |plan| of(Some(plan.contract_id), Some(plan.client_id), Some(plan.payee_id)),
            ),
            AggregateState::Escrow(escrow) => escrow.holdings().map_or_else(
                || of(None, None, None),
                |held| of(Some(held.contract_id), Some(held.client_id), Some(held.payee_id)),
            ),
            // How the client pays is none of the payee's business.
            AggregateState::Funding(funding) => funding
                .order()
                .map_or_else(|| of(None, None, None), |order| of(order.contract_id, Some(order.client_id), None)),
            AggregateState::Payout(payout) => payout
                .withdrawal()
                .map_or_else(|| of(None, None, None), |withdrawal| of(None, None, Some(withdrawal.payee_id))),
            // Neither how the client pays nor by which way money goes back is the payee's business.
            AggregateState::Refund(refund) => refund
                .order()
                .map_or_else(|| of(None, None, None), |order| of(order.contract_id, Some(order.client_id), None)),
            AggregateState::Wallet(wallet) => of(None, wallet.client_id, None),
            // What the bank says is the platform's business; the parties see what becomes of their milestones.
            AggregateState::Chargeback(chargeback) => {
                of(chargeback.charged().and_then(|charged| charged.paid_into.contract_id()), None, None)
            }
            AggregateState::Pair(pair) => of(None, pair.client_id, pair.payee_id),
            AggregateState::Party(_)
            | AggregateState::Payee(_)
            | AggregateState::Treasury(_)
            | AggregateState::Approval(_)
            | AggregateState::Subject(_) => of(None, None, None),
        }
    }
}

impl PayeeBalance {
    fn fold(&mut self, event: &PayeeEvent) {
        match event {
            PayeeEvent::EarningsCredited { payee_id, currency, amount, .. } => {
                self.payee_id = Some(*payee_id);
                self.currency = Some(*currency);
                self.pending = self.pending.saturating_add(*amount);
            }
            PayeeEvent::EarningsCleared { amount, debt_recovered, .. } => {
                let recovered = debt_recovered.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                self.pending = self.pending.saturating_sub(*amount);
                self.available = self.available.saturating_add(amount.saturating_sub(recovered));
            }
            PayeeEvent::EarningsHeld { amount, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.held = self.held.saturating_add(*amount);
            }
            PayeeEvent::EarningsHoldReleased { amount, .. } => {
                self.held = self.held.saturating_sub(*amount);
                self.available = self.available.saturating_add(*amount);
            }
            PayeeEvent::PayeeRefundGranted { from_pending, from_available, .. } => {
                let pending = from_pending.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                self.pending = self.pending.saturating_sub(pending);
                self.available = self.available.saturating_sub(*from_available);
            }
            PayeeEvent::DebtRecorded { amount, .. } => self.debt = self.debt.saturating_add(*amount),
            PayeeEvent::DebtRecovered { amount, from_available: true, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.debt = self.debt.saturating_sub(*amount);
            }
            PayeeEvent::DebtRecovered { amount, .. } | PayeeEvent::DebtWrittenOff { amount, .. } => {
                self.debt = self.debt.saturating_sub(*amount);
            }
            PayeeEvent::BonusPaid { paid } | PayeeEvent::TipPaid { paid } => {
                self.payee_id = Some(paid.payee_id);
                self.currency = Some(paid.currency);
                self.pending = self.pending.saturating_add(paid.gratuity.net);
            }
            PayeeEvent::PayoutReserved { amount, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.in_transit = self.in_transit.saturating_add(*amount);
            }
            PayeeEvent::PayoutPaidNoted { amount, .. } => {
                self.in_transit = self.in_transit.saturating_sub(*amount);
                self.paid_out = self.paid_out.saturating_add(*amount);
            }
            PayeeEvent::PayoutFailedNoted { amount, returned, .. } => {
                if *returned {
                    self.paid_out = self.paid_out.saturating_sub(*amount);
                } else {
                    self.in_transit = self.in_transit.saturating_sub(*amount);
                }
                self.available = self.available.saturating_add(*amount);
            }
            PayeeEvent::ChargebackLossCharged { from_pending, from_available, from_held, .. } => {
                let pending = from_pending.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                let held = from_held.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                self.pending = self.pending.saturating_sub(pending);
                self.available = self.available.saturating_sub(*from_available);
                self.held = self.held.saturating_sub(held);
            }
            // Where it lies makes no difference to whom it belongs.
            PayeeEvent::LateTransferNoted { .. } | PayeeEvent::ClearanceHoldPlaced { .. } => {}
            PayeeEvent::PayoutReservationReleased { amount, .. } => {
                self.in_transit = self.in_transit.saturating_sub(*amount);
                self.available = self.available.saturating_add(*amount);
            }
            PayeeEvent::PayoutScheduleChanged { payee_id, currency, .. }
            | PayeeEvent::PayoutPolicySet { payee_id, currency, .. } => {
                self.payee_id = Some(*payee_id);
                self.currency = Some(*currency);
            }
            PayeeEvent::TimerBlocked { .. }
            | PayeeEvent::PayoutScheduleReached { .. }
            | PayeeEvent::CallBackRequested { .. }
            | PayeeEvent::TransferReversedNoted { .. }
            | PayeeEvent::TransferReversalFailedNoted { .. } => {}
        }
    }
}
