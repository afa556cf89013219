//! A world with a provider that is a table, and a worker that carries orders out there: transfers as the queue lets them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use domain::actor::{Actor, StaffRole};
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::funding::FundingCommand;
use domain::id::{PartyId, PayoutId};
use domain::intent::{Intent, PayoutIntent};
use domain::party::{AccountStatus, BankDestination, Party, Requirements, Shortfall, Standing};
use domain::payee::{PayeeAccount, PayeeAccountId};
use domain::payout::Payout;
use domain::ports::provider::{
    AccountReport, BankPayoutReport, BankPayoutStatus, ProviderOrder, ProviderReport, Receipt, TransferReport,
    TransferReversalReport,
};
use domain::process::{self, Order};
use domain::refusal::Refusal;
use domain::timer::Scope;
use domain::treasury::queue::{Funds, Waiting, sendable};
use ledger::Currency;

use super::money::world::World;
use super::money::{f, minor, payee, uuid};

pub const ACCOUNT: &str = "acct_1";

/// The payout P1, P2, …
pub fn p(number: u128) -> PayoutId {
    PayoutId::from_uuid(uuid(700 + number))
}

/// Two members of staff.
pub fn finance() -> Actor {
    Actor::Staff(StaffRole::Finance, PartyId::from_uuid(uuid(9)))
}

pub fn approver() -> Actor {
    Actor::Staff(StaffRole::Admin, PartyId::from_uuid(uuid(10)))
}

/// A payout as the provider has it.
#[derive(Debug, Clone, PartialEq)]
pub struct AtBank {
    pub payout_id: PayoutId,
    pub account: String,
    pub amount: i64,
    pub status: BankPayoutStatus,
}

/// What the provider has, in dollars. Money of a payout to a bank counts at the account until it is paid.
#[derive(Debug, Clone, Default)]
pub struct Provider {
    pub platform: i64,
    pub accounts: BTreeMap<String, i64>,
    /// By transfer: payout, account, amount.
    pub transfers: BTreeMap<String, (PayoutId, String, i64)>,
    pub bank_payouts: BTreeMap<String, AtBank>,
    /// The next reversal is refused.
    pub refuses_reversals: bool,
    sent: BTreeSet<uuid::Uuid>,
}

pub struct Desk {
    pub world: World,
    pub provider: Provider,
    /// What was ordered for payouts and sent.
    pub begun: Vec<ProviderOrder>,
    waiting: Vec<(u64, Order)>,
    seen: usize,
}

impl Desk {
    /// What the contract is worth has been released, is cleared and can be withdrawn; the provider has what is left of the
    /// payment after its fee.
    pub fn earned(amounts: &[i64]) -> Self {
        let mut desk = Self::released(amounts);
        desk.world.now += TimeDelta::days(5);
        desk.wake();
        desk
    }

    /// Released, and not cleared.
    pub fn released(amounts: &[i64]) -> Self {
        let mut world = World::f0(amounts);
        for number in (1..).take(amounts.len()) {
            world.approve(number).unwrap();
        }
        Self::of(world)
    }

    pub fn of(world: World) -> Self {
        Self { world, provider: Provider::default(), begun: Vec::new(), waiting: Vec::new(), seen: 0 }
    }

    /// D-118: 900.00 are available; the provider has taken 30.75.
    pub fn d118() -> Self {
        let mut desk = Self::earned(&[100_000]);
        desk.receive(1, 3075, 101_925);
        desk
    }

    /// The money of a payment becomes available at the provider.
    pub fn receive(&mut self, funding: u128, fee: i64, net: i64) {
        for available in [false, true] {
            let receipt = Receipt {
                balance_transaction_ref: format!("txn_{funding}"),
                fee: minor(fee),
                net: minor(net),
                currency: Currency::USD,
                booked_on: NaiveDate::from_ymd_opt(2026, 12, 1).unwrap(),
                available_on: self.world.now,
                available,
            };
            let record = FundingCommand::RecordReceipt { receipt };
            self.world.fact(Command::Funding(f(funding), record)).unwrap();
        }
        self.provider.platform += net;
    }

