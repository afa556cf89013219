//! Money that a client's bank takes back: what is locked for it, and who bears what it keeps.
//!
//! # Invariants
//! - Locked is what of the payment's money the bank has, without the fees that came with it, as far as it is here.
//! - A loss is shared out whole: held money with its fees, then what was released, by the payee where that was agreed, then
//!   the platform.

mod returned;

use serde_json::Value;

use super::{Vault, tax_of};
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::fees::rounded;
use crate::oracle::{Raw, amount_of, text_of};

/// A part of held money that is locked, or lost: of which milestone, how much, and what of it a dispute had locked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    milestone: Option<String>,
    amount: i128,
    dispute: String,
    disputed: i128,
    client_fee: i128,
}

/// A bank that disagrees.
#[derive(Debug)]
pub(super) struct Contest {
    funding: String,
    pub(super) inquiry: bool,
    parts: Vec<Part>,
    absorbed: bool,
}

/// What the payee has to give.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::oracle) struct Clawed {
    pub(in crate::oracle) gross: i128,
    pub(in crate::oracle) from_payee: i128,
    pub(in crate::oracle) payee_fee: i128,
    pub(in crate::oracle) client_fee: i128,
    pub(in crate::oracle) taxes: i128,
}

/// Roundings of a loss: one each for money and fee of a part, and one for the tax.
fn roundings(parts: usize) -> i128 {
    i128::try_from(parts).unwrap_or_default() * 2 + 1
}

fn parts_in(list: &[Value]) -> Vec<Part> {
    let part = |part: &Value| Part {
        milestone: part.get("milestone_id").and_then(Value::as_str).map(str::to_owned),
        amount: amount_of(part, "amount"),
        dispute: text_of(part, "dispute_id").to_owned(),
        disputed: amount_of(part, "disputed"),
        client_fee: amount_of(part, "client_fee"),
    };
    list.iter().map(part).collect()
}

impl Vault {
    /// The payments that a bank disagrees with.
    pub(super) fn contested(&self) -> Vec<String> {
        let open = self.contests.values().filter(|contest| !contest.inquiry);
        open.map(|contest| contest.funding.clone()).collect()
    }

    pub(super) fn is_contested(&self, funding: &str) -> bool {
        self.contests.values().any(|contest| !contest.inquiry && contest.funding == funding)
    }

    /// Whether a bank disagrees with a payment that the milestone had money of when it began to.
    pub(in crate::oracle) fn rests(&self, milestone: &str, chargeback: &str) -> bool {
        self.named.get(chargeback).is_some_and(|named| named.iter().any(|known| known == milestone))
    }

    /// A bank disagrees, or asks; `late`: it took money after the end.
    pub(in crate::oracle) fn contest(&mut self, raw: &Raw, inquiry: bool, late: bool) -> Result<(), Violation> {
        let (id, funding) = (raw.text("chargeback_id")?.to_owned(), raw.text("funding_id")?.to_owned());
        let told: Vec<_> = raw.list("milestones")?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let ours = self.accounts.iter().filter(|(_, account)| account.purse.here_of(&funding) > 0);
        let ours: Vec<_> = ours.map(|(id, _)| id.clone()).collect();
        let known = self.contests.remove(&id);
        let again = known.as_ref().is_some_and(|known| inquiry || !known.inquiry);
        // What is taken after the end stops nothing.
        let right = if late { told.is_empty() } else { told == ours && !self.contests_over.contains(&id) };
        if again || !right {
            return Err(raw.breaks("I5", &format!("{ours:?} have money of it, or it is known: {known:?}")));
        }
        let parts = known.map(|known| known.parts).unwrap_or_default();
        if !inquiry {
            self.named.insert(id.clone(), told);
        }
        self.contests.insert(id, Contest { funding, inquiry, parts, absorbed: false });
        Ok(())
    }

