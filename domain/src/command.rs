//! Commands on all aggregates, each with the aggregate it is for.

use crate::approval::{self, ApprovalCommand};
use crate::chargeback::{self, ChargebackCommand};
use crate::contract::{self, ContractCommand};
use crate::escrow::{self, EscrowCommand};
use crate::funding::{self, FundingCommand};
use crate::id::{ApprovalId, ChargebackId, ContractId, FundingId, MilestoneId, PartyId, PayoutId, RefundId};
use crate::log::StreamId;
use crate::milestone::{self, MilestoneCommand};
use crate::pair::{self, PairCommand, PairId};
use crate::party::{self, PartyCommand};
use crate::payee::{self, PayeeAccountId, PayeeCommand};
use crate::payout::{self, PayoutCommand};
use crate::refund::{self, RefundCommand};
use crate::subject::{self, SubjectCommand};
use crate::treasury::{self, TreasuryCommand, TreasuryId};
use crate::wallet::{self, WalletCommand, WalletId};

/// A command on one aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// On a party.
    Party(PartyId, PartyCommand),
    /// On a contract.
    Contract(ContractId, ContractCommand),
    /// On a milestone.
    Milestone(MilestoneId, MilestoneCommand),
    /// On the escrow of a contract.
    Escrow(ContractId, EscrowCommand),
    /// On a funding.
    Funding(FundingId, FundingCommand),
    /// On a payee account.
    Payee(PayeeAccountId, PayeeCommand),
    /// On a payout.
    Payout(PayoutId, PayoutCommand),
    /// On a refund.
    Refund(RefundId, RefundCommand),
    /// On a client's wallet.
    Wallet(WalletId, WalletCommand),
    /// On a chargeback.
    Chargeback(ChargebackId, ChargebackCommand),
    /// On a treasury.
    Treasury(TreasuryId, TreasuryCommand),
    /// On what a client and a payee have billed together.
    Pair(PairId, PairCommand),
    /// On an approval request.
    Approval(ApprovalId, ApprovalCommand),
    /// On a person whose data is kept.
    Subject(PartyId, SubjectCommand),
}

impl Command {
    /// The stream that it is judged on.
    pub fn stream(&self) -> StreamId {
        match self {
            Self::Party(id, _) => party::stream(*id),
            Self::Contract(id, _) => contract::stream(*id),
            Self::Milestone(id, _) => milestone::stream(*id),
            Self::Escrow(id, _) => escrow::stream(*id),
            Self::Funding(id, _) => funding::stream(*id),
            Self::Payee(id, _) => payee::stream(*id),
            Self::Payout(id, _) => payout::stream(*id),
            Self::Refund(id, _) => refund::stream(*id),
            Self::Wallet(id, _) => wallet::stream(*id),
            Self::Chargeback(id, _) => chargeback::stream(*id),
            Self::Treasury(id, _) => treasury::stream(id),
            Self::Pair(id, _) => pair::stream(*id),
            Self::Approval(id, _) => approval::stream(*id),
            Self::Subject(id, _) => subject::stream(*id),
        }
    }

    /// Whether it begins its stream: it is accepted only as the first of it.
    pub fn begins(&self) -> bool {
        matches!(
            self,
            Self::Contract(_, ContractCommand::Draft { .. })
                | Self::Milestone(_, MilestoneCommand::Plan { .. })
                | Self::Escrow(_, EscrowCommand::Open { .. })
                | Self::Funding(_, FundingCommand::Create { .. } | FundingCommand::TopUp { .. })
                | Self::Payout(_, PayoutCommand::Request { .. } | PayoutCommand::RequestApproval { .. })
        )
    }
}
