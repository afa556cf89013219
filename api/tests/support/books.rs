//! The books beside the provider's own: account by account, to the cent.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Account, Currency, DimensionKey, JournalEntry};
use serde_json::Value;

use super::World;

/// By the provider's account (the platform's is `platform`), what of it, and the currency: minor units.
type Balances = BTreeMap<(String, &'static str, Currency), i64>;

const PLATFORM: &str = "platform";

impl World {
    /// Asks the built-in provider.
    async fn at_provider(&self, path: &str, account: &str) -> Value {
        let url = format!("{}/v1/{path}", self.server.sandbox_url().unwrap());
        let mut request = reqwest::Client::new().get(url).bearer_auth(self.server.sandbox_key().unwrap());
        if account != PLATFORM {
            request = request.header("Stripe-Account", account);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer.get("error").is_none(), "{path} of {account}: {answer}");
        answer
    }

    async fn list_at_provider(&self, path: &str, account: &str) -> Vec<Value> {
        let page = self.at_provider(&format!("{path}?limit=100"), account).await;
        assert_eq!(page["has_more"], false, "a test with more than a hundred {path} has to page");
        page["data"].as_array().unwrap().clone()
    }

    /// What accounts 1110, 1120 and 1130 say of each account at the provider.
    async fn in_books(&self) -> Balances {
        let mut balances = Balances::new();
        for event in self.api.events(&self.admin.token, 0).await.unwrap() {
            for posting in event.journal.iter().flat_map(JournalEntry::postings) {
                let (account, what) = match posting.account() {
                    Account::PspPending => (PLATFORM.to_owned(), "pending"),
                    Account::PspAvailable => (PLATFORM.to_owned(), "available"),
                    Account::FundsAtConnectedAccount => {
                        let at = posting.dimensions().get(DimensionKey::PspAccount).unwrap();
                        (at.to_owned(), "there")
                    }
                    _ => continue,
                };
                let signed = i64::try_from(posting.signed()).unwrap();
                *balances.entry((account, what, posting.amount().currency())).or_default() += signed;
            }
        }
        balances
    }

    /// What the provider says, with what it counts earlier than the books: a payout that is on its way to a bank has left
    /// its balance, and the books wait for it to be paid; so have refunds that its bank has not confirmed. Without payments
    /// and refunds that somebody else made there: they carry no id of ours.
    async fn with_provider(&self, accounts: impl Iterator<Item = String>) -> Balances {
        let mut balances = Balances::new();
        let mut add = |account: &str, what: &'static str, currency: &Value, units: i64| {
            let currency: Currency = currency.as_str().unwrap().to_ascii_uppercase().parse().unwrap();
            let minor = currency.from_psp_units(units.abs()).unwrap().get() * units.signum();
            *balances.entry((account.to_owned(), what, currency)).or_default() += minor;
        };
        for account in std::iter::once(PLATFORM.to_owned()).chain(accounts) {
            let balance = self.at_provider("balance", &account).await;
            for part in ["pending", "available"] {
                let what = match (account.as_str(), part) {
                    (PLATFORM, "pending") => "pending",
                    (PLATFORM, _) => "available",
                    _ => "there",
                };
                for line in balance[part].as_array().unwrap() {
                    add(&account, what, &line["currency"], line["amount"].as_i64().unwrap());
                }
            }
            let what = if account == PLATFORM { "available" } else { "there" };
            for payout in self.list_at_provider("payouts", &account).await {
                let ours = account != PLATFORM || payout["metadata"].get("sweep_id").is_some();
                if ours && ["pending", "in_transit"].contains(&payout["status"].as_str().unwrap()) {
                    add(&account, what, &payout["currency"], payout["amount"].as_i64().unwrap());
                }
            }
            if account == PLATFORM {
                let mut others = BTreeSet::new();
                for payment in self.list_at_provider("payment_intents", &account).await {
                    if payment["metadata"].get("funding_id").is_none() {
                        others.extend(payment["latest_charge"].as_str().map(str::to_owned));
                    }
                }
                for refund in self.list_at_provider("refunds", &account).await {
                    if refund["metadata"].get("refund_id").is_none() {
                        others.insert(refund["id"].as_str().unwrap().to_owned());
                        continue;
                    }
                    let open = ["pending", "requires_action"].contains(&refund["status"].as_str().unwrap());
                    if open && !refund["balance_transaction"].is_null() {
                        add(&account, "available", &refund["currency"], refund["amount"].as_i64().unwrap());
                    }
                }
                for entry in self.list_at_provider("balance_transactions", &account).await {
                    if others.contains(entry["source"].as_str().unwrap()) {
                        let what = if entry["status"] == "pending" { "pending" } else { "available" };
                        add(&account, what, &entry["currency"], -entry["net"].as_i64().unwrap());
                    }
                }
            }
        }
        balances
    }

    /// Balance transactions of the provider, added up, are its balances; those that are available are so since the instant
    /// that they name.
    async fn assert_provider_adds_up(&self, accounts: impl Iterator<Item = String>) {
        let now = self.server.app().engine.now().await.unwrap().timestamp();
        for account in std::iter::once(PLATFORM.to_owned()).chain(accounts) {
            let balance = self.at_provider("balance", &account).await;
            let mut booked = BTreeMap::<(String, String), i64>::new();
            for entry in self.list_at_provider("balance_transactions", &account).await {
                let net = entry["net"].as_i64().unwrap();
                assert_eq!(net, entry["amount"].as_i64().unwrap() - entry["fee"].as_i64().unwrap(), "{entry}");
                let (status, currency) = (entry["status"].as_str().unwrap(), entry["currency"].as_str().unwrap());
                let due = entry["available_on"].as_i64().unwrap() <= now;
                assert_eq!(status, if due { "available" } else { "pending" }, "at {now}: {entry}");
                *booked.entry((status.to_owned(), currency.to_owned())).or_default() += net;
            }
            for part in ["pending", "available"] {
                for line in balance[part].as_array().unwrap() {
                    let key = (part.to_owned(), line["currency"].as_str().unwrap().to_owned());
                    let sum = booked.get(&key).copied().unwrap_or(0);
                    assert_eq!(line["amount"].as_i64().unwrap(), sum, "{account} {key:?}");
                }
            }
        }
    }
}

/// Accounts 1110, 1120 and 1130 are what the built-in provider says of its balances: pending and available of the platform,
/// and what is at each payee's account, per currency. Waits first until everything that follows has happened.
pub async fn assert_books_equal_provider(world: &World) {
    world.settled().await;
    let in_books = world.in_books().await;
    let mut accounts: Vec<String> =
        in_books.keys().map(|(account, ..)| account.clone()).filter(|account| account != PLATFORM).collect();
    accounts.dedup();
    let mut with_provider = world.with_provider(accounts.clone().into_iter()).await;
    let mut booked = in_books;
    with_provider.retain(|_, amount| *amount != 0);
    booked.retain(|_, amount| *amount != 0);
    assert_eq!(booked, with_provider, "left: the books; right: the provider");
    world.assert_provider_adds_up(accounts.into_iter()).await;
}