    /// What is to be locked when the bank has so much: R6 of what was paid for work.
    fn principal(&self, funding: &str, amount: i128) -> i128 {
        let Some(paid) = self.paid.get(funding) else { return 0 };
        let whole = paid.paid - paid.initiation;
        if paid.principal == 0 {
            amount
        } else if amount >= whole {
            paid.principal
        } else {
            rounded(amount * paid.principal, whole)
        }
    }

    /// What of a payment is in a place: not locked, and locked by a dispute.
    fn there(&self, milestone: Option<&str>, funding: &str) -> (i128, i128) {
        let Some(id) = milestone else { return (self.deposit.free_of(funding), 0) };
        let free = self.accounts.get(id).map_or(0, |account| account.purse.free_of(funding));
        let mut disputed = 0;
        for (of, lots) in self.disputes.values() {
            disputed += lots.iter().filter(|(lot, _)| of == id && lot == funding).map(|(_, part)| part).sum::<i128>();
        }
        (free, disputed)
    }

    fn lockable(&self, funding: &str) -> i128 {
        let places = self.accounts.keys().map(|id| Some(id.as_str())).chain([None]);
        places.map(|place| self.there(place, funding)).map(|(free, disputed)| free + disputed).sum()
    }

    /// What the bank has had when this was decided, of what it was told to have had in turn: the first that fits. Others
    /// had changed nothing.
    pub(in crate::oracle) fn answers(&self, raw: &Raw, told: &[i128]) -> Result<usize, Violation> {
        let Some(contest) = self.contests.get(raw.text("chargeback_id")?) else {
            return Err(raw.breaks("I5", "no bank disagrees"));
        };
        let locked: i128 = contest.parts.iter().map(|part| part.amount).sum();
        let most = locked + self.lockable(&contest.funding);
        let sum: i128 = parts_in(raw.list("parts")?).iter().map(|part| part.amount).sum();
        let after = if raw.event_type == "escrow.chargeback_held" { locked + sum } else { locked - sum };
        let fits = |wanted: &i128| self.principal(&contest.funding, *wanted).min(most) == after;
        let index = told.iter().position(fits);
        index.ok_or_else(|| raw.breaks("I4", &format!("{after} is locked, {most} could be, the bank has {told:?}")))
    }

    /// Money is locked, or let go, since the bank has `wanted` by now.
    pub(in crate::oracle) fn hold_for_bank(
        &mut self,
        raw: &Raw,
        wanted: i128,
        books: &mut Books,
    ) -> Result<(), Violation> {
        let id = raw.text("chargeback_id")?;
        let Some(contest) = self.contests.get(id).filter(|contest| !contest.inquiry || wanted == 0) else {
            return Err(raw.breaks("I5", "no bank disagrees"));
        };
        let (funding, known) = (contest.funding.clone(), contest.parts.clone());
        let locked: i128 = known.iter().map(|part| part.amount).sum();
        let target = self.principal(&funding, wanted).min(locked + self.lockable(&funding));
        let parts = parts_in(raw.list("parts")?);
        let holds = raw.event_type == "escrow.chargeback_held";
        let sum: i128 = parts.iter().map(|part| part.amount).sum();
        Self::is(raw, "what is locked", if holds { locked + sum } else { locked - sum }, target)?;
        for part in &parts {
            let place = part.milestone.as_deref();
            let of_place = known.iter().find(|known| known.milestone == part.milestone);
            let fits = if holds {
                let (free, disputed) = self.there(place, &funding);
                part.disputed == (part.amount - free).max(0) && part.disputed <= disputed
            } else {
                // Money that is nobody's else goes first.
                of_place.is_some_and(|known| {
                    part.amount <= known.amount
                        && part.disputed == (part.amount - (known.amount - known.disputed)).max(0)
                })
            };
            if part.amount <= 0 || !fits {
                return Err(raw.breaks("I4", &format!("{part:?} is not there: {:?}", self.there(place, &funding))));
            }
            self.lend(&part.dispute, &funding, if holds { -part.disputed } else { part.disputed });
            let free = vec![(funding.clone(), part.amount - part.disputed)];
            let purse = match &part.milestone {
                Some(id) => &mut self.accounts.entry(id.clone()).or_default().purse,
                None => &mut self.deposit,
            };
            if holds {
                purse.lock(&free);
            } else {
                purse.unlock(&free);
            }
            if part.milestone.is_some() {
                let change = if holds { part.amount - part.disputed } else { part.disputed - part.amount };
                books.expect("2100", &self.currency, change);
                books.expect("2110", &self.currency, -change);
            }
        }
        let Some(contest) = self.contests.get_mut(id) else { return Ok(()) };
        for part in parts {
            match contest.parts.iter_mut().find(|known| known.milestone == part.milestone) {
                Some(known) => {
                    let sign = if holds { 1 } else { -1 };
                    known.amount += part.amount * sign;
                    known.disputed += part.disputed * sign;
                    if known.dispute.is_empty() {
                        known.dispute = part.dispute;
                    }
                }
                None => contest.parts.push(part),
            }
        }
        contest.parts.retain(|part| part.amount != 0);
        Ok(())
    }

