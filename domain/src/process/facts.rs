//! What a report of the payment provider means for the aggregates.

use uuid::Uuid;

use crate::chargeback::{self, ChargebackCommand};
use crate::command::Command;
use crate::funding::FundingCommand;
use crate::id::{FundingId, PartyId, PayoutId, RefundId};
use crate::party::PartyCommand;
use crate::payout::PayoutCommand;
use crate::ports::provider::{
    AccountReport, BankPayoutReport, BankPayoutStatus, DisputeReport, FraudWarningReport, PaymentReport, PaymentStatus,
    PlatformPayoutReport, ProviderOrder, ProviderReport, RefundReport, RefundStatus, TopUpReport, TopUpStatus,
    TransferReport, TransferReversalReport,
};
use crate::reaction::PSP;
use crate::refund::RefundCommand;
use crate::treasury::{TreasuryCommand, TreasuryId};

/// What is to be recorded when the provider cannot carry an order out for lack of money. It is tried again later.
pub fn lacks_funds(order: &ProviderOrder) -> Vec<Fact> {
    match order {
        ProviderOrder::Refund { refund_id, .. } => vec![lack_of_funds(*refund_id)],
        // It keeps its place: nothing overtakes it on its lane ([`super::lane`]).
        ProviderOrder::MoveToPayee { payout_id, .. } => {
            let lacks = PayoutCommand::RecordLackOfFunds;
            vec![fact(&payout_id.to_string(), "lacks_funds", Command::Payout(*payout_id, lacks))]
        }
        ProviderOrder::CollectPayment { .. }
        | ProviderOrder::CancelPayment { .. }
        | ProviderOrder::ReadReceipt { .. }
        | ProviderOrder::ReadRefund { .. }
        | ProviderOrder::PayToBank { .. }
        | ProviderOrder::ReadBankPayout { .. }
        | ProviderOrder::SubmitEvidence { .. }
        | ProviderOrder::CloseDispute { .. }
        | ProviderOrder::CreateAccount { .. }
        | ProviderOrder::CreateOnboardingLink { .. }
        | ProviderOrder::SetDestination { .. }
        | ProviderOrder::ReadAccount { .. }
        | ProviderOrder::ReverseTransfer { .. }
        | ProviderOrder::TopUp { .. }
        | ProviderOrder::PayPlatform { .. } => Vec::new(),
    }
}

/// What is to be recorded when an order is never sent, because a gate with this code was shut before ([`super::gate`]).
pub fn withheld(order: &ProviderOrder, code: &str) -> Vec<Fact> {
    let (ProviderOrder::MoveToPayee { payout_id, .. } | ProviderOrder::PayToBank { payout_id, .. }) = order else {
        return Vec::new();
    };
    let withhold = PayoutCommand::Withhold { code: code.to_owned() };
    vec![fact(&payout_id.to_string(), "withheld", Command::Payout(*payout_id, withhold))]
}

fn lack_of_funds(refund_id: RefundId) -> Fact {
    let lacks = Command::Refund(refund_id, RefundCommand::RecordLackOfFunds);
    fact(&refund_id.to_string(), "requires_funding", lacks)
}

/// Namespace of the command ids of facts.
const NAMESPACE: Uuid = Uuid::from_u128(0x1f6e_9d52_80b7_5c3a_b1f4_2e61_9a0d_c7e8);

/// A fact, as a command with the identity that makes a repeat harmless.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Follows from the provider's object and what is said of it.
    pub command_id: Uuid,
    /// What it means.
    pub command: Command,
}

fn fact(aggregate: &str, what: &str, command: Command) -> Fact {
    Fact { command_id: Uuid::new_v5(&NAMESPACE, format!("{aggregate}/{what}").as_bytes()), command }
}

/// The facts in a report, in the order in which they have to be recorded. None, when it is about nothing of ours.
pub fn facts(report: &ProviderReport) -> Vec<Fact> {
    match report {
        ProviderReport::Payment(report) => report.funding_id.map_or_else(Vec::new, |id| of_payment(id, report)),
        ProviderReport::Refund(report) => report.refund_id.map_or_else(Vec::new, |id| of_refund(id, report)),
        ProviderReport::Transfer(report) => report.payout_id.map_or_else(Vec::new, |id| of_transfer(id, report)),
        ProviderReport::BankPayout(report) => report.payout_id.map_or_else(Vec::new, |id| of_bank_payout(id, report)),
        ProviderReport::Dispute(report) => report.funding_id.map_or_else(Vec::new, |_| of_dispute(report)),
        ProviderReport::FraudWarning(report) => report.funding_id.map_or_else(Vec::new, |id| of_warning(id, report)),
        ProviderReport::Account(report) => report.party_id.map_or_else(Vec::new, |id| of_account(id, report)),
        // It is shown to whoever asked for it, and recorded nowhere.
        ProviderReport::OnboardingLink(_) => Vec::new(),
        ProviderReport::TransferReversal(report) => of_reversal(report),
        ProviderReport::TopUp(report) => vec![of_top_up(report)],
        ProviderReport::PlatformPayout(report) => vec![of_platform_payout(report)],
    }
}

