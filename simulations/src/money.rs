//! What is done about money beside the usual way: deposits, wallets, gifts, money given back, holds and freezes by staff.
//!
//! # Invariants
//! - They know what the projections show, which can be old.

use domain::actor::{Actor, StaffRole};
use domain::aggregate::AggregateState;
use domain::escrow::{self, GratuityKind, Holdings, PaidFrom};
use domain::funding::Funding;
use domain::id::{FundingId, MilestoneId, PartyId, ReallocationId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::payee::{self, HoldReason, PayeeAccountId};
use domain::refund::Refund;
use domain::view::Document;
use domain::wallet::{self, WalletId};
use ledger::{Currency, Minor};

use crate::world::{Interrupt, Known, World};

/// A word for each request about money.
pub(crate) fn word(intent: &MoneyIntent) -> &'static str {
    match intent {
        MoneyIntent::PayIn { paid_from: PaidFrom::Wallet, .. } => "pay_in_by_wallet",
        MoneyIntent::PayIn { .. } => "pay_in",
        MoneyIntent::CancelFunding { .. } => "cancel_funding",
        MoneyIntent::AllocateDeposit { .. } => "allocate_deposit",
        MoneyIntent::PayGratuity { kind: GratuityKind::Bonus, .. } => "pay_bonus",
        MoneyIntent::PayGratuity { kind: GratuityKind::Tip, .. } => "pay_tip",
        MoneyIntent::GiveBack { .. } => "give_back",
        MoneyIntent::Freeze { .. } => "freeze_escrow",
        MoneyIntent::Unfreeze { .. } => "unfreeze_escrow",
        MoneyIntent::RedirectRefund { .. } => "redirect_refund",
        MoneyIntent::TopUp { .. } => "top_up_wallet",
        MoneyIntent::WithdrawFromWallet { .. } => "withdraw_from_wallet",
        MoneyIntent::HoldEarnings { .. } => "hold_earnings",
        MoneyIntent::LetEarningsGo { .. } => "let_earnings_go",
        MoneyIntent::WriteOffDebt { .. } => "write_off_debt",
    }
}

const REASONS: [HoldReason; 6] = [
    HoldReason::Kyc,
    HoldReason::Kyc,
    HoldReason::Kyc,
    HoldReason::Fraud,
    HoldReason::Sanctions,
    HoldReason::ChargebackReserve,
];

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap_or_default()
}

impl World {
    /// Somebody does something about money.
    pub(crate) fn move_money(&mut self) -> Result<(), Interrupt> {
        let recent = self.contracts.len().saturating_sub(8);
        let Some(known) = self.chance.pick(self.contracts.get(recent..).unwrap_or_default()).cloned() else {
            return self.draft();
        };
        match self.chance.between(0, 99) {
            0..=13 => self.pay_in(&known, PaidFrom::Provider),
            14..=18 => self.top_up(&known),
            19..=33 => self.spend_from_a_wallet(),
            34..=43 => self.allocate(&known),
            44..=53 => self.give_a_present(&known),
            54..=67 => self.give_back(&known),
            68..=70 => self.freeze_or_not(&known),
            71..=76 => self.unfreeze_one(),
            77..=85 => self.hold_or_let_go(),
            86..=93 => self.redirect(),
            _ => self.cancel_a_funding(),
        }
    }

    /// The escrow, as the projections have it.
    fn holdings(&self, known: &Known) -> Option<Holdings> {
        match self.document(&escrow::stream(known.contract_id)) {
            Some(Document::Aggregate(AggregateState::Escrow(escrow))) => escrow.holdings().cloned(),
            _ => None,
        }
    }

    fn money(&mut self, intent: MoneyIntent, actor: Actor) -> Result<(), Interrupt> {
        let ask = self.ask(Intent::Money(intent), actor);
        self.send(ask)
    }