    /// A dispute lends money of a payment to a chargeback, or gets it back.
    fn lend(&mut self, dispute: &str, funding: &str, change: i128) {
        if let Some((_, lots)) = self.disputes.get_mut(dispute) {
            for (_, part) in lots.iter_mut().filter(|(lot, _)| lot == funding) {
                *part += change;
            }
        }
    }

    /// Held money is gone, with the fees deferred for it. Returns what the bank has had of that.
    fn lose(&mut self, raw: &Raw, budget: i128, parts: &[Part], books: &mut Books) -> Result<i128, Violation> {
        let funding = raw.text("funding_id")?.to_owned();
        let (mut amount, mut fees, mut exact) = (0, 0, 0);
        for part in parts {
            let is_deposit = part.milestone.is_none();
            let purse = match &part.milestone {
                Some(id) => &mut self.accounts.entry(id.clone()).or_default().purse,
                None => &mut self.deposit,
            };
            let fee = purse.fee_of(part.amount);
            // The fee for the rest may give way to roundings; never more than is deferred.
            if part.client_fee < fee || part.client_fee > fee + roundings(parts.len()) {
                return Err(raw.breaks("I4", &format!("the fee with {} is {fee}", part.amount)));
            }
            purse.take(&vec![(funding.clone(), part.amount)], part.client_fee);
            (amount, fees, exact) = (amount + part.amount, fees + part.client_fee, exact + fee);
            books.expect(if is_deposit { "2105" } else { "2100" }, &self.currency, part.amount);
            if let Some(id) = &part.milestone {
                self.lost_due.push((id.clone(), funding.clone(), part.amount));
                self.accounts.entry(id.clone()).or_default().lost += part.amount;
            }
        }
        let earned = amount_of(&raw.data, "client_fee_earned");
        Self::is(raw, "the client's fee that is earned", earned, (exact - (budget - amount).max(0)).max(0))?;
        let (initiation, tax) = (amount_of(&raw.data, "initiation_fee"), tax_of(raw, "tax"));
        if initiation != 0 && initiation != self.initiation - self.initiation_gone {
            return Err(raw.breaks("I4", "the initiation fee is gone as a whole, or not"));
        }
        if tax > self.tax - self.tax_gone || (parts.is_empty() && (tax, initiation) != (0, 0)) {
            return Err(raw.breaks("I4", &format!("{tax} of tax is gone, of {}", self.tax - self.tax_gone)));
        }
        let total = amount + fees - earned + initiation + tax;
        if total > budget {
            return Err(raw.breaks("I4", &format!("{total} is gone, the bank has {budget}")));
        }
        self.fees_gone += fees;
        self.initiation_gone += initiation;
        self.tax_gone += tax;
        let currency = &self.currency;
        books.expect("2300", currency, fees);
        books.expect("4110", currency, -earned);
        books.expect("2310", currency, initiation);
        books.expect(self.tax_account(), currency, tax);
        Ok(total)
    }

