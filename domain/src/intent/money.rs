//! What a caller asks for about money beside the usual way: deposits, wallets and what tops them up, gifts, refunds by the payee, holds.

use ledger::{Currency, Minor};

use super::has_escrow;
use crate::actor::Actor;
use crate::aggregate::AggregateState;
use crate::command::Command;
use crate::contract;
use crate::escrow::{self, EscrowCommand, GratuityKind, PaidFrom};
use crate::funding::{self, FundingCommand};
use crate::id::{ContractId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId};
use crate::log::StreamId;
use crate::payee::{self, HoldReason, PayeeAccountId, PayeeCommand};
use crate::refund::{self, RefundCommand};
use crate::refusal::Refusal;
use crate::timer::Scope;
use crate::unit_of_work::Stop;
use crate::wallet::{self, WalletCommand, WalletId};

/// A request about money. Each is one command.
#[derive(Debug, Clone, PartialEq)]
pub enum MoneyIntent {
    /// Pay into a contract: for milestones, as a deposit for none, by card or from the wallet.
    PayIn {
        /// The contract.
        contract_id: ContractId,
        /// The funding to be made.
        funding_id: FundingId,
        /// For which milestones, and how much for each.
        allocations: Vec<(MilestoneId, Minor)>,
        /// How much for no milestone yet.
        deposit: Minor,
        /// Currency of the amounts.
        currency: Currency,
        /// Where the money comes from.
        paid_from: PaidFrom,
        /// The provider's token of card or account; empty when the wallet pays.
        payment_method: String,
    },
    /// Pay into a wallet.
    TopUp {
        /// The funding to be made.
        funding_id: FundingId,
        /// Whose wallet.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much.
        amount: Minor,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Not pay after all.
    CancelFunding {
        /// The funding.
        funding_id: FundingId,
    },
    /// Assign a deposit to a milestone.
    AllocateDeposit {
        /// The contract.
        contract_id: ContractId,
        /// The movement to be made.
        reallocation_id: ReallocationId,
        /// To which milestone.
        to: MilestoneId,
        /// How much, without the client's fee.
        amount: Minor,
    },
    /// Pay a bonus or a tip.
    PayGratuity {
        /// The contract.
        contract_id: ContractId,
        /// The funding to be made.
        funding_id: FundingId,
        /// What it is.
        kind: GratuityKind,
        /// How much, before fees.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Give released money back to the client.
    GiveBack {
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// The refund to be made.
        refund_id: RefundId,
        /// How much, as it was released, before fees.
        amount: Minor,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// Let nothing leave an escrow.
    Freeze {
        /// The contract.
        contract_id: ContractId,
        /// Why: a code.
        reason: String,
        /// The reference of the order that demands it, opaque.
        legal_ref: Option<String>,
    },
    /// Let money leave it again.
    Unfreeze {
        /// The contract.
        contract_id: ContractId,
    },
    /// Give a refund that finds no way to the client's wallet.
    RedirectRefund {
        /// The refund.
        refund_id: RefundId,
    },
    /// Take money out of a wallet.
    WithdrawFromWallet {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The refund to be made.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
    },
    /// Hold available earnings back.
    HoldEarnings {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all when absent.
        amount: Option<Minor>,
        /// Why.
        reason: HoldReason,
    },
    /// Give up what a payee owes.
    WriteOffDebt {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it arose from.
        cause: String,
        /// How much.
        amount: Minor,
    },
    /// Let go what was held back.
    LetEarningsGo {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all when absent.
        amount: Option<Minor>,
        /// Why it was held.
        reason: HoldReason,
    },
}

impl MoneyIntent {
    /// The stream that the request names.
    pub fn subject(&self) -> StreamId {
        match self {
            Self::PayIn { funding_id, .. }
            | Self::PayGratuity { funding_id, .. }
            | Self::TopUp { funding_id, .. }
            | Self::CancelFunding { funding_id } => funding::stream(*funding_id),
            Self::AllocateDeposit { contract_id, .. }
            | Self::GiveBack { contract_id, .. }
            | Self::Freeze { contract_id, .. }
            | Self::Unfreeze { contract_id } => escrow::stream(*contract_id),
            Self::RedirectRefund { refund_id } => refund::stream(*refund_id),
            Self::WithdrawFromWallet { client_id, currency, .. } => {
                wallet::stream(WalletId { party_id: *client_id, currency: *currency })
            }
            Self::HoldEarnings { payee_id, currency, .. }
            | Self::WriteOffDebt { payee_id, currency, .. }
            | Self::LetEarningsGo { payee_id, currency, .. } => {
                payee::stream(PayeeAccountId { party_id: *payee_id, currency: *currency })
            }
        }
    }

    /// The scope whose timers are judged first; `None` when it follows from the subject's state.
    pub(super) fn scope(&self) -> Option<Scope> {
        match self {
            Self::PayIn { contract_id, .. }
            | Self::PayGratuity { contract_id, .. }
            | Self::AllocateDeposit { contract_id, .. }
            | Self::GiveBack { contract_id, .. }
            | Self::Freeze { contract_id, .. }
            | Self::Unfreeze { contract_id } => Some(Scope::Contract(*contract_id)),
            Self::CancelFunding { .. } => None,
            Self::TopUp { .. }
            | Self::RedirectRefund { .. }
            | Self::WithdrawFromWallet { .. }
            | Self::HoldEarnings { .. }
            | Self::WriteOffDebt { .. }
            | Self::LetEarningsGo { .. } => Some(Scope::Stream(self.subject())),
        }
    }

    pub(super) fn commands(
        &self,
        actor: Actor,
        look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
    ) -> Result<Vec<Command>, Stop> {
        Ok(vec![match self {
            Self::PayIn { contract_id, funding_id, allocations, deposit, currency, paid_from, payment_method } => {
                has_escrow(*contract_id, actor, look)?;
                let request = EscrowCommand::RequestFunding {
                    funding_id: *funding_id,
                    allocations: allocations.clone(),
                    deposit: *deposit,
                    currency: *currency,
                    paid_from: *paid_from,
                    payment_method: payment_method.clone(),
                };
                Command::Escrow(*contract_id, request)
            }
            Self::TopUp { funding_id, client_id, currency, amount, payment_method } => {
                let top_up = FundingCommand::TopUp {
                    funding_id: *funding_id,
                    client_id: *client_id,
                    currency: *currency,
                    amount: *amount,
                    payment_method: payment_method.clone(),
                };
                Command::Funding(*funding_id, top_up)
            }
            Self::CancelFunding { funding_id } => Command::Funding(*funding_id, FundingCommand::Cancel),
            Self::AllocateDeposit { contract_id, reallocation_id, to, amount } => {
                is_milestone_of(*contract_id, *to, actor, look)?;
                let reallocate = EscrowCommand::Reallocate {
                    reallocation_id: *reallocation_id,
                    from: None,
                    to: *to,
                    amount: *amount,
                    consent: actor.party().into_iter().collect(),
                };
                Command::Escrow(*contract_id, reallocate)
            }
            Self::PayGratuity { contract_id, funding_id, kind, amount, currency, payment_method } => {
                has_escrow(*contract_id, actor, look)?;
                let request = EscrowCommand::RequestGratuity {
                    funding_id: *funding_id,
                    kind: *kind,
                    amount: *amount,
                    currency: *currency,
                    payment_method: payment_method.clone(),
                };
                Command::Escrow(*contract_id, request)
            }
            Self::GiveBack { contract_id, milestone_id, refund_id, amount, currency } => {
                let give_back = EscrowCommand::ReturnRelease {
                    refund_id: *refund_id,
                    milestone_id: *milestone_id,
                    gross: *amount,
                    currency: *currency,
                };
                Command::Escrow(*contract_id, give_back)
            }
            Self::Freeze { contract_id, reason, legal_ref } => {
                let freeze = EscrowCommand::Freeze { reason: reason.clone(), legal_ref: legal_ref.clone() };
                Command::Escrow(*contract_id, freeze)
            }
            Self::Unfreeze { contract_id } => Command::Escrow(*contract_id, EscrowCommand::Unfreeze),
            Self::RedirectRefund { refund_id } => Command::Refund(*refund_id, RefundCommand::RedirectToWallet),
            Self::WithdrawFromWallet { client_id, currency, refund_id, amount } => {
                let withdraw = WalletCommand::Withdraw {
                    client_id: *client_id,
                    currency: *currency,
                    refund_id: *refund_id,
                    amount: *amount,
                };
                Command::Wallet(WalletId { party_id: *client_id, currency: *currency }, withdraw)
            }
            Self::HoldEarnings { payee_id, currency, amount, reason } => {
                let hold =
                    PayeeCommand::Hold { payee_id: *payee_id, currency: *currency, amount: *amount, reason: *reason };
                Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, hold)
            }
            Self::WriteOffDebt { payee_id, currency, cause, amount } => {
                let write_off = PayeeCommand::WriteOffDebt {
                    payee_id: *payee_id,
                    currency: *currency,
                    cause: cause.clone(),
                    amount: Some(*amount),
                };
                Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, write_off)
            }
            Self::LetEarningsGo { payee_id, currency, amount, reason } => {
                let let_go = PayeeCommand::ReleaseHold {
                    payee_id: *payee_id,
                    currency: *currency,
                    amount: *amount,
                    reason: *reason,
                };
                Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, let_go)
            }
        }])
    }
}

/// The escrow does not know the milestones that nothing was ever paid for; the contract does.
fn is_milestone_of(
    contract_id: ContractId,
    milestone_id: MilestoneId,
    actor: Actor,
    look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
) -> Result<(), Stop> {
    has_escrow(contract_id, actor, look)?;
    let AggregateState::Contract(contract) = look(&contract::stream(contract_id))? else {
        return Ok(());
    };
    let Some(agreement) = contract.agreement() else {
        return Err(Stop::Refused(Refusal::NotAParty));
    };
    if !actor.party().is_some_and(|party| party == agreement.client_id || party == agreement.payee_id) {
        return Err(Stop::Refused(Refusal::NotAParty));
    }
    if agreement.milestones.iter().any(|plan| plan.milestone_id == milestone_id) {
        Ok(())
    } else {
        Err(Stop::Refused(Refusal::invalid("/milestone_id", "no such milestone of this contract")))
    }
}