    /// Staff that decides; now and then staff that only reads.
    pub(crate) fn staff(&mut self) -> Actor {
        let roles = [StaffRole::Moderator, StaffRole::Finance, StaffRole::Admin, StaffRole::Admin, StaffRole::Auditor];
        let role = self.chance.pick(&roles).copied().unwrap_or(StaffRole::Admin);
        let id = self.parties.first().copied().unwrap_or_else(|| PartyId::from_uuid(uuid::Uuid::nil()));
        Actor::Staff(role, id)
    }

    /// Pays a deposit, a milestone, or both.
    pub(crate) fn pay_in(&mut self, known: &Known, paid_from: PaidFrom) -> Result<(), Interrupt> {
        let milestones = self.milestones_of(known);
        let mut allocations = Vec::new();
        if self.chance.per_mille(500)
            && let Some((milestone_id, _)) = self.chance.pick(&milestones).copied()
            && let Some(amount) = self.payable(milestone_id).filter(|amount| !amount.is_zero())
        {
            allocations.push((milestone_id, amount));
        }
        let deposit = if allocations.is_empty() || self.chance.per_mille(400) {
            // Often as much as a milestone costs, so that it can be assigned to one.
            let of_one = self.chance.pick(&milestones).map_or(0, |(_, amount)| amount.get());
            let other = self.chance.between(1, 500_000);
            minor(if self.chance.per_mille(600) { of_one } else { other })
        } else {
            Minor::ZERO
        };
        let payment_method = self.payment_method();
        let intent = MoneyIntent::PayIn {
            contract_id: known.contract_id,
            funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
            allocations,
            deposit,
            currency: known.currency,
            paid_from,
            payment_method: if paid_from == PaidFrom::Wallet { String::new() } else { payment_method },
        };
        self.money(intent, Actor::Client(known.client_id))
    }

    fn wallet(&self, party_id: PartyId, currency: Currency) -> i64 {
        match self.document(&wallet::stream(WalletId { party_id, currency })) {
            Some(Document::Aggregate(AggregateState::Wallet(wallet))) => wallet.balance.get(),
            _ => 0,
        }
    }

    /// Puts money into a wallet; now and then nothing, or by somebody else.
    fn top_up(&mut self, known: &Known) -> Result<(), Interrupt> {
        let amount = if self.chance.per_mille(50) { 0 } else { self.chance.between(1, 500_000) };
        let other = self.chance.per_mille(50);
        let intent = MoneyIntent::TopUp {
            funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
            client_id: known.client_id,
            currency: known.currency,
            amount: minor(amount),
            payment_method: self.payment_method(),
        };
        self.money(intent, if other { Actor::Payee(known.payee_id) } else { Actor::Client(known.client_id) })
    }

    /// Pays from a wallet, or takes out what is in it.
    fn spend_from_a_wallet(&mut self) -> Result<(), Interrupt> {
        let filled = |known: &&Known| self.wallet(known.client_id, known.currency) > 0;
        let mut with_money: Vec<Known> = self.contracts.iter().rev().filter(filled).take(12).cloned().collect();
        if with_money.is_empty() {
            with_money = self.contracts.iter().rev().take(3).cloned().collect();
        }
        let Some(known) = self.chance.pick(&with_money).cloned() else { return Ok(()) };
        let balance = self.wallet(known.client_id, known.currency);
        match self.chance.between(0, 9) {
            0..=2 => {
                let amount = match self.chance.between(0, 3) {
                    0 => balance,
                    1 => balance.saturating_add(1),
                    _ => self.chance.between(1, balance.max(1)),
                };
                let refund_id = RefundId::from_uuid(self.chance.uuid(self.now));
                let (client_id, currency) = (known.client_id, known.currency);
                let intent = MoneyIntent::WithdrawFromWallet { client_id, currency, refund_id, amount: minor(amount) };
                self.money(intent, Actor::Client(client_id))
            }
            3..=5 => self.pay_in(&known, PaidFrom::Wallet),
            _ => {
                // Little enough that the fees fit in, too.
                let deposit = minor(self.chance.between(1, (balance / 2).max(1)));
                let intent = MoneyIntent::PayIn {
                    contract_id: known.contract_id,
                    funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
                    allocations: Vec::new(),
                    deposit,
                    currency: known.currency,
                    paid_from: PaidFrom::Wallet,
                    payment_method: String::new(),
                };
                self.money(intent, Actor::Client(known.client_id))
            }
        }
    }

