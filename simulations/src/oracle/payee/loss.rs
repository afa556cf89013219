//! What a payee bears of money that a bank took.

use serde_json::Value;

use super::Payees;
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::{Raw, amount_of, text_of};

/// Reasons for which earnings are held, in the order in which a loss is taken of them.
const REASONS: [&str; 4] = ["kyc", "fraud", "sanctions", "chargeback_reserve"];

impl Payees {
    /// The payee bears what a bank took: of what is pending of the contract, available, held; the rest is owed.
    pub(super) fn follow_loss(
        &mut self,
        raw: &Raw,
        key: &(String, String),
        books: &mut Books,
    ) -> Result<(), Violation> {
        let currency = key.1.as_str();
        let chargeback = raw.text("chargeback_id")?.to_owned();
        let Some((_, agreed)) = self.charging.take().filter(|(due, _)| *due == chargeback) else {
            return Err(raw.breaks("I5", "nothing is to be borne"));
        };
        let fees = (raw.amount("gross")?, raw.amount("payee_fee")?, raw.amount("client_fee")?);
        let tax = |key: &str| raw.data.get(key).map_or(0, |line| amount_of(line, "amount"));
        if fees != (agreed.gross, agreed.payee_fee, agreed.client_fee)
            || tax("payee_tax") + tax("client_tax") != agreed.taxes
        {
            return Err(raw.breaks("I4", &format!("lost was {agreed:?}")));
        }
        let told: Vec<_> = raw
            .list("from_pending")?
            .iter()
            .map(|part| (text_of(part, "release_id").to_owned(), amount_of(part, "amount")))
            .collect();
        let held = raw.data.get("from_held").and_then(Value::as_array).into_iter().flatten();
        let held: Vec<_> = held.map(|part| (text_of(part, "reason").to_owned(), amount_of(part, "amount"))).collect();
        let (available, debt) = (raw.amount("from_available")?, raw.amount("as_debt")?);
        let from_held: i128 = held.iter().map(|(_, part)| part).sum();
        let contract = raw.text("contract_id")?;
        let credits = self.accounts.get(key).map_or_else(Vec::new, |account| account.unseen.clone());
        let beyond = (told.clone(), available, from_held + debt);
        let mut possible = (0..=credits.len())
            .map(|seen| self.paid_from(key, contract, agreed.from_payee, credits.get(seen..).unwrap_or_default()));
        if possible.all(|possible| possible != beyond) {
            let found = self.paid_from(key, contract, agreed.from_payee, &[]);
            return Err(raw.breaks("I4", &format!("it should be {found:?}")));
        }
        let account = self.accounts.entry(key.clone()).or_default();
        let mut rest = from_held + debt;
        let in_turn = REASONS.iter().filter_map(|reason| {
            let part = account.held.get(*reason).copied().unwrap_or_default().min(rest);
            rest -= part;
            (part > 0).then(|| ((*reason).to_owned(), part))
        });
        if in_turn.collect::<Vec<_>>() != held {
            return Err(raw.breaks("I4", &format!("held is {:?}", account.held)));
        }
        account.unseen.clear();
        for (reason, part) in &held {
            *account.held.entry(reason.clone()).or_default() -= part;
        }
        let pending: i128 = told.iter().map(|(_, part)| part).sum();
        account.pending -= pending;
        account.available -= available;
        if debt != 0 {
            *account.debts.entry(chargeback.clone()).or_default() += debt;
            account.told.push((chargeback, debt));
        }
        for (id, part) in told {
            self.releases.entry(id).or_default().pending -= part;
        }
        books.expect("2200", currency, pending);
        books.expect("2210", currency, available);
        books.expect("2220", currency, from_held);
        books.expect("1210", currency, debt);
        books.expect("4100", currency, agreed.payee_fee);
        books.expect("4110", currency, agreed.client_fee);
        books.expect("2400", currency, agreed.taxes);
        let whole = agreed.from_payee + agreed.payee_fee + agreed.client_fee + agreed.taxes;
        books.expect("1200", currency, -whole);
        Ok(())
    }
}