    pub fn account_id() -> PayeeAccountId {
        PayeeAccountId { party_id: payee(), currency: Currency::USD }
    }

    /// Lets timers of the payee account fire that are due.
    pub fn wake(&mut self) {
        let stream = domain::payee::stream(Self::account_id());
        self.world.system(Intent::Wake(Scope::Stream(stream))).unwrap();
    }

    pub fn request(&mut self, number: u128, amount: i64) -> Result<Vec<String>, Refusal> {
        self.world.by_payee(Intent::RequestPayout {
            payout_id: p(number),
            payee_id: payee(),
            currency: Currency::USD,
            amount: minor(amount),
        })
    }

    pub fn retry(&mut self, number: u128, of: u128) -> Result<Vec<String>, Refusal> {
        let retry =
            PayoutIntent::Retry { payout_id: p(number), retry_of: p(of), payee_id: payee(), currency: Currency::USD };
        self.world.by_payee(Intent::Payouts(retry))
    }

    pub fn staff(&mut self, actor: Actor, intent: PayoutIntent) -> Result<Vec<String>, Refusal> {
        self.world.perform(actor, Intent::Payouts(intent))
    }

    /// Records what a report says, as the workers do; a report told again changes nothing.
    pub fn tell(&mut self, report: &ProviderReport) -> Vec<String> {
        let facts = process::facts(report);
        facts.into_iter().flat_map(|fact| self.world.fact(fact.command).unwrap()).collect()
    }

    /// Carries out the transfers that were ordered since, and leaves what follows from them.
    pub fn transfer_only(&mut self) {
        while let Some(order) = self.world.orders.get(self.seen).cloned() {
            if matches!(order.what, ProviderOrder::PayToBank { .. }) {
                return;
            }
            self.seen += 1;
            if order.not_before.is_none() {
                self.carry_out(&order);
            }
        }
    }

