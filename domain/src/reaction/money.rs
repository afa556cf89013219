//! What follows from events of escrow, payee account, refund and wallet.

use ledger::{Currency, Minor};

use super::{PSP, Reaction, exchange};
use crate::command::Command;
use crate::contract::{Activity, ContractCommand};
use crate::escrow::{
    Allocation, EscrowCommand, EscrowEvent, PLATFORM_ACCOUNT, PaidFrom, PspPlace, RefundPart, RejectionReason,
};
use crate::event::DomainEvent;
use crate::funding::{FundingCommand, Order, Purpose, SuspenseReason};
use crate::id::{ContractId, EventId, FundingId, MilestoneId, PartyId, RefundId};
use crate::milestone::MilestoneCommand;
use crate::pair::{PairCommand, PairId};
use crate::payee::{self, PayeeAccountId, PayeeCommand, PayeeEvent};
use crate::policy::HoldAction;
use crate::refund::{RefundCommand, RefundEvent, RefundOrder};
use crate::wallet::{self, CreditCause, WalletCommand, WalletEvent, WalletId};

pub(super) fn of_escrow(event_id: EventId, event: &EscrowEvent) -> Vec<Reaction> {
    match event {
        EscrowEvent::FundingRequested { .. } => funding_requested(event),
        EscrowEvent::Funded {
            contract_id, client_id, funding_id, currency, allocations, surplus_to_wallet, ..
        } => {
            let mut reactions = funded(*contract_id, *funding_id, allocations);
            reactions.extend(surplus(event_id, *client_id, *currency, *surplus_to_wallet));
            reactions
        }
        EscrowEvent::WalletFundingNoted { contract_id, funding_id, allocations, .. } => {
            funded(*contract_id, *funding_id, allocations)
        }
        EscrowEvent::FundingRejected { funding_id, reason, .. } => {
            let command = match reason {
                RejectionReason::EscrowClosed => FundingCommand::ReturnLateReceipt,
                RejectionReason::Superseded => FundingCommand::SuspendReceipt { reason: SuspenseReason::NotHoldable },
            };
            vec![Reaction::Ask(Command::Funding(*funding_id, command))]
        }
        EscrowEvent::Released {
            release_id,
            contract_id,
            milestone_id,
            payee_id,
            currency,
            gross,
            net,
            clears_at,
            client_id,
            billed_before,
            ..
        } => {
            let pair = PairId { client_id: *client_id, payee_id: *payee_id, currency: *currency };
            let bill = PairCommand::Bill { pair, contract_id: *contract_id, release_id: *release_id, gross: *gross };
            let bill = billed_before.map(|_| Reaction::Ask(Command::Pair(pair, bill)));
            let account = PayeeAccountId { party_id: *payee_id, currency: *currency };
            let credit = PayeeEvent::EarningsCredited {
                payee_id: *payee_id,
                release_id: *release_id,
                source_event_id: event_id,
                contract_id: *contract_id,
                amount: *net,
                currency: *currency,
                clears_at: *clears_at,
            };
            let released = MilestoneCommand::RecordRelease { release_id: *release_id, gross: *gross, net: *net };
            let told = [
                Reaction::Note(payee::stream(account), DomainEvent::Payee(credit)),
                Reaction::Ask(Command::Milestone(*milestone_id, released)),
            ];
            told.into_iter().chain(bill).collect()
        }
        EscrowEvent::RefundInitiated {
            refund_id,
            contract_id,
            milestone_id,
            client_id,
            currency,
            amount,
            parts,
            ..
        } => {
            let (refund_id, amount) = (*refund_id, *amount);
            let told = milestone_id.map(|milestone_id| {
                let record = MilestoneCommand::RecordRefund { refund_id, amount };
                Reaction::Ask(Command::Milestone(milestone_id, record))
            });
            told.into_iter().chain(refunds(*contract_id, *client_id, *currency, parts)).collect()
        }
        EscrowEvent::ReleaseReturned {
            refund_id,
            contract_id,
            payee_id,
            client_id,
            currency,
            gross,
            payee_fee,
            client_fee,
            payee_tax,
            client_tax,
            from_payee,
            parts,
            ..
        } => {
            let grant = PayeeCommand::GrantRefund {
                refund_id: *refund_id,
                payee_id: *payee_id,
                contract_id: *contract_id,
                client_id: *client_id,
                currency: *currency,
                gross: *gross,
                payee_fee: *payee_fee,
                client_fee: *client_fee,
                payee_tax: payee_tax.clone(),
                client_tax: client_tax.clone(),
                from_payee: *from_payee,
                parts: parts.clone(),
            };
            let account = PayeeAccountId { party_id: *payee_id, currency: *currency };
            vec![Reaction::Ask(Command::Payee(account, grant))]
        }
        EscrowEvent::GratuityRequested {
            contract_id,
            client_id,
            payee_id,
            funding_id,
            currency,
            gratuity,
            charge,
            payment_method,
        } => {
            let order = Order {
                funding_id: *funding_id,
                contract_id: Some(*contract_id),
                client_id: *client_id,
                currency: *currency,
                allocations: Vec::new(),
                charge: *charge,
                payment_method: payment_method.clone(),
                place: platform(),
                purpose: Purpose::Gratuity { payee_id: *payee_id, gratuity: Box::new(gratuity.clone()) },
                // Nothing waits for it, and a late one is welcome.
                expires_at: None,
            };
            vec![Reaction::Ask(Command::Funding(*funding_id, FundingCommand::Create { order }))]
        }
        EscrowEvent::Closed { called_off, .. } => called_off
            .iter()
            .map(|funding_id| Reaction::Ask(Command::Funding(*funding_id, FundingCommand::CallOff)))
            .collect(),
        EscrowEvent::FundsReallocated { contract_id, from, to, amount, .. } => {
            let (contract_id, from, to, amount) = (*contract_id, *from, *to, *amount);
            // A move between milestones is noted by the one that the payee agreed for.
            let by_client = from.is_none().then(|| noted(contract_id, Activity::Other));
            let left = from.map(|from| {
                let moved_out = MilestoneCommand::RecordMovedOut { to, amount };
                Reaction::Ask(Command::Milestone(from, moved_out))
            });
            // The target first: where it cannot take the money, none leaves.
            let moved_in = MilestoneCommand::RecordMovedIn { contract_id, from, amount };
            [Reaction::Ask(Command::Milestone(to, moved_in))].into_iter().chain(left).chain(by_client).collect()
        }
        EscrowEvent::HoldLimitReached { funding_id, action: HoldAction::ReleaseIfSubmitted, milestones, .. } => {
            let reach = |id: &MilestoneId| {
                let command = MilestoneCommand::ReachHoldLimit { funding_id: *funding_id };
                Reaction::Ask(Command::Milestone(*id, command))
            };
            milestones.iter().map(reach).collect()
        }
        // What was left of each deadline when the clocks were stopped is left now.
        EscrowEvent::Unfrozen { contract_id, frozen_at: Some(stopped_at), milestones } => {
            let go_on = |id: &MilestoneId| {
                let command = MilestoneCommand::RestartClock { stopped_at: *stopped_at };
                Reaction::Ask(Command::Milestone(*id, command))
            };
            let contract = ContractCommand::RestartClock { stopped_at: *stopped_at };
            milestones.iter().map(go_on).chain([Reaction::Ask(Command::Contract(*contract_id, contract))]).collect()
        }
        EscrowEvent::ChargeDisputed { .. }
        | EscrowEvent::ChargebackHeld { .. }
        | EscrowEvent::ChargebackReleased { .. }
        | EscrowEvent::ChargebackAbsorbed { .. }
        | EscrowEvent::ChargeCleared { .. }
        | EscrowEvent::FundingReturned { .. }
        | EscrowEvent::LateReturnSettled { .. } => super::chargeback::of_escrow_event(event),
        EscrowEvent::Opened { .. }
        | EscrowEvent::FeesReallocated { .. }
        | EscrowEvent::DisputeHoldPlaced { .. }
        | EscrowEvent::DisputeHoldLifted { .. }
        | EscrowEvent::Frozen { .. }
        | EscrowEvent::Unfrozen { .. }
        | EscrowEvent::HoldLimitWarned { .. }
        | EscrowEvent::HoldLimitReached { .. }
        | EscrowEvent::TimerBlocked { .. } => Vec::new(),
    }
}