    /// The bank keeps `amount`. Returns what the payee has to give, and what the platform bears.
    pub(in crate::oracle) fn absorb(&mut self, raw: &Raw, books: &mut Books) -> Result<(Clawed, i128), Violation> {
        let (id, funding) = (raw.text("chargeback_id")?.to_owned(), raw.text("funding_id")?.to_owned());
        let (amount, parts) = (raw.amount("amount")?, parts_in(raw.list("held")?));
        let bare = |parts: &[Part]| -> Vec<Part> {
            parts.iter().map(|part| Part { client_fee: 0, dispute: String::new(), ..part.clone() }).collect()
        };
        let Some(contest) = self.contests.get_mut(&id) else {
            return Err(raw.breaks("I5", "no bank disagrees"));
        };
        if bare(&contest.parts) != bare(&parts) || contest.absorbed || contest.inquiry {
            return Err(raw.breaks("I4", &format!("{:?} was locked for it", contest.parts)));
        }
        contest.absorbed = true;
        contest.parts.clear();
        for part in &parts {
            let all = vec![(funding.clone(), part.amount)];
            match &part.milestone {
                Some(id) => {
                    let account = self.accounts.entry(id.clone()).or_default();
                    account.purse.unlock(&all);
                    account.disputed -= part.disputed;
                    // It was locked, and not free.
                    books.expect("2100", &self.currency, -part.amount);
                    books.expect("2110", &self.currency, part.amount);
                }
                None => self.deposit.unlock(&all),
            }
        }
        let held = self.lose(raw, amount, &parts, books)?;
        self.forget_empty_disputes();
        books.expect("1200", &self.currency, -held);
        let (clawed, to_client) = self.claw(raw, &funding, amount - held)?;
        let share = amount_of(&raw.data, "platform_share");
        let twice = amount_of(&raw.data, "from_refunds");
        Self::is(raw, "the sum of who bears it", held + to_client + share + twice, amount)?;
        Ok((clawed, share))
    }

    /// What was released of it: the payee gives it, or the platform bears it.
    fn claw(&mut self, raw: &Raw, funding: &str, rest: i128) -> Result<(Clawed, i128), Violation> {
        let (mut sum, mut to_client, mut less) = (Clawed::default(), 0, false);
        let list = |key: &str| raw.data.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let by_payee = self.policy.get("chargeback_liability").and_then(Value::as_str) != Some("platform");
        let (clawed, borne) = (list("clawed"), list("borne"));
        if by_payee && !borne.is_empty() || !by_payee && !clawed.is_empty() {
            return Err(raw.breaks("I5", "borne by another than was agreed"));
        }
        let most = self.returnable(funding);
        let gross: i128 = clawed.iter().chain(&borne).map(|part| amount_of(part, "gross")).sum();
        Self::is(raw, "what was released of it", gross, self.principal(funding, rest).min(most))?;
        for part in clawed {
            let told = |key: &str| amount_of(&part, key);
            let account = self.accounts.entry(text_of(&part, "milestone_id").to_owned()).or_default();
            let gone = account.back.gross + told("gross");
            let share = |total: i128, before: i128| (rounded(total * gone, account.released) - before).max(0);
            let fees = [
                (told("payee_fee"), share(account.payee_fee, account.back.payee_fee)),
                (told("client_fee"), share(account.earned, account.back.client_fee)),
            ];
            // They may be more than the bank took: then there is so much less of them.
            less |= fees.iter().any(|(told, ours)| told < ours);
            if fees.iter().any(|(told, ours)| told > ours) {
                return Err(raw.breaks("I4", &format!("the fees that are returned are {fees:?}")));
            }
            account.back.gross = gone;
            account.back.payee_fee += told("payee_fee");
            account.back.payee_tax += told("payee_tax");
            account.back.client_fee += told("client_fee");
            account.back.client_tax += told("client_tax");
            account.purse.mark_returned(&vec![(funding.to_owned(), told("gross"))]);
            sum.gross += told("gross");
            sum.from_payee += told("from_payee");
            sum.payee_fee += told("payee_fee");
            sum.client_fee += told("client_fee");
            sum.taxes += told("payee_tax") + told("client_tax");
            to_client += told("to_client");
        }
        if less && to_client != rest {
            return Err(raw.breaks("I4", &format!("less of the fees is returned, and {to_client} of {rest} is given")));
        }
        self.bear(funding, &borne);
        let whole = sum.from_payee + sum.payee_fee + sum.client_fee + sum.taxes;
        Self::is(raw, "what is given for it", to_client, whole)?;
        Ok((sum, to_client))
    }

