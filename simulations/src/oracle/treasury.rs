//! The platform's own money: what was ordered, what moved, and what nobody ordered.
//!
//! # Invariants
//! - What is taken out was proposed and approved by two members of finance, and is within the surplus.
//! - Each movement is booked once, and taken back once.

use std::collections::{BTreeMap, BTreeSet};

use super::books::Books;
use super::{Raw, amount_of};
use crate::failure::Violation;

#[derive(Debug, Default)]
struct Movement {
    amount: i128,
    proposed_by: String,
    approved: bool,
    /// What became of it.
    became: Vec<&'static str>,
}

/// Every treasury.
#[derive(Debug, Default)]
pub(super) struct Treasuries {
    top_ups: BTreeMap<String, i128>,
    sweeps: BTreeMap<String, Movement>,
    /// By the provider's name: what arrived, or left without an order.
    arrived: BTreeMap<String, Movement>,
    foreign: BTreeMap<String, Movement>,
    /// Currencies in which finance was told that money is missing.
    uncovered: BTreeSet<String>,
}

impl Treasuries {
    /// What may be moved for an order.
    pub(super) fn may_move(&self, action: &str, id: &str) -> Option<i128> {
        if action == "top_up" {
            return self.top_ups.get(id).copied();
        }
        self.sweeps.get(id).filter(|sweep| sweep.approved).map(|sweep| sweep.amount)
    }

    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let currency = raw.text("currency")?.to_owned();
        let by_finance = ["staff.finance:", "staff.admin:"].iter().any(|staff| raw.actor.starts_with(staff));
        let ordered = matches!(
            raw.event_type.as_str(),
            "treasury.top_up_requested"
                | "treasury.sweep_proposed"
                | "treasury.sweep_approved"
                | "treasury.sweep_rejected"
                | "treasury.platform_payout_adopted"
        );
        if ordered && !by_finance {
            return Err(raw.breaks("I5", &format!("by {}", raw.actor)));
        }
        let twice = || raw.breaks("I6", "twice, or out of turn");
        let mut two = |debit: &str, credit: &str, amount: i128| {
            books.expect(debit, &currency, amount);
            books.expect(credit, &currency, -amount);
        };
        match raw.event_type.as_str() {
            "treasury.top_up_requested" => {
                self.top_ups.insert(raw.text("top_up_id")?.to_owned(), raw.amount("amount")?);
            }
            "treasury.psp_topped_up" => {
                let amount = raw.amount("amount")?;
                let ordered = raw.text("top_up_id").ok().and_then(|id| self.top_ups.get(id));
                if ordered.is_some_and(|ordered| *ordered != amount) {
                    return Err(raw.breaks("I4", "another amount than was ordered"));
                }
                let movement = Movement { amount, became: vec!["arrived"], ..Movement::default() };
                if self.arrived.insert(raw.text("top_up_ref")?.to_owned(), movement).is_some() {
                    return Err(twice());
                }
                two("1120", "1010", amount);
            }
            "treasury.top_up_reversed" => {
                let movement = self.arrived.entry(raw.text("top_up_ref")?.to_owned()).or_default();
                movement.became.push("reversed");
                if movement.became.as_slice() != ["arrived", "reversed"] || movement.amount != raw.amount("amount")? {
                    return Err(twice());
                }
                two("1010", "1120", movement.amount);
            }
            "treasury.top_up_failed" => {}
            "treasury.sweep_proposed" | "treasury.sweep_approved" => {
                let sweep = self.sweeps.entry(raw.text("sweep_id")?.to_owned()).or_default();
                let amount = raw.amount("amount")?;
                let by = if raw.event_type == "treasury.sweep_proposed" { "proposed_by" } else { "approved_by" };
                let by = raw.text(by)?.to_owned();
                let coverage = raw.data.get("coverage").cloned().unwrap_or_default();
                let part = |key: &str| amount_of(&coverage, key);
                if amount > part("cash") + part("exchanged") - part("liabilities") - part("taxes") {
                    return Err(raw.breaks("I4", &format!("more than the surplus: {coverage}")));
                }
                if raw.event_type == "treasury.sweep_proposed" {
                    (sweep.amount, sweep.proposed_by) = (amount, by);
                } else if sweep.approved
                    || !sweep.became.is_empty()
                    || sweep.proposed_by == by
                    || sweep.amount != amount
                {
                    return Err(twice());
                } else {
                    sweep.approved = true;
                }
            }
            "treasury.sweep_rejected" | "treasury.sweep_failed" => {
                let sweep = self.sweeps.entry(raw.text("sweep_id")?.to_owned()).or_default();
                let rejected = raw.event_type == "treasury.sweep_rejected";
                if rejected == sweep.approved || !sweep.became.is_empty() {
                    return Err(twice());
                }
                sweep.became.push("over");
            }
            "treasury.platform_revenue_swept" | "treasury.sweep_returned" => {
                let sweep = self.sweeps.entry(raw.text("sweep_id")?.to_owned()).or_default();
                let swept = raw.event_type == "treasury.platform_revenue_swept";
                sweep.became.push(if swept { "swept" } else { "returned" });
                let right = matches!(sweep.became.as_slice(), ["swept"] | ["swept", "returned"]);
                if !sweep.approved || !right || sweep.amount != raw.amount("amount")? {
                    return Err(twice());
                }
                if swept { two("1010", "1120", sweep.amount) } else { two("1120", "1010", sweep.amount) }
            }
            "treasury.platform_payout_detected" => {
                let amount = raw.amount("amount")?;
                let movement = Movement { amount, ..Movement::default() };
                if self.foreign.insert(raw.text("bank_payout_ref")?.to_owned(), movement).is_some() {
                    return Err(twice());
                }
                two("1900", "1120", amount);
            }
            "treasury.platform_payout_adopted" | "treasury.platform_payout_returned" => {
                let movement = self.foreign.entry(raw.text("bank_payout_ref")?.to_owned()).or_default();
                let adopted = movement.became.as_slice() == ["adopted"];
                let adopts = raw.event_type == "treasury.platform_payout_adopted";
                movement.became.push(if adopts { "adopted" } else { "returned" });
                let right = matches!(movement.became.as_slice(), ["adopted" | "returned"] | ["adopted", "returned"]);
                if !right || movement.amount != raw.amount("amount")? {
                    return Err(twice());
                }
                match (adopts, adopted) {
                    (true, _) => two("1010", "1900", movement.amount),
                    (false, true) => two("1120", "1010", movement.amount),
                    (false, false) => two("1120", "1900", movement.amount),
                }
            }
            "treasury.coverage_fell" | "treasury.coverage_restored" => {
                let part = |key: &str| raw.data.get("coverage").map_or(0, |coverage| amount_of(coverage, key));
                let missing = (part("liabilities") - part("cash") - part("exchanged")).max(0);
                let fell = raw.event_type == "treasury.coverage_fell";
                let told = amount_of(&raw.data, "required_float");
                let news = if fell { self.uncovered.insert(currency) } else { self.uncovered.remove(&currency) };
                if !news || fell != (missing > 0) || told != missing {
                    return Err(raw.breaks("I4", &format!("{missing} is missing; or it was told before")));
                }
            }
            other => return Err(raw.breaks("W", &format!("{other} is not known here"))),
        }
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn are_left_with(&self) -> Option<String> {
        let unordered = |(_, sweep): &(&String, &Movement)| !sweep.became.is_empty() && sweep.amount == 0;
        self.sweeps.iter().find(unordered).map(|(id, sweep)| format!("{id}: {sweep:?}"))
    }
}
