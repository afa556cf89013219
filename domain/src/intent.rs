//! What a caller asks for, and the commands that it becomes.
//!
//! Most intents are one command. Some have to look at other streams first: whether a party exists, where a payee is paid.
//! What they look at is part of the decision (see [`crate::unit_of_work`]).

use ledger::{Currency, Minor};

mod approvals;
mod chargeback;
mod money;
mod payouts;

pub use approvals::ApprovalIntent;
pub use money::MoneyIntent;
pub use payouts::PayoutIntent;

use crate::actor::Actor;
use crate::aggregate::AggregateState;
use crate::command::Command;
use crate::contract::{self, Contract, ContractCommand, MilestonePlan};
use crate::escrow::{EscrowCommand, PaidFrom};
use crate::funding;
use crate::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use crate::log::StreamId;
use crate::milestone::{self, MilestoneCommand, Remainder};
use crate::party::{self, AccountStatus, Party, PartyCommand, PayoutAccount};
use crate::payee::{self, PayeeAccountId, PayeeCommand};
use crate::payout;
use crate::policy::{FeeSchedule, Policy};
use crate::refusal::Refusal;
use crate::timer::Scope;
use crate::unit_of_work::Stop;

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Make a party known.
    RegisterParty {
        /// The party.
        party_id: PartyId,
    },
    /// Say where a party's earnings are to be paid.
    LinkPayoutAccount {
        /// The party.
        party_id: PartyId,
        /// The account.
        account: PayoutAccount,
        /// What the provider says of it, where it was asked: recorded with the link.
        status: Option<Box<AccountStatus>>,
    },
    /// Write a contract down.
    DraftContract {
        /// The contract to be made.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is to deliver.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// The marketplace's own reference.
        reference: Option<String>,
    },
    /// Show a contract to the payee.
    OfferContract {
        /// The contract.
        contract_id: ContractId,
        /// The fees.
        fee_schedule: FeeSchedule,
        /// The periods.
        policy: Policy,
    },
    /// Agree to a contract.
    AcceptContract {
        /// The contract.
        contract_id: ContractId,
    },
    /// Pay for milestones.
    FundMilestones {
        /// Their contract.
        contract_id: ContractId,
        /// The funding to be made.
        funding_id: FundingId,
        /// Which, and how much for each.
        allocations: Vec<(MilestoneId, Minor)>,
        /// Currency of the amounts.
        currency: Currency,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Deliver.
    SubmitWork {
        /// The milestone.
        milestone_id: MilestoneId,
    },
    /// Approve, and with it release. Less than is held is approved as a part, and the rest stays held.
    ApproveMilestone {
        /// The milestone.
        milestone_id: MilestoneId,
        /// How much; all that is held when absent.
        amount: Option<Minor>,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// Anything else that a party asks for about a contract.
    OnContract {
        /// The contract.
        contract_id: ContractId,
        /// What; only what a party may ask for.
        command: ContractCommand,
    },
    /// Anything else that a party asks for about a milestone.
    OnMilestone {
        /// The milestone.
        milestone_id: MilestoneId,
        /// What; only what a party may ask for.
        command: MilestoneCommand,
    },
    /// Withdraw earnings to the bank.
    RequestPayout {
        /// The payout to be made.
        payout_id: PayoutId,
        /// Whose earnings.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much.
        amount: Minor,
    },
    /// Something about money beside the usual way.
    Money(MoneyIntent),
    /// Something about payouts, those who are paid, and the platform's own money.
    Payouts(PayoutIntent),
    /// Something about a command that others have to approve.
    Approvals(ApprovalIntent),
    /// Something that the payment provider says is so.
    Fact(Command),
    /// Let due timers of a scope fire.
    Wake(Scope),
}

impl Intent {
    /// The stream that the request names: what `If-Match` and `ETag` are about.
    pub fn subject(&self) -> StreamId {
        match self {
            Self::RegisterParty { party_id } | Self::LinkPayoutAccount { party_id, .. } => party::stream(*party_id),
            Self::DraftContract { contract_id, .. }
            | Self::OfferContract { contract_id, .. }
            | Self::AcceptContract { contract_id }
            | Self::OnContract { contract_id, .. } => contract::stream(*contract_id),
            Self::FundMilestones { funding_id, .. } => funding::stream(*funding_id),
            Self::SubmitWork { milestone_id }
            | Self::ApproveMilestone { milestone_id, .. }
            | Self::OnMilestone { milestone_id, .. } => milestone::stream(*milestone_id),
            Self::RequestPayout { payout_id, .. } => payout::stream(*payout_id),
            Self::Money(intent) => intent.subject(),
            Self::Payouts(intent) => intent.subject(),
            Self::Approvals(intent) => intent.subject(),
            Self::Fact(command) => command.stream(),
            Self::Wake(scope) => scope.stream(),
        }
    }

    /// The stream whose state tells of which contract the request is, where the request itself does not.
    pub(crate) fn part(&self) -> StreamId {
        match self {
            // The provider names the payment; the chargeback may be new.
            Self::Fact(Command::Chargeback(_, command)) => {
                command.funding_id().map_or_else(|| self.subject(), funding::stream)
            }
            _ => self.subject(),
        }
    }

    /// Whether it may begin streams: then its first judgement may have taken them to be new without looking.
    pub fn may_begin(&self) -> bool {
        matches!(
            self,
            Self::DraftContract { .. }
                | Self::AcceptContract { .. }
                // An amendment can add milestones.
                | Self::OnContract { command: ContractCommand::Accept | ContractCommand::AcceptAmendment { .. }, .. }
                | Self::FundMilestones { .. }
                | Self::RequestPayout { .. }
                | Self::Payouts(PayoutIntent::Retry { .. })
                | Self::Money(MoneyIntent::PayIn { .. } | MoneyIntent::PayGratuity { .. } | MoneyIntent::TopUp { .. })
        )
    }

    /// The scope whose timers are judged first; `None` when it follows from the subject's state.
    pub(crate) fn scope(&self) -> Option<Scope> {
        match self {
            Self::DraftContract { contract_id, .. }
            | Self::OfferContract { contract_id, .. }
            | Self::AcceptContract { contract_id }
            | Self::OnContract { contract_id, .. }
            | Self::FundMilestones { contract_id, .. } => Some(Scope::Contract(*contract_id)),
            Self::SubmitWork { .. } | Self::ApproveMilestone { .. } | Self::OnMilestone { .. } => None,
            Self::RegisterParty { .. } | Self::LinkPayoutAccount { .. } => Some(Scope::Stream(self.subject())),
            Self::RequestPayout { payee_id, currency, .. } => {
                Some(Scope::Stream(payee::stream(PayeeAccountId { party_id: *payee_id, currency: *currency })))
            }
            Self::Money(intent) => intent.scope(),
            Self::Fact(Command::Milestone(..) | Command::Funding(..) | Command::Chargeback(..)) => None,
            Self::Payouts(intent) => Some(intent.scope()),
            Self::Approvals(intent) => intent.scope(),
            Self::Fact(Command::Contract(id, _) | Command::Escrow(id, _)) => Some(Scope::Contract(*id)),
            Self::Fact(command) => Some(Scope::Stream(command.stream())),
            Self::Wake(scope) => Some(scope.clone()),
        }
    }

    /// What requests on the same thing have in common: they wait for each other within a process, so that they do not
    /// conflict in the store. A hint, never a condition for correctness.
    pub fn queue(&self) -> StreamId {
        self.scope().map_or_else(|| self.subject(), |scope| scope.stream())
    }

    /// The commands that it becomes. `look` gives the state of a stream.
    pub(crate) fn commands(
        &self,
        actor: Actor,
        look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
    ) -> Result<Vec<Command>, Stop> {
        Ok(match self {
            Self::RegisterParty { party_id } => {
                vec![Command::Party(*party_id, PartyCommand::Register { party_id: *party_id })]
            }
            Self::LinkPayoutAccount { party_id, account, status } => {
                let (party_id, psp) = (*party_id, account.psp.clone());
                let link = PartyCommand::LinkPayoutAccount { party_id, account: account.clone() };
                let told = status.as_deref().map(|status| PartyCommand::RecordAccount {
                    party_id,
                    psp,
                    status: status.clone(),
                });
                std::iter::once(link).chain(told).map(|command| Command::Party(party_id, command)).collect()
            }
            Self::DraftContract { contract_id, client_id, payee_id, currency, milestones, reference } => {
                if matches!(look(&party::stream(*payee_id))?, AggregateState::Party(Party::Unknown)) {
                    return Err(Stop::Refused(Refusal::invalid("/payee_id", "no such party")));
                }
                let draft = ContractCommand::Draft {
                    contract_id: *contract_id,
                    client_id: *client_id,
                    payee_id: *payee_id,
                    currency: *currency,
                    milestones: milestones.clone(),
                    reference: reference.clone(),
                };
                vec![Command::Contract(*contract_id, draft)]
            }
            Self::OfferContract { contract_id, fee_schedule, policy } => {
                let offer = ContractCommand::Offer { fee_schedule: fee_schedule.clone(), policy: policy.clone() };
                vec![Command::Contract(*contract_id, offer)]
            }
            Self::AcceptContract { contract_id } => vec![Command::Contract(*contract_id, ContractCommand::Accept)],
            Self::FundMilestones { contract_id, funding_id, allocations, currency, payment_method } => {
                has_escrow(*contract_id, actor, look)?;
                let request = EscrowCommand::RequestFunding {
                    funding_id: *funding_id,
                    allocations: allocations.clone(),
                    deposit: Minor::ZERO,
                    currency: *currency,
                    paid_from: PaidFrom::Provider,
                    payment_method: payment_method.clone(),
                };
                vec![Command::Escrow(*contract_id, request)]
            }
            Self::SubmitWork { milestone_id } => {
                vec![Command::Milestone(*milestone_id, MilestoneCommand::SubmitWork)]
            }
            Self::ApproveMilestone { milestone_id, amount, currency } => {
                let held = match look(&milestone::stream(*milestone_id))? {
                    AggregateState::Milestone(state) => state.progress().map(|progress| progress.held),
                    _ => None,
                };
                let approve = match (amount, held) {
                    (Some(gross), Some(held)) if *gross < held => MilestoneCommand::ApprovePartially {
                        gross: *gross,
                        currency: *currency,
                        remainder: Remainder::Keep,
                    },
                    _ => MilestoneCommand::Approve { amount: *amount, currency: *currency },
                };
                vec![Command::Milestone(*milestone_id, approve)]
            }
            Self::OnContract { contract_id, command } if command.is_of_a_party() => {
                vec![Command::Contract(*contract_id, command.clone())]
            }
            Self::OnMilestone { milestone_id, command } if command.is_of_a_party() => {
                vec![Command::Milestone(*milestone_id, command.clone())]
            }
            Self::OnContract { .. } | Self::OnMilestone { .. } => {
                return Err(Stop::Refused(Refusal::Defect("a command that no party may give".to_owned())));
            }
            Self::RequestPayout { payout_id, payee_id, currency, amount } => {
                let AggregateState::Party(Party::Registered { payout_account: Some(account), .. }) =
                    look(&party::stream(*payee_id))?
                else {
                    return Err(Stop::Refused(Refusal::PayoutAccountRequired));
                };
                let reserve = PayeeCommand::ReservePayout {
                    payee_id: *payee_id,
                    currency: *currency,
                    payout_id: *payout_id,
                    amount: *amount,
                    account,
                };
                vec![Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, reserve)]
            }
            Self::Money(intent) => intent.commands(actor, look)?,
            Self::Fact(Command::Chargeback(id, command)) => vec![chargeback::resolved(*id, command, look)?],
            Self::Payouts(intent) => intent.commands(look)?,
            Self::Approvals(intent) => intent.commands(actor, look)?,
            Self::Fact(command) => vec![command.clone()],
            Self::Wake(_) => Vec::new(),
        })
    }
}

/// The escrow takes money from acceptance on; before it, and after a cancellation, the contract says who may know of it
/// and in which state it is.
fn has_escrow(
    contract_id: ContractId,
    actor: Actor,
    look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
) -> Result<(), Stop> {
    match look(&contract::stream(contract_id))? {
        AggregateState::Contract(contract)
            if !contract.has_parts() || matches!(*contract, Contract::Cancelled { .. }) =>
        {
            Err(Stop::Refused(contract.refuse_funding(actor)))
        }
        _ => Ok(()),
    }
}