    fn returnable(&self, funding: &str) -> i128 {
        let of = |account: &super::Account| {
            (account.released - account.back.gross - account.borne).min(account.purse.released_of(funding))
        };
        self.accounts.values().map(of).sum()
    }

    fn bear(&mut self, funding: &str, borne: &[Value]) {
        for part in borne {
            let gross = amount_of(part, "gross");
            let account = self.accounts.entry(text_of(part, "milestone_id").to_owned()).or_default();
            account.borne += gross;
            account.purse.mark_returned(&vec![(funding.to_owned(), gross)]);
        }
    }

    /// It is over: nothing is locked for it any more.
    pub(in crate::oracle) fn clear_contest(&mut self, raw: &Raw) -> Result<(), Violation> {
        let id = raw.text("chargeback_id")?.to_owned();
        match self.contests.remove(&id) {
            Some(contest) if contest.parts.is_empty() => {
                self.contests_over.insert(id);
                Ok(())
            }
            other => Err(raw.breaks("I5", &format!("it was not known, or something is locked: {other:?}"))),
        }
    }

    /// A dispute about nothing is over.
    fn forget_empty_disputes(&mut self) {
        let lent: Vec<String> =
            self.contests.values().flat_map(|contest| &contest.parts).map(|part| part.dispute.clone()).collect();
        self.disputes.retain(|id, (_, lots)| lots.iter().any(|(_, part)| *part != 0) || lent.contains(id));
    }

    /// A milestone is told of what was taken.
    pub(in crate::oracle) fn is_told_of_loss(&mut self, raw: &Raw) -> Result<(), Violation> {
        let told = (raw.text("milestone_id")?.to_owned(), raw.text("funding_id")?.to_owned(), raw.amount("amount")?);
        match self.lost_due.iter().position(|due| *due == told) {
            Some(index) => {
                self.lost_due.remove(index);
                Ok(())
            }
            None => Err(raw.breaks("I4", &format!("that was not taken: {:?}", self.lost_due))),
        }
    }

    /// What locks do not add up to where an append has ended; and what is free of a payment that was returned.
    pub(super) fn contests_are_wrong(&self) -> Option<String> {
        for (funding, owed) in self.owed.iter().filter(|(_, owed)| **owed != 0) {
            let free = self.lockable(funding);
            if free != 0 {
                return Some(format!("{free} of {funding} is free, and {owed} is owed for it since it was returned"));
            }
        }
        for (id, account) in &self.accounts {
            let by_disputes: i128 = self
                .disputes
                .values()
                .filter(|(of, _)| of == id)
                .flat_map(|(_, lots)| lots)
                .map(|(_, part)| part)
                .sum();
            let parts = self.contests.values().flat_map(|contest| &contest.parts);
            let by_banks: i128 = parts.filter(|part| part.milestone.as_ref() == Some(id)).map(|part| part.amount).sum();
            if account.purse.locked() != by_disputes + by_banks {
                let locked = account.purse.locked();
                return Some(format!("{id}: {locked} is locked, {by_disputes} by disputes, {by_banks} for banks"));
            }
        }
        None
    }
}