/// The platform's own account at the provider that money is collected with.
fn platform() -> PspPlace {
    PspPlace { psp: PSP.to_owned(), psp_account: PLATFORM_ACCOUNT.to_owned() }
}

fn funding_requested(event: &EscrowEvent) -> Vec<Reaction> {
    let EscrowEvent::FundingRequested {
        contract_id,
        client_id,
        funding_id,
        currency,
        allocations,
        charge,
        payment_method,
        deposit,
        initiation_fee,
        tax,
        paid_from,
        expires_at,
        ..
    } = event
    else {
        return Vec::new();
    };
    let milestones = allocations.iter().enumerate().map(|(index, allocation)| {
        let request = MilestoneCommand::RequestFunding {
            contract_id: *contract_id,
            funding_id: *funding_id,
            amount: allocation.amount,
            pointer: format!("/allocations/{index}"),
        };
        Reaction::Ask(Command::Milestone(allocation.milestone_id, request))
    });
    let pay = match paid_from {
        PaidFrom::Provider => {
            let order = Order {
                funding_id: *funding_id,
                contract_id: Some(*contract_id),
                client_id: *client_id,
                currency: *currency,
                allocations: allocations.clone(),
                charge: *charge,
                payment_method: payment_method.clone(),
                place: platform(),
                purpose: Purpose::Escrow,
                expires_at: *expires_at,
            };
            Command::Funding(*funding_id, FundingCommand::Create { order })
        }
        PaidFrom::Wallet => {
            let pay = WalletCommand::PayEscrow {
                client_id: *client_id,
                contract_id: *contract_id,
                funding_id: *funding_id,
                currency: *currency,
                amount: *charge,
                allocations: allocations.clone(),
                deposit: *deposit,
                initiation_fee: *initiation_fee,
                tax: tax.clone(),
            };
            Command::Wallet(WalletId { party_id: *client_id, currency: *currency }, pay)
        }
    };
    // What is for a milestone is noted by the milestone.
    let noted = allocations.is_empty().then(|| noted(*contract_id, Activity::Funding));
    milestones.chain([Reaction::Ask(pay)]).chain(noted).collect()
}

