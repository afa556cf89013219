//! The books beside the provider's own: account by account, to the cent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ledger::{Account, Currency, DimensionKey, JournalEntry};
use serde_json::Value;

use super::World;

/// By the provider's account (the platform's is `platform`), what of it, and the currency: minor units.
type Balances = BTreeMap<(String, &'static str, Currency), i64>;

const PLATFORM: &str = "platform";

impl World {
    /// Asks the built-in provider; an account that is closed to us is not shown.
    async fn if_shown(&self, path: &str, account: &str) -> Option<Value> {
        let url = format!("{}/v1/{path}", self.server.sandbox_url().unwrap());
        let mut request = reqwest::Client::new().get(url).bearer_auth(self.server.sandbox_key().unwrap());
        if account != PLATFORM {
            request = request.header("Stripe-Account", account);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        if answer["error"]["code"] == "account_invalid" {
            return None;
        }
        assert!(answer.get("error").is_none(), "{path} of {account}: {answer}");
        Some(answer)
    }

    async fn at_provider(&self, path: &str, account: &str) -> Value {
        self.if_shown(path, account).await.unwrap()
    }

    async fn list_at_provider(&self, path: &str, account: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after =
                all.last().map_or_else(String::new, |last| format!("&starting_after={}", last["id"].as_str().unwrap()));
            let page = self.at_provider(&format!("{path}?limit=100{after}"), account).await;
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return all;
            }
        }
    }

    /// What somebody else has moved there, by the names that its balance transactions have: payments, refunds, transfers,
    /// reversals and payouts of payees' accounts without an id of ours. The books do not have them (`moved_by_hand`).
    async fn moved_by_others(&self, accounts: &[String]) -> BTreeSet<String> {
        let mut others = BTreeSet::new();
        let foreign = |object: &Value, id: &str| object["metadata"].get(id).is_none();
        let mut add = |name: &Value| others.extend(name.as_str().map(str::to_owned));
        for payment in self.list_at_provider("payment_intents", PLATFORM).await {
            if foreign(&payment, "funding_id") {
                add(&payment["latest_charge"]);
            }
        }
        for refund in self.list_at_provider("refunds", PLATFORM).await {
            if foreign(&refund, "refund_id") {
                add(&refund["id"]);
            }
        }
        for transfer in self.list_at_provider("transfers", PLATFORM).await {
            if foreign(&transfer, "payout_id") {
                add(&transfer["id"]);
                add(&transfer["destination_payment"]);
            }
            for reversal in transfer["reversals"]["data"].as_array().unwrap() {
                if foreign(reversal, "reversal_id") {
                    add(&reversal["id"]);
                    add(&reversal["destination_payment_refund"]);
                }
            }
        }
        for account in accounts {
            for payout in self.list_at_provider("payouts", account).await {
                if foreign(&payout, "payout_id") {
                    add(&payout["id"]);
                }
            }
        }
        others
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
    /// its balance, and the books wait for it to be paid; so have refunds that its bank has not confirmed. Without what
    /// somebody else has moved there.
    async fn with_provider(&self, accounts: &[String]) -> Balances {
        let others = self.moved_by_others(accounts).await;
        let mut balances = Balances::new();
        let mut add = |account: &str, what: &'static str, currency: &Value, units: i64| {
            let currency: Currency = currency.as_str().unwrap().to_ascii_uppercase().parse().unwrap();
            let minor = currency.from_psp_units(units.abs()).unwrap().get() * units.signum();
            *balances.entry((account.to_owned(), what, currency)).or_default() += minor;
        };
        for account in std::iter::once(PLATFORM).chain(accounts.iter().map(String::as_str)) {
            let of = |part: &str| match (account, part) {
                (PLATFORM, "pending") => "pending",
                (PLATFORM, _) => "available",
                _ => "there",
            };
            let balance = self.at_provider("balance", account).await;
            for part in ["pending", "available"] {
                for line in balance[part].as_array().unwrap() {
                    add(account, of(part), &line["currency"], line["amount"].as_i64().unwrap());
                }
            }
            for payout in self.list_at_provider("payouts", account).await {
                let id = if account == PLATFORM { "sweep_id" } else { "payout_id" };
                let ours = payout["metadata"].get(id).is_some();
                if ours && ["pending", "in_transit"].contains(&payout["status"].as_str().unwrap()) {
                    add(account, of("available"), &payout["currency"], payout["amount"].as_i64().unwrap());
                }
            }
            for entry in self.list_at_provider("balance_transactions", account).await {
                if others.contains(entry["source"].as_str().unwrap()) {
                    add(
                        account,
                        of(entry["status"].as_str().unwrap()),
                        &entry["currency"],
                        -entry["net"].as_i64().unwrap(),
                    );
                }
            }
        }
        for refund in self.list_at_provider("refunds", PLATFORM).await {
            let open = ["pending", "requires_action"].contains(&refund["status"].as_str().unwrap());
            if open && !refund["balance_transaction"].is_null() && !others.contains(refund["id"].as_str().unwrap()) {
                add(PLATFORM, "available", &refund["currency"], refund["amount"].as_i64().unwrap());
            }
        }
        balances
    }

    /// Balance transactions of the provider, added up, are its balances; those that are available are so since the instant
    /// that they name.
    async fn assert_provider_adds_up(&self, accounts: &[String]) {
        let now = self.server.app().engine.now().await.unwrap().timestamp();
        for account in std::iter::once(PLATFORM).chain(accounts.iter().map(String::as_str)) {
            let balance = self.at_provider("balance", account).await;
            let mut booked = BTreeMap::<(String, String), i64>::new();
            for entry in self.list_at_provider("balance_transactions", account).await {
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
    let mut booked = world.in_books().await;
    booked.retain(|_, amount| *amount != 0);
    // Every account that either side knows. One that is closed to us is compared where the books have anything there: then
    // it has to be shown.
    let mut known: BTreeSet<String> = booked.keys().map(|(account, ..)| account.clone()).collect();
    known.remove(PLATFORM);
    let listed = world.list_at_provider("accounts", PLATFORM).await;
    known.extend(listed.iter().map(|account| account["id"].as_str().unwrap().to_owned()));
    let mut accounts = Vec::new();
    for account in known {
        let shown = world.if_shown("balance", &account).await.is_some();
        assert!(
            shown || !booked.keys().any(|(at, ..)| *at == account),
            "{account} is closed, and the books have money there"
        );
        accounts.extend(shown.then_some(account));
    }
    let mut with_provider = world.with_provider(&accounts).await;
    with_provider.retain(|_, amount| *amount != 0);
    assert_eq!(booked, with_provider, "left: the books; right: the provider");
    world.assert_provider_adds_up(&accounts).await;
}

impl World {
    /// The provider's name of a refund of ours.
    pub async fn refund_at_provider(&self, refund: &str) -> String {
        let all = self.list_at_provider("refunds", PLATFORM).await;
        let ours = all.iter().find(|one| one["metadata"]["refund_id"] == refund).unwrap();
        ours["id"].as_str().unwrap().to_owned()
    }

    /// How a test ends: what was planned to go wrong is taken away, what was lost on the way is delivered, orders go on, and
    /// when everything that follows has happened, the books are what a recount of the log gives and what the provider says.
    pub async fn close(self) {
        let app = self.server.app();
        let sandbox = app.sandbox.as_ref().unwrap();
        sandbox.clear_faults().await.unwrap();
        app.outbox.resume().await.unwrap();
        // Again and again: a delivery that waits for its next try is on its way, too.
        let deliver = async {
            loop {
                sandbox.flush_webhooks().await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            () = self.settled() => {}
            () = deliver => {}
        }
        self.books().await;
        assert_books_equal_provider(&self).await;
    }
}
