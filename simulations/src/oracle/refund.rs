//! Money on its way back to clients, and their wallets.
//!
//! # Invariants
//! - What leaves escrow, payee or wallet for a client is asked for as refunds in the same append, each once.
//! - A refund ends once: it arrived, or the wallet has it. What had arrived can come back, once.
//! - A wallet has what the events of other aggregates say was credited, and never less than nothing.

mod wallet;

use std::collections::BTreeMap;

use super::books::Books;
use super::receipt::Shift;
use super::vault::Way;
use super::{Raw, amount_of, text_of};
use crate::failure::Violation;
use wallet::Wallet;

#[derive(Debug, Default)]
struct Refund {
    client: String,
    currency: String,
    amount: i128,
    ends: Vec<&'static str>,
    /// Whether the provider has refused it for good.
    waits: bool,
}

/// Every refund and wallet.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    refunds: BTreeMap<String, Refund>,
    /// By client and currency.
    wallets: BTreeMap<(String, String), Wallet>,
    /// Refunds that have to be asked for in the same append.
    due: Vec<Way>,
    /// Credits that have to come in the same append: whose, in which currency, how much.
    credits: Vec<(String, String, i128)>,
    touched: Vec<String>,
    touched_wallets: Vec<(String, String)>,
}

impl Refunds {
    /// What may be sent for a refund.
    pub(super) fn amount(&self, id: &str) -> Option<i128> {
        self.refunds.get(id).map(|refund| refund.amount)
    }

    /// These refunds have to follow.
    pub(super) fn expect(&mut self, ways: impl IntoIterator<Item = Way>) {
        self.due.extend(ways);
    }

    /// This credit has to follow.
    pub(super) fn expect_credit(&mut self, client: &str, currency: &str, amount: i128, books: &mut Books) {
        if amount != 0 {
            books.expect("2120", currency, -amount);
            self.credits.push((client.to_owned(), currency.to_owned(), amount));
        }
    }

    /// What moved in a balance of another currency, and of which payment it was.
    fn exchanged(raw: &Raw) -> Option<(i128, String, String)> {
        let part = raw.data.get("exchange")?;
        let text = |key: &str| text_of(part, key).to_owned();
        Some((amount_of(part, "amount"), text("currency"), text("funding_id")))
    }

    /// What the payment has to be told of.
    pub(super) fn shift(raw: &Raw) -> Result<Option<Shift>, Violation> {
        let Some((taken, other, funding)) = Self::exchanged(raw) else { return Ok(None) };
        let sign = if raw.event_type == "refund.succeeded" { -1 } else { 1 };
        let (cause, amount) = (raw.text("refund_id")?.to_owned(), raw.amount("amount")? * sign);
        Ok(Some(Shift { funding, cause, amount, settled: (taken * sign, other) }))
    }

    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("refund_id")?.to_owned();
        if raw.event_type == "refund.requested" {
            let amount = raw.amount("amount")?;
            // A bank's disagreement had stopped it, and is over.
            if let Some(refund) = self.refunds.get_mut(&id).filter(|refund| refund.waits && refund.ends.is_empty()) {
                refund.waits = false;
                return Ok(());
            }
            let way = self.due.iter().position(|due| *due == (id.clone(), amount));
            let Some(index) = way else {
                return Err(raw.breaks("I5", &format!("asked for is not what left: {:?}", self.due)));
            };
            self.due.remove(index);
            let (client, currency) = (raw.text("client_id")?.to_owned(), raw.text("currency")?.to_owned());
            let refund = Refund { client, currency, amount, ends: Vec::new(), waits: false };
            if self.refunds.insert(id.clone(), refund).is_some() {
                return Err(raw.breaks("I5", "asked for twice"));
            }
            self.touched.push(id);
            return Ok(());
        }
        let Some(refund) = self.refunds.get_mut(&id) else {
            return Err(raw.breaks("I5", "was never asked for"));
        };
        let (client, currency, amount) = (refund.client.clone(), refund.currency.clone(), refund.amount);
        let end = match raw.event_type.as_str() {
            "refund.succeeded" => "succeeded",
            "refund.failed" => "failed",
            "refund.cancelled" => "cancelled",
            "refund.redirected" => "redirected",
            // It left although the wallet has it: somebody has to find out why.
            "refund.debit_suspended" => {
                if refund.ends.as_slice() != ["redirected"] || raw.amount("amount")? != amount {
                    return Err(raw.breaks("I5", &format!("{amount} left, which ended {:?}", refund.ends)));
                }
                refund.ends.push("left too");
                books.expect("1900", &currency, amount);
                books.expect("1120", &currency, -amount);
                return Ok(());
            }
            "refund.manual_required" => {
                refund.waits = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let told = (raw.text("client_id")?, raw.text("currency")?, raw.amount("amount")?);
        if told != (client.as_str(), currency.as_str(), amount) {
            return Err(raw.breaks("I4", &format!("{amount} {currency} was to go to {client}")));
        }
        let came_back = refund.ends.as_slice() == ["succeeded"];
        refund.ends.push(end);
        let (balance, exchanged) = match Self::exchanged(raw) {
            Some((taken, other, _)) => ("1300", Some((taken, other))),
            None => ("1120", None),
        };
        match (refund.ends.as_slice(), raw.data.get("came_back_to").is_some()) {
            (["succeeded"], _) => {
                books.expect("2260", &currency, amount);
                books.expect(balance, &currency, -amount);
                if let Some((taken, other)) = exchanged {
                    books.expect("1300", &other, taken);
                    books.expect("1120", &other, -taken);
                }
            }
            (["failed" | "cancelled" | "redirected"], false) => {
                books.expect("2260", &currency, amount);
                self.expect_credit(&client, &currency, amount, books);
            }
            (["succeeded", "failed"], true) if came_back => {
                books.expect(balance, &currency, amount);
                if let Some((taken, other)) = exchanged {
                    books.expect("1300", &other, -taken);
                    books.expect("1120", &other, taken);
                }
                self.expect_credit(&client, &currency, amount, books);
            }
            (ends, _) => return Err(raw.breaks("I5", &format!("a refund that ended {ends:?}"))),
        }
        self.touched.push(id);
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn are_left_with(&mut self, books: &Books) -> Option<String> {
        if !self.due.is_empty() || !self.credits.is_empty() {
            return Some(format!("left, and on no way: {:?}, {:?}", self.due, self.credits));
        }
        for id in std::mem::take(&mut self.touched) {
            let Some(refund) = self.refunds.get(&id) else { continue };
            let expected = if refund.ends.is_empty() { refund.amount } else { 0 };
            let booked = -books.of("2260", &refund.currency, "refund", &id);
            if booked != expected {
                return Some(format!("{id}: {booked} is on its way by the journal, {expected} by the events"));
            }
        }
        for key in std::mem::take(&mut self.touched_wallets) {
            let (client, currency) = &key;
            let ours = self.wallets.get(&key).map_or(0, |wallet| wallet.balance);
            let booked = -books.of("2120", currency, "client", client);
            if booked != ours {
                return Some(format!(
                    "{client}: the wallet has {booked} {currency} by the journal, {ours} by the events"
                ));
            }
        }
        None
    }
}
