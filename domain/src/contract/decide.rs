//! Rules of a contract: who may do what, and which of the other files judges it.

use super::{Agreement, Contract, ContractCommand, ContractEvent, Role, amendments, dormancy, ending, offer};
use crate::actor::Actor;
use crate::id::PartyId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(
    contract: &Contract,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use ContractCommand as C;
    if let (Contract::NotDrafted, C::Draft { .. }) = (contract, command) {
        return offer::draft(command, context);
    }
    let Some(agreement) = contract.agreement() else {
        return Err(Refusal::NotFound { what: "contract" });
    };
    match command {
        C::Draft { .. } => Err(wrong_state(contract, "drafted")),
        C::Offer { .. }
        | C::CounterOffer { .. }
        | C::Accept
        | C::Decline { .. }
        | C::WithdrawOffer
        | C::ExpireOffer => offer::decide(contract, agreement, command, context),

        C::RecordFunding { .. }
        | C::Cancel { .. }
        | C::LapseFunding { .. }
        | C::Pause { .. }
        | C::Resume
        | C::RequestEnd { .. }
        | C::AcceptEnd { .. }
        | C::AgreeEndByTime { .. }
        | C::DisputeEnd
        | C::CloseMilestone { .. } => ending::decide(contract, agreement, command, context),

        C::ProposeAmendment { .. }
        | C::AcceptAmendment { .. }
        | C::RejectAmendment { .. }
        | C::ExpireAmendment { .. } => amendments::decide(contract, agreement, command, context),

        C::CheckDormancy { .. } | C::AdvanceDormancy { .. } | C::RequestDormancyRelease | C::NoteActivity { .. } => {
            dormancy::decide(contract, agreement, command, context)
        }

        C::RestartClock { stopped_at } => {
            Ok(ending::after_freeze(contract, *stopped_at, context).into_iter().collect())
        }

        C::BlockTimer { key, reason } => Ok(vec![ContractEvent::TimerBlocked {
            contract_id: agreement.contract_id,
            key: key.clone(),
            reason: reason.clone(),
        }]),
    }
}

pub(super) fn wrong_state(contract: &Contract, action: &'static str) -> Refusal {
    Refusal::ContractWrongState { action, state: contract.state_name() }
}

/// The caller has to be the client, acting as such.
pub(super) fn only_client(contract: &Contract, context: &Context, action: &'static str) -> Result<(), Refusal> {
    only(contract, context, Role::Client, action)
}

/// The caller has to be the payee, acting as such.
pub(super) fn only_payee(contract: &Contract, context: &Context, action: &'static str) -> Result<(), Refusal> {
    only(contract, context, Role::Payee, action)
}

/// The caller has to be on this side, acting as such.
pub(super) fn only(contract: &Contract, context: &Context, role: Role, action: &'static str) -> Result<(), Refusal> {
    let refused = Refusal::Forbidden { who: role.word(), action };
    match role_of(contract, context, action) {
        Ok(own) if own == role => Ok(()),
        Ok(_) => Err(refused),
        Err(Refusal::Forbidden { .. }) => Err(refused),
        Err(refusal) => Err(refusal),
    }
}

/// On which side the caller stands and acts; a refusal for everybody else.
pub(super) fn role_of(contract: &Contract, context: &Context, action: &'static str) -> Result<Role, Refusal> {
    let Some(agreement) = contract.agreement() else {
        return Err(Refusal::NotAParty);
    };
    match context.actor {
        Actor::Client(party) if party == agreement.client_id => Ok(Role::Client),
        // A draft is the client's own: the payee does not know of it.
        actor if actor.party() == Some(agreement.payee_id) && !contract.is_shown() => Err(Refusal::NotAParty),
        Actor::Payee(party) if party == agreement.payee_id => Ok(Role::Payee),
        Actor::Client(party) | Actor::Payee(party) if is_party(agreement, party) => {
            Err(Refusal::Forbidden { who: "client or payee in their own role", action })
        }
        _ => Err(Refusal::NotAParty),
    }
}

fn is_party(agreement: &Agreement, party: PartyId) -> bool {
    party == agreement.client_id || party == agreement.payee_id
}
