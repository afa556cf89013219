//! The books as an accountant writes them, as text: labels to the left, numbers below each other.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::account::Side;
use crate::journal::JournalEntry;
use crate::money::digits;
use crate::trial_balance::TrialBalance;

/// Least width of a number, so that entries printed one after the other line up: below a billion it fits.
const NUMBER_WIDTH: usize = 14;

/// Least width of a line's side and account, for the same reason.
const LINE_WIDTH: usize = 52;

/// Least width of an account in a trial balance.
const ACCOUNT_WIDTH: usize = 46;

/// An entry, its lines in their order, credits indented.
pub fn render_entry(entry: &JournalEntry) -> String {
    let lines: Vec<_> = entry
        .postings()
        .iter()
        .map(|posting| {
            let word = match posting.side() {
                Side::Debit => "Dr ",
                Side::Credit => "   Cr ",
            };
            let (minor, currency) = (i128::from(posting.amount().minor().get()), posting.amount().currency());
            (format!("{word}{}", posting.account()), digits(minor, currency), currency)
        })
        .collect();
    let label_width = widest(lines.iter().map(|(label, _, _)| label), LINE_WIDTH);
    let number_width = widest(lines.iter().map(|(_, number, _)| number), NUMBER_WIDTH);
    let mut text = String::new();
    for (label, number, currency) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<label_width$} {number:>number_width$} {currency}");
    }
    text
}

/// A trial balance, one table for each currency: accounts whose net is not zero, by code, and the totals.
pub fn render_trial_balance(balance: &TrialBalance) -> String {
    let currencies: BTreeSet<_> = balance.iter().map(|(_, currency, _)| currency).collect();
    let mut text = String::new();
    for currency in currencies {
        let (mut debits, mut credits) = (0_i128, 0_i128);
        let mut lines = vec![(format!("Trial balance, {currency}"), "debit".to_owned(), "credit".to_owned())];
        for (account, _, totals) in balance.non_zero().filter(|(_, c, _)| *c == currency) {
            let net = totals.net();
            if net > 0 {
                debits = debits.saturating_add(net);
                lines.push((account.to_string(), digits(net, currency), String::new()));
            } else {
                credits = credits.saturating_sub(net);
                lines.push((account.to_string(), String::new(), digits(net.saturating_neg(), currency)));
            }
        }
        lines.push((String::new(), digits(debits, currency), digits(credits, currency)));
        let label_width = widest(lines.iter().map(|(label, _, _)| label), ACCOUNT_WIDTH);
        let number_width = widest(lines.iter().flat_map(|(_, debit, credit)| [debit, credit]), NUMBER_WIDTH);
        for (label, debit, credit) in lines {
            let line = format!("{label:<label_width$} {debit:>number_width$} {credit:>number_width$}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// The width of the widest text, in characters, but not less than `least`.
fn widest<'a>(texts: impl Iterator<Item = &'a String>, least: usize) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).max(least)
}
