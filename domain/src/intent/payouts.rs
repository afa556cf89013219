//! What a caller asks for about payouts beside a plain one, those who are paid, and the platform's own money.

use ledger::{Currency, Minor};

use crate::aggregate::AggregateState;
use crate::command::Command;
use crate::id::{OnboardingLinkId, PartyId, PayoutId};
use crate::jurisdiction::Jurisdiction;
use crate::log::StreamId;
use crate::party::{self, Party, PartyCommand};
use crate::payee::{self, PayeeAccountId, PayeeCommand};
use crate::payout::{self, Payout, PayoutCommand, PayoutPolicy, PayoutSchedule};
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::timer::Scope;
use crate::treasury::{self, TreasuryCommand, TreasuryId};
use crate::unit_of_work::Stop;

/// A request about payouts. Each is one command.
#[derive(Debug, Clone, PartialEq)]
pub enum PayoutIntent {
    /// Make a payout again that did not arrive, or came back: of the same amount, by the way that is linked now.
    Retry {
        /// The payout to be made.
        payout_id: PayoutId,
        /// The one that did not arrive.
        retry_of: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
    },
    /// Let a payout go that waits for staff.
    Approve {
        /// The payout.
        payout_id: PayoutId,
    },
    /// Not make a payout that waits for staff.
    Cancel {
        /// The payout.
        payout_id: PayoutId,
    },
    /// Say when earnings are paid out without being asked for.
    SetSchedule {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How often.
        schedule: PayoutSchedule,
        /// Not less than this.
        minimum: Minor,
    },
    /// Say what the platform demands of payouts.
    SetPolicy {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it demands.
        policy: PayoutPolicy,
    },
    /// Have an account made at the provider.
    RequestPspAccount {
        /// Whose.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// Where the party lives.
        country: Jurisdiction,
    },
    /// Have a link made to the provider's own pages.
    RequestOnboardingLink {
        /// Whose.
        party_id: PartyId,
        /// The link to be made.
        link_id: OnboardingLinkId,
    },
    /// Have earnings in a currency paid to another bank account.
    RequestDestination {
        /// Whose.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The provider's token of the bank account.
        token: String,
    },
    /// Not pay a party.
    Restrict {
        /// The party.
        party_id: PartyId,
    },
    /// Pay it again.
    LiftRestriction {
        /// The party.
        party_id: PartyId,
    },
    /// Say that a party may be on a list of sanctions.
    RecordSanctionsHit {
        /// The party.
        party_id: PartyId,
        /// The screening's own reference.
        screening_ref: String,
        /// Currencies in which it has earnings.
        currencies: Vec<Currency>,
    },
    /// Propose to drop that suspicion.
    ProposeSanctionsClearance {
        /// The party.
        party_id: PartyId,
    },
    /// Drop it.
    ApproveSanctionsClearance {
        /// The party.
        party_id: PartyId,
    },
    /// Something about the platform's own money; only what a person may ask for.
    Treasury {
        /// Which treasury.
        id: TreasuryId,
        /// What.
        command: TreasuryCommand,
    },
}

impl PayoutIntent {
    /// The stream that the request names.
    pub fn subject(&self) -> StreamId {
        match self {
            Self::Retry { payout_id, .. } | Self::Approve { payout_id } | Self::Cancel { payout_id } => {
                payout::stream(*payout_id)
            }
            Self::SetSchedule { payee_id, currency, .. } | Self::SetPolicy { payee_id, currency, .. } => {
                payee::stream(PayeeAccountId { party_id: *payee_id, currency: *currency })
            }
            Self::RequestPspAccount { party_id, .. }
            | Self::RequestOnboardingLink { party_id, .. }
            | Self::RequestDestination { party_id, .. }
            | Self::Restrict { party_id }
            | Self::LiftRestriction { party_id }
            | Self::RecordSanctionsHit { party_id, .. }
            | Self::ProposeSanctionsClearance { party_id }
            | Self::ApproveSanctionsClearance { party_id } => party::stream(*party_id),
            Self::Treasury { id, .. } => treasury::stream(id),
        }
    }