/// Codes that say that an account cannot receive money: what is missing is the payee's to give.
const CANNOT_RECEIVE: [&str; 3] =
    ["account_invalid", "insufficient_capabilities_for_transfer", "transfers_not_allowed"];

/// The facts that follow when the provider proves that it will not carry out an order. None, where a later try may
/// succeed.
pub fn refused(order: &ProviderOrder, code: &str) -> Vec<Fact> {
    match order {
        ProviderOrder::CollectPayment { funding_id, .. } => {
            let failed = FundingCommand::RecordFailed { code: code.to_owned() };
            vec![fact(&funding_id.to_string(), "refused", Command::Funding(*funding_id, failed))]
        }
        ProviderOrder::PayToBank { payout_id, .. } if code != "balance_insufficient" => {
            let failed = PayoutCommand::RecordFailed { code: code.to_owned() };
            vec![fact(&payout_id.to_string(), "refused", Command::Payout(*payout_id, failed))]
        }
        // The payee's account cannot receive: nothing has moved, and the payee can withdraw it again once it can.
        ProviderOrder::MoveToPayee { payout_id, .. } if CANNOT_RECEIVE.contains(&code) => {
            let failed = PayoutCommand::RecordFailed { code: code.to_owned() };
            vec![fact(&payout_id.to_string(), "not_transferred", Command::Payout(*payout_id, failed))]
        }
        // It is past calling off: its success is reported, and goes back.
        ProviderOrder::CancelPayment { funding_id, payment_ref } => {
            let known = FundingCommand::LinkPayment { payment_ref: payment_ref.clone() };
            vec![fact(&funding_id.to_string(), &format!("{payment_ref}/linked"), Command::Funding(*funding_id, known))]
        }
        ProviderOrder::Refund { refund_id, asked_before, .. } if code != "balance_insufficient" => {
            let refused = RefundCommand::RecordRefused { code: code.to_owned() };
            // Asked for again, it can be refused again.
            let what = if *asked_before == 0 { "refused".to_owned() } else { format!("refused/{asked_before}") };
            vec![fact(&refund_id.to_string(), &what, Command::Refund(*refund_id, refused))]
        }
        // What cannot be taken back stays at the payee's account, and is seen there.
        ProviderOrder::ReverseTransfer { reversal_id, payout_id, .. } => {
            let failed = PayoutCommand::RecordReversalFailed { reversal_id: *reversal_id, code: code.to_owned() };
            vec![fact(&reversal_id.to_string(), "refused", Command::Payout(*payout_id, failed))]
        }
        ProviderOrder::TopUp { top_up_id, amount, currency } => {
            let refused = TreasuryCommand::RecordTopUp {
                top_up_id: Some(*top_up_id),
                top_up_ref: None,
                amount: *amount,
                status: TopUpStatus::Failed { code: code.to_owned() },
            };
            let treasury = TreasuryId { psp: PSP.to_owned(), currency: *currency };
            vec![fact(&top_up_id.to_string(), "refused", Command::Treasury(treasury, refused))]
        }
        ProviderOrder::PayPlatform { sweep_id, amount, currency } => {
            let refused = TreasuryCommand::RecordPlatformPayout {
                sweep_id: Some(*sweep_id),
                bank_payout_ref: None,
                amount: *amount,
                automatic: false,
                status: BankPayoutStatus::Failed { code: code.to_owned() },
            };
            let treasury = TreasuryId { psp: PSP.to_owned(), currency: *currency };
            vec![fact(&sweep_id.to_string(), "refused", Command::Treasury(treasury, refused))]
        }
        // The party is told, and can ask again: that is another order, under another key.
        ProviderOrder::CreateAccount { party_id, request, country: _ } => {
            let (party_id, request) = (*party_id, *request);
            let (psp, code) = (PSP.to_owned(), code.to_owned());
            let refused = PartyCommand::RecordPspAccountRefused { party_id, psp, request, code };
            vec![fact(&party_id.to_string(), &format!("account/{request}/refused"), Command::Party(party_id, refused))]
        }
        // The payee is told, and can name another bank account.
        ProviderOrder::SetDestination { party_id, account, currency, request, token: _ } => {
            let refused = PartyCommand::RecordDestinationRefused {
                party_id: *party_id,
                currency: *currency,
                psp_account: account.clone(),
                request: *request,
                code: code.to_owned(),
            };
            let what = format!("{account}/destination/{request}/refused");
            vec![fact(&party_id.to_string(), &what, Command::Party(*party_id, refused))]
        }
        // A balance that is too low now is enough later; and a transfer that cannot be made needs an operator.
        ProviderOrder::PayToBank { .. }
        | ProviderOrder::Refund { .. }
        | ProviderOrder::MoveToPayee { .. }
        | ProviderOrder::ReadReceipt { .. }
        | ProviderOrder::ReadRefund { .. }
        | ProviderOrder::ReadBankPayout { .. }
        // Evidence that comes too late changes nothing: the bank decides without it; nor does conceding what is decided.
        | ProviderOrder::SubmitEvidence { .. }
        | ProviderOrder::CloseDispute { .. }
        // An account that cannot be read needs an operator, too.
        | ProviderOrder::CreateOnboardingLink { .. }
        | ProviderOrder::ReadAccount { .. } => Vec::new(),
    }
}