    /// Assigns a deposit to a milestone.
    fn allocate(&mut self, known: &Known) -> Result<(), Interrupt> {
        let with_deposit =
            |known: &&Known| self.holdings(known).is_some_and(|holdings| !holdings.unallocated_amount().is_zero());
        let known = self.contracts.iter().rev().find(with_deposit).unwrap_or(known).clone();
        let there = self.holdings(&known).map_or(0, |holdings| holdings.unallocated_amount().get());
        let milestones = self.milestones_of(&known);
        let Some((to, amount)) = self.chance.pick(&milestones).copied() else { return Ok(()) };
        let amount = match self.chance.between(0, 9) {
            0..=4 => amount.get().min(there.max(1)),
            5..=8 => self.chance.between(1, there.max(1)),
            _ => there.saturating_add(1),
        };
        let intent = MoneyIntent::AllocateDeposit {
            contract_id: known.contract_id,
            reallocation_id: ReallocationId::from_uuid(self.chance.uuid(self.now)),
            to,
            amount: minor(amount),
        };
        // The payee has no say in it; sometimes the payee tries.
        let payee = self.chance.per_mille(100);
        let actor = if payee { Actor::Payee(known.payee_id) } else { Actor::Client(known.client_id) };
        self.money(intent, actor)
    }

    fn give_a_present(&mut self, known: &Known) -> Result<(), Interrupt> {
        let kind = if self.chance.per_mille(500) { GratuityKind::Bonus } else { GratuityKind::Tip };
        // Also long after the end.
        let known =
            if self.chance.per_mille(300) { self.chance.pick(&self.contracts).cloned() } else { Some(known.clone()) };
        let Some(known) = known else { return Ok(()) };
        let intent = MoneyIntent::PayGratuity {
            contract_id: known.contract_id,
            funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
            kind,
            amount: minor(self.chance.between(1, 200_000)),
            currency: known.currency,
            payment_method: self.payment_method(),
        };
        self.money(intent, Actor::Client(known.client_id))
    }

    /// The payee gives back what was released, in whole or in part; sometimes more than that.
    fn give_back(&mut self, known: &Known) -> Result<(), Interrupt> {
        let Some(holdings) = self.holdings(known) else { return Ok(()) };
        let released: Vec<(MilestoneId, i64)> = holdings
            .milestones
            .iter()
            .map(|(id, holding)| (*id, holding.released.get().saturating_sub(holding.given_back.gross.get())))
            .filter(|(_, left)| *left > 0)
            .collect();
        let Some((milestone_id, left)) = self.chance.pick(&released).copied() else { return Ok(()) };
        let amount = match self.chance.between(0, 9) {
            0..=3 => left,
            4..=8 => self.chance.between(1, left),
            _ => left.saturating_add(1),
        };
        let intent = MoneyIntent::GiveBack {
            contract_id: known.contract_id,
            milestone_id,
            refund_id: RefundId::from_uuid(self.chance.uuid(self.now)),
            amount: minor(amount),
            currency: self.chance.per_mille(300).then_some(known.currency),
        };
        self.money(intent, Actor::Payee(known.payee_id))
    }

    fn freeze_or_not(&mut self, known: &Known) -> Result<(), Interrupt> {
        let actor = self.staff();
        let contract_id = known.contract_id;
        let intent = if self.chance.per_mille(250) {
            MoneyIntent::Unfreeze { contract_id }
        } else {
            let legal_ref = self.chance.per_mille(300).then(|| "order-17".to_owned());
            MoneyIntent::Freeze { contract_id, reason: "court_order".to_owned(), legal_ref }
        };
        self.money(intent, actor)
    }

