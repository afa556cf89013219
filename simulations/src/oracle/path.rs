//! The way of the money, followed through the events of all aggregates, and what must hold where an append ends.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::Value;

use super::books::Books;
use super::chargeback::Chargebacks;
use super::contract::Contract;
use super::milestone::Milestone;
use super::party::Parties;
use super::payee::{GivenBack, Payees, Release};
use super::receipt::Receipts;
use super::refund::Refunds;
use super::treasury::Treasuries;
use super::vault::Vault;
use super::{Raw, amount_of};
use crate::failure::Violation;

/// Everything on its way.
#[derive(Debug, Default)]
pub(super) struct Path {
    contracts: BTreeMap<String, Contract>,
    vaults: BTreeMap<String, Vault>,
    milestones: BTreeMap<String, Milestone>,
    receipts: Receipts,
    payees: Payees,
    refunds: Refunds,
    pub(super) chargebacks: Chargebacks,
    parties: Parties,
    treasuries: Treasuries,
    /// What changed since the last append ended.
    touched_milestones: BTreeSet<String>,
    touched_vaults: BTreeSet<String>,
    /// The contract whose escrow was unfrozen.
    thawed: Option<String>,
    /// What each pair has billed in contracts whose fees go by it, by stream.
    pairs: BTreeMap<String, i128>,
    /// The contract that its payee cancels, until the same append ends it.
    cancelling: Option<String>,
    /// Releases that their pair has to be told of in the same append: stream, release, amount.
    unbilled: BTreeSet<(String, String, i128)>,
}