/// Somebody did something about the contract that no milestone tells of.
fn noted(contract_id: ContractId, activity: Activity) -> Reaction {
    Reaction::Ask(Command::Contract(contract_id, ContractCommand::NoteActivity { activity }))
}

fn funded(contract_id: ContractId, funding_id: FundingId, allocations: &[Allocation]) -> Vec<Reaction> {
    let milestones = allocations.iter().map(|allocation| {
        let funded = MilestoneCommand::RecordFunded { funding_id, amount: allocation.amount };
        Reaction::Ask(Command::Milestone(allocation.milestone_id, funded))
    });
    let activate = ContractCommand::RecordFunding { funding_id };
    milestones.chain([Reaction::Ask(Command::Contract(contract_id, activate))]).collect()
}

/// What was charged beyond the amount due is the client's.
fn surplus(event_id: EventId, client_id: PartyId, currency: Currency, amount: Minor) -> Option<Reaction> {
    if amount.is_zero() {
        return None;
    }
    let (cause, source_event_id) = (CreditCause::Surplus, event_id);
    let credited = WalletEvent::Credited { client_id, amount, currency, cause, source_event_id, funding_id: None };
    Some(Reaction::Note(wallet::stream(WalletId { party_id: client_id, currency }), DomainEvent::Wallet(credited)))
}

/// Each part is a refund of its own.
fn refunds(
    contract_id: ContractId,
    client_id: PartyId,
    currency: Currency,
    parts: &[RefundPart],
) -> impl Iterator<Item = Reaction> {
    parts.iter().map(move |part| {
        let order = RefundOrder {
            refund_id: part.refund_id,
            contract_id: Some(contract_id),
            client_id,
            funding_id: Some(part.funding_id),
            amount: part.amount,
            currency,
            charge: part.charge.clone(),
            paid_from: part.paid_from,
            asked_before: 0,
        };
        request_refund(part.refund_id, order)
    })
}

pub(super) fn request_refund(refund_id: RefundId, order: RefundOrder) -> Reaction {
    Reaction::Ask(Command::Refund(refund_id, RefundCommand::Request { order }))
}