    /// Lets the money of a frozen escrow go, if there is one.
    fn unfreeze_one(&mut self) -> Result<(), Interrupt> {
        let frozen = |known: &&Known| self.holdings(known).is_some_and(|holdings| holdings.frozen);
        let frozen: Vec<Known> = self.contracts.iter().filter(frozen).cloned().collect();
        let Some(known) = self.chance.pick(&frozen).cloned() else { return Ok(()) };
        let actor = self.staff();
        self.money(MoneyIntent::Unfreeze { contract_id: known.contract_id }, actor)
    }

    fn hold_or_let_go(&mut self) -> Result<(), Interrupt> {
        let rich = |known: &&Known| {
            let account = PayeeAccountId { party_id: known.payee_id, currency: known.currency };
            matches!(
                self.document(&payee::stream(account)),
                Some(Document::Payee(balance)) if !balance.available.is_zero() || !balance.held.is_zero()
            )
        };
        let accounts: Vec<Known> = self.contracts.iter().rev().filter(rich).take(12).cloned().collect();
        let Some(known) = self.chance.pick(&accounts).cloned() else { return Ok(()) };
        let (payee_id, currency) = (known.payee_id, known.currency);
        let (available, held) = match self.document(&payee::stream(PayeeAccountId { party_id: payee_id, currency })) {
            Some(Document::Payee(balance)) => (balance.available.get(), balance.held.get()),
            _ => (0, 0),
        };
        let reason = self.chance.pick(&REASONS).copied().unwrap_or(HoldReason::Kyc);
        let some = self.chance.per_mille(500);
        let actor = self.staff();
        if held > 0 && self.chance.per_mille(600) {
            let amount = some.then(|| minor(self.chance.between(1, held)));
            return self.money(MoneyIntent::LetEarningsGo { payee_id, currency, amount, reason }, actor);
        }
        let amount = some.then(|| minor(self.chance.between(1, available.max(1))));
        self.money(MoneyIntent::HoldEarnings { payee_id, currency, amount, reason }, actor)
    }

    /// A refund that finds no way; sometimes one that does.
    fn redirect(&mut self) -> Result<(), Interrupt> {
        let anyhow = self.chance.per_mille(150);
        let refunds = self.records.documents.values().filter_map(|(document, _)| match document {
            Document::Aggregate(AggregateState::Refund(refund)) => {
                let stuck = matches!(refund.as_ref(), Refund::RequiresManual { .. });
                refund.order().filter(|_| stuck || anyhow).map(|order| (order.refund_id, order.client_id))
            }
            _ => None,
        });
        let refunds: Vec<(RefundId, PartyId)> = refunds.collect();
        let Some((refund_id, client_id)) = self.chance.pick(&refunds).copied() else { return Ok(()) };
        let actor = match self.chance.between(0, 2) {
            0 => self.staff(),
            1 => Actor::Client(client_id),
            _ => Actor::Payee(client_id),
        };
        self.money(MoneyIntent::RedirectRefund { refund_id }, actor)
    }

    /// A payment that its client has begun and does not want any more.
    fn cancel_a_funding(&mut self) -> Result<(), Interrupt> {
        let anyhow = self.chance.per_mille(300);
        let fundings = self.records.documents.values().filter_map(|(document, _)| match document {
            Document::Aggregate(AggregateState::Funding(funding)) => {
                let begun = matches!(funding.as_ref(), Funding::Created { .. });
                funding.order().filter(|_| begun || anyhow).map(|order| (order.funding_id, order.client_id))
            }
            _ => None,
        });
        let fundings: Vec<(FundingId, PartyId)> = fundings.collect();
        let Some((funding_id, client_id)) = self.chance.pick(&fundings).copied() else { return Ok(()) };
        self.money(MoneyIntent::CancelFunding { funding_id }, Actor::Client(client_id))
    }
}
