//! Money that goes back to the client: what is held, and what the payee had.

use super::{Vault, Way, parts_of, tax_of, tax_share};
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::fees::rounded;
use crate::oracle::purse::First;
use crate::oracle::{Raw, amount_of, text_of};

impl Vault {
    /// Held money goes back. Returns the refunds that carry it.
    pub(in crate::oracle) fn refund(&mut self, raw: &Raw, books: &mut Books) -> Result<Vec<Way>, Violation> {
        self.may_leave(raw)?;
        let (amount, reason) = (raw.amount("amount")?, raw.text("reason")?);
        let told = parts_of(raw.list("lots")?);
        let all: i128 = self.accounts.values().map(|account| account.purse.here()).sum::<i128>() + self.deposit.here();
        let ends_unreleased = all == amount && self.billed() == 0;
        let contested = self.contested();
        let stays = |funding: &str| contested.iter().any(|known| known == funding);
        let of_milestone = raw.text("milestone_id").is_ok();
        let purse = match raw.text("milestone_id") {
            Ok(id) => &mut self.accounts.entry(id.to_owned()).or_default().purse,
            Err(_) => &mut self.deposit,
        };
        let lots = match (reason, told.first()) {
            // The provider's limit is about one payment.
            ("hold_limit", Some((funding, _))) => vec![(funding.clone(), purse.free_of(funding))],
            _ if of_milestone => purse.pick(First::Newest, amount),
            _ => purse.pick_of_others(First::Newest, amount, stays),
        };
        if lots.iter().any(|(funding, _)| stays(funding)) {
            return Err(raw.breaks("I5", "goes back of a payment that a bank disagrees with"));
        }
        let sum: i128 = lots.iter().map(|(_, part)| part).sum();
        if lots != told || sum != amount || amount <= 0 || (of_milestone && purse.locked() != 0) {
            return Err(raw.breaks("I4", &format!("{amount} goes back of other money than came last: {lots:?}")));
        }
        let fee = purse.fee_of(amount);
        purse.take(&lots, fee);
        let (kept, back) = if self.schedule.keeps_client_fee { (fee, 0) } else { (0, fee) };
        Self::is(raw, "the client's fee that goes back", raw.amount("client_fee")?, back)?;
        Self::is(raw, "the client's fee that is kept", amount_of(&raw.data, "client_fee_earned"), kept)?;
        let initiation = if ends_unreleased { self.initiation - self.initiation_gone } else { 0 };
        Self::is(raw, "the initiation fee that goes back", amount_of(&raw.data, "initiation_fee"), initiation)?;
        let charged = self.fees + self.initiation;
        let gone = self.fees_gone + self.initiation_gone;
        let tax_kept = tax_share(self.tax, self.tax_gone, charged, gone + kept);
        let tax_back = tax_share(self.tax, self.tax_gone + tax_kept, charged, gone + kept + back + initiation);
        // A minor unit of it may have come with a payment that a bank has.
        let short = tax_back - tax_of(raw, "tax");
        let tax_back = if (1..=2).contains(&short) && !contested.is_empty() { tax_back - short } else { tax_back };
        Self::is(raw, "the tax that goes back", tax_of(raw, "tax"), tax_back)?;
        Self::is(raw, "the tax of the fee that is kept", tax_of(raw, "tax_earned"), tax_kept)?;
        if let Ok(id) = raw.text("milestone_id") {
            let account = self.account(id);
            account.refunded += amount;
            books.expect("2100", &self.currency, amount);
        } else {
            books.expect("2105", &self.currency, amount);
        }
        self.fees_gone += fee;
        self.initiation_gone += initiation;
        self.tax_gone += tax_kept + tax_back;
        let currency = &self.currency;
        books.expect("2300", currency, fee);
        books.expect("4110", currency, -kept);
        books.expect("2310", currency, initiation);
        books.expect(self.tax_account(), currency, tax_back + tax_kept);
        books.expect("2400", currency, -tax_kept);
        let whole = amount + back + initiation + tax_back;
        books.expect("2260", currency, -whole);
        self.ways(raw, whole)
    }

    /// The payee gives back what was released. What the payee pays it from is judged elsewhere.
    pub(in crate::oracle) fn give_back(&mut self, raw: &Raw) -> Result<Vec<Way>, Violation> {
        let gross = raw.amount("gross")?;
        let account = self.accounts.entry(raw.text("milestone_id")?.to_owned()).or_default();
        let gone = account.back.gross + gross;
        if gross <= 0 || gone > account.released - account.borne {
            return Err(raw.breaks("I5", &format!("{gone} of {} is given back", account.released)));
        }
        let share = |total: i128, already: i128| (rounded(total * gone, account.released) - already).max(0);
        let payee_fee = share(account.payee_fee, account.back.payee_fee);
        let payee_tax = share(account.payee_tax, account.back.payee_tax).min(gross - payee_fee);
        let client_fee = share(account.earned, account.back.client_fee);
        let charged = account.earned + account.initiation_earned;
        let client_tax =
            tax_share(account.client_tax, account.back.client_tax, charged, account.back.client_fee + client_fee);
        Self::is(raw, "the payee's fee that goes back", raw.amount("payee_fee")?, payee_fee)?;
        Self::is(raw, "the client's fee that goes back", raw.amount("client_fee")?, client_fee)?;
        Self::is(raw, "the tax on the payee's fee", tax_of(raw, "payee_tax"), payee_tax)?;
        Self::is(raw, "the tax on the client's fee", tax_of(raw, "client_tax"), client_tax)?;
        Self::is(raw, "what the payee gives", raw.amount("from_payee")?, gross - payee_fee - payee_tax)?;
        let lots = account.purse.pick_returned(gross);
        if lots != parts_of(raw.list("lots")?) {
            return Err(raw.breaks("I4", &format!("given back of other money than was released last: {lots:?}")));
        }
        account.purse.mark_returned(&lots);
        account.back.gross = gone;
        account.back.payee_fee += payee_fee;
        account.back.payee_tax += payee_tax;
        account.back.client_fee += client_fee;
        account.back.client_tax += client_tax;
        self.ways(raw, gross + client_fee + client_tax)
    }

    /// What goes back, payment by payment: together the whole, and of none more than came with it.
    fn ways(&mut self, raw: &Raw, whole: i128) -> Result<Vec<Way>, Violation> {
        let mut ways = Vec::new();
        for part in raw.list("parts")? {
            let (id, amount) = (text_of(part, "refund_id").to_owned(), amount_of(part, "amount"));
            let Some(paid) = self.paid.get_mut(text_of(part, "funding_id")) else {
                return Err(raw.breaks("I5", "goes back of a payment that never arrived"));
            };
            paid.sent_back += amount;
            if amount <= 0 || paid.sent_back > paid.paid {
                let found = format!("{} of the {} that were paid went back", paid.sent_back, paid.paid);
                return Err(raw.breaks("I5", &found));
            }
            ways.push((id, amount));
        }
        Self::is(raw, "the sum of what goes back", ways.iter().map(|(_, amount)| amount).sum(), whole)?;
        if whole > 0 && ways.first().map(|(id, _)| id.as_str()) != raw.text("refund_id").ok() {
            return Err(raw.breaks("I5", "the first part of a refund has another id"));
        }
        Ok(ways)
    }
}