fn of_payment(funding_id: FundingId, report: &PaymentReport) -> Vec<Fact> {
    let payment = report.payment_ref.as_str();
    let on_funding = |what: &str, command| {
        fact(&funding_id.to_string(), &format!("{payment}/{what}"), Command::Funding(funding_id, command))
    };
    let mut facts = vec![on_funding("linked", FundingCommand::LinkPayment { payment_ref: payment.to_owned() })];
    let mut statuses = vec![&report.status];
    // What was collected goes before what was taken back, and its cost with it: neither may have been told in its time.
    if let PaymentStatus::Returned { collected: Some(collected), .. } = &report.status {
        statuses.insert(0, collected);
    }
    for status in statuses {
        facts.extend(of_payment_status(payment, status).into_iter().map(|(what, command)| on_funding(&what, command)));
    }
    facts
}

fn of_payment_status(payment: &str, status: &PaymentStatus) -> Vec<(String, FundingCommand)> {
    let one = |what: &str, command| vec![(what.to_owned(), command)];
    match status {
        PaymentStatus::Created => Vec::new(),
        PaymentStatus::ActionRequired => one("action_required", FundingCommand::RecordActionRequired),
        PaymentStatus::Processing => one("processing", FundingCommand::RecordProcessing),
        PaymentStatus::Succeeded { charge_ref, captured, currency, collected_at, receipt } => {
            let succeeded = FundingCommand::RecordSucceeded {
                payment_ref: payment.to_owned(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                currency: *currency,
                collected_at: *collected_at,
                settled: receipt.as_ref().and_then(|receipt| receipt.settled(*currency).ok().flatten()),
            };
            let mut commands = one("succeeded", succeeded);
            if let Some(receipt) = receipt {
                let what = if receipt.available { "available" } else { "cost" };
                commands.push((what.to_owned(), FundingCommand::RecordReceipt { receipt: receipt.clone() }));
            }
            commands
        }
        PaymentStatus::Failed { code } => one("failed", FundingCommand::RecordFailed { code: code.clone() }),
        PaymentStatus::Cancelled => one("failed", FundingCommand::RecordFailed { code: "cancelled".to_owned() }),
        PaymentStatus::Returned {
            amount,
            currency,
            balance_transaction_ref,
            booked_on,
            code,
            settled,
            collected: _,
        } => {
            let returned = FundingCommand::RecordReturned {
                amount: *amount,
                currency: *currency,
                balance_transaction_ref: balance_transaction_ref.clone(),
                booked_on: *booked_on,
                code: code.clone(),
                settled: *settled,
            };
            one(&format!("{balance_transaction_ref}/returned"), returned)
        }
    }
}

/// The whole report is one fact: status and money are told together, and what of it is news is the chargeback's to say.
/// The same report has the same identity; a report with one more movement, or another status, is another fact.
fn of_dispute(report: &DisputeReport) -> Vec<Fact> {
    let id = chargeback::first_cycle(&report.dispute_ref);
    let movements: Vec<_> = report.movements.iter().map(|movement| movement.balance_transaction_ref.as_str()).collect();
    let due = report.evidence_due_by.map(|due| due.timestamp_millis());
    let what = format!("{:?}/{due:?}/{}/{}", report.status, report.amount.get(), movements.join("+"));
    let record = ChargebackCommand::Record { report: Box::new(report.clone()), charged: None };
    vec![fact(&id.to_string(), &what, Command::Chargeback(id, record))]
}

fn of_warning(funding_id: FundingId, report: &FraudWarningReport) -> Vec<Fact> {
    let id = chargeback::first_cycle(&report.warning_ref);
    let warning_ref = report.warning_ref.clone();
    let record = ChargebackCommand::RecordFraudWarning { warning_ref, funding_id, charged: None };
    vec![fact(&id.to_string(), "warned", Command::Chargeback(id, record))]
}

fn of_refund(refund_id: RefundId, report: &RefundReport) -> Vec<Fact> {
    let refund = report.refund_ref.as_str();
    let mut facts = Vec::new();
    let (what, command) = match &report.status {
        RefundStatus::WaitsForFunds => {
            facts.push(lack_of_funds(refund_id));
            ("submitted", RefundCommand::RecordSubmitted { refund_ref: refund.to_owned() })
        }
        RefundStatus::Pending => ("submitted", RefundCommand::RecordSubmitted { refund_ref: refund.to_owned() }),
        RefundStatus::Succeeded { balance_transaction_ref, taken } => {
            let succeeded = RefundCommand::RecordSucceeded {
                refund_ref: refund.to_owned(),
                balance_transaction_ref: balance_transaction_ref.clone(),
                taken: *taken,
            };
            ("succeeded", succeeded)
        }
        RefundStatus::Failed { code, came_back } => {
            ("failed", RefundCommand::RecordFailed { code: code.clone(), came_back: *came_back })
        }
        RefundStatus::Cancelled => ("cancelled", RefundCommand::RecordCancelled),
    };
    facts.push(fact(&refund_id.to_string(), &format!("{refund}/{what}"), Command::Refund(refund_id, command)));
    facts
}

fn of_transfer(payout_id: PayoutId, report: &TransferReport) -> Vec<Fact> {
    let transferred =
        PayoutCommand::RecordTransferred { transfer_ref: report.transfer_ref.clone(), amount: report.amount };
    let what = format!("{}/transferred", report.transfer_ref);
    vec![fact(&payout_id.to_string(), &what, Command::Payout(payout_id, transferred))]
}

fn of_bank_payout(payout_id: PayoutId, report: &BankPayoutReport) -> Vec<Fact> {
    let payout = report.bank_payout_ref.as_str();
    let on_payout = |what: &str, command| {
        fact(&payout_id.to_string(), &format!("{payout}/{what}"), Command::Payout(payout_id, command))
    };
    match &report.status {
        BankPayoutStatus::Pending { arrival_at } | BankPayoutStatus::InTransit { arrival_at } => {
            let submitted =
                PayoutCommand::RecordSubmitted { bank_payout_ref: payout.to_owned(), arrival_at: *arrival_at };
            vec![on_payout("submitted", submitted)]
        }
        BankPayoutStatus::Paid => {
            vec![on_payout("paid", PayoutCommand::RecordPaid { bank_payout_ref: payout.to_owned() })]
        }
        BankPayoutStatus::Failed { code } => {
            vec![on_payout("failed", PayoutCommand::RecordFailed { code: code.clone() })]
        }
        BankPayoutStatus::Cancelled => {
            vec![on_payout("failed", PayoutCommand::RecordFailed { code: "cancelled".to_owned() })]
        }
    }
}

/// What is so can be so again later, so the identity has the instant in it, and what is said: two reports of one instant
/// may differ, as the provider's clock has whole seconds.
fn of_account(party_id: PartyId, report: &AccountReport) -> Vec<Fact> {
    let status = &report.status;
    let said = serde_json::to_string(status).unwrap_or_default();
    let record = PartyCommand::RecordAccount { party_id, psp: report.psp.clone(), status: status.clone() };
    vec![fact(&party_id.to_string(), &format!("{}/account/{said}", report.psp), Command::Party(party_id, record))]
}

fn of_reversal(report: &TransferReversalReport) -> Vec<Fact> {
    let (Some(reversal_id), Some(payout_id)) = (report.reversal_id, report.payout_id) else { return Vec::new() };
    let reversed = PayoutCommand::RecordReversed { reversal_id, reversal_ref: report.reversal_ref.clone() };
    let what = format!("{}/reversed", report.reversal_ref);
    vec![fact(&reversal_id.to_string(), &what, Command::Payout(payout_id, reversed))]
}

fn of_top_up(report: &TopUpReport) -> Fact {
    let status = match &report.status {
        TopUpStatus::Pending => "pending",
        TopUpStatus::Succeeded => "succeeded",
        TopUpStatus::Failed { .. } => "failed",
        TopUpStatus::Reversed => "reversed",
    };
    let record = TreasuryCommand::RecordTopUp {
        top_up_id: report.top_up_id,
        top_up_ref: Some(report.top_up_ref.clone()),
        amount: report.amount,
        status: report.status.clone(),
    };
    let treasury = TreasuryId { psp: report.psp.clone(), currency: report.currency };
    fact(&report.top_up_ref, status, Command::Treasury(treasury, record))
}

fn of_platform_payout(report: &PlatformPayoutReport) -> Fact {
    let status = match &report.status {
        BankPayoutStatus::Pending { .. } => "pending",
        BankPayoutStatus::InTransit { .. } => "in_transit",
        BankPayoutStatus::Paid => "paid",
        BankPayoutStatus::Failed { .. } => "failed",
        BankPayoutStatus::Cancelled => "cancelled",
    };
    let record = TreasuryCommand::RecordPlatformPayout {
        sweep_id: report.sweep_id,
        bank_payout_ref: Some(report.bank_payout_ref.clone()),
        amount: report.amount,
        automatic: report.automatic,
        status: report.status.clone(),
    };
    let treasury = TreasuryId { psp: report.psp.clone(), currency: report.currency };
    fact(&report.bank_payout_ref, status, Command::Treasury(treasury, record))
}

#[cfg(test)]
mod tests {
    use ledger::{Currency, Minor};

    use super::*;

    fn refund_id() -> RefundId {
        RefundId::from_uuid(Uuid::from_u128(1))
    }

    fn told(status: RefundStatus) -> Vec<Fact> {
        let refund_id = Some(refund_id());
        facts(&ProviderReport::Refund(RefundReport { refund_ref: "re_1".to_owned(), refund_id, status }))
    }

    /// D-85: whether the provider refuses for lack of money or keeps the refund until there is some, finance is told once:
    /// it is the same fact.
    #[test]
    fn a_lack_of_money_is_one_fact_however_it_is_told() {
        let order = ProviderOrder::Refund {
            refund_id: refund_id(),
            payment_ref: "pi_1".to_owned(),
            charge_ref: "ch_1".to_owned(),
            amount: Minor::MAX_INPUT,
            currency: Currency::USD,
            asked_before: 0,
        };
        let [refused] = lacks_funds(&order).try_into().expect("one fact");
        let [waits, submitted] = told(RefundStatus::WaitsForFunds).try_into().expect("two facts");
        assert_eq!(waits, refused);
        assert_eq!(waits.command, Command::Refund(refund_id(), RefundCommand::RecordLackOfFunds));
        assert_eq!(told(RefundStatus::Pending), [submitted], "and that the provider has it");
        assert_eq!(super::refused(&order, "balance_insufficient"), [], "it is not refused for good");
        let over = super::refused(&order, "charge_disputed");
        let code = "charge_disputed".to_owned();
        assert_eq!(over[0].command, Command::Refund(refund_id(), RefundCommand::RecordRefused { code }));
    }

    /// C.2.5: what is told twice is one fact; each state is another, also a failure after a success.
    #[test]
    fn each_state_of_a_refund_is_a_fact_of_its_own() {
        let states = || {
            [
                RefundStatus::Pending,
                RefundStatus::Succeeded { balance_transaction_ref: Some("txn_1".to_owned()), taken: None },
                RefundStatus::Failed { code: "declined".to_owned(), came_back: None },
                RefundStatus::Cancelled,
            ]
        };
        let ids = |states: [RefundStatus; 4]| states.map(|status| told(status)[0].command_id);
        assert_eq!(ids(states()), ids(states()));
        let distinct: std::collections::BTreeSet<_> = ids(states()).into_iter().collect();
        assert_eq!(distinct.len(), 4);
        let foreign = RefundReport { refund_ref: "re_1".to_owned(), refund_id: None, status: RefundStatus::Pending };
        assert_eq!(facts(&ProviderReport::Refund(foreign)), []);
    }
}