    /// Carries out what was ordered since, until nothing more can be.
    pub fn work(&mut self) {
        loop {
            while let Some(order) = self.world.orders.get(self.seen).cloned() {
                let position = self.seen as u64;
                self.seen += 1;
                if order.not_before.is_none() {
                    self.waiting.push((position, order));
                }
            }
            let open = std::mem::take(&mut self.waiting);
            let (withheld, open): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|(_, order)| self.gate(&order.what).is_some());
            for (_, order) in &withheld {
                self.withhold(&order.what);
            }
            let (transfers, others): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|(_, order)| matches!(order.what, ProviderOrder::MoveToPayee { .. }));
            let queue: Vec<_> = transfers.iter().map(|(position, order)| waiting(*position, order)).collect();
            let in_books = minor(i64::try_from(self.net("1120").max(0)).unwrap());
            let go = sendable(&queue, Funds { in_books, at_provider: minor(self.provider.platform.max(0)) });
            let (sent, kept): (Vec<_>, Vec<_>) =
                transfers.into_iter().partition(|(_, order)| go.contains(&order.order_id));
            let quiet = sent.is_empty() && others.is_empty() && withheld.is_empty();
            for (_, order) in &kept {
                for fact in process::lacks_funds(&order.what) {
                    self.world.fact(fact.command).unwrap();
                }
            }
            self.waiting = kept;
            for (_, order) in sent.into_iter().chain(others) {
                self.carry_out(&order);
            }
            if quiet && self.seen == self.world.orders.len() {
                return;
            }
        }
    }

    /// The gate that is shut before an order, as the worker asks.
    pub fn gate(&self, order: &ProviderOrder) -> Option<Refusal> {
        process::gate(order, &self.party().payee_standing(), self.world.now)
    }

    /// The order is never sent.
    pub fn withhold(&mut self, order: &ProviderOrder) -> Vec<String> {
        let code = self.gate(order).expect("a gate is shut").code();
        process::withheld(order, code).into_iter().flat_map(|fact| self.world.fact(fact.command).unwrap()).collect()
    }

    fn carry_out(&mut self, order: &Order) {
        if matches!(order.what, ProviderOrder::MoveToPayee { .. } | ProviderOrder::PayToBank { .. }) {
            self.begun.push(order.what.clone());
        }
        assert!(self.provider.sent.insert(order.order_id), "{order:?} is sent once");
        match &order.what {
            ProviderOrder::MoveToPayee { payout_id, amount, currency, account, .. } => {
                let transfer_ref = format!("tr_{payout_id}");
                self.provider.platform -= amount.get();
                assert!(self.provider.platform >= 0, "only what is there is transferred");
                *self.provider.accounts.entry(account.clone()).or_default() += amount.get();
                let transfer = (*payout_id, account.clone(), amount.get());
                assert_eq!(self.provider.transfers.insert(transfer_ref.clone(), transfer), None, "transferred once");
                self.tell(&ProviderReport::Transfer(TransferReport {
                    transfer_ref,
                    payout_id: Some(*payout_id),
                    amount: *amount,
                    currency: *currency,
                    reversed_by_hand: ledger::Minor::ZERO,
                }));
            }
            ProviderOrder::PayToBank { payout_id, amount, account, .. } => {
                let name = format!("po_{payout_id}");
                let status = BankPayoutStatus::InTransit { arrival_at: self.world.now + TimeDelta::days(2) };
                let payout = AtBank { payout_id: *payout_id, account: account.clone(), amount: amount.get(), status };
                assert_eq!(self.provider.bank_payouts.insert(name.clone(), payout), None, "paid out once");
                self.report(&name);
            }
            ProviderOrder::ReverseTransfer { reversal_id, payout_id, transfer_ref, amount, currency, account } => {
                let known = self.provider.transfers.get_mut(transfer_ref).unwrap();
                let there = self.provider.accounts.get_mut(account).unwrap();
                if self.provider.refuses_reversals || *there < amount.get() || known.2 < amount.get() {
                    for fact in process::refused(&order.what, "balance_insufficient") {
                        self.world.fact(fact.command).unwrap();
                    }
                    return;
                }
                known.2 -= amount.get();
                *there -= amount.get();
                self.provider.platform += amount.get();
                let report = TransferReversalReport {
                    reversal_ref: format!("trr_{reversal_id}"),
                    reversal_id: Some(*reversal_id),
                    payout_id: Some(*payout_id),
                    amount: *amount,
                    currency: *currency,
                };
                self.tell(&ProviderReport::TransferReversal(report.clone()));
                assert_eq!(self.tell(&ProviderReport::TransferReversal(report)), Vec::<String>::new(), "told again");
            }
            // Nothing that these tests wait for.
            _ => {}
        }
    }

    /// What the bank does with a payout.
    pub fn bank(&mut self, number: u128, status: BankPayoutStatus) -> Vec<String> {
        self.bank_of(p(number), status)
    }

    pub fn bank_of(&mut self, payout_id: PayoutId, status: BankPayoutStatus) -> Vec<String> {
        let name = format!("po_{payout_id}");
        let payout = self.provider.bank_payouts.get_mut(&name).unwrap();
        let there = self.provider.accounts.get_mut(&payout.account).unwrap();
        match (&payout.status, &status) {
            (BankPayoutStatus::InTransit { .. }, BankPayoutStatus::Paid) => *there -= payout.amount,
            (BankPayoutStatus::Paid, BankPayoutStatus::Failed { .. }) => *there += payout.amount,
            _ => {}
        }
        payout.status = status;
        let events = self.report(&name);
        assert_eq!(self.report(&name), Vec::<String>::new(), "told again");
        events
    }

    pub fn paid(&mut self, number: u128) -> Vec<String> {
        self.bank(number, BankPayoutStatus::Paid)
    }

    pub fn failed(&mut self, number: u128, code: &str) -> Vec<String> {
        self.bank(number, BankPayoutStatus::Failed { code: code.to_owned() })
    }

    /// The payout fails before anything was moved.
    pub fn tell_cancelled(&mut self, number: u128) -> Vec<String> {
        let failed = domain::payout::PayoutCommand::RecordFailed { code: "cancelled".to_owned() };
        self.world.fact(Command::Payout(p(number), failed)).unwrap()
    }

    fn report(&mut self, name: &str) -> Vec<String> {
        let payout = self.provider.bank_payouts.get(name).unwrap().clone();
        self.tell(&ProviderReport::BankPayout(BankPayoutReport {
            bank_payout_ref: name.to_owned(),
            payout_id: Some(payout.payout_id),
            account: payout.account,
            status: payout.status,
        }))
    }

    /// The account as the provider tells it now.
    pub fn tell_account(&mut self, status: AccountStatus) -> Vec<String> {
        let report = AccountReport { psp: "stripe".to_owned(), party_id: Some(payee()), status };
        self.tell(&ProviderReport::Account(report))
    }

    /// All in order, with that bank account.
    pub fn in_order(&self, fingerprint: &str) -> AccountStatus {
        let requirements = Requirements { transfers_enabled: true, payouts_enabled: true, ..Requirements::default() };
        AccountStatus {
            psp_account: ACCOUNT.to_owned(),
            told_at: self.world.now,
            requirements,
            destinations: vec![BankDestination { currency: Currency::USD, fingerprint: fingerprint.to_owned() }],
            shortfalls: Vec::new(),
            end: None,
        }
    }

    /// The provider waits for something.
    pub fn restricted(&self) -> AccountStatus {
        let mut status = self.in_order("fp_1");
        status.requirements.payouts_enabled = false;
        status.requirements.past_due = vec!["individual.verification.document".to_owned()];
        status
    }

    pub fn short_of(&self, amount: i64) -> AccountStatus {
        let mut status = self.in_order("fp_1");
        status.shortfalls = vec![Shortfall { currency: Currency::USD, amount: minor(amount) }];
        status
    }

    pub fn payout(&self, number: u128) -> Payout {
        match self.world.state(&domain::payout::stream(p(number))) {
            AggregateState::Payout(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub fn account(&self) -> PayeeAccount {
        match self.world.state(&domain::payee::stream(Self::account_id())) {
            AggregateState::Payee(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub fn standing(&self) -> Standing {
        self.party().payee_standing().standing
    }

    pub fn party(&self) -> Party {
        match self.world.state(&domain::party::stream(payee())) {
            AggregateState::Party(state) => state,
            other => panic!("{other:?}"),
        }
    }

    /// The balance of an account in the books, debits positive.
    pub fn net(&self, account: &str) -> i128 {
        self.world.balance().get(account).copied().unwrap_or_default()
    }

    /// The books are those of the provider, and those of the payee account; nobody has less than nothing.
    pub fn check(&self) {
        assert_eq!(self.net("1120"), i128::from(self.provider.platform), "1120 is the provider's");
        assert_eq!(
            self.net("1130"),
            i128::from(self.provider.accounts.values().sum::<i64>()),
            "1130 is the provider's"
        );
        let account = self.account();
        let in_transit: i64 = account.in_transit.values().map(|reserved| reserved.amount.get()).sum();
        for (code, own) in [
            ("2200", account.pending_total().get()),
            ("2210", account.available.get()),
            ("2220", account.held_total().get()),
            ("2250", in_transit),
        ] {
            assert_eq!(-self.net(code), i128::from(own), "{code} is what the payee account says");
        }
        let lots: i64 = account.payouts.lots.iter().map(|lot| lot.amount.get()).sum();
        assert_eq!(lots, account.at_provider.get());
        assert!(i128::from(lots) <= self.net("1130"), "what lies free there is there");
        assert!(self.provider.accounts.values().all(|balance| *balance >= 0));
    }
}

fn waiting(position: u64, order: &Order) -> Waiting {
    let ProviderOrder::MoveToPayee { amount, .. } = &order.what else { panic!() };
    Waiting { order_id: order.order_id, position, amount: *amount }
}

pub fn at(text: &str) -> domain::time::Timestamp {
    text.parse().unwrap()
}
