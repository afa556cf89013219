//! The books as an accountant writes them, as text.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::account::Side;
use crate::journal::JournalEntry;
use crate::money::digits;
use crate::trial_balance::TrialBalance;

/// An entry: debits first in their order, credits indented.
pub fn render_entry(entry: &JournalEntry) -> String {
    let mut text = String::new();
    for posting in entry.postings() {
        let word = match posting.side() {
            Side::Debit => "Dr ",
            Side::Credit => "   Cr ",
        };
        let label = format!("{word}{}", posting.account());
        let number = digits(i128::from(posting.amount().minor().get()), posting.amount().currency());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<52} {number:>14} {}", posting.amount().currency());
    }
    text
}

/// A trial balance: accounts whose net is not zero, by code, with totals per currency.
pub fn render_trial_balance(balance: &TrialBalance) -> String {
    let currencies: BTreeSet<_> = balance.iter().map(|(_, currency, _)| currency).collect();
    let mut text = String::new();
    for currency in currencies {
        let _ = writeln!(text, "{:<46} {:>14} {:>14}", format!("Trial balance, {currency}"), "debit", "credit");
        let (mut debits, mut credits) = (0_i128, 0_i128);
        for (account, _, totals) in balance.iter().filter(|(_, c, _)| *c == currency) {
            let net = totals.net();
            if net > 0 {
                debits = debits.saturating_add(net);
                let _ = writeln!(text, "{:<46} {:>14}", account.to_string(), digits(net, currency));
            } else if net < 0 {
                credits = credits.saturating_sub(net);
                let number = digits(net.saturating_neg(), currency);
                let _ = writeln!(text, "{:<46} {:>14} {number:>14}", account.to_string(), "");
            }
        }
        let _ = writeln!(text, "{:<46} {:>14} {:>14}", "", digits(debits, currency), digits(credits, currency));
    }
    text
}
