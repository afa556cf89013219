//! Clients' wallets: what comes in, what is spent, and what banks want back of it.
//!
//! # Invariants
//! - Spent is at most what is there and no bank contests.
//! - What a bank takes back for good comes out of the wallet as far as it is there, whatever else is contested.

use std::collections::BTreeMap;

use super::Refunds;
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::{Raw, amount_of};

/// A wallet.
#[derive(Debug, Default)]
pub(super) struct Wallet {
    pub(super) balance: i128,
    /// By chargeback: what of a top-up a bank has.
    contested: BTreeMap<String, i128>,
    /// By payment: what of it came back into the wallet and was not taken again.
    came_back: BTreeMap<String, i128>,
    /// By chargeback: the payment of which a bank has so much that would be here twice.
    twice: BTreeMap<String, (String, i128)>,
}

impl Wallet {
    fn spendable(&self) -> i128 {
        let mut of_payments = BTreeMap::<&str, i128>::new();
        for (payment, amount) in self.twice.values() {
            *of_payments.entry(payment).or_default() += amount;
        }
        let here = |payment: &str| self.came_back.get(payment).copied().unwrap_or_default();
        let twice: i128 = of_payments.into_iter().map(|(payment, amount)| amount.min(here(payment))).sum();
        self.balance - self.contested.values().sum::<i128>() - twice
    }
}

impl Refunds {
    fn wallet(&mut self, raw: &Raw) -> Result<&mut Wallet, Violation> {
        let key = (raw.text("client_id")?.to_owned(), raw.text("currency")?.to_owned());
        self.touched_wallets.push(key.clone());
        Ok(self.wallets.entry(key).or_default())
    }

    pub(in crate::oracle) fn follow_wallet(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let (client, currency) = (raw.text("client_id")?.to_owned(), raw.text("currency")?.to_owned());
        let amount = raw.amount("amount")?;
        let wallet = self.wallet(raw)?;
        match raw.event_type.as_str() {
            "wallet.credited" => {
                wallet.balance += amount;
                if let Ok(payment) = raw.text("funding_id") {
                    *wallet.came_back.entry(payment.to_owned()).or_default() += amount;
                }
                let credit = (client, currency, amount);
                let Some(index) = self.credits.iter().position(|due| *due == credit) else {
                    return Err(raw.breaks("I5", &format!("credited is not what came: {:?}", self.credits)));
                };
                self.credits.remove(index);
            }
            "wallet.topped_up" => {
                wallet.balance += amount;
                books.expect("2120", &currency, -amount);
            }
            "wallet.paid_escrow" | "wallet.withdrawn" => {
                if raw.actor != format!("client:{client}") {
                    return Err(raw.breaks("I5", "by somebody else than its owner"));
                }
                if amount > wallet.spendable() {
                    return Err(raw.breaks("I4", &format!("spent is more than was free: {wallet:?}")));
                }
                wallet.balance -= amount;
                books.expect("2120", &currency, amount);
                if raw.event_type == "wallet.withdrawn" {
                    books.expect("2260", &currency, -amount);
                    self.due.push((raw.text("refund_id")?.to_owned(), amount));
                }
            }
            // The client would have it twice: a bank keeps it, or has returned it.
            "wallet.refund_reclaimed" => {
                wallet.balance -= amount;
                let of_payment = wallet.came_back.entry(raw.text("funding_id")?.to_owned()).or_default();
                *of_payment -= amount;
                if *of_payment < 0 {
                    return Err(raw.breaks("I4", "more is taken of a payment than came back of it"));
                }
                let credited = if raw.data.get("chargeback_id").is_some() { "5200" } else { "1220" };
                books.expect("2120", &currency, amount);
                books.expect(credited, &currency, -amount);
            }
            other => return Err(raw.breaks("W", &format!("{other} is not known here"))),
        }
        Ok(())
    }

    /// A bank has returned a top-up of which it took `returned`. Returns what the client owes for it.
    pub(in crate::oracle) fn return_top_up(
        &mut self,
        raw: &Raw,
        returned: i128,
        books: &mut Books,
    ) -> Result<i128, Violation> {
        let (amount, owed) = (raw.amount("amount")?, amount_of(&raw.data, "receivable"));
        self.take_back(raw, amount, owed, returned)?;
        let currency = raw.text("currency")?;
        books.expect("2120", currency, amount);
        books.expect("1120", currency, -amount);
        Ok(owed)
    }

    /// A bank has so much of a top-up.
    pub(in crate::oracle) fn hold_top_up(&mut self, raw: &Raw) -> Result<(), Violation> {
        let (id, amount) = (raw.text("chargeback_id")?.to_owned(), raw.amount("amount")?);
        if let Ok(payment) = raw.text("funding_id") {
            let told = Some((payment.to_owned(), amount));
            if self.wallet(raw)?.twice.insert(id, (payment.to_owned(), amount)) == told {
                return Err(raw.breaks("I6", "held as much before"));
            }
            return Ok(());
        }
        if self.wallet(raw)?.contested.insert(id, amount) == Some(amount) {
            return Err(raw.breaks("I6", "held as much before"));
        }
        Ok(())
    }

    /// A bank keeps a top-up. Returns all that it keeps, and what of that the platform bears.
    pub(in crate::oracle) fn absorb_top_up(&mut self, raw: &Raw, books: &mut Books) -> Result<(i128, i128), Violation> {
        let (amount, share) = (raw.amount("amount")?, amount_of(&raw.data, "platform_share"));
        if raw.data.get("of_refunds").is_some() {
            self.take_what_came_back(raw, amount, amount + share)?;
        } else {
            self.take_back(raw, amount, share, amount + share)?;
        }
        self.wallet(raw)?.contested.remove(raw.text("chargeback_id")?);
        self.wallet(raw)?.twice.remove(raw.text("chargeback_id")?);
        let currency = raw.text("currency")?;
        books.expect("2120", currency, amount);
        books.expect("1200", currency, -amount);
        Ok((amount + share, share))
    }

    /// Of a payment that a bank keeps the client has so much twice: what came back of it goes, as far as it is there.
    fn take_what_came_back(&mut self, raw: &Raw, amount: i128, whole: i128) -> Result<(), Violation> {
        let payment = raw.text("funding_id")?.to_owned();
        let wallet = self.wallet(raw)?;
        let came_back = wallet.came_back.entry(payment).or_default();
        if amount != wallet.balance.min(*came_back).min(whole) {
            return Err(raw.breaks("I4", &format!("{whole} is taken back, and there was {wallet:?}")));
        }
        *came_back -= amount;
        wallet.balance -= amount;
        Ok(())
    }

    fn take_back(&mut self, raw: &Raw, amount: i128, rest: i128, whole: i128) -> Result<(), Violation> {
        let wallet = self.wallet(raw)?;
        if amount != wallet.balance.min(whole) || amount + rest != whole {
            return Err(raw.breaks("I4", &format!("{whole} is taken back, and there was {wallet:?}")));
        }
        wallet.balance -= amount;
        Ok(())
    }
}