pub(super) fn of_payee(event_id: EventId, event: &PayeeEvent) -> Vec<Reaction> {
    match event {
        PayeeEvent::PayoutReserved { .. } | PayeeEvent::EarningsHeld { .. } | PayeeEvent::CallBackRequested { .. } => {
            super::payout::of_payee(event)
        }
        PayeeEvent::PayeeRefundGranted { contract_id, client_id, currency, parts, .. } => {
            refunds(*contract_id, *client_id, *currency, parts).collect()
        }
        PayeeEvent::BonusPaid { paid } | PayeeEvent::TipPaid { paid } => {
            surplus(event_id, paid.client_id, paid.currency, paid.gratuity.surplus_to_wallet).into_iter().collect()
        }
        PayeeEvent::EarningsCredited { .. }
        | PayeeEvent::EarningsCleared { .. }
        | PayeeEvent::EarningsHoldReleased { .. }
        | PayeeEvent::DebtRecorded { .. }
        | PayeeEvent::DebtRecovered { .. }
        | PayeeEvent::PayoutPaidNoted { .. }
        | PayeeEvent::PayoutFailedNoted { .. }
        | PayeeEvent::LateTransferNoted { .. }
        | PayeeEvent::ChargebackLossCharged { .. }
        | PayeeEvent::ClearanceHoldPlaced { .. }
        | PayeeEvent::DebtWrittenOff { .. }
        | PayeeEvent::PayoutReservationReleased { .. }
        | PayeeEvent::PayoutScheduleChanged { .. }
        | PayeeEvent::PayoutScheduleReached { .. }
        | PayeeEvent::PayoutPolicySet { .. }
        | PayeeEvent::TransferReversedNoted { .. }
        | PayeeEvent::TransferReversalFailedNoted { .. }
        | PayeeEvent::TimerBlocked { .. } => Vec::new(),
    }
}

pub(super) fn of_refund(event_id: EventId, event: &RefundEvent) -> Vec<Reaction> {
    let (client_id, currency, amount, funding_id, cause) = match event {
        RefundEvent::Failed { client_id, currency, amount, funding_id, .. }
        | RefundEvent::Cancelled { client_id, currency, amount, funding_id, .. } => {
            (*client_id, *currency, *amount, *funding_id, CreditCause::RefundFailed)
        }
        RefundEvent::Redirected { client_id, currency, amount, funding_id, .. } => {
            (*client_id, *currency, *amount, *funding_id, CreditCause::RefundRedirected)
        }
        RefundEvent::Succeeded { .. } => return exchange::of_refund(event).into_iter().collect(),
        RefundEvent::Requested { .. }
        | RefundEvent::FundingRequired { .. }
        | RefundEvent::Submitted { .. }
        | RefundEvent::ManualRequired { .. }
        | RefundEvent::DebitSuspended { .. } => return Vec::new(),
    };
    let record =
        WalletCommand::RecordRefund { client_id, amount, currency, cause, source_event_id: event_id, funding_id };
    let credit = Reaction::Ask(Command::Wallet(WalletId { party_id: client_id, currency }, record));
    [credit].into_iter().chain(exchange::of_refund(event)).collect()
}

pub(super) fn of_wallet(event_id: EventId, event: &WalletEvent) -> Vec<Reaction> {
    match event {
        WalletEvent::PaidEscrow { contract_id, funding_id, allocations, deposit, initiation_fee, tax, .. } => {
            let record = EscrowCommand::RecordWalletFunding {
                funding_id: *funding_id,
                allocations: allocations.clone(),
                deposit: *deposit,
                initiation_fee: *initiation_fee,
                tax: tax.clone(),
                source_event_id: event_id,
            };
            vec![Reaction::Ask(Command::Escrow(*contract_id, record))]
        }
        WalletEvent::Withdrawn { client_id, refund_id, amount, currency } => {
            let order = RefundOrder {
                refund_id: *refund_id,
                contract_id: None,
                client_id: *client_id,
                funding_id: None,
                amount: *amount,
                currency: *currency,
                charge: None,
                paid_from: PaidFrom::Provider,
                asked_before: 0,
            };
            vec![request_refund(*refund_id, order)]
        }
        WalletEvent::TopUpReturned { funding_id, receivable, .. } => {
            super::chargeback::owed_by_client(*funding_id, *receivable).into_iter().collect()
        }
        WalletEvent::ChargebackAbsorbed { chargeback_id, platform_share, .. } => {
            super::chargeback::borne_by_platform(*chargeback_id, *platform_share).into_iter().collect()
        }
        WalletEvent::ToppedUp { .. }
        | WalletEvent::Credited { .. }
        | WalletEvent::ChargebackHeld { .. }
        | WalletEvent::RefundReclaimed { .. } => Vec::new(),
    }
}