    /// The scope whose timers are judged first.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Retry { payee_id, currency, .. } => {
                Scope::Stream(payee::stream(PayeeAccountId { party_id: *payee_id, currency: *currency }))
            }
            _ => Scope::Stream(self.subject()),
        }
    }

    pub(super) fn commands(
        &self,
        look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
    ) -> Result<Vec<Command>, Stop> {
        let on_party = |party_id: &PartyId, command| Command::Party(*party_id, command);
        Ok(vec![match self {
            Self::Retry { payout_id, retry_of, payee_id, currency } => {
                let amount = failed_amount(*retry_of, *payee_id, *currency, look)?;
                let AggregateState::Party(Party::Registered { payout_account: Some(account), .. }) =
                    look(&party::stream(*payee_id))?
                else {
                    return Err(Stop::Refused(Refusal::PayoutAccountRequired));
                };
                let retry = PayeeCommand::RetryPayout {
                    payee_id: *payee_id,
                    currency: *currency,
                    payout_id: *payout_id,
                    retry_of: *retry_of,
                    amount,
                    account,
                };
                Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, retry)
            }
            Self::Approve { payout_id } => Command::Payout(*payout_id, PayoutCommand::Approve),
            Self::Cancel { payout_id } => Command::Payout(*payout_id, PayoutCommand::Cancel),
            Self::SetSchedule { payee_id, currency, schedule, minimum } => {
                let (payee_id, currency, schedule, minimum) = (*payee_id, *currency, *schedule, *minimum);
                let set = PayeeCommand::SetPayoutSchedule { payee_id, currency, schedule, minimum };
                Command::Payee(PayeeAccountId { party_id: payee_id, currency }, set)
            }
            Self::SetPolicy { payee_id, currency, policy } => {
                let (payee_id, currency, policy) = (*payee_id, *currency, *policy);
                let set = PayeeCommand::SetPayoutPolicy { payee_id, currency, policy };
                Command::Payee(PayeeAccountId { party_id: payee_id, currency }, set)
            }
            Self::RequestPspAccount { party_id, psp, country } => {
                let (psp, country) = (psp.clone(), country.clone());
                on_party(party_id, PartyCommand::RequestPspAccount { party_id: *party_id, psp, country })
            }
            Self::RequestOnboardingLink { party_id, link_id } => {
                let request = PartyCommand::RequestOnboardingLink { party_id: *party_id, link_id: *link_id };
                on_party(party_id, request)
            }
            Self::RequestDestination { party_id, currency, token } => {
                let (currency, token) = (*currency, token.clone());
                on_party(party_id, PartyCommand::RequestDestination { party_id: *party_id, currency, token })
            }
            Self::Restrict { party_id } => on_party(party_id, PartyCommand::Restrict { party_id: *party_id }),
            Self::LiftRestriction { party_id } => {
                on_party(party_id, PartyCommand::LiftRestriction { party_id: *party_id })
            }
            Self::RecordSanctionsHit { party_id, screening_ref, currencies } => {
                let record = PartyCommand::RecordSanctionsHit {
                    party_id: *party_id,
                    screening_ref: screening_ref.clone(),
                    currencies: currencies.clone(),
                };
                on_party(party_id, record)
            }
            Self::ProposeSanctionsClearance { party_id } => {
                on_party(party_id, PartyCommand::ProposeSanctionsClearance { party_id: *party_id })
            }
            Self::ApproveSanctionsClearance { party_id } => {
                on_party(party_id, PartyCommand::ApproveSanctionsClearance { party_id: *party_id })
            }
            Self::Treasury { id, command } if command.is_of_a_person() => {
                Command::Treasury(id.clone(), command.clone())
            }
            Self::Treasury { .. } => {
                return Err(Stop::Refused(Refusal::Defect("a command that nobody may give".to_owned())));
            }
        }])
    }
}

/// What a payout of that payee was about that did not arrive.
fn failed_amount(
    payout_id: PayoutId,
    payee_id: PartyId,
    currency: Currency,
    look: &mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>,
) -> Result<Minor, Stop> {
    let AggregateState::Payout(payout) = look(&payout::stream(payout_id))? else {
        return Err(Stop::Refused(Refusal::NotFound { what: "payout" }));
    };
    let Some(withdrawal) = payout.withdrawal().filter(|withdrawal| withdrawal.payee_id == payee_id) else {
        return Err(Stop::Refused(Refusal::NotFound { what: "payout" }));
    };
    if withdrawal.currency != currency {
        let (expected, received) = (withdrawal.currency, currency);
        return Err(Stop::Refused(Refusal::CurrencyMismatch { expected, received }));
    }
    match payout.as_ref() {
        Payout::Failed { .. } | Payout::Returned { .. } => Ok(withdrawal.amount),
        other => Err(Stop::Refused(Refusal::PayoutWrongState { action: "made again", state: other.state_name() })),
    }
}
