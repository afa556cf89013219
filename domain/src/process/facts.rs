//! What a report of the payment provider means for the aggregates.

use uuid::Uuid;

use crate::command::Command;
use crate::funding::FundingCommand;
use crate::id::{FundingId, PayoutId, RefundId};
use crate::payout::PayoutCommand;
use crate::ports::provider::{
    BankPayoutReport, BankPayoutStatus, PaymentReport, PaymentStatus, ProviderOrder, ProviderReport, RefundReport,
    RefundStatus, TransferReport,
};
use crate::refund::RefundCommand;

/// What is to be recorded when the provider cannot carry an order out for lack of money. It is tried again later.
pub fn lacks_funds(order: &ProviderOrder) -> Vec<Fact> {
    match order {
        ProviderOrder::Refund { refund_id, .. } => vec![lack_of_funds(*refund_id)],
        ProviderOrder::CollectPayment { .. }
        | ProviderOrder::CancelPayment { .. }
        | ProviderOrder::ReadReceipt { .. }
        | ProviderOrder::ReadRefund { .. }
        | ProviderOrder::MoveToPayee { .. }
        | ProviderOrder::PayToBank { .. }
        | ProviderOrder::ReadBankPayout { .. } => Vec::new(),
    }
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
    }
}

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
        // It is past calling off: its success is reported, and goes back.
        ProviderOrder::CancelPayment { funding_id, payment_ref } => {
            let known = FundingCommand::LinkPayment { payment_ref: payment_ref.clone() };
            vec![fact(&funding_id.to_string(), &format!("{payment_ref}/linked"), Command::Funding(*funding_id, known))]
        }
        ProviderOrder::Refund { refund_id, .. } if code != "balance_insufficient" => {
            let refused = RefundCommand::RecordRefused { code: code.to_owned() };
            vec![fact(&refund_id.to_string(), "refused", Command::Refund(*refund_id, refused))]
        }
        // A balance that is too low now is enough later; and a transfer that cannot be made needs an operator.
        ProviderOrder::PayToBank { .. }
        | ProviderOrder::Refund { .. }
        | ProviderOrder::MoveToPayee { .. }
        | ProviderOrder::ReadReceipt { .. }
        | ProviderOrder::ReadRefund { .. }
        | ProviderOrder::ReadBankPayout { .. } => Vec::new(),
    }
}

fn of_payment(funding_id: FundingId, report: &PaymentReport) -> Vec<Fact> {
    let payment = report.payment_ref.as_str();
    let on_funding = |what: &str, command| {
        fact(&funding_id.to_string(), &format!("{payment}/{what}"), Command::Funding(funding_id, command))
    };
    let mut facts = vec![on_funding("linked", FundingCommand::LinkPayment { payment_ref: payment.to_owned() })];
    match &report.status {
        PaymentStatus::Created => {}
        PaymentStatus::ActionRequired => {
            facts.push(on_funding("action_required", FundingCommand::RecordActionRequired));
        }
        PaymentStatus::Processing => facts.push(on_funding("processing", FundingCommand::RecordProcessing)),
        PaymentStatus::Succeeded { charge_ref, captured, currency, collected_at, receipt } => {
            let succeeded = FundingCommand::RecordSucceeded {
                payment_ref: payment.to_owned(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                currency: *currency,
                collected_at: *collected_at,
            };
            facts.push(on_funding("succeeded", succeeded));
            if let Some(receipt) = receipt {
                let what = if receipt.available { "available" } else { "cost" };
                facts.push(on_funding(what, FundingCommand::RecordReceipt { receipt: receipt.clone() }));
            }
        }
        PaymentStatus::Failed { code } => {
            facts.push(on_funding("failed", FundingCommand::RecordFailed { code: code.clone() }));
        }
        PaymentStatus::Cancelled => {
            facts.push(on_funding("failed", FundingCommand::RecordFailed { code: "cancelled".to_owned() }));
        }
    }
    facts
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
        RefundStatus::Succeeded { balance_transaction_ref } => {
            let succeeded = RefundCommand::RecordSucceeded {
                refund_ref: refund.to_owned(),
                balance_transaction_ref: balance_transaction_ref.clone(),
            };
            ("succeeded", succeeded)
        }
        RefundStatus::Failed { code } => ("failed", RefundCommand::RecordFailed { code: code.clone() }),
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
                RefundStatus::Succeeded { balance_transaction_ref: Some("txn_1".to_owned()) },
                RefundStatus::Failed { code: "declined".to_owned() },
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