impl Path {
    /// What the provider may move for an order on this aggregate; `None`, when nothing was ordered.
    pub(super) fn may_move(&self, action: &str, aggregate: &str) -> Option<i128> {
        match action {
            "collect_payment" => self.receipts.all.get(aggregate).map(|receipt| receipt.charge),
            "refund" => self.refunds.amount(aggregate),
            "move_to_payee" | "pay_to_bank" | "reverse_transfer" => self.payees.may_move(action, aggregate),
            "top_up" | "pay_platform" => self.treasuries.may_move(action, aggregate),
            _ => None,
        }
    }

    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let kind = raw.event_type.split_once('.').map_or("", |(kind, _)| kind);
        match kind {
            "contract" => self.follow_contract(raw)?,
            "milestone" => {
                let contract_id = raw.text("contract_id")?;
                let contract = self.contracts.entry(contract_id.to_owned()).or_default();
                let id = raw.text("milestone_id")?.to_owned();
                let milestone = self.milestones.entry(id.clone()).or_default();
                milestone.follow(raw, contract, self.vaults.get(contract_id))?;
                if raw.event_type == "milestone.funding_lost"
                    && let Some(vault) = self.vaults.get_mut(contract_id)
                {
                    vault.is_told_of_loss(raw)?;
                }
                let of = |milestone: &&Milestone| milestone.contract == contract_id;
                contract.last_due_at = self.milestones.values().filter(of).filter_map(|part| part.last_due_at).max();
                self.touched_milestones.insert(id);
            }
            "escrow" => self.follow_escrow(raw, books)?,
            "funding" => {
                self.receipts.follow(raw, books)?;
                if raw.event_type == "funding.succeeded_after_cancel" {
                    self.refunds.expect([(raw.text("refund_id")?.to_owned(), raw.amount("amount")?)]);
                }
            }
            "payee" => {
                self.payees.follow(raw, &self.parties, books)?;
                if matches!(raw.event_type.as_str(), "payee.bonus_paid" | "payee.tip_paid") {
                    self.follow_gratuity(raw, books)?;
                }
            }
            "payout" => self.payees.follow_payout(raw, books)?,
            "party" => self.parties.follow(raw)?,
            "treasury" => self.treasuries.follow(raw, books)?,
            "chargeback" => {
                if let Some(shift) = self.chargebacks.follow(raw, books)? {
                    self.receipts.expect_shift(shift);
                }
            }
            "refund" => {
                self.refunds.follow(raw, books)?;
                if let Some(shift) = Refunds::shift(raw)? {
                    self.receipts.expect_shift(shift);
                }
            }
            "wallet" => self.follow_wallet(raw, books)?,
            "pair" => {
                let told = (raw.stream.clone(), raw.text("release_id")?.to_owned(), raw.amount("gross")?);
                if !self.unbilled.remove(&told) {
                    return Err(raw.breaks("I4", "billed is not what was released"));
                }
            }
            _ => {}
        }
        // Silence is counted from what somebody does about a contract or a part of it.
        if matches!(kind, "contract" | "milestone" | "escrow") && !raw.actor.starts_with("system:") {
            let contract = self.contracts.entry(raw.text("contract_id")?.to_owned()).or_default();
            contract.last_done_at = contract.last_done_at.max(Some(raw.at));
        }
        Ok(())
    }

    fn follow_contract(&mut self, raw: &Raw) -> Result<(), Violation> {
        let id = raw.text("contract_id")?;
        let vault = self.vaults.get(id);
        let sum = |of: fn(&super::vault::Account) -> i128| -> i128 {
            vault.map_or(0, |vault| vault.accounts.values().map(of).sum())
        };
        let (released, refunded) = (sum(|account| account.released), sum(|account| account.refunded));
        let of = |(_, milestone): &(&String, &Milestone)| milestone.contract == id;
        match raw.event_type.as_str() {
            "contract.completed" => {
                let told = (raw.amount("released_total")?, raw.amount("refunded_total")?);
                if told != (released, refunded) {
                    return Err(raw.breaks("I4", &format!("{released} was released in it, {refunded} went back")));
                }
            }
            "contract.cancelled" if released != 0 => {
                return Err(raw.breaks("I4", "cancelled after money had been released"));
            }
            "contract.end_requested" if raw.text("by")? == "payee" => {
                if released != 0 {
                    return Err(raw.breaks("I5", "the payee cancels after money had been released"));
                }
                self.cancelling = Some(id.to_owned());
            }
            "contract.end_agreed" | "contract.dormancy_defaulted" => {
                self.cancelling = None;
                let account = |id: &String| vault.and_then(|vault| vault.accounts.get(id));
                let parts = self.milestones.iter().filter(of);
                let ours: i128 = parts.map(|(id, milestone)| milestone.refundable(account(id))).sum();
                let key = if raw.event_type == "contract.end_agreed" { "refund_total" } else { "amount" };
                if raw.amount(key)? != ours {
                    return Err(raw.breaks("I4", &format!("{ours} is held and free")));
                }
            }
            "contract.marked_dormant" if self.milestones.iter().filter(of).any(|(_, part)| part.is_asked_about()) => {
                return Err(raw.breaks("I5", "a question about one of its milestones is open"));
            }
            _ => {}
        }
        self.contracts.entry(id.to_owned()).or_default().follow(raw)
    }

    fn follow_escrow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let contract_id = raw.text("contract_id")?.to_owned();
        if raw.event_type == "escrow.opened" {
            self.vaults.insert(contract_id, Vault::open(raw)?);
            return Ok(());
        }
        let Some(vault) = self.vaults.get_mut(&contract_id) else {
            return Err(raw.breaks("I5", "an escrow that was never opened"));
        };
        vault.pair_billed = vault.pair.as_ref().and_then(|pair| self.pairs.get(pair)).copied().unwrap_or_default();
        let contract = self.contracts.entry(contract_id.clone()).or_default();
        self.touched_vaults.insert(contract_id);
        match raw.event_type.as_str() {
            "escrow.funding_requested" => {
                contract.is_by(raw, "client")?;
                vault.ask(raw)?;
            }
            "escrow.funded" | "escrow.wallet_funding_noted" => self.follow_money_in(raw, books)?,
            "escrow.released" => self.follow_release(raw, books)?,
            "escrow.refund_initiated" => {
                let ways = vault.refund(raw, books)?;
                self.refunds.expect(ways);
                if let Ok(id) = raw.text("milestone_id") {
                    self.milestones.entry(id.to_owned()).or_default().refund(raw)?;
                    self.touched_milestones.insert(id.to_owned());
                }
            }
            "escrow.funds_reallocated" => {
                vault.reallocate(raw, books)?;
                match raw.text("from") {
                    Ok(from) => {
                        contract.is_by(raw, "payee")?;
                        self.milestones.entry(from.to_owned()).or_default().leave(raw)?;
                        self.touched_milestones.insert(from.to_owned());
                    }
                    // A deposit secures nothing yet.
                    Err(_) => contract.is_by(raw, "client")?,
                }
                self.touched_milestones.insert(raw.text("to")?.to_owned());
            }
            "escrow.fees_reallocated" => vault.reallocate_fee(raw)?,
            "escrow.dispute_hold_placed" => vault.lock(raw, books)?,
            "escrow.dispute_hold_lifted" => vault.unlock(raw, books)?,
            "escrow.frozen" => {
                vault.freeze(raw, true)?;
                contract.freeze(raw, true);
            }
            "escrow.unfrozen" => {
                vault.freeze(raw, false)?;
                contract.freeze(raw, false);
                let id = raw.text("contract_id")?;
                self.thawed = Some(id.to_owned());
                for (part, milestone) in self.milestones.iter_mut().filter(|(_, part)| part.contract == id) {
                    milestone.thaw();
                    self.touched_milestones.insert(part.clone());
                }
            }
            "escrow.hold_limit_warned" | "escrow.hold_limit_reached" => vault.follow_limit(raw)?,
            "escrow.charge_disputed" => {
                let inquiry = raw.data.get("inquiry").and_then(Value::as_bool).unwrap_or(false);
                let late = self.chargebacks.is_late(raw, inquiry)?;
                vault.contest(raw, inquiry, late)?;
            }
            "escrow.chargeback_held" | "escrow.chargeback_released" => {
                let told = self.chargebacks.told_in_turn(raw)?;
                let index = vault.answers(raw, &told)?;
                let wanted = told.get(index).copied().unwrap_or_default();
                self.chargebacks.answered(raw, index)?;
                vault.hold_for_bank(raw, wanted, books)?;
                self.touch_all_of(raw.text("contract_id")?);
            }
            "escrow.chargeback_absorbed" => {
                self.chargebacks.absorbed(raw, raw.amount("amount")?)?;
                let (clawed, share) = vault.absorb(raw, books)?;
                let id = raw.text("chargeback_id")?.to_owned();
                self.payees.charge(&id, clawed);
                if share != 0 {
                    self.chargebacks.platform_shares.insert(id, share);
                }
                self.touch_all_of(raw.text("contract_id")?);
            }
            "escrow.charge_cleared" => vault.clear_contest(raw)?,
            "escrow.funding_returned" => {
                let returned = self.receipts.returned(raw)?;
                let owed = vault.return_funding(raw, returned, books)?;
                self.receipts.owe(raw, owed)?;
                self.touch_all_of(raw.text("contract_id")?);
            }
            "escrow.late_return_settled" => {
                vault.settle_return(raw, books)?;
                self.touch_all_of(raw.text("contract_id")?);
            }
            "escrow.release_returned" => {
                contract.is_by(raw, "payee")?;
                let ways = vault.give_back(raw)?;
                let tax = |key: &str| raw.data.get(key).map_or(0, |line| amount_of(line, "amount"));
                self.payees.granting = Some(GivenBack {
                    refund: raw.text("refund_id")?.to_owned(),
                    gross: raw.amount("gross")?,
                    from_payee: raw.amount("from_payee")?,
                    payee_fee: raw.amount("payee_fee")?,
                    client_fee: raw.amount("client_fee")?,
                    taxes: tax("payee_tax") + tax("client_tax"),
                });
                self.refunds.expect(ways);
            }
            "escrow.gratuity_requested" => {
                contract.is_by(raw, "client")?;
                vault.ask_gratuity(raw)?;
            }
            "escrow.closed" => {
                contract.closed = true;
                vault.close(raw)?;
            }
            "escrow.timer_blocked" => {
                return Err(raw.breaks("W", &format!("no timer of an escrow can be refused: {}", raw.data)));
            }
            _ => {}
        }
        Ok(())
    }

    fn touch_all_of(&mut self, contract: &str) {
        let of = self.milestones.iter().filter(|(_, milestone)| milestone.contract == contract);
        self.touched_milestones.extend(of.map(|(id, _)| id.clone()));
    }

    /// Money comes from the provider or from the wallet.
    fn follow_money_in(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let Some(vault) = self.vaults.get_mut(raw.text("contract_id")?) else { return Ok(()) };
        let by_wallet = raw.event_type == "escrow.wallet_funding_noted";
        let funding_id = raw.text("funding_id")?.to_owned();
        let (total, parts) = vault.fund(raw, books, by_wallet)?;
        for (id, amount) in parts {
            self.milestones.entry(id.clone()).or_default().fund(raw, &funding_id, amount)?;
            self.touched_milestones.insert(id);
        }
        self.receipts.became(&funding_id, if by_wallet { "paid by wallet" } else { "held" });
        if by_wallet {
            return Ok(());
        }
        self.receipts.exchange(raw, books)?;
        let (surplus, currency) = (raw.amount("surplus_to_wallet")?, raw.text("currency")?);
        self.refunds.expect_credit(raw.text("client_id")?, currency, surplus, books);
        let captured = self.receipts.all.get(&funding_id).and_then(|receipt| receipt.captured.clone());
        if captured != Some((total + surplus, currency.to_owned())) {
            return Err(raw.breaks("I4", &format!("{total} {currency} is held, and {captured:?} was collected")));
        }
        Ok(())
    }

    fn follow_release(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let Some(vault) = self.vaults.get_mut(raw.text("contract_id")?) else { return Ok(()) };
        let id = raw.text("milestone_id")?.to_owned();
        self.milestones.entry(id.clone()).or_default().release(raw)?;
        vault.release(raw, books)?;
        if let Some(pair) = vault.pair.clone() {
            let gross = raw.amount("gross")?;
            *self.pairs.entry(pair.clone()).or_default() += gross;
            self.unbilled.insert((pair, raw.text("release_id")?.to_owned(), gross));
        }
        let clears_at = raw.instant("clears_at")?;
        if clears_at != raw.at + TimeDelta::days(vault.days("clearance_days")) {
            return Err(raw.breaks("I5", "it clears at another instant than was agreed"));
        }
        let net = raw.amount("net")?;
        let release = Release {
            milestone: id.clone(),
            contract: raw.text("contract_id")?.to_owned(),
            account: (raw.text("payee_id")?.to_owned(), raw.text("currency")?.to_owned()),
            net,
            pending: net,
            clears_at: Some(clears_at),
            credits: 0,
            clearances: 0,
        };
        self.payees.release(raw, raw.text("release_id")?, release)?;
        self.touched_milestones.insert(id);
        Ok(())
    }

    /// A bonus or a tip is the payee's at once; nothing of it was ever held.
    fn follow_gratuity(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let currency = raw.text("currency")?;
        let (payee_fee, client_fee) = (raw.amount("payee_fee")?, raw.amount("client_fee")?);
        let withheld = raw.data.get("withheld").map_or(0, |withheld| amount_of(withheld, "amount"));
        let taxes = raw.data.get("taxes").and_then(Value::as_array).into_iter().flatten();
        let taxes: i128 = taxes.map(|line| amount_of(line, "amount")).sum();
        let surplus = amount_of(&raw.data, "surplus_to_wallet");
        books.expect("4100", currency, -payee_fee);
        books.expect("4110", currency, -client_fee);
        books.expect("2410", currency, -withheld);
        books.expect("2400", currency, -taxes);
        self.refunds.expect_credit(raw.text("client_id")?, currency, surplus, books);
        let funding_id = raw.text("funding_id")?;
        self.receipts.became(funding_id, "given");
        let total = raw.amount("net")? + payee_fee + client_fee + withheld + taxes + surplus;
        let captured = self.receipts.all.get(funding_id).and_then(|receipt| receipt.captured.clone());
        if captured != Some((total, currency.to_owned())) {
            return Err(raw.breaks("I4", &format!("{total} {currency} is given, and {captured:?} was collected")));
        }
        Ok(())
    }

    fn follow_wallet(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "wallet.topped_up" => {
                self.refunds.follow_wallet(raw, books)?;
                self.follow_top_up(raw)
            }
            "wallet.top_up_returned" => {
                let returned = self.receipts.returned(raw)?;
                let owed = self.refunds.return_top_up(raw, returned, books)?;
                self.receipts.owe(raw, owed)
            }
            "wallet.chargeback_held" => {
                // What was refunded of a payment is held for its bank, too.
                if raw.data.get("funding_id").is_none() {
                    self.chargebacks.is_held_by_wallet(raw)?;
                }
                self.refunds.hold_top_up(raw)
            }
            "wallet.chargeback_absorbed" => {
                let (whole, share) = self.refunds.absorb_top_up(raw, books)?;
                if raw.data.get("of_refunds").is_none() {
                    self.chargebacks.is_absorbed_by_wallet(raw, whole)?;
                }
                if share != 0 {
                    self.chargebacks.platform_shares.insert(raw.text("chargeback_id")?.to_owned(), share);
                }
                Ok(())
            }
            _ => self.refunds.follow_wallet(raw, books),
        }
    }

    /// All that was collected for a wallet is in it.
    fn follow_top_up(&mut self, raw: &Raw) -> Result<(), Violation> {
        let (funding_id, currency, amount) = (raw.text("funding_id")?, raw.text("currency")?, raw.amount("amount")?);
        self.receipts.became(funding_id, "in the wallet");
        let captured = self.receipts.all.get(funding_id).and_then(|receipt| receipt.captured.clone());
        if captured != Some((amount, currency.to_owned())) {
            return Err(raw.breaks("I4", &format!("{amount} {currency} is credited, and {captured:?} was collected")));
        }
        Ok(())
    }

    /// An append has ended: what it touched is whole.
    pub(super) fn is_whole(&mut self, books: &Books, position: u64) -> Result<(), Violation> {
        let broken =
            |invariant, found: String| Err(Violation::new(invariant, format!("after event {position}: {found}")));
        for id in std::mem::take(&mut self.touched_milestones) {
            let Some(milestone) = self.milestones.get(&id) else { continue };
            let account = self.vaults.get(&milestone.contract).and_then(|vault| vault.accounts.get(&id));
            let purse = account.map(|account| &account.purse);
            let booked = |code: &str| -books.of(code, &milestone.currency, "milestone", &id);
            for (code, ours) in [
                ("2100", purse.map_or(0, super::purse::Purse::free)),
                ("2110", purse.map_or(0, super::purse::Purse::locked)),
                ("2300", purse.map_or(0, super::purse::Purse::deferred)),
            ] {
                if ours < 0 || booked(code) != ours {
                    return broken(
                        "I4",
                        format!("{id}: {code} has {} by the journal, {ours} by the events", booked(code)),
                    );
                }
            }
            if let Some(found) = milestone.is_left_with(account) {
                return broken("I5", format!("{id}: {found}"));
            }
        }
        for id in std::mem::take(&mut self.touched_vaults) {
            if let Some(found) = self.vaults.get_mut(&id).and_then(|vault| vault.is_left_with(&id, books)) {
                return broken("I4", format!("{id}: {found}"));
            }
        }
        if let Some(id) = self.cancelling.take() {
            return broken("I5", format!("{id}: the payee cancelled, and it did not end"));
        }
        if let Some((pair, release, _)) = self.unbilled.pop_first() {
            return broken("I4", format!("{pair}: was not told of {release}"));
        }
        let thawed = self.thawed.take();
        if let Some(found) = thawed.and_then(|id| self.contracts.get_mut(&id)?.is_left_with()) {
            return broken("I5", found);
        }
        if let Some(found) = self.receipts.are_left_with(books) {
            return broken("I11", found);
        }
        if let Some(found) = self.chargebacks.are_left_with(books) {
            return broken("I4", found);
        }
        if let Some(found) = self.treasuries.are_left_with() {
            return broken("I5", found);
        }
        if let Some(found) = self.payees.are_left_with(books) {
            return broken("I5", found);
        }
        match self.refunds.are_left_with(books) {
            Some(found) => broken("I5", found),
            None => Ok(()),
        }
    }
}
