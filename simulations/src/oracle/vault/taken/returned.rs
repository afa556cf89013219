//! Payments that a bank has returned without asking.
//!
//! # Invariants
//! - What is held of such a payment is gone, with its fees; the client owes the rest.
//! - Nothing of it is free while its client owes something for that: what a chargeback lets go settles the debt.

use serde_json::Value;

use super::{Part, parts_in};
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::vault::Vault;
use crate::oracle::{Raw, amount_of};

impl Vault {
    /// A bank returned a payment. Returns what the client owes for it.
    pub(in crate::oracle) fn return_funding(
        &mut self,
        raw: &Raw,
        amount: i128,
        books: &mut Books,
    ) -> Result<i128, Violation> {
        let funding = raw.text("funding_id")?.to_owned();
        let parts = parts_in(raw.list("parts")?);
        let sum: i128 = parts.iter().map(|part| part.amount).sum();
        let wanted = self.principal(&funding, amount).min(self.lockable(&funding));
        Self::is(raw, "what was held of it", sum, wanted)?;
        self.free_of_disputes(raw, &funding, &parts, books)?;
        let held = self.lose(raw, amount, &parts, books)?;
        self.forget_empty_disputes();
        books.expect("1120", &self.currency, -held);
        let receivable = amount_of(&raw.data, "receivable");
        Self::is(raw, "what the client owes", receivable, amount - held)?;
        let borne = raw.data.get("borne").and_then(Value::as_array).cloned().unwrap_or_default();
        let gross: i128 = borne.iter().map(|part| amount_of(part, "gross")).sum();
        let most = self.returnable(&funding);
        Self::is(raw, "what was released of it", gross, self.principal(&funding, receivable).min(most))?;
        self.bear(&funding, &borne);
        self.owed.insert(funding, receivable);
        Ok(receivable)
    }

    /// What is lost here without having been locked for a bank: disputes give up what they have locked of it.
    fn free_of_disputes(
        &mut self,
        raw: &Raw,
        funding: &str,
        parts: &[Part],
        books: &mut Books,
    ) -> Result<(), Violation> {
        for part in parts {
            let (free, disputed) = self.there(part.milestone.as_deref(), funding);
            if part.disputed != (part.amount - free).max(0) || part.disputed > disputed {
                return Err(raw.breaks("I4", &format!("{free} was free there, {disputed} in dispute: {part:?}")));
            }
            self.lend(&part.dispute, funding, -part.disputed);
            if let Some(id) = &part.milestone {
                let account = self.accounts.entry(id.clone()).or_default();
                account.purse.unlock(&vec![(funding.to_owned(), part.disputed)]);
                account.disputed -= part.disputed;
                books.expect("2100", &self.currency, -part.disputed);
                books.expect("2110", &self.currency, part.disputed);
            }
        }
        Ok(())
    }

    /// What a bank has returned before, and is free again, settles what the client owes for that.
    pub(in crate::oracle) fn settle_return(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let funding = raw.text("funding_id")?.to_owned();
        let parts = parts_in(raw.list("parts")?);
        let owed = self.owed.get(&funding).copied().unwrap_or_default();
        let sum: i128 = parts.iter().map(|part| part.amount).sum();
        // Banks here return all of a payment, so that nothing of it may stay.
        Self::is(raw, "what was free of it", sum, owed.min(self.lockable(&funding)))?;
        self.free_of_disputes(raw, &funding, &parts, books)?;
        let gone = self.lose(raw, owed, &parts, books)?;
        self.forget_empty_disputes();
        Self::is(raw, "what is settled", raw.amount("amount")?, gone)?;
        books.expect("1220", &self.currency, -gone);
        self.owed.insert(funding, owed - gone);
        Ok(())
    }
}
